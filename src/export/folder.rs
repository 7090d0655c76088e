//! A layout as a folder. Content gets its name when it is whole, the index when all content has. Links in it lead nowhere:
//! somebody else may have held the medium meanwhile.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::content::Content;
use super::{Error, INDEX, MARKER, Put, system, taken};
use crate::engine::upkeep::{Sealed, contents};
use crate::oci::{Digest, Hasher};

/// What is being written.
const PARTIAL: &str = ".partial";

/// A folder that is being written.
pub struct Folder {
    path: PathBuf,
    /// Holds the lock.
    opened: File,
}

impl Folder {
    /// Makes the folder, or goes on with an earlier export.
    ///
    /// # Errors
    /// A folder with something else in it, one that another export writes into, what the system says.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        fs::create_dir_all(path).map_err(system(path.display()))?;
        let opened = File::open(path).map_err(system(path.display()))?;
        rustix::fs::flock(&opened, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| taken(path, "another export writes into it"))?;
        let has = |name: &str| path.join(name).symlink_metadata().is_ok();
        if has(INDEX) && !has(contents::FILE) {
            return Err(taken(path, "another tool's layout is there: name another folder"));
        }
        let entries = fs::read_dir(path).map_err(system(path.display()))?;
        // What an export had begun that was stopped at its first file.
        let is_begun =
            |entry: &io::Result<fs::DirEntry>| entry.as_ref().is_ok_and(|entry| entry.file_name() == PARTIAL);
        if !has(MARKER.0) && !entries.into_iter().all(|entry| is_begun(&entry)) {
            return Err(taken(path, "it is not empty, and no earlier export: name another folder"));
        }
        let folder = Self { path: path.to_owned(), opened };
        folder.write(MARKER.0, MARKER.1)?;
        Ok(folder)
    }

    /// Content that is there already is compared with its digest, and written anew where it is something else.
    pub(super) fn put(&mut self, digest: &Digest, content: Content<'_>) -> Result<Put, Error> {
        let (algorithm, hex) = (digest.algorithm().as_str(), digest.hex());
        let path = self.path.join("blobs").join(algorithm).join(&hex);
        let folder = self.blobs(algorithm).map_err(system(path.display()))?;
        if is_whole(&folder, &hex, digest, content.size()).map_err(system(path.display()))? {
            return Ok(Put::Present);
        }
        let partial = self.partial().map_err(system(path.display()));
        let written = partial.and_then(|mut to| content.write(digest, &mut to, &path));
        let renamed = || rustix::fs::renameat(&self.opened, PARTIAL, &folder, &hex);
        if let Err(error) = written.and_then(|()| renamed().map_err(system(path.display()))) {
            let _ = rustix::fs::unlinkat(&self.opened, PARTIAL, AtFlags::empty());
            return Err(error);
        }
        Ok(Put::Written(1))
    }

    /// Whether an earlier export stands there that names something, or may.
    pub(super) fn has_names(&self) -> bool {
        let contents = fs::read(self.path.join(contents::FILE)).map_err(|e| e.to_string());
        match contents.and_then(|bytes| Sealed::read(&bytes)) {
            Ok(sealed) => !sealed.contents.references.is_empty(),
            Err(_) => self.path.join(INDEX).symlink_metadata().is_ok(),
        }
    }

    /// Writes the indexes, when all else is on disk.
    pub(super) fn finish(self, index: &[u8], contents: &[u8]) -> Result<Vec<PathBuf>, Error> {
        // Whoever is stopped in between leaves no index whose contents are another's.
        let former = self.path.join(INDEX);
        match fs::remove_file(&former) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(system(former.display())(error)),
            _ => {}
        }
        rustix::fs::syncfs(&self.opened).map_err(system(self.path.display()))?;
        self.write(contents::FILE, contents)?;
        self.write(INDEX, index)?;
        self.opened.sync_all().map_err(system(self.path.display()))?;
        Ok(vec![self.path])
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let write = || -> io::Result<()> {
            let mut file = self.partial()?;
            file.write_all(bytes)?;
            file.sync_all()?;
            Ok(rustix::fs::renameat(&self.opened, PARTIAL, &self.opened, name)?)
        };
        write().map_err(system(self.path.join(name).display()))
    }

    /// The folder of an algorithm, made where there is none.
    fn blobs(&self, algorithm: &str) -> io::Result<OwnedFd> {
        let blobs = subfolder(&self.opened, "blobs")?;
        Ok(subfolder(&blobs, algorithm)?)
    }

    /// A file without a name of its own yet. What an export that was stopped left, or somebody put there, goes.
    fn partial(&self) -> io::Result<File> {
        match rustix::fs::unlinkat(&self.opened, PARTIAL, AtFlags::empty()) {
            Err(error) if error != Errno::NOENT => return Err(error.into()),
            _ => {}
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o666);
        Ok(rustix::fs::openat(&self.opened, PARTIAL, flags, mode)?.into())
    }
}

fn subfolder(folder: impl AsFd, name: &str) -> Result<OwnedFd, Errno> {
    match rustix::fs::mkdirat(&folder, name, Mode::from_raw_mode(0o777)) {
        Err(error) if error != Errno::EXIST => return Err(error),
        _ => {}
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(&folder, name, flags, Mode::empty())
}

/// Whether content is there as a file of its own. A link is replaced, as other content is.
fn is_whole(folder: &OwnedFd, name: &str, digest: &Digest, size: u64) -> io::Result<bool> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut file = match rustix::fs::openat(folder, name, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT | Errno::LOOP) => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    let found = file.metadata()?;
    if !found.is_file() || found.len() != size {
        return Ok(false);
    }
    let (mut hasher, mut piece) = (Hasher::new(digest.algorithm()), vec![0; 1 << 20]);
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hasher.finish() == *digest),
            read => hasher.update(&piece[..read]),
        }
    }
}
