//! Opening a store, and making the books anew where they were lost.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::Mode;

use super::blobs::{self, Blobs};
use super::incoming::blocking;
use super::ledger::Ledger;
use super::opened::Opened;
use super::place::Place;
use super::records::{Before, Records};
use super::settling::Settling;
use super::{Error, Inner, OpenError, SMALL, Settings, Store};
use crate::oci::Digest;
use crate::telemetry::Metrics;

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
        let (records, fresh) = place.records(path, &blobs, metrics)?;
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
        let records = Records::in_memory(settling(&blobs), &metrics.store_record_failures)
            .map_err(|e| unusable(&path, &e))?;
        Self::assemble(place, blobs, records, u64::MAX, metrics, &path)
    }

    fn assemble(
        place: Arc<Place>,
        blobs: Arc<Blobs>,
        records: Records,
        max: u64,
        metrics: &Arc<Metrics>,
        path: &Path,
    ) -> Result<Self, OpenError> {
        let ledger = Ledger::open(&records, max, metrics).map_err(|e| unusable(path, &e))?;
        place.came_up();
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
        let mut bytes = Vec::new();
        let read = self.0.blobs.find(digest).and_then(|file| {
            file.map(|file| (&file).take(SMALL + 1).read_to_end(&mut bytes).map(|_| file)).transpose()
        });
        let file = match read {
            Ok(Some(file)) if !digest.matches(&bytes) => file,
            Ok(_) => return Ok(false),
            // It says nothing of the others, and whoever reads it finds out.
            Err(error) => {
                tracing::warn!(%digest, %error, "content without a record cannot be read");
                return Ok(false);
            }
        };
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

pub(super) fn settling(blobs: &Arc<Blobs>) -> Before {
    let blobs = Arc::clone(blobs);
    Box::new(move || blobs.settle())
}

pub(super) fn failed(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> OpenError {
    let path = path.to_owned();
    move |source| OpenError::Io { path, doing, source }
}

pub(super) fn unusable(path: &Path, error: &Error) -> OpenError {
    let path = path.to_owned();
    match error {
        // By a process that holds no lock of ours any more, or never did.
        Error::InUse => OpenError::Locked { path, holder: String::new(), opening: None },
        error => OpenError::Records { path, message: error.to_string() },
    }
}
