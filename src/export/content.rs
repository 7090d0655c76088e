//! Content on its way out of the store.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;

use super::{Error, system};
use crate::oci::{Digest, Hasher};

/// So much is read at once, in bytes.
const PIECE: usize = 1 << 20;

pub(super) enum Content<'a> {
    /// A file, and how long it was when it was opened.
    File(&'a mut File, u64),
    Bytes(&'a [u8]),
}

impl Content<'_> {
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::File(_, size) => *size,
            Self::Bytes(bytes) => bytes.len() as u64,
        }
    }

    /// Writes it all to the file at `path`, and sees that it is what its digest says.
    ///
    /// # Errors
    /// What the system says; other content.
    pub(super) fn write(self, digest: &Digest, to: &mut File, path: &Path) -> Result<(), Error> {
        let mut hasher = Hasher::new(digest.algorithm());
        let lost = |why| Error::Lost { digest: *digest, why };
        let mut put = |bytes: &[u8]| {
            hasher.update(bytes);
            to.write_all(bytes).map_err(system(path.display()))
        };
        match self {
            Self::Bytes(bytes) => put(bytes)?,
            Self::File(file, size) => {
                let (mut piece, mut left) = (vec![0; PIECE], size);
                while left > 0 {
                    let most = usize::try_from(left).unwrap_or(usize::MAX).min(PIECE);
                    let read = file.read(&mut piece[..most]).map_err(system(digest))?;
                    if read == 0 {
                        return Err(lost("in the store is shorter than it was"));
                    }
                    put(&piece[..read])?;
                    left -= read as u64;
                }
            }
        }
        if hasher.finish() != *digest {
            return Err(lost("in the store is something else: see `portcullis store verify`"));
        }
        Ok(())
    }
}
