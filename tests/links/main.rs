//! Links, tunnels and fragments: the packets of one labelled capture in every wrapping that finrace reads mean what they
//! mean without it.
//!
//! `FINRACE_BLESS=1 cargo test --test links` writes `captures/formats/links/` again from the recipes.

#[path = "../common"]
mod common {
    pub mod tshark;
}
mod bytes;
mod fragments;
mod kept;
mod links;
mod meaning;
mod pcap;
mod radio;
mod recipes;
mod refusals;
mod tshark;
mod tunnels;
