//! What the authority signed: `TSTInfo` (RFC 3161, section 2.4.2). Walked by hand, since its time may
//! have fractions of a second, which DER decoders of certificates refuse.

use std::time::{Duration, SystemTime};

use der::{Tag, TagNumber};
use time::{Date, Month, PrimitiveDateTime, Time};

use super::super::Error;
use super::imprint::Imprint;
use super::walk::{Walk, malformed, tagged, tagged_value, unsigned};

/// The baseline policy of RFC 3628, section 5.2, whose authorities keep time to a second.
const BASELINE_POLICY: &str = "0.4.0.2023.1.1";
/// Nanoseconds are the most that our own clock tells apart.
const MAX_FRACTION: usize = 9;

#[derive(Clone, Debug)]
pub(super) struct Info {
    pub(super) policy: String,
    pub(super) imprint: Imprint,
    pub(super) serial: Vec<u8>,
    pub(super) at: SystemTime,
    pub(super) accuracy: Duration,
    pub(super) ordering: bool,
}

impl Info {
    /// Reads it. The nonce belongs to the request, which only the signer knows; `tsa` is a hint, since the
    /// signed attributes name the certificate. Both are passed over.
    pub(super) fn parse(der: &[u8]) -> Result<Self, Error> {
        let mut outer = Walk::over(der)?;
        let mut fields = outer.enter(Tag::Sequence)?;
        outer.finish()?;
        if fields.take(Tag::Integer)? != [1] {
            return Err(Error::Unsupported { what: "version", found: "a TSTInfo other than 1".to_owned() });
        }
        let policy = fields.oid()?.to_id_string();
        let imprint = Imprint::parse(fields.enter(Tag::Sequence)?)?;
        let serial = fields.take(Tag::Integer)?.to_vec();
        let at = moment(fields.take(Tag::GeneralizedTime)?)
            .ok_or_else(|| malformed("its time is not one that RFC 3161 allows"))?;
        let stated = fields.optional(Tag::Sequence)?.map(accuracy).transpose()?.unwrap_or_default();
        let ordering = boolean(&mut fields)?;
        fields.optional(Tag::Integer)?;
        fields.optional(tagged(TagNumber::N0))?;
        if let Some(extensions) = fields.optional(tagged(TagNumber::N1))? {
            refuse_critical(Walk::over(extensions)?)?;
        }
        fields.finish()?;
        let accuracy = match stated {
            Duration::ZERO if policy == BASELINE_POLICY => Duration::from_secs(1),
            stated => stated,
        };
        Ok(Self { policy, imprint, serial, at, accuracy, ordering })
    }
}

/// `YYYYMMDDhhmmss[.f…]Z`: seconds always, in UTC, no fraction that ends in 0.
fn moment(text: &[u8]) -> Option<SystemTime> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (whole, nanoseconds) = match text.split_once('.') {
        Some((whole, fraction)) => (whole, nanoseconds(fraction)?),
        None => (text, 0),
    };
    if whole.len() != 14 {
        return None;
    }
    let month = Month::try_from(u8::try_from(digits(whole.get(4..6)?)?).ok()?).ok()?;
    let small = |range| whole.get(range).and_then(digits).and_then(|n| u8::try_from(n).ok());
    let date = Date::from_calendar_date(i32::try_from(digits(whole.get(..4)?)?).ok()?, month, small(6..8)?);
    let time = Time::from_hms_nano(small(8..10)?, small(10..12)?, small(12..14)?, nanoseconds);
    Some(PrimitiveDateTime::new(date.ok()?, time.ok()?).assume_utc().into())
}

fn nanoseconds(fraction: &str) -> Option<u32> {
    if fraction.ends_with('0') || fraction.len() > MAX_FRACTION {
        return None;
    }
    digits(&format!("{fraction:0<MAX_FRACTION$}")).filter(|_| !fraction.is_empty())
}

/// Digits and nothing else: `parse` alone would take a sign.
fn digits(text: &str) -> Option<u32> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// Reads the contents of an `Accuracy`. One that says nothing, or zero, says as much as none.
fn accuracy(contents: &[u8]) -> Result<Duration, Error> {
    let out_of_range = || malformed("its accuracy is out of range");
    let thousandths = |content: Option<&[u8]>| match content.map(unsigned) {
        None => Ok(0),
        Some(Some(n @ 1..=999)) => Ok(u64::from(n)),
        Some(_) => Err(out_of_range()),
    };
    let mut fields = Walk::over(contents)?;
    let seconds = match fields.optional(Tag::Integer)? {
        Some(content) => unsigned(content).ok_or_else(out_of_range)?,
        None => 0,
    };
    let millis = thousandths(fields.optional(tagged_value(TagNumber::N0))?)?;
    let micros = thousandths(fields.optional(tagged_value(TagNumber::N1))?)?;
    fields.finish()?;
    let fraction = Duration::from_micros(millis * 1000 + micros);
    Ok(Duration::from_secs(seconds.into()).saturating_add(fraction))
}

/// `BOOLEAN DEFAULT FALSE`; some authorities write the default out.
fn boolean(fields: &mut Walk<'_>) -> Result<bool, Error> {
    match fields.optional(Tag::Boolean)? {
        None | Some([0]) => Ok(false),
        Some([0xff]) => Ok(true),
        Some(_) => Err(malformed("a boolean is neither true nor false")),
    }
}

/// None of the extensions is known here, and a critical one must be.
fn refuse_critical(mut extensions: Walk<'_>) -> Result<(), Error> {
    while !extensions.is_finished() {
        let mut extension = extensions.enter(Tag::Sequence)?;
        let oid = extension.oid()?;
        if boolean(&mut extension)? {
            return Err(Error::Unsupported { what: "critical extension", found: oid.to_id_string() });
        }
        extension.take(Tag::OctetString)?;
        extension.finish()?;
    }
    Ok(())
}
