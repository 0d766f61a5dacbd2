//! TCP options that may be kept (RFC 9293 section 3.1); the others become no-operations, so that none moves.

use std::net::IpAddr;

use super::Names;

const END: u8 = 0;
const NO_OPERATION: u8 = 1;
const MSS: u8 = 2;
const WINDOW_SCALE: u8 = 3;
const SACK_PERMITTED: u8 = 4;
const SACK: u8 = 5;
const TIMESTAMPS: u8 = 8;

/// Writes the options of a header, as far as they were captured.
pub(super) fn write(options: &[u8], out: &mut [u8], src: IpAddr, dst: IpAddr, names: &dyn Names) {
    out.fill(NO_OPERATION);
    let mut at = 0;
    while let Some(&kind) = options.get(at) {
        if kind == END {
            out[at..].fill(END);
            return;
        }
        if kind == NO_OPERATION {
            at += 1;
            continue;
        }
        let len = options.get(at + 1).map_or(0, |len| usize::from(*len));
        let Some(option) = options.get(at..at + len).filter(|option| option.len() >= 2) else { return };
        let target = &mut out[at..at + len];
        match (kind, option) {
            (MSS, [_, _, _, _]) | (WINDOW_SCALE, [_, _, _]) | (SACK_PERMITTED, [_, _]) | (SACK, _) => {
                target.copy_from_slice(option);
            }
            (TIMESTAMPS, &[_, _, a, b, c, d, e, f, g, h]) => {
                let value = u32::from_be_bytes([a, b, c, d]);
                let echo = u32::from_be_bytes([e, f, g, h]);
                let (value, echo) = shifted(value, echo, src, dst, names);
                target[..2].copy_from_slice(&option[..2]);
                target[2..6].copy_from_slice(&value.to_be_bytes());
                target[6..].copy_from_slice(&echo.to_be_bytes());
            }
            _ => {}
        }
        at += len;
    }
}

/// Timestamps on clocks that were set otherwise: every difference stays. Zero stays zero, where it means that there is
/// no time (RFC 7323 section 3.2).
pub(super) fn shifted(value: u32, echo: u32, src: IpAddr, dst: IpAddr, names: &dyn Names) -> (u32, u32) {
    let shift = |time: u32, host| if time == 0 { 0 } else { time.wrapping_add(names.clock(host)) };
    (shift(value, src), shift(echo, dst))
}
