//! What memory answers by itself: no disk, no wait, no lock held. Whatever it does not know goes the
//! long way, which fills it.

use std::cell::Cell;
use std::sync::Arc;

use bytes::Bytes;

use super::admitted::Admitted;
use super::gate::Gate;
use super::links::{Link, Place};
use super::memory::{Since, Warm, in_last_tenth};
use super::retire::seconds;
use crate::access::Principal;
use crate::cache::{Blob, Standing};
use crate::oci::{Descriptor, Digest, Manifest, Repository, Tag, Target};

/// Larger manifests are not copied.
const MAX_HIT_BYTES: usize = 16 * 1024;

/// A manifest that memory had an answer with, for one thread to answer with again. It holds a copy that no other
/// thread counts references of. Not by itself leave to serve it: [`Gate::again`] gives that.
pub struct Hit {
    repository: Repository,
    target: Target,
    since: Since,
    manifest: Admitted<Arc<Manifest>>,
    /// The Unix second in which memory last had the same answer.
    confirmed: Cell<u64>,
}

impl Hit {
    /// The manifest's media type.
    pub fn media_type(&self) -> &str {
        &self.manifest.content().descriptor().media_type
    }

    /// As [`Manifest::etag`].
    pub fn etag(&self) -> &Bytes {
        self.manifest.content().etag()
    }
}

impl Gate {
    /// As [`Gate::manifest`], of what is in memory and needs no question first.
    pub fn manifest_at_hand(
        &self,
        repository: &Repository,
        target: &Target,
        who: &Principal,
    ) -> Option<Admitted<Arc<Manifest>>> {
        let warm = self.warm(repository, target, who)?;
        let manifest = Arc::clone(&warm.manifest);
        self.counted(Admitted::new(warm.leave.decision(), warm.leave.unlocks(), manifest, false))
    }

    /// What [`Gate::manifest_at_hand`] answers with, to be answered with again.
    pub fn to_repeat(&self, repository: &Repository, target: &Target, who: &Principal) -> Option<Hit> {
        let warm = self.warm(repository, target, who)?;
        if warm.manifest.bytes().len() > MAX_HIT_BYTES {
            return None;
        }
        let copy = Arc::new(warm.manifest.copied());
        let manifest = Admitted::new(warm.leave.decision(), warm.leave.unlocks(), copy, false)?;
        Some(Hit {
            repository: repository.clone(),
            target: target.clone(),
            since: warm.since,
            manifest,
            confirmed: Cell::new(0),
        })
    }

    /// The same answer again, as long as its leave holds. Each second memory is asked whether it has the same still,
    /// which notes the use; always while the decision is about to end, which renews it, and while the clock is behind.
    pub fn again<'a>(&self, hit: &'a Hit, who: &Principal) -> Option<&'a Admitted<Arc<Manifest>>> {
        let moment = self.memory().moment();
        let decision = hit.manifest.decision();
        if !self.memory().leave_holds(self, hit.since, decision, moment) {
            return None;
        }
        match &hit.target {
            Target::Tag(tag) if self.fresh(&hit.repository, tag)? != *hit.manifest.content().digest() => {
                return None;
            }
            Target::Tag(_) | Target::Digest(_) => {}
        }
        let second = seconds(moment.now);
        let is_confirmed = hit.confirmed.get() == second && !moment.is_behind;
        if !is_confirmed || in_last_tenth(decision, moment.now) {
            let warm = self.warm(&hit.repository, &hit.target, who)?;
            if !Arc::ptr_eq(warm.leave.decision(), decision) {
                return None;
            }
            hit.confirmed.set(second);
        }
        self.memory().count_hit();
        Some(&hit.manifest)
    }

    /// The hot manifest under a digest, or under a tag that was asked for not long ago.
    fn warm(&self, repository: &Repository, target: &Target, who: &Principal) -> Option<Arc<Warm>> {
        match target {
            Target::Digest(digest) => self.memory().hot(self, repository, who, digest),
            Target::Tag(tag) => {
                let warm = self.memory().hot(self, repository, who, &self.fresh(repository, tag)?)?;
                warm.answers_tags().then_some(warm)
            }
        }
    }

    /// What a tag names, where that needs no question and no word about its age.
    fn fresh(&self, repository: &Repository, tag: &Tag) -> Option<Digest> {
        let (upstream, fresh) = (self.upstream(repository).ok()?, &self.0.freshness);
        let resolved = self.memory().cache.resolve_at_once(upstream, repository, tag, fresh)?;
        let is_plain = tag.names_subject().is_none() && matches!(resolved.standing, Standing::Fresh);
        is_plain.then_some(resolved.digest)
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
        self.counted(self.lend(repository, &warm.leave, &link, blob))
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
        self.counted(Admitted::new(warm.leave.decision(), unlocks, link.child, false))
    }

    fn counted<T>(&self, answer: Option<Admitted<T>>) -> Option<Admitted<T>> {
        answer.inspect(|_| self.memory().count_hit())
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
