//! Blobs as they arrive, from the byte that was asked for.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use http::header::{CONTENT_LENGTH, CONTENT_RANGE};
use http::{HeaderMap, StatusCode};

use super::endpoint::Answer;
use super::error::Error;
use super::permits::Permit;
use crate::egress::Body;

/// A blob that is arriving.
pub struct BlobStream {
    /// Where the body starts: what was asked for, or 0 if the upstream ignored that.
    pub offset: u64,
    /// The whole blob's length in bytes, where the upstream tells.
    pub size: Option<u64>,
    /// The bytes from `offset` on. Ends with an error when they end early.
    pub body: Pin<Box<dyn Stream<Item = Result<Bytes, Error>> + Send>>,
}

impl BlobStream {
    /// Reads the answer to a request for the bytes from `from` on. The permit is held until the body
    /// has ended.
    pub(super) fn of(answer: Answer, from: u64, permit: Permit) -> Result<Self, Error> {
        let (offset, size) = match answer.status {
            StatusCode::OK => (0, length(&answer.headers)),
            StatusCode::PARTIAL_CONTENT if from > 0 => (from, Some(total(&answer.headers, from)?)),
            _ => return Err(Error::nonsense("neither the whole blob nor the part that was asked for")),
        };
        let body = answer.body.ok_or_else(|| Error::nonsense("no body"))?;
        Ok(Self { offset, size, body: Box::pin(Permitted { body, _permit: Some(permit) }) })
    }
}

impl std::fmt::Debug for BlobStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlobStream")
            .field("offset", &self.offset)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

/// The length that a response announces.
pub(super) fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The whole length, from a `Content-Range` that is exactly `from` to the end (RFC 9110, section
/// 14.4): joined to what is here already, anything else would make another blob.
fn total(headers: &HeaderMap, from: u64) -> Result<u64, Error> {
    let read = || {
        let range = headers.get(CONTENT_RANGE)?.to_str().ok()?.strip_prefix("bytes ")?;
        let (range, total) = range.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let (first, last, total): (u64, u64, u64) =
            (first.parse().ok()?, last.parse().ok()?, total.parse().ok()?);
        (first == from && last >= first && last.checked_add(1) == Some(total)).then_some(total)
    };
    read().ok_or_else(|| Error::nonsense("it sent another range than was asked for"))
}

/// A body that gives its permit back when it ends.
struct Permitted {
    body: Body,
    _permit: Option<Permit>,
}

impl Stream for Permitted {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = self.body.poll_next_unpin(cx);
        if matches!(next, Poll::Ready(None | Some(Err(_)))) {
            self._permit = None;
        }
        next.map_err(Error::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_range_that_was_asked_for_is_taken() {
        let size = |range: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_RANGE, range.parse().unwrap());
            total(&headers, 5).ok()
        };
        assert_eq!(size("bytes 5-9/10"), Some(10));
        for other in [
            "bytes 4-9/10",
            "bytes 6-9/10",
            "bytes 5-8/10",
            "bytes 5-9/*",
            "bytes */10",
            "5-9/10",
            "bytes 5-4/5",
            "bytes 5-18446744073709551615/0",
            "items 5-9/10",
            "bytes 5-10/10",
        ] {
            assert_eq!(size(other), None, "{other}");
        }
    }
}
