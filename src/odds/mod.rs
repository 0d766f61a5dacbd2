//! The model of the race: how likely it is that a request is lost, from timers, delays and traffic. Pure: no clock, no
//! captures, no lab.

pub mod map;
pub mod statistics;
pub mod window;
