//! Moments as configuration writes them, RFC 3339 in UTC: `2027-01-31T00:00:00Z`. For
//! `#[serde(with)]`.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Deserializer, Serializer};

/// Reads an RFC 3339 time in UTC.
///
/// # Errors
/// What was expected and what stands there.
pub fn parse(text: &str) -> Result<SystemTime, String> {
    humantime::parse_rfc3339(text)
        .map_err(|why| format!("expected a time such as 2027-01-31T00:00:00Z, found {text:?}: {why}"))
}

/// The time as [`parse`] reads it, in whole seconds. Certificates may name times before 1970 and after
/// 9999; they are shown as those bounds, since the formatter would panic on them.
pub fn show(at: SystemTime) -> String {
    let end_of_9999 = SystemTime::UNIX_EPOCH + Duration::from_secs(253_402_300_799);
    humantime::format_rfc3339_seconds(at.clamp(SystemTime::UNIX_EPOCH, end_of_9999)).to_string()
}

/// See [`parse`].
///
/// # Errors
/// As [`parse`].
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SystemTime, D::Error> {
    parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

/// Writes the time as [`show`] does.
///
/// # Errors
/// The serializer's own.
pub fn serialize<S: Serializer>(at: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&show(*at))
}

/// The same for a key that may be absent; give it `#[serde(default)]` too.
pub mod optional {
    use super::{Deserialize, Deserializer, Serializer, SystemTime};

    /// See [`super::parse`].
    ///
    /// # Errors
    /// As [`super::parse`].
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SystemTime>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| super::parse(&text).map_err(serde::de::Error::custom)).transpose()
    }

    /// Writes what [`super::parse`] reads.
    ///
    /// # Errors
    /// The serializer's own.
    pub fn serialize<S: Serializer>(at: &Option<SystemTime>, serializer: S) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => super::serialize(at, serializer),
            None => serializer.serialize_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn a_time_is_rfc_3339_in_utc() {
        assert_eq!(parse("1970-01-02T00:00:00Z"), Ok(UNIX_EPOCH + Duration::from_secs(86_400)));
        for wrong in ["1970-01-02", "tomorrow", "", "1970-13-02T00:00:00Z"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_time_that_no_clock_shows_is_still_printed() {
        let year = Duration::from_secs(365 * 86_400);
        assert_eq!(show(UNIX_EPOCH - year), "1970-01-01T00:00:00Z");
        assert_eq!(show(UNIX_EPOCH + year * 9000), "9999-12-31T23:59:59Z");
    }
}
