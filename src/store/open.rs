//! Opening a store: its folder, its lock, its records, and making the books anew where they were
//! lost.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::blobs::{self, Blobs};
use super::incoming::blocking;
use super::ledger::Ledger;
use super::lock::Lock;
use super::opened::Opened;
use super::records::{Before, OpenFile, Records};
use super::settling::Settling;
use super::{Error, Inner, OpenError, SMALL, Settings, Store};
use crate::oci::Digest;
use crate::telemetry::Metrics;

const RECORDS: &str = "records.redb";
/// Records that could not be used.
const ASIDE: &str = "records.damaged.redb";
/// Tables that hold what cannot be had again. Their form is their own, whatever the records' version.
const IRREPLACEABLE: [&str; 2] = ["revoked", "clock"];
/// Stands in the folder while the store is open: found at a start, the last end was none.
const OPEN_MARK: &str = "open";

/// What holds the store's folder, released when the store goes.
pub(super) struct Place {
    root: Arc<OwnedFd>,
    /// Removed with the store, where it was made for one process.
    ephemeral: Option<PathBuf>,
    /// The store came up, so that its end leaves nothing to be checked at the next start.
    up: bool,
    lock: Lock,
}

impl Store {
    /// Opens the store, makes it where there is none, and repairs what a crash has left.
    ///
    /// # Errors
    /// [`OpenError`]: another process has it, or the folder cannot be used.
    pub fn open(settings: &Settings, metrics: &Arc<Metrics>) -> Result<Self, OpenError> {
        let path = &settings.path;
        std::fs::create_dir_all(path).map_err(failed(path, "make the folder"))?;
        let place = Place::take(path, None)?;
        let unclean = place.mark().map_err(failed(path, "mark it as open"))?;
        let blobs = place.blobs(path)?;
        let (records, fresh) = place.records(path, &blobs)?;
        let store = Self::assemble(place, blobs, records, settings.max_size, metrics, path)?;
        let reconcile = |store: &Self| {
            store
                .reconcile()
                .map(drop)
                .map_err(|e| OpenError::Records { path: path.clone(), message: e.to_string() })
        };
        if fresh {
            reconcile(&store)?;
        } else if unclean {
            store.reconcile_behind();
        }
        Ok(store)
    }

    /// Whether there is a store at `path`: a folder that has been opened as one.
    ///
    /// # Errors
    /// What keeps us from looking.
    pub fn exists(path: &Path) -> io::Result<bool> {
        path.join(blobs::FOLDER_NAME).try_exists()
    }

    /// A name for this opening of the store, which no other has had or will have. Who finds the store locked finds
    /// it there ([`OpenError::Locked`]), and knows by it the process that has the store.
    pub fn opening(&self) -> &str {
        self.0.place.opening()
    }

    /// A store of this process alone, with records in memory and content in a private folder that
    /// goes with it.
    ///
    /// # Errors
    /// [`OpenError::Io`].
    pub fn ephemeral(metrics: &Arc<Metrics>) -> Result<Self, OpenError> {
        let path = std::env::temp_dir().join(format!("portcullis-{}", ulid::Ulid::generate()));
        rustix::fs::mkdir(&path, Mode::RWXU).map_err(|e| failed(&path, "make the folder")(e.into()))?;
        let place = Place::take(&path, Some(path.clone()))?;
        let blobs = place.blobs(&path)?;
        let records = Records::in_memory(settling(&blobs)).map_err(|e| broken(&path, &e))?;
        Self::assemble(place, blobs, records, u64::MAX, metrics, &path)
    }

    fn assemble(
        mut place: Place,
        blobs: Arc<Blobs>,
        records: Records,
        max: u64,
        metrics: &Arc<Metrics>,
        path: &Path,
    ) -> Result<Self, OpenError> {
        let ledger = Ledger::open(&records, max, metrics).map_err(|e| broken(path, &e))?;
        place.up = true;
        let opened = Opened::default();
        Ok(Self(Arc::new(Inner { blobs, ledger, opened, records, metrics: metrics.clone(), place })))
    }

    /// Makes the books fit what is on disk. Gives back how many rows were of nothing.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Records`].
    pub async fn reconcile_now(&self) -> Result<u64, Error> {
        let store = self.clone();
        blocking("compare the books with the disk", move || store.reconcile()).await
    }

    fn reconcile(&self) -> Result<u64, Error> {
        let blobs = &self.0.blobs;
        let exists = |digest: &Digest| !matches!(blobs.find(digest), Ok(None));
        blobs.each(|digest, size| {
            if self.is_torn(digest, size)? { Ok(()) } else { self.0.ledger.found(digest, size, exists) }
        })?;
        self.0.ledger.strike_missing(exists)
    }

    /// Whether it is small content that the books do not have and of which a crash left a name without all that belongs
    /// there. That is taken away: it is had anew.
    fn is_torn(&self, digest: &Digest, size: u64) -> Result<bool, Error> {
        if !Settling::takes(size) || self.0.ledger.size_of(digest)? == Some(size) {
            return Ok(false);
        }
        let Some(file) = self.0.blobs.find(digest).map_err(Error::io("open content"))? else {
            return Ok(false);
        };
        let mut bytes = Vec::new();
        let read = (&file).take(SMALL + 1).read_to_end(&mut bytes);
        if read.is_ok() && digest.matches(&bytes) {
            return Ok(false);
        }
        self.take_torn(digest, &file).map(|()| true)
    }

    /// Takes away what is not what its name says and has no row: it was never made durable.
    pub(super) fn take_torn(&self, digest: &Digest, file: &File) -> Result<(), Error> {
        tracing::warn!(%digest, "content that a crash left incomplete is taken away");
        let take = || match self.0.blobs.is_named(digest, file) {
            Ok(true) => self.0.blobs.take(digest).map(drop),
            other => other.map(drop),
        };
        self.0.ledger.quietly(take).map_err(Error::io("take incomplete content away"))
    }

    /// The same beside the work: after a crash a few files may be missing in the books, which
    /// nobody has to wait for.
    fn reconcile_behind(&self) {
        let store = self.clone();
        let run = move || {
            if let Err(error) = store.reconcile() {
                tracing::warn!(%error, "the store's books could not be checked");
            }
        };
        if let Err(error) = std::thread::Builder::new().name("reconcile".to_owned()).spawn(run) {
            tracing::warn!(%error, "the store's books could not be checked");
        }
    }
}

impl Place {
    fn take(path: &Path, ephemeral: Option<PathBuf>) -> Result<Self, OpenError> {
        // The path itself is the operator's and may lead through links; what is below may not.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(path, flags, Mode::empty())
            .map_err(|e| failed(path, "open the folder")(e.into()))?;
        let lock = Lock::take(&root, path)?;
        Ok(Self { root: Arc::new(root), ephemeral, up: false, lock })
    }

    fn opening(&self) -> &str {
        self.lock.opening()
    }

    #[cfg(test)]
    pub(super) fn ephemeral_path(&self) -> Option<&Path> {
        self.ephemeral.as_deref()
    }

    /// Sets the mark and says whether it stood already.
    fn mark(&self) -> io::Result<bool> {
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

    fn blobs(&self, path: &Path) -> Result<Arc<Blobs>, OpenError> {
        Blobs::open(&self.root).map(Arc::new).map_err(failed(path, "open the folders in it"))
    }

    /// Opens the records. Damaged ones are moved aside: they can be asked for again, and an operator
    /// may want to see them. Says whether they are new.
    fn records(&self, path: &Path, blobs: &Arc<Blobs>) -> Result<(Records, bool), OpenError> {
        let fresh = !self.has_records().map_err(failed(path, "look for the records"))?;
        match self.open_records(blobs) {
            Ok(records) => Ok((records, fresh)),
            Err(Error::Records(why)) if !fresh => {
                let aside = self.move_records_aside().map_err(failed(path, "move damaged records aside"))?;
                tracing::warn!(
                    store = %path.display(), %why,
                    "the store's records cannot be used and are made anew; the old ones are in {aside}"
                );
                let records = self.open_records(blobs).map_err(|e| broken(path, &e))?;
                self.carry_over(&records, path);
                Ok((records, true))
            }
            Err(e) => Err(broken(path, &e)),
        }
    }

    /// Takes from the records that were moved aside what nobody could be asked for again: noted revocations, and
    /// the latest time that was seen.
    fn carry_over(&self, records: &Records, path: &Path) {
        if let Err(error) = records.take_over(self.records_file(ASIDE), &IRREPLACEABLE) {
            tracing::error!(
                store = %path.display(), %error,
                "revocations that were noted, and the latest time that was seen, could not be taken over from {ASIDE}"
            );
        }
    }

    fn has_records(&self) -> io::Result<bool> {
        match rustix::fs::statat(&self.root, RECORDS, rustix::fs::AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }

    fn open_records(&self, blobs: &Arc<Blobs>) -> Result<Records, Error> {
        Records::in_file(self.records_file(RECORDS), settling(blobs))
    }

    fn records_file(&self, name: &'static str) -> OpenFile {
        let root = self.root.clone();
        Box::new(move || {
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            Ok(rustix::fs::openat(&root, name, flags, Mode::RUSR | Mode::WUSR)?.into())
        })
    }

    fn move_records_aside(&self) -> io::Result<&'static str> {
        rustix::fs::renameat(&self.root, RECORDS, &self.root, ASIDE)?;
        Ok(ASIDE)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(path) = &self.ephemeral {
            let _ = std::fs::remove_dir_all(path);
            return;
        }
        if self.up {
            let _ = rustix::fs::unlinkat(&self.root, OPEN_MARK, rustix::fs::AtFlags::empty());
        }
    }
}

fn settling(blobs: &Arc<Blobs>) -> Before {
    let blobs = Arc::clone(blobs);
    Box::new(move || blobs.settle())
}

fn failed(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> OpenError {
    let path = path.to_owned();
    move |source| OpenError::Io { path, doing, source }
}

fn broken(path: &Path, error: &Error) -> OpenError {
    OpenError::Records { path: path.to_owned(), message: error.to_string() }
}
