//! The parameters that are understood; all others are ignored and go nowhere.

use std::borrow::Cow;

use super::{Endpoint, RouteError};
use crate::oci::Tag;

/// Longer values of `artifactType` name no media type (RFC 6838, section 4.2).
const MAX_ARTIFACT_TYPE: usize = 255;

#[derive(Debug, Default)]
pub(super) struct Query<'a> {
    pub(super) ns: Option<Cow<'a, str>>,
    pub(super) artifact_type: Option<Cow<'a, str>>,
    n: Option<Cow<'a, str>>,
    last: Option<Cow<'a, str>>,
}

impl<'a> Query<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, RouteError> {
        let mut query = Self::default();
        if text.is_empty() {
            return Ok(query);
        }
        for pair in text.split('&') {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, place) = match &*decode(key)? {
                "ns" => ("ns", &mut query.ns),
                "n" => ("n", &mut query.n),
                "last" => ("last", &mut query.last),
                "artifactType" => ("artifactType", &mut query.artifact_type),
                _ => continue,
            };
            if place.replace(decode(value)?).is_some() {
                return Err(RouteError::Repeated(name));
            }
        }
        query.artifact_type.take_if(|t| t.is_empty());
        if query.artifact_type.as_ref().is_some_and(|t| t.len() > MAX_ARTIFACT_TYPE) {
            return Err(RouteError::Encoding);
        }
        Ok(query)
    }

    pub(super) fn page(&self) -> Result<Endpoint, RouteError> {
        let n = self.n.as_deref().filter(|n| !n.is_empty());
        let digits = |n: &str| n.bytes().all(|b| b.is_ascii_digit());
        let n = match n {
            Some(n) if digits(n) => Some(n.parse().map_err(|_| RouteError::Page)?),
            Some(_) => return Err(RouteError::Page),
            None => None,
        };
        let last = self.last.as_deref().filter(|last| !last.is_empty());
        if last.is_some_and(|last| Tag::parse(last).is_err()) {
            return Err(RouteError::Page);
        }
        Ok(Endpoint::Tags { n, last: last.map(str::to_owned) })
    }
}

/// Resolves `%XX`, to visible ASCII only. A plus sign stays one: no value that is understood has a
/// space, media types have pluses.
pub(super) fn decode(text: &str) -> Result<Cow<'_, str>, RouteError> {
    if !text.contains('%') {
        return Ok(Cow::Borrowed(text));
    }
    let mut decoded = String::with_capacity(text.len());
    let mut pieces = text.split('%');
    decoded.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        let hex = piece.get(..2).ok_or(RouteError::Encoding)?;
        let mut byte = [0];
        hex::decode_to_slice(hex, &mut byte).map_err(|_| RouteError::Encoding)?;
        if !byte[0].is_ascii_graphic() {
            return Err(RouteError::Encoding);
        }
        decoded.push(char::from(byte[0]));
        decoded.push_str(&piece[2..]);
    }
    Ok(Cow::Owned(decoded))
}
