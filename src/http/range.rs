//! The `Range` header: one range of bytes, from the start or the end. RFC 9110, section 14.

use std::ops::Range;

use http::HeaderMap;
use http::header::{IF_RANGE, RANGE};

use crate::oci::Digest;

/// What part of a blob is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// All of it: no range, one that is not understood, or several, which may be ignored.
    Whole,
    /// These bytes, at least one, all within the content.
    Part(Range<u64>),
    /// Bytes that it does not have.
    Outside,
}

/// Reads the range that `headers` ask for of content with this size and digest.
pub fn asked(headers: &HeaderMap, size: u64, digest: &Digest) -> Asked {
    let mut values = headers.get_all(RANGE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Asked::Whole };
    // The part is wanted only if it is of what the client has already.
    if headers.get(IF_RANGE).is_some_and(|held| *held != format!("\"{digest}\"")) {
        return Asked::Whole;
    }
    value.to_str().ok().and_then(|text| parse(text, size)).unwrap_or(Asked::Whole)
}

/// `None` where the text is not one range of bytes.
fn parse(text: &str, size: u64) -> Option<Asked> {
    let (unit, range) = text.split_once('=')?;
    let (first, last) = range.trim().split_once('-')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    let range = match (first, last) {
        ("", suffix) => size.saturating_sub(number(suffix)?)..size,
        (first, "") => number(first)?..size,
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if first > last {
                return None;
            }
            first..last.saturating_add(1).min(size)
        }
    };
    Some(if range.is_empty() { Asked::Outside } else { Asked::Part(range) })
}

/// Digits alone; a number too large for any content is as large as can be.
fn number(digits: &str) -> Option<u64> {
    let fits = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    fits.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn ask(range: &str, size: u64) -> Asked {
        let mut headers = HeaderMap::new();
        headers.insert(RANGE, HeaderValue::from_str(range).unwrap());
        asked(&headers, size, &Digest::sha256(b"e"))
    }

    #[test]
    fn single_and_suffix_ranges() {
        for (range, expected) in [
            ("bytes=0-0", 0..1),
            ("bytes=0-99", 0..100),
            ("Bytes=10-19", 10..20),
            ("bytes=90-", 90..100),
            ("bytes=90-1000", 90..100),
            ("bytes=0-18446744073709551615", 0..100),
            ("bytes=5-99999999999999999999999", 5..100),
            ("bytes=-10", 90..100),
            ("bytes=-1000", 0..100),
        ] {
            assert_eq!(ask(range, 100), Asked::Part(expected), "{range}");
        }
        for outside in ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=99999999999999999999999-"] {
            assert_eq!(ask(outside, 100), Asked::Outside, "{outside}");
        }
        assert_eq!(ask("bytes=0-", 0), Asked::Outside);
        assert_eq!(ask("bytes=-5", 0), Asked::Outside);
    }

    #[test]
    fn what_is_not_understood_and_several_ranges_give_the_whole() {
        for range in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=9-1",
            "bytes=+1-2",
            "bytes=1--2",
            "bytes=0-0,5-6",
            "items=0-1",
            "bytes=0x1-2",
        ] {
            assert_eq!(ask(range, 100), Asked::Whole, "{range}");
        }
        let mut twice = HeaderMap::new();
        twice.append(RANGE, HeaderValue::from_static("bytes=0-1"));
        twice.append(RANGE, HeaderValue::from_static("bytes=5-6"));
        assert_eq!(asked(&twice, 100, &Digest::sha256(b"e")), Asked::Whole);
        assert_eq!(asked(&HeaderMap::new(), 100, &Digest::sha256(b"e")), Asked::Whole);
    }

    #[test]
    fn a_part_of_something_else_is_not_given() {
        let mut headers = HeaderMap::new();
        headers.insert(RANGE, HeaderValue::from_static("bytes=0-1"));
        headers.insert(IF_RANGE, HeaderValue::from_str(&format!("\"{}\"", Digest::sha256(b"e"))).unwrap());
        assert_eq!(asked(&headers, 100, &Digest::sha256(b"e")), Asked::Part(0..2));
        assert_eq!(asked(&headers, 100, &Digest::sha256(b"other")), Asked::Whole);
    }

    proptest! {
        #[test]
        fn a_part_lies_within_the_content(range in "bytes=[0-9]{0,21}-[0-9]{0,21}|[ -~]{0,30}", size in any::<u64>()) {
            if let Asked::Part(part) = ask(&range, size) {
                prop_assert!(part.start < part.end && part.end <= size);
            }
        }

        #[test]
        fn a_valid_range_is_cut_at_the_end(first in 0u64..1000, length in 1u64..1000, size in 1u64..1000) {
            let expected = if first >= size { Asked::Outside } else { Asked::Part(first..(first + length).min(size)) };
            prop_assert_eq!(ask(&format!("bytes={first}-{}", first + length - 1), size), expected);
        }
    }
}
