//! Tar archives: which files of a layout they hold, and where (POSIX.1-2017, `pax`, "ustar Interchange Format" and
//! "pax Header Block"; GNU's long names and sizes). Nothing is unpacked. Only plain files and folders may be in them:
//! whatever an unpacker could be led astray by ends the reading.

mod header;

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::place::Part;
use crate::oci::Digest;
use crate::upstream::layout::INDEX;
use header::{BLOCK, Header, Kind};

/// An archive of more files is not read.
const MAX_FILES: usize = 1 << 20;
/// Longer than any path that is looked for, with room for what else pax headers say.
const MAX_EXTENSION: u64 = 64 << 10;

#[derive(Debug)]
pub(super) struct Archive {
    path: PathBuf,
    file: Arc<File>,
    files: Files,
}

impl Archive {
    /// Reads all headers. Of the files those of a layout are noted, and the one called `beside`.
    ///
    /// # Errors
    /// What is no whole archive of plain files and folders, each there once.
    pub(super) fn read(path: &Path, file: File, beside: &str) -> Result<Self, String> {
        let length = file.metadata().map_err(|e| e.to_string())?.len();
        let files = files(&file, length, beside, MAX_FILES)?;
        Ok(Self { path: path.to_owned(), file: Arc::new(file), files })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn find<S: AsRef<str>>(&self, path: &[S]) -> Option<Part> {
        let name = path.iter().map(AsRef::as_ref).collect::<Vec<_>>().join("/");
        let (start, size) = *self.files.get(&name)?;
        Some(Part { file: Arc::clone(&self.file), start, size })
    }
}

/// Reads arbitrary bytes as an archive, for the fuzzer: every file that is found lies within them.
pub fn fuzz(bytes: &[u8]) -> bool {
    match files(&bytes, bytes.len() as u64, "", MAX_FILES) {
        Ok(files) => files
            .values()
            .all(|(start, size)| start.checked_add(*size).is_some_and(|e| e <= bytes.len() as u64)),
        Err(_) => true,
    }
}

trait Bytes {
    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()>;
}

impl Bytes for File {
    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        self.read_exact_at(into, at)
    }
}

impl Bytes for &[u8] {
    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        let found = self.get(at..).and_then(|rest| rest.get(..into.len()));
        into.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// Where each file is, in bytes from the archive's start, and how long.
type Files = HashMap<String, (u64, u64)>;

/// At most so many of them.
fn files(bytes: &impl Bytes, length: u64, beside: &str, most: usize) -> Result<Files, String> {
    let mut reading = Reading { bytes, length, beside, at: 0, name: None, size: None, files: HashMap::new() };
    loop {
        let at = reading.at;
        if !reading.next().map_err(|why| format!("at byte {at}: {why}"))? {
            return Ok(reading.files);
        }
        if reading.files.len() > most {
            return Err(format!("more than {most} files"));
        }
    }
}

struct Reading<'a, B> {
    bytes: &'a B,
    length: u64,
    beside: &'a str,
    at: u64,
    /// What a header said of the next file.
    name: Option<String>,
    size: Option<u64>,
    files: Files,
}

impl<B: Bytes> Reading<'_, B> {
    /// Reads an entry; whether there was one.
    fn next(&mut self) -> Result<bool, String> {
        if self.length.saturating_sub(self.at) < BLOCK {
            return Err("it is cut short: no empty block ends it".to_owned());
        }
        let mut block = [0; BLOCK as usize];
        self.bytes.read_at(self.at, &mut block).map_err(|e| e.to_string())?;
        let Some(header) = Header::read(&block)? else { return Ok(false) };
        let (start, size) = (self.at + BLOCK, self.size.take().unwrap_or(header.size));
        let end = start.checked_add(size).and_then(|end| end.checked_next_multiple_of(BLOCK));
        self.at = end.filter(|end| *end <= self.length).ok_or("it ends in this file")?;
        match header.kind {
            Kind::File => self.file(header.name, start, size)?,
            Kind::Folder => self.name = None,
            Kind::Pax => {
                let extended = header::pax(&self.extension(start, size)?)?;
                self.name = extended.path.or(self.name.take());
                self.size = extended.size;
            }
            Kind::LongName => self.name = Some(header::text(&self.extension(start, size)?)?),
            Kind::Comment => {}
        }
        Ok(true)
    }

    fn file(&mut self, name: String, start: u64, size: u64) -> Result<(), String> {
        let name = self.name.take().unwrap_or(name);
        let Some(name) = header::plain(&name)? else { return Ok(()) };
        // Whoever packed it chose how many names there are, and how long they are.
        if name != self.beside && !is_of_layout(name) {
            return Ok(());
        }
        match self.files.insert(name.to_owned(), (start, size)) {
            Some(_) => Err(format!("{} is there twice", name.escape_default())),
            None => Ok(()),
        }
    }

    fn extension(&self, start: u64, size: u64) -> Result<Vec<u8>, String> {
        if size > MAX_EXTENSION {
            return Err(format!("a header of more than {MAX_EXTENSION} bytes"));
        }
        let mut extension = vec![0; usize::try_from(size).unwrap_or(0)];
        self.bytes.read_at(start, &mut extension).map_err(|e| e.to_string())?;
        Ok(extension)
    }
}

/// Whether it is the index or a blob (image-spec 1.1, `image-layout.md`); the marker is asked for in folders alone.
fn is_of_layout(name: &str) -> bool {
    let digest = name.strip_prefix("blobs/").and_then(|rest| rest.split_once('/'));
    name == INDEX
        || digest.is_some_and(|(algorithm, hex)| Digest::parse(&format!("{algorithm}:{hex}")).is_ok())
}

#[cfg(test)]
mod tests;
