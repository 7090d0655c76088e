//! Content that was proven to be what its digest says, and records beside it. Knows no registry and
//! admits nothing.
//!
//! Below the store's folder no link is followed. A crash at any instant leaves content whole or not
//! at all: it is written to a temporary file, hashed on the way, made durable, and named last; the
//! records follow. Small content is named at once and made durable together with more of it, before the records
//! are; what a crash leaves of it without a record is hashed again at the next start.

mod blobs;
mod contents;
mod error;
mod holding;
mod incoming;
pub mod key;
mod ledger;
mod lock;
mod open;
mod opened;
mod place;
mod quarantine;
pub mod records;
mod scrub;
mod settings;
mod settling;

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::oci::Digest;
use crate::telemetry::Metrics;
use blobs::{Blobs, Named};
use incoming::{Reserved, blocking};
use ledger::Ledger;
use opened::Opened;
use place::Place;

pub use blobs::peek;
pub use contents::Contents;
pub use error::{Error, OpenError};
pub use incoming::{Incoming, Proven};
pub use opened::SMALL;
pub use records::{Change, Records, Table, after};
pub use scrub::{Finding, Looked, Scrub};
pub use settings::{LEAST_SCRUB_RATE, LEAST_SIZE, Scrubbing, Settings};

/// All that is kept. Cheap to clone.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

/// How much is kept, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sizes {
    /// All content.
    pub kept: u64,
    /// What of it is held and may not be evicted.
    pub held: u64,
    /// Promised to content on its way in.
    pub promised: u64,
    /// The most that may be kept and promised.
    pub limit: u64,
}

struct Inner {
    blobs: Arc<Blobs>,
    ledger: Ledger,
    opened: Opened,
    records: Records,
    metrics: Arc<Metrics>,
    // Last: it goes when everything above has been written and closed.
    place: Arc<Place>,
}

/// Kept content, open. It can be read on after it was evicted.
#[derive(Clone, Debug)]
pub struct StoredBlob {
    file: Arc<File>,
    size: u64,
}

impl Store {
    /// Records beside the content, for everything that has to outlive the process.
    pub fn records(&self) -> &Records {
        &self.0.records
    }

    /// Kept content of at most `limit` bytes, hashed again on the way. What rotted is moved aside.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for rotten content, and [`Error::Io`] for what the disk has lost, which the next call
    /// finds gone; [`Error::TooLarge`]; [`Error::Io`] for all else. Never `None` for what could not be read.
    pub async fn read(&self, digest: &Digest, limit: u64) -> Result<Option<Bytes>, Error> {
        if let Some(bytes) = self.read_at_hand(digest).filter(|bytes| bytes.len() as u64 <= limit) {
            return Ok(Some(bytes));
        }
        let (store, digest) = (self.clone(), *digest);
        blocking("read content", move || store.read_now(&digest, limit)).await
    }

    /// Small content that was read a moment ago, from memory: its digest was checked then.
    pub fn read_at_hand(&self, digest: &Digest) -> Option<Bytes> {
        let bytes = self.0.opened.bytes(digest)?;
        self.touch(digest);
        Some(bytes)
    }

    /// Keeps `bytes`, whose digest is checked first.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when they are not what `digest` says; [`Error::Full`], [`Error::Io`].
    pub async fn write(&self, digest: &Digest, bytes: Bytes) -> Result<(), Error> {
        let (store, digest) = (self.clone(), *digest);
        blocking("write content", move || store.write_now(&digest, bytes)).await?;
        self.0.settle_in_time().await;
        Ok(())
    }

    /// As [`Store::write`], all of it or, after a crash, some; and keeps it from eviction in the name of `owner`.
    ///
    /// # Errors
    /// As [`Store::write`], for the first that is not kept; [`Error::Records`].
    pub async fn write_held(&self, contents: Vec<(Digest, Bytes)>, owner: &str) -> Result<(), Error> {
        let (store, owner) = (self.clone(), owner.to_owned());
        let write = move || {
            let digests: Vec<_> = contents.iter().map(|(digest, _)| *digest).collect();
            contents.into_iter().try_for_each(|(digest, bytes)| store.write_now(&digest, bytes))?;
            store.hold_now(&digests, &owner)
        };
        blocking("write content", write).await?;
        self.0.settle_in_time().await;
        Ok(())
    }

    /// How long kept content is, by the books; on a thread that may wait.
    ///
    /// # Errors
    /// [`Error::Records`].
    pub fn size_now(&self, digest: &Digest) -> Result<Option<u64>, Error> {
        self.0.ledger.size_of(digest)
    }

    /// Opens kept content without reading it. What is no longer as long as it was is moved aside.
    ///
    /// # Errors
    /// [`Error::Length`] for content that was cut, which the next call finds gone; [`Error::Io`].
    pub async fn open_blob(&self, digest: &Digest) -> Result<Option<StoredBlob>, Error> {
        if let Some(blob) = self.open_at_hand(digest) {
            return Ok(Some(blob));
        }
        // What the books do not have costs no look at the disk: it is fetched again.
        if self.0.ledger.size_of(digest)?.is_none() {
            return Ok(None);
        }
        let (store, digest) = (self.clone(), *digest);
        blocking("open content", move || store.open_now(&digest)).await
    }

    /// Kept content that is open already.
    pub fn open_at_hand(&self, digest: &Digest) -> Option<StoredBlob> {
        let blob = self.0.opened.file(digest)?;
        self.touch(digest);
        Some(blob)
    }

    /// Makes room for content of `size` bytes, evicting what was used longest ago, and starts it.
    ///
    /// # Errors
    /// [`Error::Full`] before the first byte, where the room cannot be made; [`Error::Io`].
    pub async fn incoming(&self, digest: &Digest, size: u64) -> Result<Incoming, Error> {
        let (store, digest) = (self.clone(), *digest);
        blocking("make room", move || Incoming::start(digest, store.reserve_now(size)?)).await
    }

    /// As [`Store::incoming`], where there is ample room already. `None` where it has to be made, or something
    /// is wrong: then [`Store::incoming`] says what.
    pub async fn incoming_in_free_room(&self, digest: &Digest, size: u64) -> Option<Incoming> {
        let (store, digest) = (self.clone(), *digest);
        let start = move || {
            if !store.0.ledger.reserve_amply(size) {
                return Err(Error::Full);
            }
            Incoming::start(digest, Reserved { size, store: store.0.clone() })
        };
        blocking("take room", start).await.ok()
    }

    /// Notes that content was used. Written back in batches.
    pub fn touch(&self, digest: &Digest) {
        if self.0.ledger.touch(digest)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let store = self.clone();
            runtime.spawn(async move { store.write_back().await });
        }
    }

    /// Writes noted uses into the records: a step for the jobs.
    ///
    /// # Errors
    /// [`Error::Records`].
    pub async fn write_back(&self) -> Result<(), Error> {
        let store = self.clone();
        blocking("write uses", move || {
            store.0.give_up_refused()?;
            store.0.ledger.write_back()
        })
        .await
    }

    /// Evicts down to the limit, which may have been lowered: a step for the jobs.
    ///
    /// # Errors
    /// [`Error::Full`] when what is held exceeds the limit; [`Error::Io`].
    pub async fn evict(&self) -> Result<(), Error> {
        let store = self.clone();
        blocking("evict", move || store.reserve_now(0).map(drop)).await
    }

    /// Changes the limit, for the next content on.
    pub fn set_max_size(&self, bytes: u64) {
        self.0.ledger.set_max(bytes);
    }

    /// How much is kept, held and promised.
    pub fn sizes(&self) -> Sizes {
        self.0.ledger.sizes()
    }

    /// As [`Store::read`], on a thread that may wait.
    ///
    /// # Errors
    /// As [`Store::read`].
    pub fn read_now(&self, digest: &Digest, limit: u64) -> Result<Option<Bytes>, Error> {
        let failed = Error::io("read content");
        let Some(file) = self.0.blobs.find(digest).map_err(&failed)? else { return Ok(None) };
        let size = file.metadata().map_err(&failed)?.len();
        if size > limit {
            return Err(Error::TooLarge { digest: *digest, size, limit });
        }
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(usize::MAX)];
        if let Err(error) = file.read_exact_at(&mut bytes, 0) {
            if quarantine::is_lost(&error) {
                self.quarantine_this(digest, &file)?;
            }
            return Err(failed(error));
        }
        let found = Digest::of(digest.algorithm(), &bytes);
        if found != *digest && self.0.ledger.size_of(digest)?.is_none() {
            return self.take_torn(digest, &file).map(|()| None);
        }
        if found != *digest {
            self.quarantine_this(digest, &file)?;
            return Err(Error::Corrupt { expected: *digest, found });
        }
        self.touch(digest);
        let bytes = Bytes::from(bytes);
        self.0.opened.note_bytes(digest, &bytes);
        Ok(Some(bytes))
    }

    fn write_now(&self, digest: &Digest, bytes: Bytes) -> Result<(), Error> {
        let size = bytes.len() as u64;
        self.0.give_up_refused()?;
        // An empty config comes with every signature.
        if self.0.kept_small(digest, size)?.is_some() && digest.matches(&bytes) {
            self.touch(digest);
            return Ok(());
        }
        let incoming = Incoming::start(*digest, self.reserve_now(size)?)?;
        incoming.append_now(std::slice::from_ref(&bytes))?.prove()?.commit_now(Some(&bytes)).map(drop)
    }

    fn open_now(&self, digest: &Digest) -> Result<Option<StoredBlob>, Error> {
        let expected = self.0.ledger.size_of(digest)?;
        let fits = |blob: &StoredBlob| expected.is_none_or(|expected| expected == blob.size);
        let open = || {
            let Some(file) = self.0.blobs.find(digest)? else { return Ok(None) };
            let blob = StoredBlob { size: file.metadata()?.len(), file: Arc::new(file) };
            if fits(&blob) {
                self.0.opened.note_file(digest, &blob);
            }
            Ok(Some(blob))
        };
        let Some(blob) = self.0.ledger.quietly(open).map_err(Error::io("open content"))? else {
            return Ok(None);
        };
        if !fits(&blob) {
            self.quarantine_this(digest, blob.file())?;
            let expected = expected.unwrap_or_default();
            return Err(Error::Length { digest: *digest, expected, found: blob.size });
        }
        self.touch(digest);
        Ok(Some(blob))
    }

    fn reserve_now(&self, size: u64) -> Result<Reserved, Error> {
        if !self.0.ledger.reserve(size) {
            let take = |d: &Digest| {
                self.0.opened.forget(d);
                self.0.blobs.take(d).map_err(Error::io("evict content"))
            };
            let taken: Vec<Option<Named>> = self.0.ledger.make_room(size, take)?;
            // Here, outside the ledger's lock, the files are removed.
            drop(taken);
        }
        Ok(Reserved { size, store: self.0.clone() })
    }
}

impl StoredBlob {
    /// The open file.
    pub fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// Its length in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }
}

#[cfg(test)]
mod tests;
