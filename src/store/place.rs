//! The folder of a store: its lock, the mark that it is open, and its records, which are made anew where they cannot be
//! used.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::blobs::Blobs;
use super::lock::Lock;
use super::open::{failed, settling, unusable};
use super::records::{OpenFile, Records};
use super::{Error, OpenError};
use crate::telemetry::Metrics;

const RECORDS: &str = "records.redb";
/// Records that could not be used.
const ASIDE: &str = "records.damaged.redb";
/// The same as long as not all is taken over from them that has to be.
const LEAVING: &str = "records.leaving.redb";
/// Tables that hold what cannot be had again. Their form is their own, whatever the records' version.
const IRREPLACEABLE: [&str; 2] = ["revoked", "clock"];
/// Stands in the folder while the store is open: found at a start, the last end was none.
const OPEN_MARK: &str = "open";

/// What holds the store's folder, released when the store and its records have gone: these are held by more than the
/// store, and whoever opens the folder next finds them closed.
pub(super) struct Place {
    root: OwnedFd,
    /// Removed with the store, where it was made for one process.
    ephemeral: Option<PathBuf>,
    /// The store came up, so that its end leaves nothing to be checked at the next start.
    up: AtomicBool,
    lock: Lock,
}

impl Place {
    pub(super) fn take(path: &Path, ephemeral: Option<PathBuf>) -> Result<Arc<Self>, OpenError> {
        // The path itself is the operator's and may lead through links; what is below may not.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(path, flags, Mode::empty())
            .map_err(|e| failed(path, "open the folder")(e.into()))?;
        let lock = Lock::take(&root, path)?;
        Ok(Arc::new(Self { root, ephemeral, up: AtomicBool::new(false), lock }))
    }

    pub(super) fn opening(&self) -> &str {
        self.lock.opening()
    }

    pub(super) fn came_up(&self) {
        self.up.store(true, Ordering::Relaxed);
    }

    #[cfg(test)]
    pub(super) fn ephemeral_path(&self) -> Option<&Path> {
        self.ephemeral.as_deref()
    }

    /// Sets the mark and says whether it stood already.
    pub(super) fn mark(&self) -> io::Result<bool> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(&self.root, OPEN_MARK, flags, Mode::RUSR | Mode::WUSR) {
            Ok(_) => {
                rustix::fs::fsync(&self.root)?;
                Ok(false)
            }
            Err(Errno::EXIST) => Ok(true),
            Err(e) => Err(e.into()),
        }
    }

    pub(super) fn blobs(&self, path: &Path) -> Result<Arc<Blobs>, OpenError> {
        Blobs::open(&self.root).map(Arc::new).map_err(failed(path, "open the folders in it"))
    }

    /// Opens the records. Damaged ones are moved aside: they can be asked for again, and an operator
    /// may want to see them. Says whether they are new.
    pub(super) fn records(
        self: &Arc<Self>,
        path: &Path,
        blobs: &Arc<Blobs>,
        metrics: &Metrics,
    ) -> Result<(Records, bool), OpenError> {
        let has = |name| self.has(name).map_err(failed(path, "look for the records"));
        let open = || Records::in_file(self.file(RECORDS), settling(blobs), &metrics.store_record_failures);
        let is_fresh = !has(RECORDS)?;
        let records = match open() {
            Err(Error::Records(why)) if !is_fresh => {
                // Those that stand there have nothing yet that those before them have not.
                let to = if has(LEAVING)? { ASIDE } else { LEAVING };
                self.rename(RECORDS, to).map_err(failed(path, "move damaged records aside"))?;
                tracing::warn!(
                    store = %path.display(), %why,
                    "the store's records cannot be used and are made anew; the old ones are in {ASIDE}"
                );
                open()
            }
            opened => opened,
        };
        let records = records.map_err(|e| unusable(path, &e))?;
        let is_left = has(LEAVING)?;
        if is_left {
            self.carry_over(&records, path)?;
        }
        Ok((records, is_fresh || is_left))
    }

    /// Takes from the records that were moved aside what nobody could be asked for again: noted revocations, and
    /// the latest time that was seen. They get their last name when that is durable: until then, each start does it again.
    fn carry_over(self: &Arc<Self>, records: &Records, path: &Path) -> Result<(), OpenError> {
        match Records::copy_of(self.file(LEAVING), &IRREPLACEABLE) {
            Ok(copy) => records.keep_now(&copy).map_err(|e| unusable(path, &e))?,
            Err(Error::Records(error)) => tracing::error!(
                store = %path.display(), %error,
                "revocations that were noted, and the latest time that was seen, could not be taken over from {ASIDE}"
            ),
            // A disk that fails may not do so the next time.
            Err(error) => return Err(unusable(path, &error)),
        }
        let synced = rustix::fs::fsync(&self.root).map_err(io::Error::from);
        synced.and_then(|()| self.rename(LEAVING, ASIDE)).map_err(failed(path, "name damaged records"))
    }

    fn has(&self, name: &str) -> io::Result<bool> {
        match rustix::fs::statat(&self.root, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }

    /// Opens a file of records, and holds the folder for as long as that can be done.
    fn file(self: &Arc<Self>, name: &'static str) -> OpenFile {
        let place = Arc::clone(self);
        Box::new(move || {
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            Ok(rustix::fs::openat(&place.root, name, flags, Mode::RUSR | Mode::WUSR)?.into())
        })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.root, from, &self.root, to)?)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(path) = &self.ephemeral {
            let _ = std::fs::remove_dir_all(path);
            return;
        }
        if self.up.load(Ordering::Relaxed) {
            let _ = rustix::fs::unlinkat(&self.root, OPEN_MARK, AtFlags::empty());
        }
    }
}
