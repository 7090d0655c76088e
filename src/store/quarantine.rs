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
        let set_aside = move || match store.0.blobs.find(&digest).map_err(Error::io("look for content"))? {
            Some(file) => store.quarantine_this(&digest, &file).map(drop),
            None => Ok(()),
        };
        blocking("quarantine content", set_aside).await
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
        let set_aside = || {
            if !self.0.blobs.is_named(digest, file)? {
                return Ok(None);
            }
            self.0.opened.forget(digest);
            self.0.blobs.quarantine(digest).map(Some)
        };
        let moved = self
            .0
            .ledger
            .take_away(digest, || set_aside().map_err(Error::io("quarantine content")))?
            .is_some();
        if moved {
            self.0.metrics.store_corrupt.inc();
            tracing::error!(%digest, "stored content is not what its digest says, or cannot be read; it was moved to quarantine");
        }
        Ok(moved)
    }
}

/// The disk's own word that this content is lost, or no file at all. What else may go wrong, such as a lack of
/// handles or of memory, says nothing of it.
pub(super) fn is_lost(error: &io::Error) -> bool {
    [Errno::IO, Errno::ISDIR].iter().any(|lost| error.raw_os_error() == Some(lost.raw_os_error()))
}
