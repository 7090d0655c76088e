//! What is kept between updates: the trusted root in a file of the operator's choice, and beside it the
//! metadata that it was proven by, so that nothing older is believed later.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::error::Error;
use super::metadata::{Body, Root, Signed, Snapshot, Targets, Timestamp};
use super::role::Role;
use crate::trust::files::{self, read_within};

/// The folder of one trusted root, held for this process alone.
pub(super) struct Folder {
    path: PathBuf,
    trusted_root: PathBuf,
    _lock: File,
}

/// What was believed when it was last looked at.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) root: Option<Signed<Root>>,
    pub(super) timestamp: Option<Signed<Timestamp>>,
    pub(super) snapshot: Option<Signed<Snapshot>>,
    pub(super) targets: Option<Signed<Targets>>,
}

impl Folder {
    /// The folder of this trusted root, made where it does not exist.
    ///
    /// # Errors
    /// [`Error::Kept`].
    pub(super) fn open(trusted_root: &Path) -> Result<Self, Error> {
        let trusted_root = std::path::absolute(trusted_root).map_err(|e| kept(trusted_root, e))?;
        let roles = [Role::Root, Role::Timestamp, Role::Snapshot, Role::Targets];
        let (Some(path), Some(name)) = (trusted_root.parent(), trusted_root.file_name()) else {
            return Err(kept(&trusted_root, "expected the name of a file"));
        };
        if roles.iter().any(|role| name == role.file().as_str()) {
            return Err(kept(&trusted_root, "TUF's own metadata is kept under this name: choose another"));
        }
        fs::create_dir_all(path).map_err(|e| kept(path, e))?;
        let lock = File::open(path).map_err(|e| kept(path, e))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), trusted_root, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(kept(path, "another update is under way")),
            Err(TryLockError::Error(e)) => Err(kept(path, e)),
        }
    }

    /// The metadata of before.
    ///
    /// # Errors
    /// A file that cannot be read or understood: without it, what is older could not be told.
    pub(super) fn kept(&self) -> Result<Kept, Error> {
        Ok(Kept {
            root: self.metadata()?,
            timestamp: self.metadata()?,
            snapshot: self.metadata()?,
            targets: self.metadata()?,
        })
    }

    fn metadata<T: Body>(&self) -> Result<Option<Signed<T>>, Error> {
        let file = T::ROLE.file();
        let path = self.path.join(&file);
        let Some(bytes) = read(&path, T::ROLE.limit())? else { return Ok(None) };
        let broken = |why| kept(&path, format!("{why}; remove it only if versions may begin anew"));
        Signed::read(&file, &bytes).map(Some).map_err(broken)
    }

    /// The trusted root of before, and when it was last known to be the current one.
    ///
    /// # Errors
    /// [`Error::Kept`].
    pub(super) fn trusted_root(&self) -> Result<Option<(Vec<u8>, SystemTime)>, Error> {
        let path = &self.trusted_root;
        let Some(bytes) = read(path, super::target::MAX_BYTES)? else { return Ok(None) };
        let date = fs::metadata(path).and_then(|found| found.modified()).map_err(|e| kept(path, e))?;
        Ok(Some((bytes, date)))
    }

    /// Keeps what is believed from now on.
    ///
    /// # Errors
    /// [`Error::Kept`]; what was there is there still.
    pub(super) fn keep<T: Body>(&self, metadata: &Signed<T>, now: SystemTime) -> Result<(), Error> {
        replace(&self.path.join(T::ROLE.file()), &metadata.bytes, now)
    }

    /// Takes the trusted root into use. It is written though it says the same: its date tells when it was
    /// last known to be the current one.
    ///
    /// # Errors
    /// As [`Self::keep`].
    pub(super) fn keep_trusted_root(&self, bytes: &[u8], now: SystemTime) -> Result<(), Error> {
        replace(&self.trusted_root, bytes, now)
    }
}

/// The bytes of a file; `None` where there is none.
fn read(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, Error> {
    match read_within(path, limit) {
        Ok(Some(bytes)) => Ok(Some(bytes)),
        Ok(None) => Err(kept(path, format!("more than {limit} bytes"))),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(kept(path, e)),
    }
}

fn replace(path: &Path, bytes: &[u8], now: SystemTime) -> Result<(), Error> {
    files::replace(path, bytes, Some(now)).map_err(|e| kept(path, e))
}

fn kept(path: &Path, why: impl std::fmt::Display) -> Error {
    Error::Kept { path: path.to_owned(), why: why.to_string() }
}
