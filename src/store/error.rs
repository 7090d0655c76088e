//! What can go wrong with kept content.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::oci::digest::Digest;

/// Why the store could not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// No space could be made: go on without keeping the content.
    #[error("the store is full")]
    Full,
    /// The content is not what its digest says. What was kept has been moved aside; ask anew.
    #[error("content of {expected} has the digest {found}")]
    Corrupt {
        /// What was asked for or announced.
        expected: Digest,
        /// What the bytes are.
        found: Digest,
    },
    /// Content of another length than announced.
    #[error("content of {digest} has {found} bytes where {expected} belong")]
    Length {
        /// Whose content.
        digest: Digest,
        /// What was announced.
        expected: u64,
        /// What came, or stands on disk.
        found: u64,
    },
    /// Longer than the caller reads into memory.
    #[error("content of {digest} has {size} bytes; at most {limit} are read")]
    TooLarge {
        /// Whose content.
        digest: Digest,
        /// How long it is.
        size: u64,
        /// What the caller allows.
        limit: u64,
    },
    /// The disk or the records failed.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// The records could not be read or written.
    #[error("records: {0}")]
    Records(String),
    /// Another process has the records open.
    #[error("records: another process has them open")]
    InUse,
}

impl Error {
    /// Names what was being done. A full disk is [`Error::Full`] whatever it was.
    pub(super) fn io(doing: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            _ => Self::Io { doing, source: Arc::new(source) },
        }
    }
}

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error(
        "the store {} is in use by another process{}; stop it, or give this one a store.path of its own",
        .path.display(), .holder
    )]
    Locked {
        /// The store's folder.
        path: PathBuf,
        /// ` (123)`, the process, where it is known.
        holder: String,
        /// [`Store::opening`](super::Store::opening) in that process, where it is known.
        opening: Option<String>,
    },
    /// The folder or a file in it could not be made or opened.
    #[error("the store {}: {doing}: {source}", .path.display())]
    Io {
        /// The store's folder.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The records can neither be read nor made anew.
    #[error("the store {}: records: {message}", .path.display())]
    Records {
        /// The store's folder.
        path: PathBuf,
        /// What the database said.
        message: String,
    },
}
