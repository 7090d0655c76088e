//! One blob's bytes from the upstream, in order and of the announced length, over interruptions.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use futures_util::{Stream, StreamExt as _};

use super::Error;
use crate::oci::{Descriptor, Repository};
use crate::upstream::{self, BlobStream, Upstream};

/// So often in a row a body is asked for again without bringing a byte.
const TRIES: u32 = 4;
/// In all, an upstream may cut so often, and once more for each of these bytes: a trickle is no body.
const FREE_CUTS: u64 = 16;
const BYTES_PER_CUT: u64 = 64 << 10;
/// The longest that a throttling upstream is waited for in the middle of a body.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

type Pieces = Pin<Box<dyn Stream<Item = Result<Bytes, upstream::Error>> + Send>>;

/// A blob's body that goes on where it was cut.
pub(super) struct Body {
    upstream: Arc<Upstream>,
    repository: Repository,
    blob: Descriptor,
    position: u64,
    /// What the upstream sends again although it is here already.
    skip: u64,
    pieces: Pieces,
    cuts: u64,
    fruitless: u32,
}

impl Body {
    /// Asks for the blob; returns with the response's head.
    ///
    /// # Errors
    /// The upstream's answer or trouble; [`Error::Corrupt`] when another length is announced.
    pub(super) async fn open(
        upstream: &Arc<Upstream>,
        repository: &Repository,
        blob: &Descriptor,
    ) -> Result<Self, Error> {
        let stream = upstream.blob(repository, blob, 0).await?;
        let (skip, pieces) = fitting(stream, blob, 0)?;
        Ok(Self {
            upstream: upstream.clone(),
            repository: repository.clone(),
            blob: blob.clone(),
            position: 0,
            skip,
            pieces,
            cuts: 0,
            fruitless: 0,
        })
    }

    /// The next piece; `None` after exactly as many bytes as the descriptor says.
    ///
    /// # Errors
    /// As [`Body::open`], after the tries are used up; [`Error::Corrupt`] when more comes.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        while self.position < self.blob.size {
            match self.pieces.next().await {
                Some(Ok(piece)) => {
                    if let Some(piece) = self.take(piece)? {
                        return Ok(Some(piece));
                    }
                }
                Some(Err(e)) => self.resume(e).await?,
                None => self.resume(upstream::Error::Unavailable("the body ended early".to_owned())).await?,
            }
        }
        Ok(None)
    }

    /// What of a piece is new.
    fn take(&mut self, mut piece: Bytes) -> Result<Option<Bytes>, Error> {
        let known = self.skip.min(piece.len() as u64);
        self.skip -= known;
        piece.advance(usize::try_from(known).unwrap_or(usize::MAX));
        if piece.is_empty() {
            return Ok(None);
        }
        let end = self.position + piece.len() as u64;
        if end > self.blob.size {
            return Err(Error::length(&self.blob, end));
        }
        self.position = end;
        self.fruitless = 0;
        Ok(Some(piece))
    }

    /// Asks for the rest. Answers end it; trouble is met with patience that has an end.
    async fn resume(&mut self, cut: upstream::Error) -> Result<(), Error> {
        let mut why = cut;
        loop {
            self.cuts += 1;
            self.fruitless += 1;
            let most = FREE_CUTS + self.position / BYTES_PER_CUT;
            if self.fruitless > TRIES || self.cuts > most || !Error::from(why.clone()).is_trouble() {
                return Err(why.into());
            }
            tokio::time::sleep(self.pause(&why)).await;
            match self.upstream.blob(&self.repository, &self.blob, self.position).await {
                Ok(stream) => {
                    (self.skip, self.pieces) = fitting(stream, &self.blob, self.position)?;
                    tracing::debug!(blob = %self.blob.digest, at = self.position, %why, "resumed a body");
                    return Ok(());
                }
                Err(e) => why = e,
            }
        }
    }

    /// Doubling from 50 ms, spread so that many bodies that were cut at once do not return at once.
    fn pause(&self, why: &upstream::Error) -> Duration {
        if let upstream::Error::Throttled { retry_after: Some(wait) } = why {
            return (*wait).min(LONGEST_WAIT);
        }
        let longest = 50 << (self.fruitless - 1).min(6);
        Duration::from_millis(fastrand::u64(longest / 2..=longest))
    }
}

/// Refuses a body of another length before its first byte, and one that starts beyond what is here.
fn fitting(stream: BlobStream, blob: &Descriptor, position: u64) -> Result<(u64, Pieces), Error> {
    if let Some(size) = stream.size.filter(|size| *size != blob.size) {
        return Err(Error::length(blob, size));
    }
    match position.checked_sub(stream.offset) {
        Some(skip) => Ok((skip, stream.body)),
        None => {
            Err(Error::Unavailable("the upstream sent another part of the blob than asked for".to_owned()))
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use futures_util::stream;
    use tokio::sync::oneshot;

    use super::*;
    use crate::oci::{Digest, Registry};
    use crate::{egress, telemetry};

    fn body(pieces: &'static [&'static str], size: u64, skip: u64) -> Body {
        let name = Registry::parse("registry.example").unwrap();
        let upstream = Upstream::build(
            name.clone(),
            &upstream::Settings::default(),
            &egress::Settings::default(),
            &telemetry::Metrics::new(),
            None,
        );
        let pieces = pieces.iter().map(|piece| Ok(Bytes::from_static(piece.as_bytes())));
        Body {
            upstream: upstream.unwrap(),
            repository: Repository::new(name, "a").unwrap(),
            blob: Descriptor::new("application/octet-stream", Digest::sha256(b""), size),
            position: skip,
            skip,
            pieces: Box::pin(stream::iter(pieces)),
            cuts: 0,
            fruitless: 0,
        }
    }

    /// A body that brings these pieces, and then nothing more.
    pub(in crate::cache) fn stalling(pieces: &'static [&'static str]) -> Body {
        let mut body = body(pieces, 1 << 20, 0);
        body.pieces = Box::pin(body.pieces.chain(stream::pending()));
        body
    }

    /// As [`stalling`], with what ends when the body is dropped.
    pub(in crate::cache) fn held(pieces: &'static [&'static str]) -> (Body, oneshot::Receiver<()>) {
        let (hold, gone) = oneshot::channel();
        let mut body = stalling(pieces);
        body.pieces = Box::pin(body.pieces.inspect(move |_| assert!(!hold.is_closed())));
        (body, gone)
    }

    #[tokio::test]
    async fn a_body_without_an_announced_length_is_no_longer_than_its_descriptor() {
        let mut longer = body(&["abcd", "efgh"], 5, 0);
        assert_eq!(longer.next().await.unwrap().unwrap(), "abcd");
        assert!(matches!(longer.next().await, Err(Error::Corrupt { .. })));
    }

    #[tokio::test]
    async fn what_is_here_already_is_skipped() {
        let mut again = body(&["ab", "cd", "ef"], 6, 3);
        assert_eq!(again.next().await.unwrap().unwrap(), "d");
        assert_eq!(again.next().await.unwrap().unwrap(), "ef");
        assert_eq!(again.next().await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_part_from_beyond_is_refused() {
        let blob = body(&[], 6, 0).blob;
        let stream = BlobStream { offset: 4, size: Some(6), body: Box::pin(stream::empty()) };
        assert!(matches!(fitting(stream, &blob, 3), Err(Error::Unavailable(_))));
    }
}
