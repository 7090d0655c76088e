//! A body, made of admitted content. Its constructors belong to the parent module.

use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Stream as _;
use http_body::{Frame, SizeHint};

use crate::admission::{Admitted, Blob, BlobReader, Outlet, Referrers};
use crate::oci::Manifest;
use crate::telemetry::metrics::SpreadCounter;

/// What an answer carries.
pub struct Body(Inner);

enum Inner {
    Whole(Option<Bytes>),
    Blob { reader: BlobReader, left: u64, served: SpreadCounter },
}

impl Body {
    pub(super) fn empty() -> Self {
        Self(Inner::Whole(None))
    }

    pub(super) fn manifest(manifest: &Admitted<Arc<Manifest>>, served: &SpreadCounter) -> Self {
        let bytes = manifest.content().bytes();
        served.inc_by(bytes.len() as u64);
        Self(Inner::Whole(Some(bytes.clone())))
    }

    pub(super) fn referrers(list: &Admitted<Referrers>) -> Self {
        Self(Inner::Whole(Some(list.content().bytes().clone())))
    }

    pub(super) fn blob(
        blob: Admitted<Blob>,
        range: Range<u64>,
        served: &SpreadCounter,
        outlet: Outlet,
    ) -> Self {
        let left = range.end.saturating_sub(range.start);
        let reader = blob.into_content().read(range, Some(outlet));
        Self(Inner::Blob { reader, left, served: served.clone() })
    }

    /// JSON that the parent module wrote about a request: errors and lists of tags.
    pub(super) fn written_here(json: Vec<u8>) -> Self {
        Self(Inner::Whole(Some(Bytes::from(json))))
    }

    /// A text of the parent module.
    pub(super) fn literal(text: &'static [u8]) -> Self {
        Self(Inner::Whole(Some(Bytes::from_static(text))))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match &mut self.get_mut().0 {
            Inner::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Inner::Blob { left: 0, .. } => Poll::Ready(None),
            Inner::Blob { reader, left, served } => {
                let piece = match ready!(Pin::new(reader).poll_next(context)) {
                    Some(Ok(piece)) => piece,
                    Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                    // Less than was announced: the connection has to break, or the client could
                    // take the part for the whole.
                    None => return Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into()))),
                };
                let length = piece.len() as u64;
                *left = left.checked_sub(length).ok_or(io::ErrorKind::InvalidData)?;
                served.inc_by(length);
                Poll::Ready(Some(Ok(Frame::data(piece))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Inner::Whole(bytes) => bytes.is_none(),
            Inner::Blob { left, .. } => *left == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Inner::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Inner::Blob { left, .. } => SizeHint::with_exact(*left),
        }
    }
}
