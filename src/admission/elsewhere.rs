//! Signatures that do not lie beside their subject: where they are looked for, and how those that were proven are
//! served as if they lay there. What is found where proves nothing; `signature/` does.

use std::sync::Arc;
use std::time::Duration;

use super::admitted::Admitted;
use super::collection::MAX_PART_BYTES;
use super::discovery::{Found, Sources, in_time};
use super::kept;
use super::memory::Memory;
use super::referrers;
use super::refusal::{Refusal, denied, unavailable};
use super::request::Request;
use crate::cache::{Cache, Error, Freshness};
use crate::oci::{Digest, Manifest, Repository, SignatureSource, Tag};
use crate::policy::{Trouble, Verdict};
use crate::signature::Code;
use crate::upstream::Upstream;

/// A repository that signatures are looked for in.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) upstream: Arc<Upstream>,
    pub(super) repository: Repository,
    pub(super) freshness: Freshness,
    /// Whether it is another than the subject's own.
    pub(super) is_elsewhere: bool,
}

impl Place {
    /// Something of it, as troubles name it.
    pub(super) fn names(&self, what: &str) -> String {
        match (self.is_elsewhere, self.upstream.layout()) {
            (false, _) => what.to_owned(),
            (true, None) => format!("{what} in {}", self.repository),
            (true, Some(layout)) => format!("{what} in the layout {}", layout.folder.display()),
        }
    }

    pub(super) async fn manifest(&self, cache: &Cache, digest: &Digest) -> Result<Manifest, Error> {
        in_time(cache.manifest(&self.upstream, &self.repository, digest, &self.freshness)).await
    }
}

impl Request {
    /// Where signatures are looked for: what the operator names first, so that no bound is used up by what anybody
    /// may have attached to the subject.
    pub(super) fn sources(&self) -> Sources<'_> {
        let home = Arc::new(Place {
            upstream: Arc::clone(&self.upstream),
            repository: self.repository.clone(),
            freshness: self.freshness().clone(),
            is_elsewhere: false,
        });
        let (mut places, mut unknown): (Vec<Arc<Place>>, Vec<Trouble>) = (Vec::new(), Vec::new());
        for source in self.policy().into_iter().flat_map(|p| p.signature_sources(&self.repository)) {
            match self.place(source) {
                Ok(place) if place.repository == home.repository => {}
                Ok(place) if places.iter().any(|other| other.repository == place.repository) => {}
                Ok(place) => places.push(Arc::new(place)),
                Err(message) => unknown.push(Trouble { code: Code::SourceUnavailable, message }),
            }
        }
        places.push(Arc::clone(&home));
        let Memory { cache, metrics, .. } = self.memory();
        Sources { cache, metrics, places, home, unknown, bounds: self.gate.0.bounds }
    }

    fn place(&self, source: &SignatureSource) -> Result<Place, String> {
        let gone = |what: String| format!("signatures in {what} cannot be looked for: it is not configured");
        let (upstream, repository, freshness) = match source {
            SignatureSource::Repository(pattern) => {
                let repository = pattern
                    .of(&self.repository)
                    .map_err(|why| format!("{pattern} is no repository for {}: {why}", self.repository))?;
                let upstream = self.gate.0.upstreams.of(repository.registry());
                (upstream.ok_or_else(|| gone(repository.to_string()))?, repository, self.freshness().clone())
            }
            SignatureSource::Layout(folder) => {
                let named = |u: &&Arc<Upstream>| u.layout().is_some_and(|l| l.folder == *folder);
                let found = self.gate.0.layouts.iter().find(named).and_then(|u| Some((u, u.layout()?)));
                let (upstream, layout) = found.ok_or_else(|| gone(folder.display().to_string()))?;
                (upstream, layout.repository.clone(), self.on_disk())
            }
        };
        Ok(Place { upstream: Arc::clone(upstream), repository, freshness, is_elsewhere: true })
    }

    /// What is on this disk is asked for each time.
    fn on_disk(&self) -> Freshness {
        Freshness {
            referrers_ttl: Duration::ZERO,
            negative_ttl: Duration::ZERO,
            stale_if_error: Duration::ZERO,
            ..self.freshness().clone()
        }
    }

    /// Whether signatures may lie elsewhere.
    pub(super) fn looks_elsewhere(&self) -> bool {
        let policy = self.policy().filter(|policy| policy.verifies(&self.repository));
        policy.is_some_and(|policy| policy.signature_sources(&self.repository).next().is_some())
    }

    /// Keeps proven signatures whole, and has the repository hold them, so that clients that verify for themselves
    /// find them where they look.
    pub(super) async fn adopt(&self, subject: &Digest, found: &[&Found]) {
        for found in found {
            let Some(place) = found.place.as_ref().filter(|place| place.is_elsewhere) else { continue };
            let artifact = &found.artifact.digest;
            if let Err(error) = self.adopt_one(subject, place, artifact).await {
                let repository = &self.repository;
                tracing::warn!(%repository, %subject, %artifact, %error, "a signature that was found elsewhere is not served");
            }
        }
    }

    async fn adopt_one(&self, subject: &Digest, place: &Place, artifact: &Digest) -> Result<(), Error> {
        let (memory, owner) = (self.memory(), kept::owner(&self.repository, subject));
        let manifest = place.manifest(&memory.cache, artifact).await?;
        let mut blobs = Vec::new();
        for part in manifest.config().into_iter().chain(manifest.blobs()) {
            let Place { upstream, repository, .. } = place;
            let blob = in_time(memory.cache.small_blob(upstream, repository, part, MAX_PART_BYTES)).await?;
            blobs.push((part.digest, blob));
        }
        memory.cache.adopt(&self.repository, [(&manifest, blobs)], &owner).await.map(drop)
    }

    /// The signatures about a subject that were proven, wherever they lay.
    pub(super) async fn proven_anywhere(&self, subject: &Digest) -> Result<Vec<Digest>, Refusal> {
        let whole = self.judge_whole(subject).await?;
        match whole.verdict() {
            Verdict::Indeterminate => Err(denied(&whole)),
            Verdict::Allow | Verdict::Deny => Ok(self.memory().proven(self, &whole)),
        }
    }

    /// What stands under a signature's tag elsewhere, where it is a proven signature of the admitted subject.
    ///
    /// # Errors
    /// [`Refusal`] of the subject; trouble where no place has one and one of them does not answer.
    pub(super) async fn by_subject_tag_elsewhere(
        &self,
        tag: &Tag,
        subject: &Digest,
    ) -> Result<Option<Admitted<Arc<Manifest>>>, Refusal> {
        if !self.looks_elsewhere() {
            return Ok(None);
        }
        let parent = self.leave(subject, None).await?;
        let proven = self.proven_anywhere(subject).await?;
        let sources = self.sources();
        let mut trouble = None;
        for place in sources.places.iter().filter(|place| place.is_elsewhere) {
            let named = sources.cache.tag_digest(&place.upstream, &place.repository, tag, &place.freshness);
            let digest = match in_time(named).await {
                Ok(named) => named.value.filter(|digest| proven.contains(digest)),
                // Another place may have it; where none has, this one may.
                Err(error) => {
                    trouble = trouble.or(Some(sources.failed(place, &format!("tag {tag}"), &error)));
                    None
                }
            };
            let Some(digest) = digest else { continue };
            let manifest = self.fetch(&digest).await?;
            if let Some(leave) = referrers::admit(self, &parent, &manifest).await? {
                return self.serve(leave, manifest, false).map(Some);
            }
        }
        trouble.map_or(Ok(None), |trouble| Err(unavailable(trouble.message)))
    }
}
