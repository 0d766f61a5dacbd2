//! Durations in scenario files.

use std::time::Duration;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};

use crate::duration::{format_duration, needs_unit, parse_duration};

/// A duration inside a scenario file.
struct Written(Duration);

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Written;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a duration such as \"5s\" or \"500ms\"")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Written, E> {
                parse_duration(text).map(Written).map_err(E::custom)
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Written, E> {
                Err(E::custom(needs_unit(&number.to_string())))
            }
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Written, E> {
                Err(E::custom(needs_unit(&number.to_string())))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

impl Serialize for Written {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format_duration(self.0))
    }
}

pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    Written(*duration).serialize(serializer)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    Written::deserialize(deserializer).map(|written| written.0)
}

/// For a duration that may be absent.
pub(super) mod optional {
    use super::*;

    pub(in crate::lab::scenario) fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        duration.map(Written).serialize(serializer)
    }

    pub(in crate::lab::scenario) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<Written>::deserialize(deserializer)?.map(|written| written.0))
    }
}

/// For a range of two durations that may be absent.
pub(super) mod range {
    use super::*;

    pub(in crate::lab::scenario) fn serialize<S: Serializer>(
        range: &Option<[Duration; 2]>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        range.map(|ends| ends.map(Written)).serialize(serializer)
    }

    pub(in crate::lab::scenario) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<[Duration; 2]>, D::Error> {
        Ok(Option::<[Written; 2]>::deserialize(deserializer)?.map(|ends| ends.map(|written| written.0)))
    }
}
