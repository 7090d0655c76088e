//! A layout as a tar archive, or as several pieces of at most so many bytes. Each piece is an archive of its own; the
//! last has the indexes. Each gets its name when it is whole.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::tar;
use super::writer::{Content, MARKER, Put};
use crate::engine::upkeep::contents;
use crate::oci::Digest;

const INDEX: &str = "index.json";

pub(super) struct Archive {
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
    pub(super) fn create(path: &Path, limit: Option<u64>) -> anyhow::Result<Self> {
        if let Some(limit) = limit {
            ensure!(limit >= 1 << 20, "--split: pieces have at least 1MiB");
        }
        let mut archive = Self { stem: path.with_extension(""), limit, done: Vec::new(), piece: None };
        archive.piece = Some(Piece::create(&archive.name(1))?);
        Ok(archive)
    }

    pub(super) fn put(&mut self, digest: &Digest, content: Content<'_>) -> anyhow::Result<Put> {
        let name = format!("blobs/{}/{}", digest.algorithm().as_str(), digest.hex());
        let size = content.size();
        let needed = tar::length(&name, size);
        let piece = self.piece_for(needed, &name)?;
        piece.begin(&name, size)?;
        content.write(digest, &mut piece.file)?;
        piece.end(size)?;
        piece.has_content = true;
        Ok(Put::Written(self.pieces()))
    }

    /// How many pieces there are.
    pub(super) fn pieces(&self) -> u32 {
        u32::try_from(self.done.len()).unwrap_or(u32::MAX).saturating_add(1)
    }

    /// Sees that both indexes fit into the last piece. Whether that needs another one.
    pub(super) fn make_room(&mut self, lengths: &[usize]) -> anyhow::Result<bool> {
        // With another piece the contents count one more.
        let needed = lengths.iter().map(|length| tar::length(INDEX, *length as u64 + 16)).sum();
        let before = self.pieces();
        self.piece_for(needed, "the indexes")?;
        Ok(self.pieces() != before)
    }

    pub(super) fn finish(mut self, index: &[u8], contents: &[u8]) -> anyhow::Result<Vec<PathBuf>> {
        let piece = self.piece_for(0, INDEX)?;
        piece.add(contents::FILE, contents)?;
        piece.add(INDEX, index)?;
        self.close()?;
        Ok(std::mem::take(&mut self.done))
    }

    /// The piece that has room for so many bytes more.
    fn piece_for(&mut self, needed: u64, what: &str) -> anyhow::Result<&mut Piece> {
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
            bail!("{what} needs {needed} bytes, and --split leaves pieces of {room}");
        }
        Ok(self.piece.insert(piece))
    }

    fn close(&mut self) -> anyhow::Result<()> {
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
    fn create(name: &Path) -> anyhow::Result<Self> {
        let mut partial = name.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        // Seen now rather than when it is written.
        if name.symlink_metadata().is_ok() {
            return Err(is_there(name));
        }
        let file = match File::create_new(&partial) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => bail!(
                "{}: another export writes it, or was stopped: remove it where none is running",
                partial.display()
            ),
            created => created.with_context(|| partial.display().to_string())?,
        };
        let mut piece = Self { file, partial, length: 0, has_content: false, is_named: false };
        piece.add(MARKER.0, MARKER.1)?;
        Ok(piece)
    }

    fn add(&mut self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        use std::io::Write as _;
        self.begin(name, bytes.len() as u64)?;
        self.file.write_all(bytes)?;
        self.end(bytes.len() as u64)
    }

    fn begin(&mut self, name: &str, size: u64) -> anyhow::Result<()> {
        use std::io::Write as _;
        self.file.write_all(&tar::header(name, size))?;
        self.length += tar::length(name, size);
        Ok(())
    }

    fn end(&mut self, size: u64) -> anyhow::Result<()> {
        use std::io::Write as _;
        Ok(self.file.write_all(tar::padding(size))?)
    }

    fn close(mut self, name: &Path) -> anyhow::Result<()> {
        use std::io::Write as _;
        self.file.write_all(&[0; tar::END as usize])?;
        self.file.sync_all()?;
        self.name(name)?;
        if let Some(folder) = name.parent() {
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            File::open(folder)?.sync_all()?;
        }
        Ok(())
    }

    /// Puts it where nothing is.
    fn name(&mut self, name: &Path) -> anyhow::Result<()> {
        match renameat_with(CWD, &self.partial, CWD, name, RenameFlags::NOREPLACE) {
            Ok(()) => {}
            Err(Errno::EXIST) => return Err(is_there(name)),
            // Not every medium's file system can tell at once.
            Err(Errno::INVAL | Errno::NOSYS) if name.symlink_metadata().is_err() => {
                fs::rename(&self.partial, name)?;
            }
            Err(Errno::INVAL | Errno::NOSYS) => return Err(is_there(name)),
            Err(error) => return Err(error.into()),
        }
        self.is_named = true;
        Ok(())
    }
}

fn is_there(name: &Path) -> anyhow::Error {
    anyhow::anyhow!("{}: it is there already: remove it, or name another", name.display())
}
