//! The log's file: appended to, never changed, and opened anew when it was moved away.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::Error;
use super::chain::TAIL_BYTES;

#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    /// Whether the file ends without a line feed.
    torn: bool,
    /// Whether the last write failed, so that the end of the file is not known.
    failed: bool,
}

impl LogFile {
    /// Opens or creates the file for this process alone, and reads its end. An end without a line
    /// feed is given one.
    pub(super) fn open(path: &Path) -> Result<(Self, Vec<u8>), Error> {
        let file = open_append(path)?;
        let mut log = Self { path: path.to_owned(), file, torn: false, failed: false };
        let tail = log.tail().map_err(|e| fault(path, &e))?;
        log.torn = tail.last().is_some_and(|b| *b != b'\n');
        Ok((log, tail))
    }

    /// Writes `line` and its end as one piece and waits for the disk.
    pub(super) fn append(&mut self, line: &str) -> Result<(), Error> {
        self.follow_rotation()?;
        let start = if self.torn { "\n" } else { "" };
        let piece = format!("{start}{line}\n");
        self.failed = true;
        let written = self.file.write_all(piece.as_bytes()).and_then(|()| self.file.sync_data());
        written.map_err(|e| fault(&self.path, &e))?;
        (self.failed, self.torn) = (false, false);
        Ok(())
    }

    /// What the file ends in, where a failed write may have left all, a part or nothing of its line.
    pub(super) fn tail_after_failure(&mut self) -> Result<Option<Vec<u8>>, Error> {
        if !self.failed {
            return Ok(None);
        }
        let tail = self.tail().map_err(|e| fault(&self.path, &e))?;
        self.torn = tail.last().is_some_and(|b| *b != b'\n');
        self.failed = false;
        Ok(Some(tail))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// As if the last write had failed.
    #[cfg(test)]
    pub(super) fn fail(&mut self) {
        self.failed = true;
    }

    /// Opens the path again when another file, or none, stands there: rotation needs no signal.
    fn follow_rotation(&mut self) -> Result<(), Error> {
        let ours = self.file.metadata().map_err(|e| fault(&self.path, &e))?;
        let there = std::fs::symlink_metadata(&self.path);
        if there.is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino())) {
            return Ok(());
        }
        let (next, _) = Self::open(&self.path)?;
        *self = next;
        Ok(())
    }

    fn tail(&mut self) -> io::Result<Vec<u8>> {
        let length = self.file.metadata()?.len();
        self.file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut tail = Vec::new();
        (&self.file).take(TAIL_BYTES).read_to_end(&mut tail)?;
        Ok(tail)
    }
}

fn open_append(path: &Path) -> Result<File, Error> {
    if let Some(folder) = path.parent() {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|e| fault(folder, &e))?;
    }
    let file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(flags())
        .open(path)
        .map_err(|e| fault(path, &e))?;
    if !file.metadata().map_err(|e| fault(path, &e))?.is_file() {
        return Err(Error::File { path: path.to_owned(), why: "this is not a regular file".to_owned() });
    }
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::InUse(path.to_owned())),
        Err(TryLockError::Error(e)) => Err(fault(path, &e)),
    }
}

/// A link could lead the log to a file of the attacker's choice; a FIFO could block the open.
fn flags() -> i32 {
    (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed()
}

fn fault(path: &Path, e: &io::Error) -> Error {
    Error::File { path: path.to_owned(), why: e.to_string() }
}
