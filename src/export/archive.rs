//! A layout as a tar archive, or as several pieces of at most so many bytes. Each piece is an archive of its own; the
//! last has the indexes. Each gets its name when it is whole.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::content::Content;
use super::{Error, INDEX, MARKER, Put, system, taken, tar};
use crate::engine::upkeep::contents;
use crate::oci::Digest;

/// The least that pieces hold, in bytes: the marker, the indexes and something beside them.
const MIN_PIECE: u64 = 1 << 20;
const IS_THERE: &str = "it is there already: remove it, or name another";
const IS_WRITTEN: &str = "another export writes it, or was stopped: remove it where none is running";

/// Archives that are being written.
pub struct Archive {
    /// The name without `.tar`.
    stem: PathBuf,
    limit: Option<u64>,
    done: Vec<PathBuf>,
    piece: Option<Piece>,
}

/// The piece that is being written.
struct Piece {
    file: File,
    partial: PathBuf,
    length: u64,
    has_content: bool,
    is_named: bool,
}

impl Archive {
    /// # Errors
    /// An archive that is there already, or that another export writes; a limit that holds nothing.
    pub(super) fn create(path: &Path, limit: Option<u64>) -> Result<Self, Error> {
        if limit.is_some_and(|limit| limit < MIN_PIECE) {
            return Err(Error::TooLarge("pieces have at least 1MiB: split into larger ones".to_owned()));
        }
        let mut archive = Self { stem: path.with_extension(""), limit, done: Vec::new(), piece: None };
        archive.piece = Some(Piece::create(&archive.name(1))?);
        Ok(archive)
    }

    pub(super) fn put(&mut self, digest: &Digest, content: Content<'_>) -> Result<Put, Error> {
        let name = format!("blobs/{}/{}", digest.algorithm().as_str(), digest.hex());
        let size = content.size();
        let needed = tar::length(&name, size);
        let piece = self.piece_for(needed, &name)?;
        piece.begin(&name, size)?;
        content.write(digest, &mut piece.file, &piece.partial)?;
        piece.end(size)?;
        piece.has_content = true;
        Ok(Put::Written(self.pieces()))
    }

    /// How many pieces there are.
    pub(super) fn pieces(&self) -> u32 {
        u32::try_from(self.done.len()).unwrap_or(u32::MAX).saturating_add(1)
    }

    /// Sees that both indexes fit into the last piece. Whether that needs another one.
    pub(super) fn make_room(&mut self, lengths: &[usize]) -> Result<bool, Error> {
        // With another piece the contents count one more.
        let needed = lengths.iter().map(|length| tar::length(INDEX, *length as u64 + 16)).sum();
        let before = self.pieces();
        self.piece_for(needed, "the indexes")?;
        Ok(self.pieces() != before)
    }

    pub(super) fn finish(mut self, index: &[u8], contents: &[u8]) -> Result<Vec<PathBuf>, Error> {
        let piece = self.piece_for(0, INDEX)?;
        piece.add(contents::FILE, contents)?;
        piece.add(INDEX, index)?;
        self.close()?;
        Ok(std::mem::take(&mut self.done))
    }

    /// The piece that has room for so many bytes more.
    fn piece_for(&mut self, needed: u64, what: &str) -> Result<&mut Piece, Error> {
        let room = self.limit.unwrap_or(u64::MAX) - tar::END;
        let is_full = |piece: &Piece| piece.length.saturating_add(needed) > room;
        if self.piece.as_ref().is_some_and(|piece| is_full(piece) && piece.has_content) {
            self.close()?;
        }
        let piece = match self.piece.take() {
            Some(piece) => piece,
            None => Piece::create(&self.name(self.done.len() + 1))?,
        };
        if is_full(&piece) {
            return Err(Error::TooLarge(format!(
                "{what} needs {needed} bytes, and pieces have room for {room}: split into larger ones"
            )));
        }
        Ok(self.piece.insert(piece))
    }

    fn close(&mut self) -> Result<(), Error> {
        let Some(piece) = self.piece.take() else { return Ok(()) };
        let name = self.name(self.done.len() + 1);
        piece.close(&name)?;
        self.done.push(name);
        Ok(())
    }

    fn name(&self, piece: usize) -> PathBuf {
        let mut name = self.stem.as_os_str().to_owned();
        match self.limit {
            Some(_) => name.push(format!(".{piece}.tar")),
            None => name.push(".tar"),
        }
        name.into()
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        if !self.is_named {
            let _ = fs::remove_file(&self.partial);
        }
    }
}

impl Piece {
    fn create(name: &Path) -> Result<Self, Error> {
        let mut partial = name.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        // Seen now rather than when it is written.
        if name.symlink_metadata().is_ok() {
            return Err(taken(name, IS_THERE));
        }
        let file = match File::create_new(&partial) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                return Err(taken(&partial, IS_WRITTEN));
            }
            created => created.map_err(system(partial.display()))?,
        };
        let mut piece = Self { file, partial, length: 0, has_content: false, is_named: false };
        piece.add(MARKER.0, MARKER.1)?;
        Ok(piece)
    }

    fn add(&mut self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        self.begin(name, bytes.len() as u64)?;
        self.write(bytes)?;
        self.end(bytes.len() as u64)
    }

    fn begin(&mut self, name: &str, size: u64) -> Result<(), Error> {
        self.write(&tar::header(name, size))?;
        self.length += tar::length(name, size);
        Ok(())
    }

    fn end(&mut self, size: u64) -> Result<(), Error> {
        self.write(tar::padding(size))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all(bytes).map_err(system(self.partial.display()))
    }

    fn close(mut self, name: &Path) -> Result<(), Error> {
        self.write(&[0; tar::END as usize])?;
        self.file.sync_all().map_err(system(self.partial.display()))?;
        self.name(name)?;
        if let Some(folder) = name.parent() {
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            let synced = File::open(folder).and_then(|folder| folder.sync_all());
            synced.map_err(system(folder.display()))?;
        }
        Ok(())
    }

    /// Puts it where nothing is.
    fn name(&mut self, name: &Path) -> Result<(), Error> {
        match renameat_with(CWD, &self.partial, CWD, name, RenameFlags::NOREPLACE) {
            Ok(()) => {}
            Err(Errno::EXIST) => return Err(taken(name, IS_THERE)),
            // Not every medium's file system can tell at once.
            Err(Errno::INVAL | Errno::NOSYS) if name.symlink_metadata().is_err() => {
                fs::rename(&self.partial, name).map_err(system(name.display()))?;
            }
            Err(Errno::INVAL | Errno::NOSYS) => return Err(taken(name, IS_THERE)),
            Err(error) => return Err(system(name.display())(error)),
        }
        self.is_named = true;
        Ok(())
    }
}
