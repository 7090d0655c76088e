//! Small content that has its name already and is not durable yet. A signature is many small files: waiting for the disk
//! with each costs more than all else about them. They are made durable together, before the records that tell of them.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::blobs::Blobs;
use super::incoming::blocking;
use super::{Error, Inner, SMALL, Store};
use crate::oci::Digest;
use crate::oci::digest::Algorithm;

/// With so many files waiting, whoever brings the next one waits for the disk.
const MOST_WAITING: usize = 64;

type Files = Vec<(Digest, Arc<File>)>;

/// What waits.
#[derive(Default)]
pub(super) struct Settling {
    files: Mutex<Files>,
    /// What the disk would not make durable. As long as something is here, no records are durable.
    refused: Mutex<Files>,
    /// Folders with new names in them.
    sha256: AtomicBool,
    sha512: AtomicBool,
}

impl Settling {
    /// Whether content of that size may be durable later than it is visible. What a crash left half-written of it
    /// is found out by reading it all, so it has to be small.
    pub(super) fn takes(size: u64) -> bool {
        size <= SMALL
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        lock(&self.files).len()
    }

    fn is_renamed_in(&self, algorithm: Algorithm) -> &AtomicBool {
        match algorithm {
            Algorithm::Sha256 => &self.sha256,
            Algorithm::Sha512 => &self.sha512,
        }
    }
}

impl Blobs {
    /// Has content in its place made durable with the next group of records.
    pub(super) fn settle_later(&self, digest: &Digest, file: Arc<File>) {
        lock(&self.settling.files).push((*digest, file));
        self.settling.is_renamed_in(digest.algorithm()).store(true, Ordering::Release);
    }

    fn is_crowded(&self) -> bool {
        lock(&self.settling.files).len() >= MOST_WAITING
    }

    /// Makes durable what waits, all of it.
    ///
    /// # Errors
    /// The disk refused some of it, now or before: until [`Inner::give_up_refused`] was called.
    pub(super) fn settle(&self) -> Result<(), Error> {
        let mut lost = 0;
        let files = std::mem::take(&mut *lock(&self.settling.files));
        if files.len() > 1 {
            files.iter().for_each(|(_, file)| begin_writing(file));
        }
        for (digest, file) in files {
            if let Err(error) = file.sync_all() {
                tracing::error!(%digest, %error, "small content could not be made durable");
                lock(&self.settling.refused).push((digest, file));
                lost += 1;
            }
        }
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            let is_renamed = self.settling.is_renamed_in(algorithm);
            if is_renamed.swap(false, Ordering::AcqRel) {
                let synced = self.sync(algorithm).inspect_err(|_| is_renamed.store(true, Ordering::Release));
                synced.map_err(Error::io("make names durable"))?;
            }
        }
        // What was lost in this turn may be taken away by now, but not in the group of records that waits for it.
        let refused = lock(&self.settling.refused).len().max(lost);
        if refused > 0 {
            let why = io::Error::other(format!("the disk refused {refused} files"));
            return Err(Error::io("make small content durable")(why));
        }
        Ok(())
    }
}

impl Inner {
    /// Takes away what the disk would not make durable, so that it is had anew. What cannot be taken away goes on keeping
    /// records from being durable.
    pub(super) fn give_up_refused(&self) -> Result<(), Error> {
        let mut refused = lock(&self.blobs.settling.refused);
        while let Some((digest, file)) = refused.first() {
            let take = || {
                self.opened.forget(digest);
                // It may have been replaced, or evicted, meanwhile.
                let is_named = self.blobs.is_named(digest, file)?;
                Ok(is_named.then(|| self.blobs.take(digest)).transpose()?.flatten())
            };
            self.ledger.take_away(digest, || take().map_err(Error::io("take content away")))?;
            self.metrics.store_sync_failures.inc();
            refused.remove(0);
        }
        Ok(())
    }

    /// Waits for the disk, where more small content waits for it than should.
    pub(super) async fn settle_in_time(&self) {
        if self.blobs.is_crowded() {
            // A refusal says nothing of what was just kept: it is told to who waits for what was lost.
            let _ = self.records.flush().await;
        }
    }

    /// Small content of that size, where it is kept.
    pub(super) fn kept_small(&self, digest: &Digest, size: u64) -> Result<Option<File>, Error> {
        if !Settling::takes(size) || self.ledger.size_of(digest)? != Some(size) {
            return Ok(None);
        }
        let Ok(Some(file)) = self.blobs.find(digest) else { return Ok(None) };
        Ok(file.metadata().is_ok_and(|found| found.len() == size).then_some(file))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Err(error) = self.blobs.settle().or_else(|_| self.give_up_refused()) {
            tracing::warn!(%error, "the last content could not be made durable");
        }
        if let Err(error) = self.ledger.write_back() {
            tracing::warn!(%error, "the last uses of stored content could not be written");
        }
    }
}

impl Store {
    /// How often the disk would not make content durable that had been kept already: to be given to
    /// [`Store::settled_since`].
    pub fn sync_failures(&self) -> u64 {
        self.0.metrics.store_sync_failures.get()
    }

    /// Waits until all that was kept is durable: for who promises that.
    ///
    /// # Errors
    /// [`Error::Io`] where some of what was kept since is lost; [`Error::Records`].
    pub async fn settled_since(&self, failures: u64) -> Result<(), Error> {
        let flushed = self.records().flush().await;
        let store = self.clone();
        blocking("take content away", move || store.0.give_up_refused()).await?;
        let lost = self.sync_failures().saturating_sub(failures);
        if lost > 0 {
            let why = io::Error::other(format!("the disk refused {lost} files, which are lost: do it again"));
            return Err(Error::io("make small content durable")(why));
        }
        flushed
    }
}

/// Has the disk begin with what was written to a file, so that it works on all that is waited for in turn. The kernel's
/// answer to "not needed any more" is to write first. What it drops, having written it that soon, is read again.
#[cfg(target_os = "linux")]
fn begin_writing(file: &File) {
    // It is advice: without it the wait is longer.
    let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed);
}

#[cfg(not(target_os = "linux"))]
fn begin_writing(_: &File) {}

fn lock(files: &Mutex<Files>) -> MutexGuard<'_, Files> {
    files.lock().unwrap_or_else(PoisonError::into_inner)
}
