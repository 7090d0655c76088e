//! Scalars of protocol buffers' JSON form (protobuf.dev, "ProtoJSON Format"), as sigstore's documents use
//! them: bytes in base64, 64-bit integers in strings, times in RFC 3339. And the message that both bundles
//! and trusted roots have.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const EITHER_PADDING: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BASE64: GeneralPurpose = GeneralPurpose::new(&STANDARD, EITHER_PADDING);
const BASE64_URL: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, EITHER_PADDING);

/// `LogId` (sigstore/protobuf-specs, `sigstore_common.proto`): which log.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LogId {
    /// The SHA-256 of the log's key, or what the log makes of it.
    pub key_id: Bytes,
}

/// `bytes`: base64 of either alphabet, with padding or without.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Bytes(pub Vec<u8>);

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let engine = if text.contains(['-', '_']) { &BASE64_URL } else { &BASE64 };
        engine.decode(&text).map(Self).map_err(|why| de::Error::custom(format_args!("not base64: {why}")))
    }
}

/// `int64`: a string of digits, or a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Int64(pub i64);

impl<'de> Deserialize<'de> for Int64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Digits).map(Self)
    }
}

struct Digits;

impl Visitor<'_> for Digits {
    type Value = i64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a 64-bit integer")
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<i64, E> {
        Ok(number)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<i64, E> {
        i64::try_from(number).map_err(|_| E::custom("an integer beyond 64 bits"))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<i64, E> {
        text.parse()
            .map_err(|_| E::custom(format_args!("not an integer: {:?}", text.escape_default().to_string())))
    }
}

/// `google.protobuf.Timestamp`: RFC 3339 with up to nine digits of a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamp(pub SystemTime);

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let at = OffsetDateTime::parse(&text, &Rfc3339)
            .map_err(|why| de::Error::custom(format_args!("not a time of RFC 3339: {why}")))?;
        Ok(Self(at.into()))
    }
}

/// A field that is absent or `null` has its type's default. For `#[serde(default, deserialize_with)]`.
///
/// # Errors
/// The value's own.
pub fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Unix seconds, as logs give them; `None` for what no clock shows.
pub fn unix(seconds: i64) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(seconds).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_base64_of_either_alphabet() {
        for same in [r#""+/8=""#, r#""-_8=""#, r#""-_8""#, r#""+/8""#] {
            assert_eq!(serde_json::from_str::<Bytes>(same).unwrap().0, [0xfb, 0xff], "{same}");
        }
        for bad in [r#""+_8=""#, r#""+/8=x""#, r#""!""#, "1", r#""+/9=""#] {
            assert!(serde_json::from_str::<Bytes>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn integers_are_strings_or_numbers() {
        assert_eq!(serde_json::from_str::<Int64>(r#""-12""#).unwrap().0, -12);
        assert_eq!(serde_json::from_str::<Int64>("12").unwrap().0, 12);
        for bad in [r#""1.0""#, "1.5", "9223372036854775808", r#""9223372036854775808""#, r#""""#, "true"] {
            assert!(serde_json::from_str::<Int64>(bad).is_err(), "{bad}");
        }
        assert_eq!(unix(-1), None);
    }
}
