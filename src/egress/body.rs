//! Response bodies, within time and size.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use super::Error;

/// A body read into memory may take so many idle timeouts in all, against peers that drip.
const WHOLE: u32 = 4;

/// The bytes of a response as they arrive. A pause longer than the idle timeout ends them with an
/// error; the reader's own pauses do not count.
pub struct Body {
    incoming: Incoming,
    idle: Duration,
    pause: Pin<Box<Sleep>>,
    waiting: bool,
}

impl Body {
    pub(super) fn new(incoming: Incoming, idle: Duration) -> Self {
        Self { incoming, idle, pause: Box::pin(tokio::time::sleep(idle)), waiting: false }
    }

    /// All of it, if it is no longer than `limit` bytes.
    ///
    /// # Errors
    /// [`Error::TooLarge`], before anything is read where the length is announced; else as the stream.
    pub async fn read(mut self, limit: u64) -> Result<Bytes, Error> {
        if self.incoming.size_hint().lower() > limit {
            return Err(Error::TooLarge { limit });
        }
        let whole = self.idle * WHOLE;
        let reading = async {
            let mut read = BytesMut::new();
            while let Some(piece) = self.next().await {
                let piece = piece?;
                if (read.len() + piece.len()) as u64 > limit {
                    return Err(Error::TooLarge { limit });
                }
                read.extend_from_slice(&piece);
            }
            Ok(read.freeze())
        };
        match tokio::time::timeout(whole, reading).await {
            Ok(read) => read,
            Err(_) => Err(late("the answer did not end", whole)),
        }
    }
}

impl Stream for Body {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if !this.waiting {
            this.waiting = true;
            this.pause.as_mut().reset(Instant::now() + this.idle);
        }
        loop {
            let Poll::Ready(frame) = Pin::new(&mut this.incoming).poll_frame(cx) else {
                ready!(this.pause.as_mut().poll(cx));
                this.waiting = false;
                return Poll::Ready(Some(Err(late("no more of the answer came", this.idle))));
            };
            this.waiting = false;
            match frame {
                None => return Poll::Ready(None),
                Some(Err(e)) => return Poll::Ready(Some(Err(Error::of(&e, false)))),
                Some(Ok(frame)) => {
                    // Trailers tell nothing here.
                    if let Ok(data) = frame.into_data() {
                        return Poll::Ready(Some(Ok(data)));
                    }
                }
            }
        }
    }
}

fn late(what: &str, after: Duration) -> Error {
    Error::TimedOut(format!("{what} within {}", humantime::format_duration(after)))
}
