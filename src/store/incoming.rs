//! Content on its way in: counted, hashed, and put into its place only when it is what it was
//! announced as. Dropped at any moment before, nothing of it stays.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::Bytes;

use super::blobs::Temporary;
use super::settling::Settling;
use super::{Error, Inner, StoredBlob};
use crate::oci::{Digest, Hasher};

/// A file that content is written to while others read it.
pub struct Incoming {
    digest: Digest,
    size: u64,
    written: u64,
    hasher: Hasher,
    /// Before `reserved`, so that the file has gone when its room is given back.
    temporary: Temporary,
    reserved: Reserved,
    store: Arc<Inner>,
}

/// Content that is what its digest says and is not kept yet.
pub struct Proven {
    digest: Digest,
    size: u64,
    temporary: Temporary,
    reserved: Reserved,
    store: Arc<Inner>,
}

/// Room that was promised; given back when dropped.
pub(super) struct Reserved {
    pub(super) size: u64,
    pub(super) store: Arc<Inner>,
}

impl Incoming {
    pub(super) fn start(digest: Digest, reserved: Reserved) -> Result<Self, Error> {
        let store = reserved.store.clone();
        let size = reserved.size;
        let temporary = store
            .blobs
            .create(size, store.ledger.sizes().promised)
            .map_err(Error::io("start a file for content"))?;
        let hasher = Hasher::new(digest.algorithm());
        Ok(Self { digest, size, written: 0, hasher, temporary, reserved, store })
    }

    /// The file, for reading what has been written so far.
    pub fn file(&self) -> Arc<File> {
        self.temporary.file.clone()
    }

    /// Writes and hashes the next pieces, off the caller's thread and beside each other. Tells `readable` how
    /// many bytes there are as soon as they can be read. An error ends it: what was written is gone.
    ///
    /// # Errors
    /// [`Error::Length`] when more comes than was announced, [`Error::Full`], [`Error::Io`].
    pub async fn append(mut self, pieces: Vec<Bytes>, readable: impl FnOnce(u64)) -> Result<Self, Error> {
        let end = self.end_with(&pieces)?;
        let (file, at, pieces) = (self.file(), self.written, Arc::new(pieces));
        let store = Arc::clone(&self.store);
        let hashing = (self.hasher.clone(), Arc::clone(&pieces));
        let write = async {
            let written = blocking("write content", move || write_all(&file, at, &pieces)).await;
            if matches!(written, Err(Error::Full)) {
                store.blobs.ran_out();
            }
            written.inspect(|()| readable(end))
        };
        let hash = blocking("hash content", move || Ok(hashed(hashing.0, &hashing.1)));
        let (written, hasher) = tokio::join!(write, hash);
        (self.hasher, self.written) = (hasher?, end);
        written.map(|()| self)
    }

    /// Checks that all of it came and that it is what was announced.
    ///
    /// # Errors
    /// [`Error::Length`], [`Error::Corrupt`]; nothing is kept.
    pub fn prove(self) -> Result<Proven, Error> {
        if self.written != self.size {
            return Err(self.wrong_length(self.written));
        }
        let found = self.hasher.finish();
        if found != self.digest {
            return Err(Error::Corrupt { expected: self.digest, found });
        }
        let Self { digest, size, temporary, reserved, store, .. } = self;
        Ok(Proven { digest, size, temporary, reserved, store })
    }

    pub(super) fn append_now(mut self, pieces: &[Bytes]) -> Result<Self, Error> {
        let end = self.end_with(pieces)?;
        write_all(&self.temporary.file, self.written, pieces)?;
        self.hasher = hashed(self.hasher, pieces);
        self.written = end;
        Ok(self)
    }

    /// How much there is with these pieces.
    fn end_with(&self, pieces: &[Bytes]) -> Result<u64, Error> {
        let length = pieces.iter().map(|piece| piece.len() as u64).sum();
        let end = self.written.saturating_add(length);
        if end > self.size { Err(self.wrong_length(end)) } else { Ok(end) }
    }

    fn wrong_length(&self, found: u64) -> Error {
        Error::Length { digest: self.digest, expected: self.size, found }
    }
}

fn write_all(file: &File, mut at: u64, pieces: &[Bytes]) -> Result<(), Error> {
    for piece in pieces {
        file.write_all_at(piece, at).map_err(Error::io("write content"))?;
        at += piece.len() as u64;
    }
    Ok(())
}

fn hashed(mut hasher: Hasher, pieces: &[Bytes]) -> Hasher {
    for piece in pieces {
        hasher.update(piece);
    }
    hasher
}

impl Proven {
    /// Makes the content durable, then visible, then enters it in the records. What is small is durable before those
    /// are, and no sooner.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Full`]: nothing is kept.
    pub async fn commit(self) -> Result<StoredBlob, Error> {
        let store = Arc::clone(&self.store);
        let kept = blocking("keep content", move || self.commit_now(None)).await?;
        store.settle_in_time().await;
        Ok(kept)
    }

    /// As [`Proven::commit`]. Where the content is at hand as a whole it stays so: whoever kept it reads it next.
    pub(super) fn commit_now(self, whole: Option<&Bytes>) -> Result<StoredBlob, Error> {
        let Self { digest, size, temporary, reserved, store } = self;
        store.give_up_refused()?;
        // Durable content is not replaced by such that is not yet: by another fetch of the same, at the same time.
        if let Some(file) = store.kept_small(&digest, size)? {
            return Ok(StoredBlob { file: Arc::new(file), size });
        }
        let file = temporary.file.clone();
        let settles = Settling::takes(size);
        if !settles {
            file.sync_all().map_err(Error::io("make content durable"))?;
        }
        let place = || {
            // Another fetch may have kept the same content before: its file has no name any more.
            store.opened.forget(&digest);
            store.blobs.place(temporary, &digest)?;
            whole.into_iter().for_each(|bytes| store.opened.note_bytes(&digest, bytes));
            Ok(())
        };
        store.ledger.quietly(place).map_err(Error::io("name content"))?;
        let synced = if settles {
            store.blobs.settle_later(&digest, file.clone());
            Ok(())
        } else {
            store.blobs.sync(digest.algorithm()).map_err(Error::io("make a name durable"))
        };
        let entered = synced.and_then(|()| store.ledger.added(&digest, size, reserved.keep()));
        if let Err(error) = entered {
            // What the books do not have must not take room.
            let _ = store.ledger.quietly(|| {
                store.opened.forget(&digest);
                store.blobs.take(&digest)
            });
            return Err(error);
        }
        Ok(StoredBlob { file, size })
    }
}

impl Reserved {
    /// Hands the promise over to the ledger's books.
    fn keep(mut self) -> u64 {
        std::mem::take(&mut self.size)
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.store.ledger.unreserve(self.size);
    }
}

/// Runs what waits for the disk on a thread that may wait.
pub(super) async fn blocking<T: Send + 'static>(
    doing: &'static str,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(e) => Err(Error::io(doing)(std::io::Error::other(e))),
    }
}
