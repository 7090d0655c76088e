//! Content that is not what its digest says, or that the disk has lost: moved aside, so that it is never served
//! again and is had anew on its next use.

use std::fs::File;
use std::io;
use std::sync::Arc;

use rustix::io::Errno;

use super::incoming::blocking;
use super::{Error, Store};
use crate::oci::Digest;

impl Store {
    /// Moves rotten content aside, so that it is never served again and can be had anew.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub async fn quarantine(&self, digest: &Digest) -> Result<(), Error> {
        let (store, digest) = (self.clone(), *digest);
        blocking("quarantine content", move || store.quarantine_now(&digest)).await
    }

    /// Moves content aside whose `file` could not be read to its end, where `error` says that it is lost. A
    /// failure to do so is logged: whoever was reading has an error to tell already.
    pub async fn heal(&self, digest: &Digest, file: &Arc<File>, error: &io::Error) {
        if !is_lost(error) {
            return;
        }
        let (store, digest, file) = (self.clone(), *digest, Arc::clone(file));
        let set_aside = move || store.quarantine_this(&digest, &file);
        if let Err(error) = blocking("quarantine content", set_aside).await {
            tracing::error!(%digest, %error, "stored content that cannot be read could not be moved to quarantine");
        }
    }

    /// As [`Store::quarantine`], unless the name stands for another file by now. Says whether it was moved.
    pub(super) fn quarantine_this(&self, digest: &Digest, file: &File) -> Result<bool, Error> {
        let is_named = self.0.blobs.is_named(digest, file).map_err(Error::io("look for content"))?;
        if is_named {
            self.quarantine_now(digest)?;
        }
        Ok(is_named)
    }

    pub(super) fn quarantine_now(&self, digest: &Digest) -> Result<(), Error> {
        let moved = self.0.ledger.quietly(|| {
            self.0.opened.forget(digest);
            self.0.blobs.quarantine(digest)
        });
        moved.map_err(Error::io("quarantine content"))?;
        self.0.ledger.removed(digest)?;
        self.0.metrics.store_corrupt.inc();
        tracing::error!(%digest, "stored content is not what its digest says, or cannot be read; it was moved to quarantine");
        Ok(())
    }
}

/// The disk's own word that this content is lost, or no file at all. What else may go wrong, such as a lack of
/// handles or of memory, says nothing of it.
pub(super) fn is_lost(error: &io::Error) -> bool {
    [Errno::IO, Errno::ISDIR].iter().any(|lost| error.raw_os_error() == Some(lost.raw_os_error()))
}
