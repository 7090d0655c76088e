//! A folder or an archive, read alike.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::archive::Archive;
use crate::upstream::Error;
use crate::upstream::layout::check_version;
use crate::upstream::layout::files::Files;

#[derive(Debug)]
pub(super) enum Place {
    Folder(Files),
    Archive(Archive),
}

/// So many bytes of a file, from a place in it on.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) file: Arc<File>,
    pub(super) start: u64,
    pub(super) size: u64,
}

impl Place {
    /// # Errors
    /// What is neither a layout's folder nor an archive that can be read to its end.
    pub(super) fn open(path: &Path, beside: &str) -> Result<Self, Error> {
        let fault = |why: &dyn std::fmt::Display| Error::Unavailable(format!("{}: {why}", path.display()));
        if std::fs::metadata(path).map_err(|e| fault(&e))?.is_dir() {
            let files = Files::new(path.to_owned());
            check_version(&files)?;
            return Ok(Self::Folder(files));
        }
        let file = File::open(path).map_err(|e| fault(&e))?;
        Ok(Self::Archive(Archive::read(path, file, beside).map_err(|why| fault(&why))?))
    }

    /// Where a file's content is; `None` where there is no such file.
    ///
    /// # Errors
    /// Links, other things than files, and what the system says.
    pub(super) fn find<S: AsRef<str>>(&self, path: &[S]) -> Result<Option<Part>, Error> {
        match self {
            Self::Folder(files) => {
                let found = files.open(path)?;
                Ok(found.map(|(file, size)| Part { file: Arc::new(file), start: 0, size }))
            }
            Self::Archive(archive) => Ok(archive.find(path)),
        }
    }

    /// A file's content; `None` where there is no such file.
    ///
    /// # Errors
    /// As [`Self::find`]; more than `limit` bytes.
    pub(super) fn read<S: AsRef<str>>(&self, path: &[S], limit: u64) -> Result<Option<Bytes>, Error> {
        let Some(part) = self.find(path)? else { return Ok(None) };
        let name = || path.iter().map(AsRef::as_ref).collect::<Vec<_>>().join("/");
        if part.size > limit {
            return Err(self.fault(&name(), format!("has more than {limit} bytes")));
        }
        let mut bytes = vec![0; usize::try_from(part.size).unwrap_or(usize::MAX)];
        part.file.read_exact_at(&mut bytes, part.start).map_err(|e| self.fault(&name(), e.to_string()))?;
        Ok(Some(bytes.into()))
    }

    /// What is wrong with a file of it.
    pub(super) fn fault(&self, file: &str, why: String) -> Error {
        match self {
            Self::Folder(files) => files.fault(file, why),
            Self::Archive(archive) => {
                Error::Unavailable(format!("{}: {file}: {why}", archive.path().display()))
            }
        }
    }
}
