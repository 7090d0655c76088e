//! Content in files: `blobs/<algorithm>/<hex>`, with `incoming/` for what is being written and
//! `quarantine/` for what rotted. Every file is reached through a folder that was opened without
//! following links, and is opened so itself.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::fs::{AtFlags, Dir, FallocateFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::settling::Settling;
use super::{Error, SMALL};
use crate::oci::Digest;
use crate::oci::digest::Algorithm;

/// The folder of all content, in the store's.
pub(super) const FOLDER_NAME: &str = "blobs";
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// How many rotten files, the latest, are kept for whoever wants to look at them.
const MOST_QUARANTINED: usize = 16;
/// With so many bytes free beyond what was promised, room on disk need not be taken ahead.
const SPARE: u64 = 1 << 30;

pub(super) struct Blobs {
    sha256: OwnedFd,
    sha512: OwnedFd,
    incoming: OwnedFd,
    quarantine: OwnedFd,
    next: AtomicU64,
    /// A write found no room. A quota may be in force that free space does not tell of.
    ran_out: AtomicBool,
    pub(super) settling: Settling,
}

/// A file that is being written. Goes when it is dropped, unless it was put in its place.
pub(super) struct Temporary {
    pub(super) file: Arc<File>,
    named: Named,
}

/// A name in `incoming/`, which goes with this value.
pub(super) struct Named {
    name: Option<String>,
    blobs: Arc<Blobs>,
}

impl Blobs {
    /// Opens the folders under `root`, makes those that are missing, and clears away what an
    /// earlier process left half-written.
    pub(super) fn open(root: &OwnedFd) -> io::Result<Self> {
        let blobs = folder(root, FOLDER_NAME)?;
        let opened = Self {
            sha256: folder(&blobs, Algorithm::Sha256.as_str())?,
            sha512: folder(&blobs, Algorithm::Sha512.as_str())?,
            incoming: folder(root, "incoming")?,
            quarantine: folder(root, "quarantine")?,
            next: AtomicU64::new(0),
            ran_out: AtomicBool::new(false),
            settling: Settling::default(),
        };
        for name in names(&opened.incoming)? {
            rustix::fs::unlinkat(&opened.incoming, name, AtFlags::empty())?;
        }
        Ok(opened)
    }

    /// Opens the content of `digest` for reading.
    pub(super) fn find(&self, digest: &Digest) -> io::Result<Option<File>> {
        content(self.folder(digest), digest)
    }

    /// Starts a file for content of `size` bytes, with the room on disk taken where it is scarce. `promised` is the
    /// room for all content on its way in, this included.
    pub(super) fn create(self: &Arc<Self>, size: u64, promised: u64) -> io::Result<Temporary> {
        let name = self.next.fetch_add(1, Ordering::Relaxed).to_string();
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.incoming, &name, flags, Mode::RUSR | Mode::WUSR)?;
        let temporary =
            Temporary { file: Arc::new(file.into()), named: Named { name: Some(name), blobs: self.clone() } };
        // What is small is written in one step, which says so itself where there is no room.
        if size > SMALL {
            allocate(&temporary.file, size, (!self.ran_out.load(Ordering::Relaxed)).then_some(promised))?;
        }
        Ok(temporary)
    }

    /// Notes that a write found no room: from now on room is always taken first.
    pub(super) fn ran_out(&self) {
        self.ran_out.store(true, Ordering::Relaxed);
    }

    /// Moves written content into its place. The caller has proven it and made it durable.
    pub(super) fn place(&self, mut temporary: Temporary, digest: &Digest) -> io::Result<()> {
        if let Some(name) = &temporary.named.name {
            rustix::fs::renameat(&self.incoming, name, self.folder(digest), digest.hex())?;
        }
        temporary.named.name = None;
        Ok(())
    }

    /// Makes renames into the folder of `digest` durable.
    pub(super) fn sync(&self, digest: &Digest) -> io::Result<()> {
        Ok(rustix::fs::fsync(self.folder(digest))?)
    }

    /// Takes content away. Returns what still has to be dropped, which may take the filesystem
    /// long; readers that have it open read on.
    pub(super) fn take(self: &Arc<Self>, digest: &Digest) -> io::Result<Option<Named>> {
        let name = self.next.fetch_add(1, Ordering::Relaxed).to_string();
        match rustix::fs::renameat(self.folder(digest), digest.hex(), &self.incoming, &name) {
            Ok(()) => Ok(Some(Named { name: Some(name), blobs: self.clone() })),
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// Whether the content of `digest` is this very file.
    pub(super) fn is_named(&self, digest: &Digest, file: &File) -> io::Result<bool> {
        let own = rustix::fs::fstat(file)?;
        match rustix::fs::statat(self.folder(digest), digest.hex(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(named) => Ok((named.st_ino, named.st_dev) == (own.st_ino, own.st_dev)),
            Err(Errno::NOENT) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }

    /// Puts content aside that is not what its name says, and lets go of what was put there longest ago. It is
    /// moved, never cut: it may be open.
    pub(super) fn quarantine(&self, digest: &Digest) -> io::Result<()> {
        let mut kept = Vec::new();
        for name in names(&self.quarantine)? {
            match rustix::fs::statat(&self.quarantine, name.as_str(), AtFlags::SYMLINK_NOFOLLOW) {
                // A rename changes the status alone: when it was written stays for whoever looks at it.
                Ok(stat) => kept.push(((stat.st_ctime, stat.st_ctime_nsec), name)),
                Err(Errno::NOENT) => {}
                Err(e) => return Err(e.into()),
            }
        }
        kept.sort_unstable();
        for (_, old) in kept.iter().take(kept.len().saturating_sub(MOST_QUARANTINED - 1)) {
            rustix::fs::unlinkat(&self.quarantine, old.as_str(), AtFlags::empty())?;
        }
        let aside = format!("{}-{}", digest.algorithm().as_str(), digest.hex());
        match rustix::fs::renameat(self.folder(digest), digest.hex(), &self.quarantine, aside) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    /// How many files are in quarantine.
    pub(super) fn quarantined(&self) -> io::Result<u64> {
        Ok(names(&self.quarantine)?.len() as u64)
    }

    /// Shows `visit` all content with its size: for making the books anew.
    pub(super) fn each(&self, mut visit: impl FnMut(&Digest, u64) -> Result<(), Error>) -> Result<(), Error> {
        for (algorithm, folder) in [(Algorithm::Sha256, &self.sha256), (Algorithm::Sha512, &self.sha512)] {
            // Read as it is walked: there may be millions.
            for entry in Dir::read_from(folder).map_err(|e| failed(e.into()))? {
                let entry = entry.map_err(|e| failed(e.into()))?;
                let hex = entry.file_name().to_string_lossy();
                let Ok(digest) = Digest::parse(&format!("{}:{hex}", algorithm.as_str())) else { continue };
                match rustix::fs::statat(folder, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(stat) if FileType::from_raw_mode(stat.st_mode).is_file() => {
                        visit(&digest, u64::try_from(stat.st_size).unwrap_or(0))?;
                    }
                    Ok(_) | Err(Errno::NOENT) => {}
                    Err(e) => return Err(failed(e.into())),
                }
            }
        }
        Ok(())
    }

    fn folder(&self, digest: &Digest) -> &OwnedFd {
        match digest.algorithm() {
            Algorithm::Sha256 => &self.sha256,
            Algorithm::Sha512 => &self.sha512,
        }
    }
}

/// Kept content of the store at `root`, which another process may have open, unproven: whoever reads it hashes it.
/// `None` where it is not, or no longer, there.
///
/// # Errors
/// Links in the way, and what the system says.
pub fn peek(root: &Path, digest: &Digest) -> io::Result<Option<File>> {
    let root = rustix::fs::open(root, FOLDER - OFlags::NOFOLLOW, Mode::empty())?;
    let mut at = root;
    for name in [FOLDER_NAME, digest.algorithm().as_str()] {
        at = rustix::fs::openat(&at, name, FOLDER, Mode::empty())?;
    }
    content(&at, digest)
}

fn content(folder: &OwnedFd, digest: &Digest) -> io::Result<Option<File>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(folder, digest.hex(), flags, Mode::empty()) {
        Ok(file) => Ok(Some(file.into())),
        Err(Errno::NOENT) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// Sees that there is room on disk: one that fills up in the middle of a body would break the answer. Taking it
/// waits for the filesystem's journal, and so for what others make durable at the moment; where there is
/// plenty beyond `promised`, nobody has to.
fn allocate(file: &File, size: u64, promised: Option<u64>) -> io::Result<()> {
    let disk = rustix::fs::fstatvfs(file)?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    if size == 0 || promised.is_some_and(|promised| is_plenty(free, promised)) {
        return Ok(());
    }
    match rustix::fs::fallocate(file, FallocateFlags::KEEP_SIZE, 0, size) {
        Ok(()) => Ok(()),
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) if free >= size => Ok(()),
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Err(io::ErrorKind::StorageFull.into()),
        Err(e) => Err(e.into()),
    }
}

/// Others write to the disk too, but hardly so much while a body arrives.
fn is_plenty(free: u64, promised: u64) -> bool {
    free >= promised.saturating_mul(2).saturating_add(SPARE)
}

impl Drop for Named {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            // What stays is cleared at the next start.
            let _ = rustix::fs::unlinkat(&self.blobs.incoming, name, AtFlags::empty());
        }
    }
}

/// Opens the folder `name` in `parent`, made where it is missing. A link in its place is an error.
fn folder(parent: &OwnedFd, name: &str) -> io::Result<OwnedFd> {
    match rustix::fs::mkdirat(parent, name, Mode::RWXU) {
        Ok(()) => rustix::fs::fsync(parent)?,
        Err(Errno::EXIST) => {}
        Err(e) => return Err(e.into()),
    }
    Ok(rustix::fs::openat(parent, name, FOLDER, Mode::empty())?)
}

fn failed(error: io::Error) -> Error {
    Error::io("list content")(error)
}

fn names(folder: &impl AsFd) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        if let Ok(name) = entry?.file_name().to_str()
            && !matches!(name, "." | "..")
        {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn plenty_is_twice_what_was_promised_and_a_gibibyte() {
        assert!(is_plenty(SPARE, 0) && !is_plenty(SPARE - 1, 0));
        assert!(is_plenty(SPARE + 20, 10) && !is_plenty(SPARE + 19, 10));
        assert!(!is_plenty(u64::MAX - 1, u64::MAX));
    }

    /// Where there is plenty no room is taken, unless a write once found none.
    #[test]
    fn room_is_taken_where_it_is_scarce() {
        let file = tempfile::tempfile().unwrap();
        let taken = || file.metadata().unwrap().blocks() * 512;
        let disk = rustix::fs::fstatvfs(&file).unwrap();
        if is_plenty(disk.f_bavail * disk.f_frsize, 0) {
            allocate(&file, 1 << 20, Some(0)).unwrap();
            assert_eq!(taken(), 0);
        }
        allocate(&file, 1 << 20, Some(u64::MAX)).unwrap();
        assert!(taken() >= 1 << 20);
        allocate(&file, 2 << 20, None).unwrap();
        assert!(taken() >= 2 << 20);
    }
}
