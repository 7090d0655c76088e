//! Whether a connection is alive: a client that dawdles over a request, does nothing, or does not take
//! what it asked for, gives its place to others. Answers only note that they move, and read no clock; one timer a
//! connection looks at the notes now and then.

use std::io::IoSlice;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, sleep};

/// How long a client may take for what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// For a request's head, an idle connection's next one included.
    pub(super) head: Duration,
    /// For taking a piece of an answer, all streams of the connection together.
    pub(super) piece: Duration,
}

/// The notes of one connection.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    /// Requests whose answers are not handed over to the end.
    busy: AtomicUsize,
    /// Pieces of answers that are handed over and not taken.
    waiting: AtomicUsize,
    /// Whether a request ended or a piece was handed over or taken since this was last looked at.
    moved: AtomicBool,
}

/// A request under way.
pub(super) struct Busy(Arc<Pulse>);

/// A body whose request is under way until it is gone.
pub(super) struct During<B> {
    body: B,
    busy: Busy,
}

/// A piece of an answer, until the client has taken it: the connection drops what it has sent.
pub(super) struct Piece<D> {
    data: D,
    pulse: Arc<Pulse>,
}

impl Pulse {
    pub(super) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Notes that a request has come.
    pub(super) fn busy(self: &Arc<Self>) -> Busy {
        self.busy.fetch_add(1, Ordering::Relaxed);
        Busy(Arc::clone(self))
    }

    /// Ends when the client has tried `patience`, saying how.
    pub(super) async fn lost(&self, patience: Patience) -> &'static str {
        let pause = patience.head.min(patience.piece) / 4;
        let mut moved = Instant::now();
        loop {
            sleep(pause).await;
            // First: what ends after this was read has noted that it moved.
            let is_waiting = self.waiting.load(Ordering::Acquire) > 0;
            let is_busy = is_waiting || self.busy.load(Ordering::Acquire) > 0;
            if self.moved.swap(false, Ordering::AcqRel) {
                moved = Instant::now();
            }
            let still = moved.elapsed();
            if is_waiting && still >= patience.piece {
                return "the client takes nothing of its answer";
            }
            if !is_busy && still >= patience.head {
                return "no request came";
            }
        }
    }

    fn note_move(&self) {
        self.moved.store(true, Ordering::Release);
    }
}

impl Busy {
    /// Lasts as long as `body`.
    pub(super) fn during<B>(self, body: B) -> During<B> {
        During { body, busy: self }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        // First, so that nobody sees the connection idle since long ago.
        self.0.note_move();
        self.0.busy.fetch_sub(1, Ordering::AcqRel);
    }
}

impl<B: Body + Unpin> Body for During<B> {
    type Data = Piece<B::Data>;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, B::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        let pulse = &self.busy.0;
        polled.map(|frame| frame.map(|frame| frame.map(|f| f.map_data(|data| Piece::of(data, pulse)))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<D> Piece<D> {
    fn of(data: D, pulse: &Arc<Pulse>) -> Self {
        pulse.note_move();
        pulse.waiting.fetch_add(1, Ordering::AcqRel);
        Self { data, pulse: Arc::clone(pulse) }
    }
}

impl<D> Drop for Piece<D> {
    fn drop(&mut self) {
        self.pulse.note_move();
        self.pulse.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

impl<D: Buf> Buf for Piece<D> {
    fn remaining(&self) -> usize {
        self.data.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.data.chunk()
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        self.data.chunks_vectored(slices)
    }

    fn advance(&mut self, count: usize) {
        self.data.advance(count);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body_util::{BodyExt as _, Full};
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const PATIENCE: Patience =
        Patience { head: Duration::from_millis(100), piece: Duration::from_millis(200) };

    async fn longer(pulse: &Pulse, than: Duration) -> bool {
        tokio::time::timeout(than, pulse.lost(PATIENCE)).await.is_err()
    }

    /// How long a connection that is looked at lives on when this has gone, long after all else moved.
    async fn lives_on_after<T>(what: T, pulse: &Pulse) -> Duration {
        let gone = async {
            sleep(5 * PATIENCE.head).await;
            drop(what);
            Instant::now()
        };
        let lost = async {
            let patience = Patience { piece: Duration::from_secs(60), ..PATIENCE };
            assert_eq!(pulse.lost(patience).await, "no request came");
            Instant::now()
        };
        let (gone, lost) = tokio::join!(gone, lost);
        lost.saturating_duration_since(gone)
    }

    #[tokio::test]
    async fn a_connection_without_a_request_is_lost_and_one_with_is_not() {
        let pulse = Pulse::new();
        assert!(lives_on_after(pulse.busy(), &pulse).await >= PATIENCE.head);
    }

    /// The body is gone as soon as its last piece was handed over; the client may take it slowly.
    #[tokio::test]
    async fn the_end_of_an_answer_is_no_idleness_and_takes_its_own_time() {
        let pulse = Pulse::new();
        let mut body = pulse.busy().during(Full::new(Bytes::from_static(b"piece")));
        let piece = body.frame().await.unwrap().unwrap().into_data().ok().unwrap();
        drop(body);
        assert_eq!(piece.chunk(), b"piece");
        assert!(
            longer(&pulse, PATIENCE.piece - Duration::from_millis(50)).await,
            "longer than a head may take"
        );
        assert_eq!(pulse.lost(PATIENCE).await, "the client takes nothing of its answer");
        assert!(lives_on_after(piece, &pulse).await >= PATIENCE.head);
    }

    /// Through hyper, whose connection drops the body long before its end is written.
    #[tokio::test]
    async fn a_slow_client_gets_all_of_its_answer() {
        let (pulse, (server, mut client)) = (Pulse::new(), tokio::io::duplex(16 << 10));
        let service = hyper::service::service_fn(|_| {
            let pieces = (0..8).map(|_| Ok::<_, std::io::Error>(Frame::data(Bytes::from(vec![7; 64 << 10]))));
            let body = http_body_util::StreamBody::new(futures_util::stream::iter(pieces));
            let answer = http::Response::new(pulse.busy().during(body));
            std::future::ready(Ok::<_, std::convert::Infallible>(answer))
        });
        let mut http = hyper::server::conn::http1::Builder::new();
        let connection = http.max_buf_size(64 << 10).serve_connection(TokioIo::new(server), service);
        let reading = async {
            client.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
            let (mut all, mut piece) = (0, [0; 8 << 10]);
            loop {
                match client.read(&mut piece).await.unwrap() {
                    0 => return all,
                    read => all += read,
                }
                sleep(Duration::from_millis(12)).await;
            }
        };
        let served = async {
            tokio::select! {
                ended = connection => ended.unwrap(),
                why = pulse.lost(PATIENCE) => panic!("{why}"),
            }
        };
        let (all, ()) = tokio::join!(reading, served);
        assert!(all > 8 * (64 << 10), "{all} bytes");
    }

    #[tokio::test]
    async fn a_slow_client_that_takes_piece_after_piece_is_not_lost() {
        let pulse = Pulse::new();
        let _busy = pulse.busy();
        let takes = async {
            for _ in 0..5 {
                let piece = Piece::of(Bytes::new(), &pulse);
                sleep(PATIENCE.piece / 2).await;
                drop(piece);
            }
        };
        tokio::select! {
            () = takes => {}
            why = pulse.lost(PATIENCE) => panic!("{why}"),
        }
    }
}
