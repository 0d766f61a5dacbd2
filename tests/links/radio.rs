//! The packet in frames of 802.11, and behind what radios say of them.

use super::bytes::{addresses, join, snap};
use super::pcap::Packet;

/// From the frame control to the sequence control of a frame from a station to its access point.
fn mac_header(control: [u8; 2]) -> Vec<u8> {
    let address = |last| [2, 0, 0, 0, 0, last];
    join(&[&control, &[0, 0], &address(9), &address(1), &address(2), &[0x10, 0x00]])
}

pub fn data(packet: &Packet) -> Vec<u8> {
    join(&[&mac_header([0x08, 0x01]), &snap(packet)])
}

pub fn qos(packet: &Packet) -> Vec<u8> {
    join(&[&mac_header([0x88, 0x01]), &[0, 0], &snap(packet)])
}

/// Four addresses between two access points, and the HT control field.
pub fn four_addresses_ht(packet: &Packet) -> Vec<u8> {
    let control = [0x88, 0x83];
    join(&[&mac_header(control), &[2, 0, 0, 0, 0, 8], &[0, 0], &[0, 0, 0, 0], &snap(packet)])
}

/// An A-MSDU of one packet.
pub fn aggregate_of_one(packet: &Packet) -> Vec<u8> {
    join(&[&mac_header([0x88, 0x01]), &[0x80, 0], &subframe(packet)])
}

/// A packet in an A-MSDU.
pub fn subframe(packet: &Packet) -> Vec<u8> {
    let payload = snap(packet);
    join(&[&addresses(packet), &(payload.len() as u16).to_be_bytes(), &payload])
}

/// What an A-MSDU begins with.
pub fn aggregate_header() -> Vec<u8> {
    join(&[&mac_header([0x88, 0x01]), &[0x80, 0]])
}

/// A frame that is encrypted.
pub fn protected(packet: &Packet) -> Vec<u8> {
    let mut frame = data(packet);
    frame[1] |= 0x40;
    frame
}

/// A part of a frame.
pub fn fragment(packet: &Packet) -> Vec<u8> {
    let mut frame = data(packet);
    frame[1] |= 0x04;
    frame
}

/// A time, flags that tell of padding, and a rate; the QoS header is padded from 26 to 28 bytes.
pub fn radiotap(packet: &Packet) -> Vec<u8> {
    let present = 0b0000_0111;
    let header = [0, 0, 18, 0, present, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0x20, 12];
    join(&[&header, &mac_header([0x88, 0x01]), &[0, 0], &[0, 0], &snap(packet)])
}

/// Two words of fields, no time, flags without padding.
pub fn radiotap_two_words(packet: &Packet) -> Vec<u8> {
    let header = [0, 0, 13, 0, 0b10, 0, 0, 0x80, 0, 0, 0, 0, 0];
    join(&[&header, &qos(packet)])
}

pub fn prism(packet: &Packet) -> Vec<u8> {
    let mut header = vec![0; 144];
    header[..8].copy_from_slice(&[0x44, 0, 0, 0, 144, 0, 0, 0]);
    header[8..13].copy_from_slice(b"wlan0");
    join(&[&header, &data(packet)])
}

pub fn avs(packet: &Packet) -> Vec<u8> {
    let mut header = vec![0; 64];
    header[..8].copy_from_slice(&[0x80, 0x21, 0x10, 0x01, 0, 0, 0, 64]);
    join(&[&header, &data(packet)])
}

/// No fields of its own, around 802.11.
pub fn ppi(packet: &Packet) -> Vec<u8> {
    join(&[&[0, 0, 8, 0, 105, 0, 0, 0], &data(packet)])
}
