//! Content that passes through unkept, for want of room. Its body holds one of the upstream's `max_requests` for as
//! long as it is read, so whoever reads it must not be all too slow: the others would wait.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, stream};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use super::Error;
use super::body::Body;
use crate::telemetry::metrics::Counter;

/// How long a body waits for its reader in all.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// From the start.
    pub(super) free: Duration,
    /// A second more for so many bytes that the reader took.
    pub(super) bytes_per_second: u64,
}

/// Of a reader at 128 kbit/s, or one that pauses for a minute, nobody asks more.
pub(super) const PATIENCE: Patience = Patience { free: Duration::from_secs(60), bytes_per_second: 16 << 10 };

impl Patience {
    fn after(&self, taken: u64) -> Duration {
        self.free.saturating_add(Duration::from_secs(taken / self.bytes_per_second))
    }
}

/// The body's pieces, one ahead of the reader. Given up, and counted in `slow`, when the reader is slower than
/// `patience`: the stream ends with an error then, and the upstream is free for others at once.
pub(super) fn pieces(
    body: Body,
    patience: Patience,
    slow: Counter,
) -> impl Stream<Item = Result<Bytes, Error>> + Send {
    let (give, take) = mpsc::channel(1);
    tokio::spawn(async move {
        tokio::select! {
            () = give.closed() => {}
            end = hand_over(body, patience, &slow, &give) => if let Err(why) = end {
                // The body is gone by now; the reader may come for this when it likes.
                let _ = give.send(Err(why)).await;
            },
        }
    });
    stream::unfold(take, |mut take| async move { Some((take.recv().await?, take)) })
}

async fn hand_over(
    mut body: Body,
    patience: Patience,
    slow: &Counter,
    give: &mpsc::Sender<Result<Bytes, Error>>,
) -> Result<(), Error> {
    let (mut taken, mut waited) = (0, Duration::ZERO);
    while let Some(piece) = body.next().await? {
        let since = Instant::now();
        let Ok(room) = timeout(patience.after(taken).saturating_sub(waited), give.reserve()).await else {
            slow.inc();
            return Err(Error::Unavailable(format!(
                "nobody took the content within {}; it is not kept, and holds up others",
                humantime::format_duration(patience.after(taken))
            )));
        };
        // Without a reader there is nobody to tell.
        let Ok(room) = room else { return Ok(()) };
        waited += since.elapsed();
        taken += piece.len() as u64;
        room.send(Ok(piece));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;

    use super::*;
    use crate::cache::body::tests::held;
    use crate::telemetry::Metrics;

    #[tokio::test]
    async fn a_reader_that_takes_nothing_lets_go_of_the_body_in_time() {
        let metrics = Metrics::new();
        let (body, gone) = held(&["first", "second", "third"]);
        let patience = Patience { free: Duration::from_millis(50), bytes_per_second: 1000 };
        let mut pieces = Box::pin(pieces(body, patience, metrics.slow_readers.clone()));
        assert_eq!(pieces.next().await.unwrap().unwrap(), "first");
        // Without the reader: its next piece waits for it.
        tokio::time::timeout(Duration::from_secs(10), gone).await.expect("the body goes").unwrap_err();
        assert_eq!(metrics.slow_readers.get(), 1);
        assert_eq!(pieces.next().await.unwrap().unwrap(), "second");
        let cut = pieces.next().await.unwrap().unwrap_err();
        assert!(matches!(cut, Error::Unavailable(_)), "{cut}");
    }

    #[tokio::test]
    async fn what_the_reader_took_buys_time_and_an_upstream_that_is_slow_costs_none() {
        let metrics = Metrics::new();
        let (body, mut gone) = held(&["first", "second"]);
        // Five bytes, five seconds.
        let patience = Patience { free: Duration::ZERO, bytes_per_second: 1 };
        let mut pieces = Box::pin(pieces(body, patience, metrics.slow_readers.clone()));
        assert_eq!(pieces.next().await.unwrap().unwrap(), "first");
        assert_eq!(pieces.next().await.unwrap().unwrap(), "second");
        // What follows does not come; the reader waits for it.
        let more = tokio::time::timeout(Duration::from_millis(100), pieces.next()).await;
        assert!(more.is_err() && gone.try_recv() == Err(tokio::sync::oneshot::error::TryRecvError::Empty));
        drop(pieces);
        tokio::time::timeout(Duration::from_secs(10), gone).await.expect("the body goes").unwrap_err();
        assert_eq!(metrics.slow_readers.get(), 0);
    }
}
