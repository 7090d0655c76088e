//! Writes what an export found into an OCI image layout (image-spec 1.1, `image-layout.md`): a folder, or tar archives.
//! Copies from the store by digest, hashing on the way. What leaves is the gate's to say: `engine/upkeep` tells of it.

mod archive;
mod content;
mod folder;
mod tar;
mod writer;

use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};

use crate::oci::Digest;
use crate::signing::KeyError;
use archive::Archive;
use folder::Folder;

pub use writer::{Summary, Writer};

const MARKER: (&str, &[u8]) = ("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);
const INDEX: &str = "index.json";

/// Where a layout is written.
pub enum Destination {
    /// A folder.
    Folder(Folder),
    /// Archives.
    Archive(Archive),
}

impl Destination {
    /// A folder, made where there is none, or gone on with where an earlier export into it ended.
    ///
    /// # Errors
    /// A folder with something else in it, one that another export writes into, what the system says.
    pub fn folder(path: &Path) -> Result<Self, Error> {
        Folder::open(path).map(Self::Folder)
    }

    /// An archive, or pieces of at most `limit` bytes.
    ///
    /// # Errors
    /// An archive that is there already, or that another export writes; a limit that holds nothing.
    pub fn archive(path: &Path, limit: Option<u64>) -> Result<Self, Error> {
        Archive::create(path, limit).map(Self::Archive)
    }

    fn put(&mut self, digest: &Digest, content: content::Content<'_>) -> Result<Put, Error> {
        match self {
            Self::Folder(folder) => folder.put(digest, content),
            Self::Archive(archive) => archive.put(digest, content),
        }
    }

    /// Whether an earlier export stands there that names something.
    fn has_names(&self) -> bool {
        match self {
            Self::Folder(folder) => folder.has_names(),
            Self::Archive(_) => false,
        }
    }

    /// How many pieces there are.
    fn pieces(&self) -> u32 {
        match self {
            Self::Folder(_) => 1,
            Self::Archive(archive) => archive.pieces(),
        }
    }

    fn finish(self, index: &[u8], contents: &[u8]) -> Result<Vec<PathBuf>, Error> {
        match self {
            Self::Folder(folder) => folder.finish(index, contents),
            Self::Archive(archive) => archive.finish(index, contents),
        }
    }
}

/// Whether content had to be written, and to which piece.
enum Put {
    Written(u32),
    Present,
}

/// Why nothing is written, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something is there that is not written over: name another place, or remove it.
    #[error("{}: {why}", path.display())]
    Taken {
        /// Where.
        path: PathBuf,
        /// What is there, and what to do about it.
        why: &'static str,
    },
    /// It does not fit: allow larger pieces, or export fewer references at once.
    #[error("{0}")]
    TooLarge(String),
    /// The store has not, or no longer, what was admitted.
    #[error("{digest} {why}")]
    Lost {
        /// The digest of what was admitted.
        digest: Digest,
        /// What the store has instead.
        why: &'static str,
    },
    /// The key does not sign.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The contents cannot be written down.
    #[error("the contents: {0}")]
    Contents(String),
    /// The system says so.
    #[error("{what}: {why}")]
    System {
        /// Which file or folder.
        what: String,
        /// What it says.
        why: io::Error,
    },
}

/// What the system says about a file or folder.
fn system<E: Into<io::Error>>(what: impl Display) -> impl FnOnce(E) -> Error {
    move |why| Error::System { what: what.to_string(), why: why.into() }
}

fn taken(path: &Path, why: &'static str) -> Error {
    Error::Taken { path: path.to_owned(), why }
}
