//! Blobs on their way in: one fetch, any number of readers, each at its own pace.
//!
//! The fetch is a task of its own that hashes and writes to a temporary file; readers follow in the
//! file. It ends when the last reader has gone. Nobody gets the last byte before the digest is
//! proven, so a wrong blob is complete for nobody, and nothing of it is kept.

use std::fs::File;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use dashmap::{DashMap, Entry};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout_at};

use super::body::Body;
use super::{Cache, Error, Role};
use crate::oci::{Descriptor, Digest, Repository};
use crate::store::{self, Incoming, Proven};
use crate::upstream::Upstream;

/// How much is written and told at a time.
const STEP: usize = 512 << 10;
/// So many steps wait for the disk at most: the upstream goes on meanwhile.
const AHEAD: usize = 2;
/// A slow upstream's bytes are told at least so often.
const TELL_EVERY: Duration = Duration::from_millis(200);

/// How far a blob has come.
#[derive(Clone, Debug)]
pub(super) enum Progress {
    /// The upstream has been asked.
    Asked,
    /// So many bytes can be read, and are unproven.
    Arriving(u64),
    /// All of it can be read and is what its digest says.
    Proven,
    /// The store has no room: whoever wants it fetches it alone.
    Unkept,
    /// There will be no more.
    Failed(Error),
}

/// One blob on its way in.
pub(super) struct Arriving {
    progress: watch::Sender<Progress>,
    /// Set before the first [`Progress::Arriving`] or [`Progress::Proven`].
    file: OnceLock<Arc<File>>,
    /// The body that was opened for a store without room, for the first reader that comes for it.
    unkept: Mutex<Option<Box<Body>>>,
}

/// A reader's place at an arriving blob; the fetch goes on as long as there is one.
pub(super) struct Place {
    arriving: Arc<Arriving>,
    told: watch::Receiver<Progress>,
}

/// How an arriving blob can be read.
pub(super) enum Ready {
    /// From this file, as far as the place allows.
    File(Arc<File>, Place),
    /// Not from here: fetch it alone, by this body where there is one.
    Unkept(Option<Box<Body>>),
}

/// With the announced length: who was told another one must not end a reader's answer short.
type Key = (Repository, Digest, u64);

/// The fetches under way.
#[derive(Default)]
pub(super) struct Fetches(Arc<DashMap<Key, Arc<Arriving>>>);

/// What a fetch needs.
struct Fetch {
    cache: Cache,
    upstream: Arc<Upstream>,
    repository: Repository,
    blob: Descriptor,
    landing: Landing,
}

/// Takes a fetch out of the table however it ends, and tells its readers where it told no end.
struct Landing {
    table: Arc<DashMap<Key, Arc<Arriving>>>,
    key: Key,
    arriving: Arc<Arriving>,
}

/// What the fetch found.
enum Fetched {
    Whole(Proven),
    AlreadyKept(Arc<File>),
    NoRoom(Box<Body>),
}

impl Fetches {
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Cache {
    /// A place at the fetch of `blob` that is under way, else at a new one.
    pub(super) fn arriving(
        &self,
        upstream: &Arc<Upstream>,
        repository: &Repository,
        blob: &Descriptor,
    ) -> Place {
        let key = (repository.clone(), blob.digest, blob.size);
        let table = &self.0.fetches.0;
        let (arriving, told) = match table.entry(key.clone()) {
            // The place is taken under the entry's lock, so that a fetch that just found itself
            // alone cannot end under it.
            Entry::Occupied(entry) if !entry.get().is_over() => {
                let arriving = entry.get().clone();
                let told = arriving.progress.subscribe();
                return Place { arriving, told };
            }
            entry => {
                let (progress, told) = watch::channel(Progress::Asked);
                let arriving = Arc::new(Arriving::asked(progress));
                entry.insert(arriving.clone());
                (arriving, told)
            }
        };
        let landing = Landing { table: table.clone(), key, arriving: arriving.clone() };
        let fetch = Fetch {
            cache: self.clone(),
            upstream: upstream.clone(),
            repository: repository.clone(),
            blob: blob.clone(),
            landing,
        };
        tokio::spawn(fetch.run());
        Place { arriving, told }
    }
}

impl Fetch {
    async fn run(self) {
        let fetched = tokio::select! {
            fetched = self.fetch() => fetched,
            () = self.landing.nobody_left() => return,
        };
        match fetched {
            Ok(Fetched::Whole(proven)) => {
                self.landing.arriving.tell(Progress::Proven);
                self.commit(proven).await;
            }
            Ok(Fetched::AlreadyKept(file)) => {
                let _ = self.landing.arriving.file.set(file);
                self.landing.arriving.tell(Progress::Proven);
            }
            Ok(Fetched::NoRoom(body)) => {
                self.cache.0.metrics.store_full.inc();
                *self.landing.arriving.unkept() = Some(body);
                self.landing.arriving.tell(Progress::Unkept);
            }
            Err(e) => {
                let e = self.cache.0.counted(&self.repository, e);
                tracing::warn!(repository = %self.repository, blob = %self.blob.digest, error = %e, "a blob's fetch failed");
                self.landing.arriving.tell(Progress::Failed(e));
            }
        }
    }

    async fn fetch(&self) -> Result<Fetched, Error> {
        // Another fetch may have ended between the caller's look into the store and the table.
        if let Some(file) = self.cache.kept_blob(&self.repository, &self.blob).await? {
            return Ok(Fetched::AlreadyKept(file.file().clone()));
        }
        let (store, digest, size) = (&self.cache.0.store, &self.blob.digest, self.blob.size);
        let open = Body::open(&self.upstream, &self.repository, &self.blob);
        // While the upstream thinks; but nothing is evicted before it has answered.
        let (opened, free) = tokio::join!(open, store.incoming_in_free_room(digest, size));
        let body = match opened {
            Err(Error::NotFound) => {
                self.cache.0.seen.remove(&self.repository, &self.blob.digest, Role::Blob);
                return Err(Error::NotFound);
            }
            opened => opened?,
        };
        let incoming = match free {
            Some(incoming) => Ok(incoming),
            None => store.incoming(digest, size).await,
        };
        match incoming {
            Ok(incoming) => Ok(Fetched::Whole(self.write(body, incoming).await?)),
            Err(store::Error::Full) => Ok(Fetched::NoRoom(Box::new(body))),
            Err(e) => Err(e.into()),
        }
    }

    /// Reads some steps ahead of the disk, and tells as soon as a step is written.
    async fn write(&self, body: Body, mut incoming: Incoming) -> Result<Proven, Error> {
        let arriving = &self.landing.arriving;
        let _ = arriving.file.set(incoming.file());
        arriving.tell(Progress::Arriving(0));
        let (ahead, mut steps) = mpsc::channel(AHEAD);
        let write = async {
            while let Some(step) = steps.recv().await {
                let tell = |readable| arriving.tell(Progress::Arriving(readable));
                incoming = incoming.append(step, tell).await?;
            }
            Ok(incoming)
        };
        let ((), incoming) = tokio::try_join!(read(body, ahead), write)?;
        Ok(incoming.prove()?)
    }

    /// Keeps what is proven. Readers do not wait for it, and a failure costs fetching again.
    async fn commit(&self, proven: Proven) {
        let add = || self.cache.0.seen.add(&self.repository, &self.blob.digest, Role::Blob);
        // Before the file has its name: else it would be another repository's for a moment, and be
        // asked about. And after: until then a sweep takes the row for one that leads nowhere.
        add();
        if let Err(error) = proven.commit().await.map(|_| add()) {
            tracing::warn!(blob = %self.blob.digest, %error, "a fetched blob could not be kept");
        }
    }
}

/// Hands the body on step by step; the first is what comes first, and what was gathered does not wait for
/// what is late.
async fn read(mut body: Body, ahead: mpsc::Sender<Vec<Bytes>>) -> Result<(), Error> {
    let (mut step, mut size, mut enough, mut tell_at) = (Vec::new(), 0, 1, Instant::now());
    loop {
        // Goes on beyond the time to tell: it may be asking for the rest of a body that was cut.
        let mut next = pin!(body.next());
        let piece = match step.is_empty() {
            true => next.await?,
            false => match timeout_at(tell_at, next.as_mut()).await {
                Ok(piece) => piece?,
                Err(_) => {
                    // Nobody takes it: what went wrong is told there.
                    if ahead.send(std::mem::take(&mut step)).await.is_err() {
                        return Ok(());
                    }
                    next.await?
                }
            },
        };
        let is_end = piece.is_none();
        if step.is_empty() {
            (size, tell_at) = (0, Instant::now() + TELL_EVERY);
        }
        size += piece.as_ref().map_or(0, Bytes::len);
        step.extend(piece);
        if (is_end || size >= enough) && !step.is_empty() {
            if ahead.send(std::mem::take(&mut step)).await.is_err() {
                return Ok(());
            }
            enough = STEP;
        }
        if is_end {
            return Ok(());
        }
    }
}

impl Arriving {
    fn asked(progress: watch::Sender<Progress>) -> Self {
        Self { progress, file: OnceLock::new(), unkept: Mutex::default() }
    }

    fn unkept(&self) -> MutexGuard<'_, Option<Box<Body>>> {
        self.unkept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nobody can read from it any more; it stands in the table for a moment yet.
    fn is_over(&self) -> bool {
        matches!(*self.progress.borrow(), Progress::Failed(_) | Progress::Unkept)
    }

    fn tell(&self, progress: Progress) {
        self.progress.send_replace(progress);
    }
}

impl Landing {
    /// Waits until no reader is left, and closes the door behind the last one.
    async fn nobody_left(&self) {
        loop {
            self.arriving.progress.closed().await;
            let gone = self.table.remove_if(&self.key, |_, current| {
                Arc::ptr_eq(current, &self.arriving) && current.progress.receiver_count() == 0
            });
            if gone.is_some() {
                return;
            }
        }
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.table.remove_if(&self.key, |_, current| Arc::ptr_eq(current, &self.arriving));
        // A panic, or the runtime's end: without a word, readers would wait for ever.
        self.arriving.progress.send_if_modified(|progress| {
            let is_open = matches!(progress, Progress::Asked | Progress::Arriving(_));
            if is_open {
                *progress = Progress::Failed(lost());
            }
            is_open
        });
    }
}

impl Place {
    /// Waits until the upstream has answered.
    ///
    /// # Errors
    /// The fetch's.
    pub(super) async fn ready(mut self) -> Result<Ready, Error> {
        let progress = {
            let told = self.told.wait_for(|progress| !matches!(progress, Progress::Asked)).await;
            told.map_err(|_| lost())?.clone()
        };
        match (progress, self.arriving.file.get()) {
            (Progress::Unkept, _) => Ok(Ready::Unkept(self.arriving.unkept().take())),
            (Progress::Failed(e), _) => Err(e),
            (_, Some(file)) => Ok(Ready::File(file.clone(), self)),
            (_, None) => Err(lost()),
        }
    }

    /// Waits until bytes beyond `at` may be read, of an answer that ends at `end`; returns how far.
    /// Unproven, that is never the answer's last byte, and of a part of the blob nothing at all.
    ///
    /// # Errors
    /// The fetch's.
    pub(super) async fn limit(&mut self, at: u64, end: u64, is_part: bool) -> Result<u64, Error> {
        let readable = |progress: &Progress| match progress {
            Progress::Proven => end,
            Progress::Arriving(n) if !is_part => (*n).min(end.saturating_sub(1)),
            _ => 0,
        };
        let over = |progress: &Progress| matches!(progress, Progress::Failed(_) | Progress::Unkept);
        let told = self.told.wait_for(|progress| over(progress) || readable(progress) > at).await;
        let told = told.map_err(|_| lost())?;
        match &*told {
            Progress::Failed(e) => Err(e.clone()),
            Progress::Unkept => Err(lost()),
            progress => Ok(readable(progress)),
        }
    }
}

fn lost() -> Error {
    Error::Unavailable("the fetch ended without a result".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(progress: Progress) -> Place {
        let (progress, told) = watch::channel(progress);
        Place { arriving: Arc::new(Arriving::asked(progress)), told }
    }

    async fn waits(place: &mut Place, at: u64, end: u64, is_part: bool) -> bool {
        tokio::time::timeout(Duration::from_millis(20), place.limit(at, end, is_part)).await.is_err()
    }

    #[tokio::test]
    async fn unproven_the_last_byte_is_for_nobody() {
        let mut place = place(Progress::Arriving(10));
        assert_eq!(place.limit(0, 10, false).await.unwrap(), 9);
        assert!(waits(&mut place, 9, 10, false).await);
        assert!(waits(&mut place, 0, 5, true).await, "no part is made of unproven bytes");
        place.arriving.tell(Progress::Proven);
        assert_eq!(place.limit(9, 10, false).await.unwrap(), 10);
        assert_eq!(place.limit(0, 5, true).await.unwrap(), 5);
    }

    #[tokio::test]
    async fn what_came_before_a_stall_is_told_in_time() {
        let (ahead, mut steps) = mpsc::channel(AHEAD);
        let reading = tokio::spawn(read(crate::cache::body::tests::stalling(&["first", "second"]), ahead));
        assert_eq!(steps.recv().await.unwrap(), ["first"]);
        let told = tokio::time::timeout(5 * TELL_EVERY, steps.recv()).await;
        assert_eq!(told.expect("it is told in time").unwrap(), ["second"]);
        reading.abort();
    }

    #[tokio::test]
    async fn a_fetch_that_is_lost_fails_its_readers() {
        let mut place = place(Progress::Arriving(10));
        let table = Arc::new(DashMap::new());
        let repository = Repository::parse("registry.example/a").unwrap();
        let key = (repository, Digest::sha256(b"x"), 10);
        table.insert(key.clone(), place.arriving.clone());
        drop(Landing { table: table.clone(), key, arriving: place.arriving.clone() });
        assert!(table.is_empty());
        assert!(place.limit(9, 10, false).await.is_err());
    }
}
