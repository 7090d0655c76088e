//! A layout as a folder. Content gets its name when it is whole, the index when all content has.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use rustix::fs::FlockOperation;

use super::writer::{Content, MARKER, Put};
use crate::engine::upkeep::contents;
use crate::oci::{Digest, Hasher};

/// What is being written.
const PARTIAL: &str = ".partial";
const INDEX: &str = "index.json";

pub(super) struct Folder {
    path: PathBuf,
    /// Holds the lock.
    opened: File,
}

impl Folder {
    /// Makes the folder, or goes on with an earlier export.
    ///
    /// # Errors
    /// A folder with something else in it, one that another export writes into, what the system says.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let text = || path.display().to_string();
        fs::create_dir_all(path).with_context(text)?;
        let opened = File::open(path).with_context(text)?;
        rustix::fs::flock(&opened, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| anyhow::anyhow!("{}: another export writes into it", text()))?;
        let has = |name: &str| path.join(name).symlink_metadata().is_ok();
        if has(INDEX) && !has(contents::FILE) {
            bail!("{}: another tool's layout is there: name another folder", text());
        }
        if !has(MARKER.0) && fs::read_dir(path).with_context(text)?.next().is_some() {
            bail!("{}: it is not empty, and no earlier export: name another folder", text());
        }
        let folder = Self { path: path.to_owned(), opened };
        folder.write(MARKER.0, MARKER.1)?;
        Ok(folder)
    }

    /// Content that is there already is compared with its digest, and written anew where it is something else.
    pub(super) fn put(&mut self, digest: &Digest, content: Content<'_>) -> anyhow::Result<Put> {
        let folder = self.path.join("blobs").join(digest.algorithm().as_str());
        let path = folder.join(digest.hex());
        if is_whole(&path, digest, content.size()).with_context(|| path.display().to_string())? {
            return Ok(Put::Present);
        }
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let partial = self.path.join(PARTIAL);
        let written =
            File::create(&partial).map_err(Into::into).and_then(|mut to| content.write(digest, &mut to));
        if let Err(error) = written.and_then(|()| Ok(fs::rename(&partial, &path)?)) {
            let _ = fs::remove_file(&partial);
            return Err(error.context(path.display().to_string()));
        }
        Ok(Put::Written(1))
    }

    /// Writes the indexes, when all else is on disk.
    pub(super) fn finish(self, index: &[u8], contents: &[u8]) -> anyhow::Result<Vec<PathBuf>> {
        // Whoever is stopped in between leaves no index whose contents are another's.
        match fs::remove_file(self.path.join(INDEX)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error).context(INDEX),
            _ => {}
        }
        rustix::fs::syncfs(&self.opened).context("sync")?;
        self.write(contents::FILE, contents)?;
        self.write(INDEX, index)?;
        self.opened.sync_all().context("sync")?;
        Ok(vec![self.path])
    }

    fn write(&self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let partial = self.path.join(PARTIAL);
        let write = || {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&partial)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&partial, self.path.join(name))
        };
        write().with_context(|| self.path.join(name).display().to_string())
    }
}

fn is_whole(path: &Path, digest: &Digest, size: u64) -> std::io::Result<bool> {
    let mut file = match File::open(path) {
        Ok(file) if file.metadata()?.len() == size => file,
        Ok(_) => return Ok(false),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let (mut hasher, mut piece) = (Hasher::new(digest.algorithm()), vec![0; 1 << 20]);
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hasher.finish() == *digest),
            read => hasher.update(&piece[..read]),
        }
    }
}
