//! What is kept of the path of a request.

/// Longest path kept for display.
const LIMIT: usize = 96;

/// Captures are hostile input: what is kept of a path is printable ASCII, bounded, and free of query strings.
pub(super) fn keep_path(target: &[u8], path: &mut Vec<u8>) {
    path.clear();
    // Only the absolute form has a scheme (RFC 9112 section 3.2.2); a query may hold a whole URL.
    let absolute = || target.windows(3).position(|window| window == b"://");
    let without_scheme = match if target.starts_with(b"/") { None } else { absolute() } {
        Some(at) => target[at + 3..]
            .iter()
            .position(|&byte| byte == b'/')
            .map_or(&b"/"[..], |slash| &target[at + 3 + slash..]),
        None => target,
    };
    let plain = without_scheme.iter().take(LIMIT).take_while(|&&byte| IS_PLAIN[usize::from(byte)]).count();
    let (plain, odd) = without_scheme.split_at(plain);
    path.extend_from_slice(plain);
    for &byte in odd.iter().take_while(|byte| !matches!(byte, b'?' | b'#')) {
        if path.len() >= LIMIT {
            path.extend_from_slice(b"...");
            break;
        }
        match byte {
            b'\\' => path.extend_from_slice(b"\\\\"),
            0x21..=0x7e => path.push(byte),
            _ => path.extend_from_slice(format!("\\x{byte:02x}").as_bytes()),
        }
    }
}

/// The length of a path at the start of `target` of which [`keep_path`] keeps just these bytes; none where there is more to
/// it.
#[inline]
pub(super) fn plain_len(target: &[u8]) -> Option<usize> {
    let len = target.iter().take(LIMIT).take_while(|&&byte| IS_PLAIN[usize::from(byte)]).count();
    let ends = matches!(target.get(len), Some(b' ' | b'?' | b'#'));
    (ends && target.starts_with(b"/")).then_some(len)
}

/// The bytes that are kept as they are.
static IS_PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0x21;
    while byte < 0x7f {
        plain[byte as usize] = !matches!(byte, b'?' | b'#' | b'\\');
        byte += 1;
    }
    plain
};
