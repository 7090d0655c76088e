//! What memory answers by itself: no disk, no wait, no lock held. Whatever it does not know goes the
//! long way, which fills it.

use std::sync::Arc;

use super::admitted::Admitted;
use super::gate::Gate;
use super::links::{Link, Place};
use super::memory::Warm;
use crate::access::Principal;
use crate::cache::{Blob, Standing};
use crate::oci::{Descriptor, Digest, Manifest, Repository, Target};

impl Gate {
    /// As [`Gate::manifest`], of what is in memory and needs no question first.
    pub fn manifest_at_hand(
        &self,
        repository: &Repository,
        target: &Target,
        who: &Principal,
    ) -> Option<Admitted<Arc<Manifest>>> {
        let warm = match target {
            Target::Digest(digest) => self.memory().hot(self, repository, who, digest)?,
            Target::Tag(tag) => {
                let upstream = self.upstream(repository).ok()?;
                let fresh = &self.0.freshness;
                let resolved = self.memory().cache.resolve_at_once(upstream, repository, tag, fresh)?;
                if tag.names_subject().is_some() || !matches!(resolved.standing, Standing::Fresh) {
                    return None;
                }
                let warm = self.memory().hot(self, repository, who, &resolved.digest)?;
                warm.answers_tags().then_some(warm)?
            }
        };
        let manifest = Arc::clone(&warm.manifest);
        self.hit(Admitted::new(warm.leave.decision(), warm.leave.unlocks(), manifest, false))
    }

    /// As [`Gate::blob`], of what is in memory or open already.
    pub fn blob_at_hand(
        &self,
        repository: &Repository,
        digest: &Digest,
        who: &Principal,
    ) -> Option<Admitted<Blob>> {
        let (warm, link) = self.blob_way_at_hand(repository, digest, who)?;
        let blob = self.memory().cache.blob_at_hand(repository, &link.child)?;
        self.hit(self.lend(repository, &warm.leave, &link, blob))
    }

    /// As [`Gate::blob_descriptor`], of what is in memory.
    pub fn blob_descriptor_at_hand(
        &self,
        repository: &Repository,
        digest: &Digest,
        who: &Principal,
    ) -> Option<Admitted<Descriptor>> {
        let (warm, link) = self.blob_way_at_hand(repository, digest, who)?;
        let unlocks = warm.leave.unlocks_blob(&link)?;
        self.hit(Admitted::new(warm.leave.decision(), unlocks, link.child, false))
    }

    fn hit<T>(&self, answer: Option<Admitted<T>>) -> Option<Admitted<T>> {
        answer.inspect(|_| self.memory().hit())
    }

    /// A hot manifest that names the blob, and the link between them.
    pub(super) fn blob_way_at_hand(
        &self,
        repository: &Repository,
        digest: &Digest,
        who: &Principal,
    ) -> Option<(Arc<Warm>, Link)> {
        let link = self.memory().links.latest(repository, digest, Place::Blobs)?;
        let warm = self.memory().hot(self, repository, who, &link.parent)?;
        link.stands_in(&warm.manifest).then_some((warm, link))
    }
}
