//! One process a store: an advisory lock that ends with its holder, however that ends.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::OpenError;

/// Held as long as it is alive.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
    opening: String,
}

impl Lock {
    pub(super) fn take(root: &OwnedFd, path: &Path) -> Result<Self, OpenError> {
        let failed = |source: std::io::Error| OpenError::Io {
            path: path.to_owned(),
            doing: "lock the file 'lock'",
            source,
        };
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file =
            rustix::fs::openat(root, "lock", flags, Mode::RUSR | Mode::WUSR).map_err(|e| failed(e.into()))?;
        let mut file = File::from(file);
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let (holder, opening) = holder(&mut file);
                return Err(OpenError::Locked { path: path.to_owned(), holder, opening });
            }
            Err(e) => return Err(failed(e.into())),
        }
        file.set_len(0).map_err(failed)?;
        let opening = ulid::Ulid::generate().to_string();
        write!(file, "{} {opening}", std::process::id()).map_err(failed)?;
        Ok(Self { _file: file, opening })
    }

    /// A name for this holding of the lock, which no other has had or will have.
    pub(super) fn opening(&self) -> &str {
        &self.opening
    }
}

/// Who has it, for the message, and what this holding is called. Neither where the holder has not written it yet.
fn holder(file: &mut File) -> (String, Option<String>) {
    let mut text = String::new();
    if file.rewind().and_then(|()| file.take(64).read_to_string(&mut text)).is_err() {
        return (String::new(), None);
    }
    let mut words = text.split_whitespace();
    let process = words.next().and_then(|id| id.parse::<u32>().ok());
    let opening = words.next().and_then(|opening| opening.parse::<ulid::Ulid>().ok());
    (process.map(|id| format!(" ({id})")).unwrap_or_default(), opening.map(|opening| opening.to_string()))
}
