//! Finds leave for content: by a decision of its own, or up through links to a parent's. What could
//! not be found out on the way is never reported as a no.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use super::links::{Leave, Link, Place, Role};
use super::reach::Reach;
use super::referrers;
use super::refusal::{Refusal, Unknown, denied, internal};
use super::request::Request;
use crate::oci::{Digest, Manifest, Tag};

/// Parents may be admitted through parents: an index in an index, a signature of a child.
const MAX_DEPTH: usize = 4;
/// At most so many lapsed parents and subjects are judged again for one request.
const MAX_CLIMBS: usize = 8;

impl Request {
    /// Leave for a manifest of this repository: by a live parent, then a lapsed one, then its
    /// subject, then its own signatures. A tag is answered by a decision of its own alone.
    pub(super) async fn leave(&self, digest: &Digest, tag: Option<&Tag>) -> Result<Leave, Refusal> {
        let left = AtomicUsize::new(MAX_CLIMBS);
        self.leave_within(digest, tag, Reach::new(MAX_DEPTH, &left)).await
    }

    /// Leave for a blob, and the link that it is found by.
    pub(super) async fn blob_leave(&self, digest: &Digest) -> Result<(Leave, Link), Refusal> {
        if let Some((warm, link)) = self.gate.blob_way_at_hand(&self.repository, digest, &self.who) {
            self.memory().count_hit();
            return Ok((warm.leave.clone(), link));
        }
        let links = self.links(digest, Place::Blobs).await?;
        for link in &links {
            if let Some(hot) = self.hot(&link.parent).filter(|hot| link.stands_in(&hot.manifest)) {
                self.memory().links.note_latest(&self.repository, link);
                return Ok((hot.leave.clone(), link.clone()));
            }
        }
        let left = AtomicUsize::new(MAX_CLIMBS);
        self.way(&links, Reach::new(MAX_DEPTH, &left)).await.map_err(|why| match why {
            Refusal::Unknown(_) => Refusal::Unknown(Unknown::Blob),
            other => other,
        })
    }

    /// Leave for what stands under a tag `sha256-<subject>.<suffix>`: through its subject, else by
    /// signatures of its own. Where neither gives it, the subject's refusal says more.
    pub(super) async fn subject_tag_leave(
        &self,
        tag: &Tag,
        subject: &Digest,
        manifest: &Arc<Manifest>,
    ) -> Result<Leave, Refusal> {
        let through_subject = match self.leave(subject, None).await {
            Ok(parent) => referrers::admit(self, &parent, manifest).await,
            Err(why) => Err(why),
        };
        let why = match through_subject {
            Ok(Some(leave)) => return Ok(leave),
            Ok(None) => Refusal::Unknown(Unknown::Manifest),
            Err(why) => why,
        };
        let decision = self.judge(manifest, Some(tag)).await?;
        Leave::of_subject(&decision).ok_or_else(|| why.or(denied(&decision)))
    }

    async fn leave_within(
        &self,
        digest: &Digest,
        tag: Option<&Tag>,
        reach: Reach<'_>,
    ) -> Result<Leave, Refusal> {
        if let Some(leave) = self.memory().live(self, digest, tag).and_then(|d| Leave::of_subject(&d)) {
            return Ok(leave);
        }
        let mut why = Refusal::Unknown(Unknown::Manifest);
        if tag.is_none() {
            match self.way(&self.links(digest, Place::Manifests).await?, reach).await {
                Ok((parent, link)) => {
                    if let Some(leave) = parent.through(&link) {
                        return Ok(leave);
                    }
                }
                Err(refusal) => why = refusal,
            }
        }
        let manifest = match self.fetch(digest).await {
            Ok(manifest) => manifest,
            Err(refusal) => return Err(if why.is_trouble() { why } else { refusal }),
        };
        if tag.is_none() {
            match self.subject_leave(&manifest, reach).await {
                Ok(Some(leave)) => return Ok(leave),
                Ok(None) => {}
                Err(refusal) => why = why.or(refusal),
            }
        }
        let decision = self.judge(&manifest, tag).await?;
        Leave::of_subject(&decision).ok_or_else(|| denied(&decision).or(why))
    }

    /// Leave through what the manifest says that it is about.
    async fn subject_leave(&self, manifest: &Manifest, reach: Reach<'_>) -> Result<Option<Leave>, Refusal> {
        let Some((subject, reach)) = manifest.subject().zip(reach.further()) else { return Ok(None) };
        let parent = Box::pin(self.leave_within(&subject.digest, None, reach)).await?;
        referrers::admit(self, &parent, manifest).await
    }

    /// The first link that opens, with its parent's leave: links to parents with a live decision
    /// first, then to lapsed ones, which are judged again.
    async fn way(&self, links: &[Link], reach: Reach<'_>) -> Result<(Leave, Link), Refusal> {
        let mut why = Refusal::Unknown(Unknown::Manifest);
        let mut lapsed = Vec::new();
        for link in links {
            let live = self.memory().live(self, &link.parent, None);
            let Some(parent) = live.and_then(|d| Leave::of_subject(&d)) else {
                lapsed.push(link);
                continue;
            };
            match self.opens(&parent, link).await {
                Ok(true) => return Ok((parent, link.clone())),
                Ok(false) => {}
                Err(refusal) => why = why.or(refusal),
            }
        }
        for link in lapsed {
            let Some(reach) = reach.further() else { break };
            let opened = match Box::pin(self.leave_within(&link.parent, None, reach)).await {
                Ok(parent) => self.opens(&parent, link).await.map(|opens| opens.then_some(parent)),
                Err(refusal) => Err(refusal),
            };
            match opened {
                Ok(Some(parent)) => return Ok((parent, link.clone())),
                Ok(None) => {}
                Err(refusal) => why = why.or(refusal),
            }
        }
        Err(why)
    }

    /// Whether a link opens under its parent's leave: today's policy has it so, and the manifests
    /// themselves bear it out. A record alone opens nothing.
    async fn opens(&self, parent: &Leave, link: &Link) -> Result<bool, Refusal> {
        match link.role {
            Role::Child if !self.index_vouches(parent.decision()) => Ok(false),
            Role::Child | Role::Config | Role::Layer => Ok(link.stands_in(&*self.fetch(&link.parent).await?)),
            Role::Referrer => {
                let artifact = self.fetch(&link.child.digest).await?;
                Ok(referrers::admit(self, parent, &artifact).await?.is_some())
            }
        }
    }

    async fn links(&self, digest: &Digest, place: Place) -> Result<Vec<Link>, Refusal> {
        self.memory().links.parents(&self.repository, digest, place).await.map_err(|e| internal(&e))
    }
}
