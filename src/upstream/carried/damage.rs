//! What was damaged on the way of that which nobody reads, since it is not admitted: whoever trusts its signer later would
//! find it out too late to have it carried again.

use std::collections::HashSet;
use std::os::unix::fs::FileExt as _;
use std::sync::{Mutex, PoisonError};

use super::index::MAX_UNREAD;
use super::{Carried, Expected, something_else};
use crate::oci::{Digest, Hasher, MAX_MANIFEST_BYTES, Manifest, Repository, Tag};

const PIECE: usize = 1 << 20;

/// What was looked at already.
#[derive(Debug, Default)]
pub(super) struct Looked(Mutex<HashSet<Digest>>);

impl Looked {
    fn is_first(&self, digest: &Digest) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(*digest)
    }
}

/// What is wrong with that which was read; of much, the first.
#[derive(Default)]
struct Damaged {
    told: Vec<String>,
    more: usize,
}

impl Damaged {
    fn note(&mut self, why: String) {
        if self.told.len() < MAX_UNREAD { self.told.push(why) } else { self.more += 1 }
    }

    fn into_told(self) -> Vec<String> {
        let Self { mut told, more } = self;
        told.extend((more > 0).then(|| format!("and {more} more")));
        told
    }
}

impl Carried {
    /// Reads a manifest with all that it lists and all that is attached to it, as far as that was not looked at before, and
    /// tells what is something else than its digest says, cannot be read, or should be there and is not; of much, the first.
    /// Blobs that are `kept` were read when they came. Ends early once it is `wanted` no more. Blocks.
    pub fn damage(
        &self,
        repository: &Repository,
        manifest: &Digest,
        kept: impl Fn(&Digest) -> bool,
        wanted: impl Fn() -> bool,
    ) -> Vec<String> {
        let mut manifests: Vec<Digest> =
            Some(*manifest).filter(|digest| self.is_new(digest)).into_iter().collect();
        let mut damaged = Damaged::default();
        while let Some(digest) = manifests.pop().filter(|_| wanted()) {
            manifests.extend(self.attached(repository, &digest).filter(|digest| self.is_new(digest)));
            let bytes = match self.read(&digest, MAX_MANIFEST_BYTES) {
                Ok(bytes) => bytes,
                Err(why) => {
                    damaged.note(why.plainly());
                    continue;
                }
            };
            // What is no manifest lists nothing.
            let Ok(manifest) = Manifest::parse_expecting(bytes, &digest) else { continue };
            let listed = manifest.manifests().iter().map(|listed| listed.digest);
            manifests.extend(listed.filter(|digest| self.is_new(digest)));
            let blobs = manifest.config().into_iter().chain(manifest.blobs()).map(|blob| blob.digest);
            for blob in blobs.filter(|blob| !kept(blob) && self.is_new(blob)) {
                if let Err(why) = self.check(&blob, &wanted) {
                    damaged.note(why);
                }
            }
        }
        damaged.into_told()
    }

    /// What is attached to a manifest, by its own word or by a tag.
    fn attached(&self, repository: &Repository, subject: &Digest) -> impl Iterator<Item = Digest> {
        let referrers = self.referrers.get(subject).into_iter().flatten().map(|referrer| referrer.digest);
        let suffixes = Tag::SUFFIXES.into_iter().chain([""]);
        referrers.chain(suffixes.filter_map(|suffix| self.tagged(repository, &Tag::about(subject, suffix))))
    }

    /// Whether something stands there, or should, that was not looked at before. Of what else is not there nothing is
    /// remembered: whoever lists it chose how much that is.
    fn is_new(&self, digest: &Digest) -> bool {
        let should = matches!(self.expected.get(digest), Some(Expected::Here));
        (should || !matches!(self.size(digest), Ok(None))) && self.looked.is_first(digest)
    }

    /// Reads a blob that is there or should be.
    fn check(&self, digest: &Digest, wanted: impl Fn() -> bool) -> Result<(), String> {
        let part = self.find(digest).map_err(|e| e.plainly())?;
        let part = part.ok_or_else(|| self.missing(digest).plainly())?;
        let (mut hasher, mut piece) = (Hasher::new(digest.algorithm()), vec![0; PIECE]);
        for at in (0..part.size).step_by(PIECE) {
            if !wanted() {
                return Ok(());
            }
            let length = usize::try_from(part.size - at).unwrap_or(PIECE).min(PIECE);
            let read = part.file.read_exact_at(&mut piece[..length], part.start + at);
            read.map_err(|why| format!("the content under {digest}: {why}"))?;
            hasher.update(&piece[..length]);
        }
        if hasher.finish() == *digest { Ok(()) } else { Err(something_else(digest)) }
    }
}
