//! Request bodies: small ones whole, large ones piece by piece as somebody else brings them.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Stream;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;

use super::Error;

/// The pieces of a request's body.
pub type Pieces = Pin<Box<dyn Stream<Item = Result<Bytes, Error>> + Send>>;

/// What goes out with a request.
pub(super) enum Outgoing {
    Whole(Full<Bytes>),
    Pieces(Counted),
}

/// Pieces that must come to a length that was announced.
pub(super) struct Counted {
    pieces: Pieces,
    left: u64,
    taken: Arc<AtomicU64>,
}

impl Outgoing {
    /// `length` bytes in pieces, with a count of those that the connection has taken.
    pub(super) fn pieces(length: u64, pieces: Pieces) -> (Self, Arc<AtomicU64>) {
        let taken = Arc::new(AtomicU64::new(0));
        (Self::Pieces(Counted { pieces, left: length, taken: Arc::clone(&taken) }), taken)
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match self.get_mut() {
            Self::Whole(body) => {
                Pin::new(body).poll_frame(context).map_err(|never: Infallible| match never {})
            }
            Self::Pieces(body) => {
                let piece = ready!(body.pieces.as_mut().poll_next(context));
                Poll::Ready(body.count(piece).map(|piece| piece.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.is_end_stream(),
            // Even an announced length of nothing is read to its end, which shows whether that is true.
            Self::Pieces(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => body.size_hint(),
            Self::Pieces(body) => SizeHint::with_exact(body.left),
        }
    }
}

impl Counted {
    fn count(&mut self, piece: Option<Result<Bytes, Error>>) -> Option<Result<Bytes, Error>> {
        let wrong =
            |what: &str| Some(Err(Error::Broken(format!("what is to be sent is {what} than announced"))));
        match piece {
            Some(Ok(piece)) => {
                let Some(left) = self.left.checked_sub(piece.len() as u64) else { return wrong("longer") };
                self.left = left;
                self.taken.fetch_add(piece.len() as u64, Ordering::Relaxed);
                Some(Ok(piece))
            }
            None if self.left > 0 => wrong("shorter"),
            other => other,
        }
    }
}
