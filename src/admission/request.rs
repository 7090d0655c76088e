//! One caller's request for manifests: what a tag names, what may be served under a digest.

use std::sync::Arc;
use std::time::SystemTime;

use super::admitted::Admitted;
use super::gate::Gate;
use super::links::Leave;
use super::memory::{Hot, Memory, Warm};
use super::referrers;
use super::refusal::{Refusal, Unknown, denied, internal, refusal};
use crate::access::Principal;
use crate::cache::{self, Freshness, Recheck, Standing};
use crate::oci::{Digest, Manifest, Repository, Tag};
use crate::policy::{Decision, IndexRule, Mode, Policy, ReferrerRule, SignedName};
use crate::signature::Code;
use crate::upstream::Upstream;

/// One caller's request to one repository. Owns what it needs, so that it can go on behind an
/// answer.
#[derive(Clone)]
pub(super) struct Request {
    pub(super) gate: Gate,
    pub(super) upstream: Arc<Upstream>,
    pub(super) repository: Repository,
    pub(super) who: Principal,
}

impl Request {
    pub(super) fn memory(&self) -> &Memory {
        &self.gate.0.memory
    }

    pub(super) fn freshness(&self) -> &Freshness {
        &self.gate.0.freshness
    }

    /// The time by which is decided: it never goes back.
    pub(super) fn now(&self) -> SystemTime {
        self.memory().moment().now
    }

    pub(super) async fn by_digest(&self, digest: &Digest) -> Result<Admitted<Arc<Manifest>>, Refusal> {
        if let Some(hot) = self.hot(digest) {
            return self.answer(&hot.leave, Arc::clone(&hot.manifest), false);
        }
        let leave = self.leave(digest, None).await?;
        let manifest = self.fetch(digest).await?;
        self.serve(leave, manifest, false)
    }

    pub(super) async fn by_tag(&self, tag: &Tag) -> Result<Admitted<Arc<Manifest>>, Refusal> {
        if let Some((subject, suffix)) = tag.names_subject() {
            return self.by_subject_tag(tag, &subject, suffix).await;
        }
        let resolved = self.resolve(tag).await?;
        match resolved.standing {
            Standing::New { fallback } => self.by_moved_tag(tag, &resolved.digest, fallback).await,
            standing => self.by_known_tag(tag, &resolved.digest, is_stale(&standing)).await,
        }
    }

    async fn by_known_tag(
        &self,
        tag: &Tag,
        digest: &Digest,
        stale: bool,
    ) -> Result<Admitted<Arc<Manifest>>, Refusal> {
        // No tag is answered through a parent: what is hot must rest on a decision of its own.
        if let Some(hot) = self.hot(digest).filter(|hot| hot.answers_tags()) {
            return self.answer(&hot.leave, Arc::clone(&hot.manifest), stale);
        }
        let manifest = self.fetch(digest).await?;
        let decision = self.judge(&manifest, Some(tag)).await?;
        let leave = Leave::of_subject(&decision).ok_or_else(|| denied(&decision))?;
        self.serve(leave, manifest, stale)
    }

    /// What a tag names now is judged before the tag moves: a denied manifest moves it too, one that
    /// cannot be decided leaves it where it was, while that may still serve.
    async fn by_moved_tag(
        &self,
        tag: &Tag,
        digest: &Digest,
        fallback: Option<Digest>,
    ) -> Result<Admitted<Arc<Manifest>>, Refusal> {
        let answer = self.by_known_tag(tag, digest, false).await;
        match (&answer, fallback) {
            (Err(trouble), Some(before)) if trouble.is_trouble() => {
                self.by_known_tag(tag, &before, true).await
            }
            (Ok(_) | Err(Refusal::Denied(_)), _) => {
                self.move_tag(tag, digest).await?;
                answer
            }
            (Err(_), _) => answer,
        }
    }

    async fn move_tag(&self, tag: &Tag, digest: &Digest) -> Result<(), Refusal> {
        // What the tag names may be no manifest; the tag's record goes with it all the same.
        self.memory().used(&self.repository, digest);
        let moved = self.memory().cache.moved(&self.repository, tag, digest).await;
        moved.map_err(|e| refusal(e, Unknown::Manifest))
    }

    /// Tags of the form `sha256-<hex>…`: a signature is served for its admitted subject; the list
    /// of referrers is made here, the upstream's own is never served.
    async fn by_subject_tag(
        &self,
        tag: &Tag,
        subject: &Digest,
        suffix: &str,
    ) -> Result<Admitted<Arc<Manifest>>, Refusal> {
        if suffix.is_empty() {
            return referrers::as_manifest(self, subject).await;
        }
        if let Some(ours) = self.counter_signed_tag(subject, suffix).await? {
            // Where it was lost, what the upstream has there is better than nothing.
            if let Ok(manifest) = self.fetch(&ours).await {
                let leave = self.subject_tag_leave(tag, subject, &manifest).await?;
                return self.serve(leave, manifest, false);
            }
        }
        match self.by_own_subject_tag(tag, subject).await {
            Ok(admitted) => Ok(admitted),
            Err(why) => match self.by_subject_tag_elsewhere(tag, subject).await {
                Ok(found) => found.ok_or(why),
                Err(other) => Err(why.or(other)),
            },
        }
    }

    async fn by_own_subject_tag(
        &self,
        tag: &Tag,
        subject: &Digest,
    ) -> Result<Admitted<Arc<Manifest>>, Refusal> {
        let resolved = self.resolve(tag).await?;
        let manifest = self.fetch(&resolved.digest).await?;
        let leave = self.subject_tag_leave(tag, subject, &manifest).await?;
        if matches!(resolved.standing, Standing::New { .. }) {
            self.move_tag(tag, &resolved.digest).await?;
        }
        self.serve(leave, manifest, is_stale(&resolved.standing))
    }

    pub(super) async fn resolve(&self, tag: &Tag) -> Result<cache::Resolved, Refusal> {
        let cache = &self.memory().cache;
        let resolved = cache.resolve(&self.upstream, &self.repository, tag, self.freshness()).await;
        let mut resolved = resolved.map_err(|e| refusal(e, Unknown::Manifest))?;
        if let Some(recheck) = resolved.recheck.take() {
            self.recheck_behind(tag, recheck);
        }
        Ok(resolved)
    }

    /// Asks the upstream again behind the answer, one task a tag. A new digest is judged here, so
    /// that nobody waits for it.
    fn recheck_behind(&self, tag: &Tag, recheck: Recheck) {
        let (request, tag) = (self.clone(), tag.clone());
        tokio::spawn(async move {
            if let Ok(Some(digest)) = recheck.ask(&request.upstream).await {
                // The answer is for nobody: what counts is that the tag moves, or does not.
                let _ = request.by_moved_tag(&tag, &digest, None).await;
            }
        });
    }

    pub(super) async fn fetch(&self, digest: &Digest) -> Result<Arc<Manifest>, Refusal> {
        if let Some(refused) = self.refused_manifest(digest) {
            return Err(Refusal::Denied(refused));
        }
        let manifest =
            self.memory().cache.manifest(&self.upstream, &self.repository, digest, self.freshness()).await;
        match manifest {
            Ok(manifest) => {
                self.memory().used(&self.repository, digest);
                Ok(Arc::new(manifest))
            }
            Err(cache::Error::Manifest(error)) => {
                Err(Refusal::Denied(self.refuse_manifest(digest, &error).await?))
            }
            Err(error) => Err(refusal(error, Unknown::Manifest)),
        }
    }

    /// Serves an admitted manifest: what it unlocks is written before it is answered, so that a
    /// client that comes back for a layer finds the way.
    pub(super) fn serve(
        &self,
        leave: Leave,
        manifest: Arc<Manifest>,
        stale: bool,
    ) -> Result<Admitted<Arc<Manifest>>, Refusal> {
        let name = (self.repository.clone(), *manifest.digest());
        self.memory().keeps(&name, true).map_err(|e| internal(&e))?;
        self.memory().links.write_content(&self.repository, &manifest);
        let binds_tag = self.binds_tag();
        self.memory().heat(self, Hot { leave: leave.clone(), manifest: Arc::clone(&manifest), binds_tag });
        self.answer(&leave, manifest, stale)
    }

    /// Serves a list that was made here. It unlocks nothing.
    pub(super) fn serve_list(
        &self,
        leave: Leave,
        list: Arc<Manifest>,
        stale: bool,
    ) -> Result<Admitted<Arc<Manifest>>, Refusal> {
        self.memory().heat(self, Hot { leave: leave.clone(), manifest: Arc::clone(&list), binds_tag: false });
        self.answer(&leave, list, stale)
    }

    fn answer(
        &self,
        leave: &Leave,
        manifest: Arc<Manifest>,
        stale: bool,
    ) -> Result<Admitted<Arc<Manifest>>, Refusal> {
        Admitted::new(leave.decision(), leave.unlocks(), manifest, stale)
            .ok_or_else(|| denied(leave.decision()))
    }

    pub(super) fn hot(&self, digest: &Digest) -> Option<Arc<Warm>> {
        let hot = self.memory().hot(&self.gate, &self.repository, &self.who, digest);
        hot.inspect(|_| self.memory().count_hit())
    }

    pub(super) fn policy(&self) -> Option<&Arc<Policy>> {
        self.gate.0.policies.matching(&self.repository)
    }

    /// Whether an admitted index admits the manifests that it lists. Under `children` and `both` it
    /// does not; each is judged itself, unless nothing is enforced or an exception was made.
    pub(super) fn index_vouches(&self, decision: &Decision) -> bool {
        let excepted = decision.reasons().iter().any(|r| r.code == Code::Exception);
        excepted
            || self
                .policy()
                .is_none_or(|p| p.index() == IndexRule::Index || p.mode(&self.repository) != Mode::Enforce)
    }

    /// Whether every artifact about an admitted subject may be served: by policy, and where nothing
    /// is enforced anyway.
    pub(super) fn lists_all_referrers(&self, decision: &Decision) -> bool {
        self.policy().is_some_and(|p| p.referrers() == ReferrerRule::All)
            || matches!(decision.mode(), Mode::Allow | Mode::Audit)
    }

    /// Whether a decision holds for one tag only.
    pub(super) fn binds_tag(&self) -> bool {
        self.policy().is_some_and(|p| p.signed_name() == SignedName::Exact)
    }
}

fn is_stale(standing: &Standing) -> bool {
    matches!(standing, Standing::Stale(_))
}
