//! Blobs as answers read them: kept, arriving, or, where the store is full, passing through.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt as _, stream};

use super::arriving::{Place, Ready};
use super::body::Body;
use super::{Cache, Error, Outlet, Role, passing, reading};
use crate::oci::{Descriptor, Digest, Hasher, Repository};
use crate::store::{self, Store, StoredBlob};
use crate::telemetry::metrics::Counter;
use crate::upstream::Upstream;

/// Less than this is read faster than it is mapped and sent page by page.
const WORTH_SENDING: u64 = 4 << 20;

/// A blob that can be read once.
pub struct Blob {
    descriptor: Descriptor,
    way: Way,
    kept: Option<Kept>,
}

/// What lives as long as a blob is being read.
type Kept = Box<dyn Send>;

/// Where a blob's bytes come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The store.
    Store,
    /// The upstream, at this moment.
    Upstream,
}

enum Way {
    /// All of it, in memory.
    Whole(Bytes),
    Kept(Arc<File>, Store),
    Arriving(Arc<File>, Place),
    /// With the count of readers that are too slow for it.
    Passing(Box<Body>, Counter),
}

/// A blob's bytes.
pub struct BlobReader {
    bytes: Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>,
    _kept: Option<Kept>,
}

impl Cache {
    /// A blob, kept or arriving. Returns with the upstream's answer, not with the blob's last byte.
    ///
    /// # Errors
    /// The upstream's answer or trouble; [`Error::Corrupt`] when a length contradicts the
    /// descriptor.
    pub async fn blob(
        &self,
        upstream: &Arc<Upstream>,
        repository: &Repository,
        blob: &Descriptor,
    ) -> Result<Blob, Error> {
        let way = self.way_to(upstream, repository, blob).await?;
        Ok(Blob { descriptor: blob.clone(), way, kept: None })
    }

    /// A blob that is in memory or open already, where this repository may have it: no disk, no wait.
    pub fn blob_at_hand(&self, repository: &Repository, blob: &Descriptor) -> Option<Blob> {
        if !self.0.seen.holds_at_hand(repository, &blob.digest, Role::Blob) {
            return None;
        }
        let fits = |size: u64| size == blob.size;
        let way = match self.0.store.read_at_hand(&blob.digest).filter(|bytes| fits(bytes.len() as u64)) {
            Some(bytes) => Way::Whole(bytes),
            None => self.kept_as(&self.0.store.open_at_hand(&blob.digest).filter(|b| fits(b.size()))?),
        };
        Some(Blob { descriptor: blob.clone(), way, kept: None })
    }

    /// The kept file, where this repository may have it.
    pub(super) async fn kept_blob(
        &self,
        repository: &Repository,
        blob: &Descriptor,
    ) -> Result<Option<StoredBlob>, Error> {
        if !self.0.seen.holds(repository, &blob.digest, Role::Blob).await? {
            return Ok(None);
        }
        match self.0.store.open_blob(&blob.digest).await? {
            Some(kept) if kept.size() != blob.size => Err(Error::length(blob, kept.size())),
            kept => Ok(kept),
        }
    }

    async fn way_to(
        &self,
        upstream: &Arc<Upstream>,
        repository: &Repository,
        blob: &Descriptor,
    ) -> Result<Way, Error> {
        if blob.size == 0 {
            return nothing(blob);
        }
        if let Some(way) = self.kept_way(repository, blob).await? {
            return Ok(way);
        }
        if upstream.is_offline() {
            return Err(Error::Offline);
        }
        if let Some(kept) = self.kept_elsewhere(upstream, repository, blob).await? {
            return Ok(self.kept_as(&kept));
        }
        match self.arriving(upstream, repository, blob).ready().await? {
            Ready::File(file, place) => Ok(Way::Arriving(file, place)),
            Ready::Unkept(opened) => {
                let body = match opened {
                    Some(body) => body,
                    None => Box::new(Body::open(upstream, repository, blob).await?),
                };
                Ok(Way::Passing(body, self.0.metrics.slow_readers.clone()))
            }
        }
    }

    /// Small blobs are read whole, once; they are many.
    async fn kept_way(&self, repository: &Repository, blob: &Descriptor) -> Result<Option<Way>, Error> {
        if blob.size <= store::SMALL {
            return Ok(self.kept_small_blob(repository, blob).await?.map(Way::Whole));
        }
        let kept = self.kept_blob(repository, blob).await?;
        Ok(kept.map(|kept| self.kept_as(&kept)))
    }

    fn kept_as(&self, kept: &StoredBlob) -> Way {
        Way::Kept(kept.file().clone(), self.0.store.clone())
    }

    /// What the store has for another repository, once this one's upstream has shown that it holds
    /// it too.
    async fn kept_elsewhere(
        &self,
        upstream: &Arc<Upstream>,
        repository: &Repository,
        blob: &Descriptor,
    ) -> Result<Option<StoredBlob>, Error> {
        if self.0.store.open_blob(&blob.digest).await?.is_none() {
            return Ok(None);
        }
        if !self.holds(upstream, repository, blob, Role::Blob).await? {
            return Err(Error::NotFound);
        }
        self.kept_blob(repository, blob).await
    }
}

/// The empty blob needs no fetch, and has no last byte that could be withheld.
fn nothing(blob: &Descriptor) -> Result<Way, Error> {
    if blob.digest.matches(b"") { Ok(Way::Whole(Bytes::new())) } else { Err(Error::length(blob, 0)) }
}

impl Blob {
    /// What it is.
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// Its digest.
    pub fn digest(&self) -> &Digest {
        &self.descriptor.digest
    }

    /// Its length in bytes.
    pub fn size(&self) -> u64 {
        self.descriptor.size
    }

    /// Has `kept` live until the blob has been read, or is dropped.
    pub fn keeping(self, kept: impl Send + 'static) -> Self {
        Self { kept: Some(Box::new(kept)), ..self }
    }

    /// Where its bytes come from.
    pub fn source(&self) -> Source {
        match self.way {
            Way::Whole(_) | Way::Kept(..) => Source::Store,
            Way::Arriving(..) | Way::Passing(..) => Source::Upstream,
        }
    }

    /// Whether a part of it can be read. A blob that passes through unkept is proven only as a
    /// whole, so a request for a part is answered with all of it (RFC 9110, section 14.2, allows it).
    pub fn accepts_ranges(&self) -> bool {
        !matches!(self.way, Way::Passing(..))
    }

    /// Reads `range`, which lies within the blob. The last byte of an answer from an arriving blob,
    /// and each byte of a part of one, waits for the digest; a stream that ends with an error must
    /// not be answered as complete. What a client is to have goes through its connection's `outlet`.
    pub fn read(self, range: Range<u64>, outlet: Option<Outlet>) -> BlobReader {
        let end = range.end.min(self.descriptor.size);
        let is_part = range.start != 0 || end != self.descriptor.size;
        let at = range.start;
        let outlet = outlet.map(|outlet| match end.saturating_sub(at) < WORTH_SENDING {
            true => outlet.without_lane(),
            false => outlet,
        });
        let reader = match self.way {
            Way::Whole(bytes) => BlobReader::whole(&bytes, at, end),
            Way::Kept(file, store) => {
                let kept = Some((store, self.descriptor.digest));
                BlobReader::over(Reading { file, at, end, is_part, place: None, kept, outlet })
            }
            Way::Arriving(file, place) => {
                BlobReader::over(Reading { file, at, end, is_part, place: Some(place), kept: None, outlet })
            }
            Way::Passing(..) if is_part => BlobReader::failed(io::Error::other(
                "a part was asked for of a blob that is passing through unkept",
            )),
            Way::Passing(body, slow) => BlobReader::passing(*body, slow, &self.descriptor),
        };
        BlobReader { _kept: self.kept, ..reader }
    }
}

/// A file that is being answered from.
struct Reading {
    file: Arc<File>,
    at: u64,
    end: u64,
    is_part: bool,
    place: Option<Place>,
    /// The store that has the file, and as what.
    kept: Option<(Store, Digest)>,
    outlet: Option<Outlet>,
}

impl Reading {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        if self.at >= self.end {
            return Ok(None);
        }
        let limit = match &mut self.place {
            None => self.end,
            Some(place) => place.limit(self.at, self.end, self.is_part).await.map_err(io::Error::other)?,
        };
        let most = limit - self.at;
        let read = reading::read(&self.file, self.at, most, self.outlet.as_ref()).await;
        if let (Err(error), Some((store, digest))) = (&read, &self.kept) {
            store.heal(digest, &self.file, error).await;
        }
        let bytes = read?;
        self.at += bytes.len() as u64;
        Ok(Some(bytes))
    }
}

impl BlobReader {
    fn new(bytes: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Self {
        Self { bytes: Box::pin(bytes), _kept: None }
    }

    fn over(reading: Reading) -> Self {
        Self::new(stream::try_unfold(reading, |mut reading| async move {
            Ok(reading.next().await?.map(|bytes| (bytes, reading)))
        }))
    }

    /// Hashes on the way. The piece with the last byte leaves only when the digest is right.
    fn passing(body: Body, slow: Counter, blob: &Descriptor) -> Self {
        let pieces = Box::pin(passing::pieces(body, passing::PATIENCE, slow));
        let start = (pieces, Some(Hasher::new(blob.digest.algorithm())), blob.size, blob.digest);
        Self::new(stream::try_unfold(start, |(mut pieces, mut hasher, mut left, digest)| async move {
            let Some(piece) = pieces.try_next().await.map_err(io::Error::other)? else { return Ok(None) };
            left -= (piece.len() as u64).min(left);
            if let Some(hasher) = &mut hasher {
                hasher.update(&piece);
            }
            if left == 0
                && let Some(hasher) = hasher.take()
            {
                let found = hasher.finish();
                if found != digest {
                    let corrupt = Error::Corrupt { expected: digest, found: found.to_string().into() };
                    return Err(io::Error::other(corrupt));
                }
            }
            Ok(Some((piece, (pieces, hasher, left, digest))))
        }))
    }

    fn whole(bytes: &Bytes, at: u64, end: u64) -> Self {
        let place = |n: u64| usize::try_from(n).unwrap_or(usize::MAX).min(bytes.len());
        let part = bytes.slice(place(at)..place(end).max(place(at)));
        Self::new(stream::iter((!part.is_empty()).then_some(Ok(part))))
    }

    fn failed(error: io::Error) -> Self {
        Self::new(stream::once(std::future::ready(Err(error))))
    }
}

impl Stream for BlobReader {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.bytes.as_mut().poll_next(context)
    }
}

impl std::fmt::Debug for Blob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Blob({}, {:?})", self.descriptor.digest, self.source())
    }
}
