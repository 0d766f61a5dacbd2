//! WebSocket frames (RFC 6455 section 5.2) of a client: enough to tell messages from heartbeats and goodbyes.

/// The three kinds of control frame: Close, Ping, Pong.
const CONTROL: std::ops::RangeInclusive<u8> = 0x88..=0x8a;
/// A client masks what it sends.
const MASKED: u8 = 0x80;
const MASK_LEN: usize = 4;
/// Control frames are no longer.
const MAX_CONTROL_LEN: u8 = 125;

/// Whether a payload holds control frames and nothing else, as far as it was captured: nobody waits for an answer to them.
pub(super) fn is_control(payload: &[u8]) -> bool {
    let mut rest = payload;
    while let [kind, masked_len, behind @ ..] = rest {
        let len = masked_len & !MASKED;
        if !CONTROL.contains(kind) || masked_len & MASKED == 0 || len > MAX_CONTROL_LEN {
            return false;
        }
        rest = behind.get(MASK_LEN + usize::from(len)..).unwrap_or_default();
    }
    rest.is_empty() && !payload.is_empty()
}

#[cfg(test)]
mod tests {
    use super::is_control;

    const CLOSE: &[u8] = b"\x88\x82mask\x03\xe8";
    const PING: &[u8] = b"\x89\x80mask";
    const TEXT: &[u8] = b"\x81\x82maskhi";

    #[test]
    fn heartbeats_and_goodbyes_are_no_messages() {
        assert!(is_control(CLOSE) && is_control(&[PING, CLOSE].concat()));
        assert!(is_control(&CLOSE[..7]), "cut by the snap length");
    }

    #[test]
    fn what_holds_a_message_is_one() {
        assert!(!is_control(TEXT) && !is_control(&[PING, TEXT].concat()));
        assert!(!is_control(b"\x88\x02\x03\xe8"), "not masked, so not of a client");
        assert!(!is_control(b"") && !is_control(b"\x88"));
    }
}
