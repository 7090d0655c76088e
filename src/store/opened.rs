//! What was used a moment ago: open files, and small content whole. Hits ask neither the disk nor the
//! records.

use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::StoredBlob;
use crate::oci::Digest;

/// So many files stay open.
const MOST_FILES: usize = 256;
/// Content of at most so many bytes is kept in memory whole.
pub const SMALL: u64 = 64 << 10;
/// All of it together, in bytes.
const MOST_SMALL: u64 = 16 << 20;

pub(super) struct Opened {
    files: Cache<Digest, StoredBlob>,
    small: Cache<Digest, Bytes, ByBytes>,
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<Digest, Bytes> for ByBytes {
    fn weight(&self, _: &Digest, bytes: &Bytes) -> u64 {
        bytes.len() as u64 + 256
    }
}

impl Default for Opened {
    fn default() -> Self {
        Self { files: Cache::new(MOST_FILES), small: Cache::with_weighter(1024, MOST_SMALL, ByBytes) }
    }
}

impl Opened {
    pub(super) fn file(&self, digest: &Digest) -> Option<StoredBlob> {
        self.files.get(digest)
    }

    /// Notes an open file. To be called while nothing is evicted, so that no file stays open whose room
    /// was given to others.
    pub(super) fn note_file(&self, digest: &Digest, blob: &StoredBlob) {
        self.files.insert(*digest, blob.clone());
    }

    pub(super) fn bytes(&self, digest: &Digest) -> Option<Bytes> {
        self.small.get(digest)
    }

    /// Notes content whose digest was checked, where it is small. Whatever becomes of the file, the
    /// bytes stay what they are.
    pub(super) fn note_bytes(&self, digest: &Digest, bytes: &Bytes) {
        if bytes.len() as u64 <= SMALL {
            self.small.insert(*digest, bytes.clone());
        }
    }

    /// Closes the file of content that goes.
    pub(super) fn forget(&self, digest: &Digest) {
        self.files.remove(digest);
        self.small.remove(digest);
    }
}
