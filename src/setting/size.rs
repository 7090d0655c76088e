//! Sizes in bytes as configuration writes them: `4MiB`, `200GiB`, `500MB`, `1048576`. For
//! `#[serde(with)]`.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserializer, Serializer};

const UNITS: [(&str, u64); 10] = [
    ("", 1),
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

/// Reads a whole number with a unit, or of bytes without one.
///
/// # Errors
/// What was expected and what stands there.
pub fn parse(text: &str) -> Result<u64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = UNITS.iter().find(|(name, _)| *name == unit.trim_start()).map(|(_, factor)| *factor);
    number
        .parse::<u64>()
        .ok()
        .zip(factor)
        .and_then(|(number, factor)| number.checked_mul(factor))
        .ok_or_else(|| format!("expected a size such as 4MiB, 200GiB or 500MB, found {text:?}"))
}

/// See [`parse`].
///
/// # Errors
/// As [`parse`].
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    deserializer.deserialize_any(Size)
}

/// Writes what [`parse`] reads, in the largest binary unit that leaves nothing over.
///
/// # Errors
/// The serializer's own.
pub fn serialize<S: Serializer>(size: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    let binary = ["TiB", "GiB", "MiB", "KiB"];
    let shifts = [40, 30, 20, 10];
    for (unit, shift) in binary.into_iter().zip(shifts) {
        if *size > 0 && size.trailing_zeros() >= shift {
            return serializer.collect_str(&format_args!("{}{unit}", size >> shift));
        }
    }
    serializer.collect_str(size)
}

struct Size;

impl Visitor<'_> for Size {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a size such as 4MiB or 200GiB")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<u64, E> {
        parse(text).map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, bytes: u64) -> Result<u64, E> {
        Ok(bytes)
    }

    fn visit_i64<E: Error>(self, bytes: i64) -> Result<u64, E> {
        u64::try_from(bytes).map_err(|_| E::custom(format!("expected a size, found {bytes}")))
    }
}

/// The shapes that [`deserialize`] reads, for the JSON Schema.
#[cfg(test)]
#[derive(schemars::JsonSchema)]
#[schemars(untagged, inline)]
#[allow(dead_code, reason = "describes the shape to schemars")]
pub enum Written {
    /// With a unit.
    Text(String),
    /// In bytes.
    Bytes(u64),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_whole_number_with_a_unit_or_of_bytes() {
        assert_eq!(parse("4MiB"), Ok(4 << 20));
        assert_eq!(parse("200 GiB"), Ok(200 << 30));
        assert_eq!(parse("500MB"), Ok(500_000_000));
        assert_eq!(parse("1048576"), Ok(1 << 20));
        assert_eq!(parse("0"), Ok(0));
        for wrong in ["", "MiB", "4mib", "1.5GiB", "-1", "4 M", "99999999TiB", "18446744073709551616"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_size_reads_as_it_was_written() {
        #[derive(serde::Serialize, serde::Deserialize, PartialEq, Debug)]
        struct Holder(#[serde(with = "super")] u64);
        for size in [0, 1, 1023, 4 << 20, 200 << 30, 500_000_000, 3 << 40, u64::MAX] {
            let text = serde_json::to_string(&Holder(size)).unwrap();
            assert_eq!(serde_json::from_str::<Holder>(&text).unwrap(), Holder(size), "{text}");
        }
        assert_eq!(serde_json::from_str::<Holder>("4096").unwrap(), Holder(4096));
        assert!(serde_json::from_str::<Holder>("-4096").is_err());
    }
}
