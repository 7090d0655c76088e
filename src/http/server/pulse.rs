//! Whether a connection is alive: a client that dawdles over a request, does nothing, or does not take
//! what it asked for, gives its place to others. Requests only note what they do; one timer a
//! connection looks at the notes now and then.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, sleep};

/// How long a client may take for what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// For a request's head, an idle connection's next one included.
    pub(super) head: Duration,
    /// For taking anything of an answer.
    pub(super) write: Duration,
}

/// The notes of one connection.
#[derive(Debug)]
pub(super) struct Pulse {
    start: Instant,
    /// Requests that are not answered to the end.
    busy: AtomicUsize,
    /// When the last one was, in milliseconds since the start.
    idle_since: AtomicU64,
    /// Since when the client takes nothing, likewise; [`TAKES`] while it does.
    stuck_since: AtomicU64,
}

const TAKES: u64 = u64::MAX;

/// A request under way.
pub(super) struct Busy(Arc<Pulse>);

/// A body whose request is under way until it is gone.
pub(super) struct During<B> {
    body: B,
    _busy: Busy,
}

/// A connection that notes whether its client takes what is written.
#[derive(Debug)]
pub(super) struct Watched<S> {
    stream: S,
    pulse: Arc<Pulse>,
}

impl Pulse {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            start: Instant::now(),
            busy: AtomicUsize::new(0),
            idle_since: AtomicU64::new(0),
            stuck_since: AtomicU64::new(TAKES),
        })
    }

    /// Notes that a request has come.
    pub(super) fn busy(self: &Arc<Self>) -> Busy {
        self.busy.fetch_add(1, Ordering::Relaxed);
        Busy(Arc::clone(self))
    }

    /// Ends when the client has tried `patience`, saying how.
    pub(super) async fn lost(&self, patience: Patience) -> &'static str {
        let pause = patience.head.min(patience.write) / 4;
        loop {
            sleep(pause).await;
            let now = self.now();
            let longer =
                |since: u64, patience: Duration| Duration::from_millis(now.saturating_sub(since)) >= patience;
            let stuck = self.stuck_since.load(Ordering::Relaxed);
            if stuck != TAKES && longer(stuck, patience.write) {
                return "the client takes nothing of its answer";
            }
            let is_idle = self.busy.load(Ordering::Relaxed) == 0;
            if is_idle && longer(self.idle_since.load(Ordering::Relaxed), patience.head) {
                return "no request came";
            }
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(TAKES - 1)
    }

    fn note_write<T>(&self, written: &Poll<io::Result<T>>) {
        let stuck = self.stuck_since.load(Ordering::Relaxed);
        match written {
            Poll::Pending if stuck == TAKES => self.stuck_since.store(self.now(), Ordering::Relaxed),
            Poll::Ready(_) if stuck != TAKES => self.stuck_since.store(TAKES, Ordering::Relaxed),
            _ => {}
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        // First, so that nobody sees the connection idle since long ago.
        self.0.idle_since.store(self.0.now(), Ordering::Relaxed);
        self.0.busy.fetch_sub(1, Ordering::Release);
    }
}

impl Busy {
    /// Lasts as long as `body`.
    pub(super) fn during<B>(self, body: B) -> During<B> {
        During { body, _busy: self }
    }
}

impl<B: http_body::Body + Unpin> http_body::Body for During<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, pulse: &Arc<Pulse>) -> Self {
        Self { stream, pulse: Arc::clone(pulse) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.pulse.note_write(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.pulse.note_write(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const PATIENCE: Patience =
        Patience { head: Duration::from_millis(100), write: Duration::from_millis(200) };

    #[tokio::test]
    async fn a_connection_without_a_request_is_lost_and_one_with_is_not() {
        let pulse = Pulse::new();
        let busy = pulse.busy();
        let longer = tokio::time::timeout(5 * PATIENCE.head, pulse.lost(PATIENCE));
        assert!(longer.await.is_err());
        drop(busy);
        let since = Instant::now();
        assert_eq!(pulse.lost(PATIENCE).await, "no request came");
        assert!(
            since.elapsed() + Duration::from_millis(2) >= PATIENCE.head,
            "times are noted in milliseconds"
        );
    }

    #[tokio::test]
    async fn what_is_not_taken_is_noted() {
        let (pulse, (server, mut client)) = (Pulse::new(), tokio::io::duplex(1000));
        let mut server = Watched::new(server, &pulse);
        let written = tokio::spawn(async move { server.write_all(&[7; 5000]).await });
        let _busy = pulse.busy();
        client.read_exact(&mut [0; 2500]).await.unwrap();
        assert_eq!(pulse.lost(PATIENCE).await, "the client takes nothing of its answer");
        client.read_exact(&mut [0; 2500]).await.unwrap();
        written.await.unwrap().unwrap();
        assert_eq!(pulse.stuck_since.load(Ordering::Relaxed), TAKES);
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_lost_and_a_slow_one_is_not() {
        let pulse = Pulse::new();
        let _busy = pulse.busy();
        let takes = async {
            for _ in 0..5 {
                pulse.note_write::<()>(&Poll::Pending);
                sleep(PATIENCE.write / 2).await;
                pulse.note_write(&Poll::Ready(Ok(())));
            }
            pulse.note_write::<()>(&Poll::Pending);
            Instant::now()
        };
        let (since, (why, lost)) =
            tokio::join!(takes, async { (pulse.lost(PATIENCE).await, Instant::now()) });
        assert_eq!(why, "the client takes nothing of its answer");
        assert!(lost - since + Duration::from_millis(2) >= PATIENCE.write, "times are noted in milliseconds");
    }
}
