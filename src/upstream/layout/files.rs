//! The files of a layout: opened below its folder, links not followed, only so much of them read.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use bytes::Bytes;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::upstream::Error;

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
/// A pipe that somebody put there must not hold us up.
const FILE: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

/// A folder that is read from.
#[derive(Clone, Debug)]
pub(in crate::upstream) struct Files {
    root: PathBuf,
}

impl Files {
    pub(in crate::upstream) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// A file's content; `None` where there is no such file.
    ///
    /// # Errors
    /// Links, other things than files, more than `limit` bytes, and what the system says.
    pub(in crate::upstream) fn read<S: AsRef<str>>(
        &self,
        path: &[S],
        limit: u64,
    ) -> Result<Option<Bytes>, Error> {
        let Some((file, _)) = self.open(path)? else { return Ok(None) };
        let mut bytes = Vec::new();
        file.take(limit + 1).read_to_end(&mut bytes).map_err(|e| self.fault(&shown(path), e.to_string()))?;
        if bytes.len() as u64 > limit {
            return Err(self.fault(&shown(path), format!("has more than {limit} bytes")));
        }
        Ok(Some(bytes.into()))
    }

    /// An open file and its length in bytes; `None` where there is no such file.
    ///
    /// # Errors
    /// As [`Files::read`].
    pub(in crate::upstream) fn open<S: AsRef<str>>(&self, path: &[S]) -> Result<Option<(File, u64)>, Error> {
        let fault = |why: String| self.fault(&shown(path), why);
        let file = match self.descend(path) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP | Errno::MLINK | Errno::NOTDIR) => {
                return Err(fault(
                    "a symbolic link, which is not followed, or no folder on the way".to_owned(),
                ));
            }
            Err(other) => return Err(fault(io::Error::from(other).to_string())),
        };
        let meta = file.metadata().map_err(|e| fault(e.to_string()))?;
        if !meta.is_file() {
            return Err(fault("is no file".to_owned()));
        }
        Ok(Some((file, meta.len())))
    }

    /// The folder itself may be reached through links: the user named it. Nothing below it is.
    fn descend<S: AsRef<str>>(&self, path: &[S]) -> Result<OwnedFd, Errno> {
        let mut at = rustix::fs::openat(CWD, &self.root, FOLDER, Mode::empty())?;
        for (depth, name) in path.iter().enumerate() {
            let flags = if depth + 1 == path.len() { FILE } else { FOLDER };
            at = rustix::fs::openat(&at, name.as_ref(), flags | OFlags::NOFOLLOW, Mode::empty())?;
        }
        Ok(at)
    }

    /// What is wrong with a file of the layout.
    pub(in crate::upstream) fn fault(&self, file: &str, why: String) -> Error {
        Error::Unavailable(format!("{}: {why}", self.root.join(file).display()))
    }
}

fn shown<S: AsRef<str>>(path: &[S]) -> String {
    path.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join("/")
}
