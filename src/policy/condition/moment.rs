//! Timestamps (RFC 3339) and durations (`1h30m`, `-1.5s`), both in nanoseconds.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const SECOND: i128 = 1_000_000_000;
/// The years 1 to 9999 (CEL language definition, "Timestamps").
const TIMESTAMPS: std::ops::RangeInclusive<i128> = -62_135_596_800 * SECOND..=253_402_300_800 * SECOND - 1;
/// Some ten thousand years in either direction.
const DURATIONS: std::ops::RangeInclusive<i128> = -315_576_000_000 * SECOND..=315_576_000_000 * SECOND;

const UNITS: [(&str, i128); 7] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", SECOND),
    ("m", 60 * SECOND),
    ("h", 3600 * SECOND),
];

/// A time within what timestamps may say.
pub(super) fn timestamp(nanoseconds: i128) -> Option<i128> {
    TIMESTAMPS.contains(&nanoseconds).then_some(nanoseconds)
}

/// A length of time within what durations may say.
pub(super) fn duration(nanoseconds: i128) -> Option<i128> {
    DURATIONS.contains(&nanoseconds).then_some(nanoseconds)
}

/// Whole seconds since 1970.
pub(super) fn from_seconds(seconds: i64) -> Option<i128> {
    timestamp(i128::from(seconds) * SECOND)
}

pub(super) fn to_seconds(timestamp: i128) -> i64 {
    i64::try_from(timestamp.div_euclid(SECOND)).unwrap_or_default()
}

pub(super) fn parse_timestamp(text: &str) -> Option<i128> {
    // Longer than any; the parser would read on.
    let parsed = OffsetDateTime::parse(text.get(..text.len().min(64))?, &Rfc3339).ok()?;
    if text.len() > 64 { None } else { timestamp(parsed.unix_timestamp_nanos()) }
}

pub(super) fn show_timestamp(timestamp: i128) -> Option<String> {
    OffsetDateTime::from_unix_timestamp_nanos(timestamp).ok()?.format(&Rfc3339).ok()
}

/// In seconds, as CEL writes durations.
pub(super) fn show_duration(duration: i128) -> String {
    let (sign, length) = (if duration < 0 { "-" } else { "" }, duration.unsigned_abs());
    let fraction = format!("{:09}", length % SECOND.unsigned_abs());
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{}{point}{fraction}s", length / SECOND.unsigned_abs())
}

/// Numbers with units, one after the other, under one sign.
pub(super) fn parse_duration(text: &str) -> Option<i128> {
    if text.len() > 64 {
        return None;
    }
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut sum: i128 = 0;
    loop {
        let unit_at = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, unit_and_more) = rest.split_at(unit_at);
        let end = unit_and_more.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(unit_and_more.len());
        let (unit, more) = unit_and_more.split_at(end);
        let (_, unit) = UNITS.iter().find(|(name, _)| *name == unit)?;
        sum = sum.checked_add(scaled(number, *unit)?)?;
        rest = more;
        if rest.is_empty() {
            return duration(sign * sum);
        }
    }
}

/// A decimal number of units, cut at the nanosecond.
fn scaled(number: &str, unit: i128) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let digits = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<i128>().ok() };
    let fraction = fraction.get(..fraction.len().min(18))?;
    let part = digits(fraction)?.checked_mul(unit)? / 10_i128.pow(u32::try_from(fraction.len()).ok()?);
    digits(whole)?.checked_mul(unit)?.checked_add(part)
}
