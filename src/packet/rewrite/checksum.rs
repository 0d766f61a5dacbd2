//! Internet checksums (RFC 1071) that stay as right, or as wrong, as they were.

use std::net::IpAddr;
use std::ops::Range;

use super::{Names, Span};
use crate::packet::ip;
use crate::packet::layer::Layer;

/// The sum of 16-bit words in one's complement, on top of another.
pub(super) fn sum(bytes: &[u8], start: u16) -> u16 {
    let words =
        bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low)));
    words.fold(start, |sum, word| add(sum, word as u16))
}

/// One's complement addition: the carry comes in again at the end.
fn add(one: u16, other: u16) -> u16 {
    let (sum, carry) = one.overflowing_add(other);
    sum + u16::from(carry)
}

/// The pseudo-header of TCP and UDP (RFC 9293 section 3.1, RFC 8200 section 8.1).
pub(super) fn pseudo_header(src: IpAddr, dst: IpAddr, protocol: u8, len: usize) -> u16 {
    let mut start = add(u16::from(protocol), len as u16);
    start = add(start, (len >> 16) as u16);
    for ip in [src, dst] {
        start = match ip {
            IpAddr::V4(ip) => sum(&ip.octets(), start),
            IpAddr::V6(ip) => sum(&ip.octets(), start),
        };
    }
    start
}

/// What a checksum field holds now. `before` and `after` are the sums without the field, and those of the pseudo-header
/// alone, which is what the field holds until the network card has done the rest (Linux, `CHECKSUM_PARTIAL`).
fn carried(field: u16, before: (u16, u16), after: (u16, u16)) -> u16 {
    let (right, partial) = (!before.0, before.1);
    // 0 and 0xffff are the same number in one's complement.
    let same = |one: u16, other: u16| one == other || add(one, !other) == 0xffff && (one ^ other) == 0xffff;
    if same(field, right) {
        !after.0
    } else if field == partial {
        after.1
    } else {
        add(!after.0, add(field, !right))
    }
}

/// Sets the checksum of the TCP segment at `range`.
pub(super) fn tcp(
    data: &[u8],
    out: &mut [u8],
    range: Range<usize>,
    whole: bool,
    (src, dst): (IpAddr, IpAddr),
    names: &dyn Names,
) {
    const AT: usize = 16;
    transport(data, out, range, AT, ip::TCP, whole, (src, dst), names);
}

#[expect(clippy::too_many_arguments, reason = "each names another part of one packet")]
fn transport(
    data: &[u8],
    out: &mut [u8],
    range: Range<usize>,
    at: usize,
    protocol: u8,
    whole: bool,
    (src, dst): (IpAddr, IpAddr),
    names: &dyn Names,
) {
    let at = range.start + at;
    if at + 2 > range.end {
        return;
    }
    let field = u16::from_be_bytes([data[at], data[at + 1]]);
    let sums = |bytes: &[u8], src, dst| {
        let pseudo = pseudo_header(src, dst, protocol, range.len());
        let before = sum(&bytes[range.start..at], pseudo);
        (sum(&bytes[at + 2..range.end], before), pseudo)
    };
    let after = sums(out, names.ip(src), names.ip(dst));
    // Of a packet that was cut nobody can tell whether it was right.
    let value = if whole { carried(field, sums(data, src, dst), after) } else { !after.0 };
    let value = if protocol == ip::UDP && value == 0 { 0xffff } else { value };
    out[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

/// Sets the checksum that a header of the way has, if it has one.
pub(super) fn of_header(span: &Span, data: &[u8], out: &mut [u8], names: &dyn Names) {
    match span.layer {
        Layer::Ipv4 => {
            const AT: usize = 10;
            let at = span.start + AT;
            let field = u16::from_be_bytes([data[at], data[at + 1]]);
            let without = |bytes: &[u8]| sum(&bytes[at + 2..span.end], sum(&bytes[span.start..at], 0));
            let value = carried(field, (without(data), field ^ 1), (without(out), 0));
            out[at..at + 2].copy_from_slice(&value.to_be_bytes());
        }
        Layer::Protocol(ip::UDP) => {
            const AT: usize = 6;
            let at = span.start + AT;
            let Some(ip) = span.ip else { return };
            // None was computed (RFC 768).
            if data[at..at + 2] != [0, 0] {
                transport(
                    data,
                    out,
                    span.start..span.captured_end,
                    AT,
                    ip::UDP,
                    span.whole,
                    (ip.src, ip.dst),
                    names,
                );
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_stays_as_right_or_wrong_as_it_was() {
        let (before, after) = ((0x1234, 0x0042), (0x5678, 0x0043));
        assert_eq!(carried(!0x1234, before, after), !0x5678, "right");
        assert_eq!(carried(0x0042, before, after), 0x0043, "left to the network card");
        assert_ne!(carried(0xbeef, before, after), !0x5678, "wrong");
        assert_ne!(carried(0, before, after), !0x5678, "wrong");
    }

    #[test]
    fn the_sum_is_that_of_rfc_1071() {
        // Section 3 of the RFC.
        assert_eq!(sum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7], 0), 0xddf2);
    }
}
