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
use header::{BLOCK, Header, Kind};

/// An archive of more files is not read.
const MAX_FILES: usize = 1 << 20;
/// Longer than any path that is looked for, with room for what else pax headers say.
const MAX_EXTENSION: u64 = 64 << 10;

#[derive(Debug)]
pub(super) struct Archive {
    path: PathBuf,
    file: Arc<File>,
    files: HashMap<String, (u64, u64)>,
}

impl Archive {
    /// Reads all headers.
    ///
    /// # Errors
    /// What is no whole archive of plain files and folders, each there once.
    pub(super) fn read(path: &Path, file: File) -> Result<Self, String> {
        let length = file.metadata().map_err(|e| e.to_string())?.len();
        let files = files(&file, length)?;
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
    match files(&bytes, bytes.len() as u64) {
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

fn files(bytes: &impl Bytes, length: u64) -> Result<HashMap<String, (u64, u64)>, String> {
    let (mut files, mut at) = (HashMap::new(), 0);
    let (mut long_name, mut long_size) = (None, None);
    loop {
        if length.saturating_sub(at) < BLOCK {
            return Err("it is cut short: no empty block ends it".to_owned());
        }
        let mut block = [0; BLOCK as usize];
        bytes.read_at(at, &mut block).map_err(|e| e.to_string())?;
        let fault = |why: String| format!("at byte {at}: {why}");
        let Some(header) = Header::read(&block).map_err(fault)? else { return Ok(files) };
        let (start, size) = (at + BLOCK, long_size.take().unwrap_or(header.size));
        let end = start.checked_add(size).and_then(|end| end.checked_next_multiple_of(BLOCK));
        let end = end.filter(|end| *end <= length).ok_or_else(|| fault("it ends in this file".to_owned()))?;
        let extension = || -> Result<Vec<u8>, String> {
            if size > MAX_EXTENSION {
                return Err(fault(format!("a header of more than {MAX_EXTENSION} bytes")));
            }
            let mut extension = vec![0; usize::try_from(size).unwrap_or(0)];
            bytes.read_at(start, &mut extension).map_err(|e| e.to_string())?;
            Ok(extension)
        };
        match header.kind {
            Kind::File => {
                let name = long_name.take().unwrap_or(header.name);
                if let Some(name) = header::plain(&name).map_err(fault)?
                    && files.insert(name.to_owned(), (start, size)).is_some()
                {
                    return Err(fault(format!("{} is there twice", name.escape_default())));
                }
            }
            Kind::Folder => long_name = None,
            Kind::Pax => {
                let extended = header::pax(&extension()?).map_err(fault)?;
                long_name = extended.path.or(long_name);
                long_size = extended.size;
            }
            Kind::LongName => long_name = Some(header::text(&extension()?).map_err(fault)?),
            Kind::Comment => {}
        }
        if files.len() > MAX_FILES {
            return Err(format!("more than {MAX_FILES} files"));
        }
        at = end;
    }
}

#[cfg(test)]
mod tests;
