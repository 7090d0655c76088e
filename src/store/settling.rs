//! Small content that has its name already and is not durable yet. A signature is many small files: waiting for the disk
//! with each costs more than all else about them. They are made durable together, before the records that tell of them.

use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use super::blobs::Blobs;
use super::{Error, SMALL};
use crate::oci::Digest;

/// With so many files waiting, whoever brings the next one waits for the disk.
const MOST_WAITING: usize = 256;

/// Those that wait.
#[derive(Default)]
pub(super) struct Settling(Mutex<Vec<(Digest, Arc<File>)>>);

impl Settling {
    /// Whether content of that size may be durable later than it is visible. What a crash left half-written of it
    /// is found out by reading it all, so it has to be small.
    pub(super) fn takes(size: u64) -> bool {
        size <= SMALL
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn all(&self) -> Vec<(Digest, Arc<File>)> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Blobs {
    /// Has content in its place made durable with the next group of records.
    pub(super) fn settle_later(&self, digest: &Digest, file: Arc<File>) {
        self.settling.0.lock().unwrap_or_else(PoisonError::into_inner).push((*digest, file));
    }

    /// Whether so much waits that who writes more should wait too.
    pub(super) fn is_crowded(&self) -> bool {
        self.settling.0.lock().unwrap_or_else(PoisonError::into_inner).len() >= MOST_WAITING
    }

    /// Makes durable what waits, all of it: what the disk refuses is taken away, to be had anew.
    ///
    /// # Errors
    /// The first refusal.
    pub(super) fn settle(self: &Arc<Self>) -> Result<(), Error> {
        let waiting = self.settling.all();
        let mut settled = Ok(());
        for (digest, file) in &waiting {
            if let Err(error) = file.sync_all() {
                tracing::error!(%digest, %error, "small content could not be made durable; it will be fetched again");
                self.give_up(digest, file);
                settled = Err(error);
            }
        }
        settled.and_then(|()| self.sync_folders(&waiting)).map_err(Error::io("make small content durable"))
    }

    fn give_up(self: &Arc<Self>, digest: &Digest, file: &File) {
        if self.is_named(digest, file).unwrap_or(true) {
            // The books find out when they look for it.
            let _ = self.take(digest);
        }
    }

    fn sync_folders(&self, placed: &[(Digest, Arc<File>)]) -> io::Result<()> {
        let mut synced = Vec::new();
        for (digest, _) in placed {
            if !synced.contains(&digest.algorithm()) {
                synced.push(digest.algorithm());
                self.sync(digest)?;
            }
        }
        Ok(())
    }
}
