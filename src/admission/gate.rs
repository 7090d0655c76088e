//! The one door to content. Every method either gives leave ([`Admitted`]) or says why not
//! ([`Refusal`]); nothing else in the process hands content to `http`.

use std::sync::Arc;
use std::time::SystemTime;

use super::admitted::Admitted;
use super::links::{Leave, Link, Place, Role};
use super::memory::{Hot, Memory};
use super::referrers;
use super::refusal::{RETRY_AFTER, Refusal, Trouble, Unknown};
use crate::access::Principal;
use crate::audit::Refused;
use crate::cache::{self, Blob, Freshness, Recheck, Standing};
use crate::oci::{Descriptor, Digest, Manifest, Reference, Repository, Tag, Target};
use crate::policy::{
    Belief, Decision, IndexRule, Limits, Mode, Policies, Policy, ReferrerRule, SignedName, Verdict,
};
use crate::signature::Code;
use crate::upstream::{TagPage, Upstream, Upstreams};

pub use super::referrers::Referrers;

/// Parents may be admitted through parents: an index in an index, a signature of a child.
const MAX_DEPTH: usize = 4;

/// The gate of one engine: its policies and upstreams over the memory that outlives it. Cheap to
/// clone.
#[derive(Clone)]
pub struct Gate(pub(super) Arc<Parts>);

/// What a gate is made of.
pub struct Parts {
    /// What outlives reloads.
    pub memory: Arc<Memory>,
    /// The operator's policies.
    pub policies: Policies,
    /// Where content comes from.
    pub upstreams: Upstreams,
    /// How old upstream's answers may be.
    pub freshness: Freshness,
    /// How long decisions hold.
    pub limits: Limits,
    /// Serve what the audit log could not record.
    pub dangerous_skip_audit: bool,
    /// Different for each engine of a process.
    pub generation: u64,
}

impl Gate {
    /// Joins the parts of one engine.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// The manifest that a tag names now, or the one with this digest.
    ///
    /// # Errors
    /// [`Refusal`] says why it is not served.
    pub async fn manifest(
        &self,
        reference: &Reference,
        who: &Principal,
    ) -> Result<Admitted<Arc<Manifest>>, Refusal> {
        let repository = &reference.repository;
        let request = self.request(repository, who)?;
        let outcome = match &reference.target {
            Target::Digest(digest) => request.by_digest(digest).await,
            Target::Tag(tag) => request.by_tag(tag).await,
        };
        outcome
            .map_err(|refusal| self.uncovered(repository, refusal))
            .inspect_err(|refusal| self.note(refusal, repository, reference.target.to_string(), who))
    }

    /// A config or layer that an admitted manifest of this repository names.
    ///
    /// # Errors
    /// [`Refusal`] says why it is not served.
    pub async fn blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        who: &Principal,
    ) -> Result<Admitted<Blob>, Refusal> {
        let request = self.request(repository, who)?;
        let (leave, link) = request.blob_leave(digest).await?;
        let blob = self
            .memory()
            .cache
            .blob(&request.upstream, repository, &link.child)
            .await
            .map_err(|e| refusal(e, Unknown::Blob))?;
        let unlocks = leave.unlocks_blob(&link).ok_or(Refusal::Unknown(Unknown::Blob))?;
        Admitted::new(leave.decision(), unlocks, blob, false).ok_or(Refusal::Unknown(Unknown::Blob))
    }

    /// What an admitted manifest says of a config or layer: answers `HEAD` without the upstream.
    ///
    /// # Errors
    /// [`Refusal`] says why it is not served.
    pub async fn blob_descriptor(
        &self,
        repository: &Repository,
        digest: &Digest,
        who: &Principal,
    ) -> Result<Admitted<Descriptor>, Refusal> {
        let (leave, link) = self.request(repository, who)?.blob_leave(digest).await?;
        let unlocks = leave.unlocks_blob(&link).ok_or(Refusal::Unknown(Unknown::Blob))?;
        Admitted::new(leave.decision(), unlocks, link.child, false).ok_or(Refusal::Unknown(Unknown::Blob))
    }

    /// The admitted artifacts about a manifest, as an index made here. `None` where nothing is
    /// known about the digest: the specification wants an empty list then.
    ///
    /// # Errors
    /// [`Refusal`] of the subject: what may not be served has no referrers to show.
    pub async fn referrers(
        &self,
        repository: &Repository,
        subject: &Digest,
        artifact_type: Option<&str>,
        who: &Principal,
    ) -> Result<Option<Admitted<Referrers>>, Refusal> {
        let request = self.request(repository, who)?;
        let outcome = referrers::list(&request, subject, artifact_type).await;
        outcome.inspect_err(|refusal| self.note(refusal, repository, subject.to_string(), who))
    }

    /// A page of the upstream's tags.
    ///
    /// # Errors
    /// [`Refusal`] of the upstream.
    pub async fn tags(
        &self,
        repository: &Repository,
        n: Option<u32>,
        last: Option<&str>,
    ) -> Result<TagPage, Refusal> {
        let upstream = self.upstream(repository)?;
        let page = self.memory().cache.tags(upstream, repository, n, last).await;
        page.map_err(|e| refusal(e, Unknown::Name))
    }

    /// The decision about what a reference names, whatever it is: for `verify`.
    ///
    /// # Errors
    /// [`Refusal`] when there is nothing to decide about.
    pub async fn decide(&self, reference: &Reference, who: &Principal) -> Result<Arc<Decision>, Refusal> {
        let repository = &reference.repository;
        let request = self.request(repository, who)?;
        let leave = match &reference.target {
            Target::Digest(digest) => request.leave(digest, None, 0).await,
            Target::Tag(tag) => match request.resolve(tag).await {
                Ok(resolved) => request.leave(&resolved.digest, Some(tag), 0).await,
                Err(refusal) => Err(refusal),
            },
        };
        match leave {
            Ok(leave) => Ok(Arc::clone(leave.decision())),
            Err(Refusal::Denied(decision) | Refusal::Undecided { decision, .. }) => Ok(decision),
            Err(other) => Err(self.uncovered(repository, other)),
        }
    }

    /// Judges a subject again, ahead of its decision's end.
    pub async fn renew(&self, repository: &Repository, digest: &Digest) {
        let Ok(request) = self.request(repository, &Principal::Process) else { return };
        if let Ok(manifest) = request.fetch(digest).await {
            let _ = request.judge_anew(&manifest, None).await;
        }
    }

    /// A decision that is still in memory.
    pub fn decision(&self, id: &str) -> Option<Arc<Decision>> {
        self.memory().decision(id)
    }

    /// The upstreams that this gate knows.
    pub fn upstreams(&self) -> &Upstreams {
        &self.0.upstreams
    }

    /// The policies that this gate judges by.
    pub fn policies(&self) -> &Policies {
        &self.0.policies
    }

    pub(super) fn memory(&self) -> &Arc<Memory> {
        &self.0.memory
    }

    fn upstream(&self, repository: &Repository) -> Result<&Arc<Upstream>, Refusal> {
        self.0.upstreams.of(repository.registry()).ok_or(Refusal::Unknown(Unknown::Name))
    }

    fn request(&self, repository: &Repository, who: &Principal) -> Result<Request, Refusal> {
        let upstream = Arc::clone(self.upstream(repository)?);
        Ok(Request { gate: self.clone(), upstream, repository: repository.clone(), who: who.clone() })
    }

    /// An upstream in trouble does not hide that the answer would be no anyway.
    fn uncovered(&self, repository: &Repository, refusal: Refusal) -> Refusal {
        match (&refusal, self.0.policies.uncovered(repository)) {
            (Refusal::Upstream(_), Some(reason)) => {
                Refusal::Uncovered { repository: repository.clone(), reason }
            }
            _ => refusal,
        }
    }

    /// Notes a refusal in the audit log; hits and other answers write none.
    fn note(&self, refusal: &Refusal, repository: &Repository, target: String, who: &Principal) {
        let decision = match refusal {
            Refusal::Denied(decision) | Refusal::Undecided { decision, .. } => Some(decision),
            Refusal::Uncovered { .. } => None,
            Refusal::Unknown(_) | Refusal::Upstream(_) => return,
        };
        self.memory().audit.refusal(Refused {
            repository: repository.clone(),
            target,
            principal: who.to_string(),
            code: refusal.code(),
            decision: decision.map(|d| d.id().to_string()),
        });
    }
}

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

    pub(super) fn now(&self) -> SystemTime {
        self.memory().clock.now()
    }

    async fn by_digest(&self, digest: &Digest) -> Result<Admitted<Arc<Manifest>>, Refusal> {
        if let Some(hot) = self.hot(digest) {
            return self.answer(&hot.leave, hot.manifest, false);
        }
        let leave = self.leave(digest, None, 0).await?;
        let manifest = self.fetch(digest).await?;
        self.serve(leave, manifest, false)
    }

    async fn by_tag(&self, tag: &Tag) -> Result<Admitted<Arc<Manifest>>, Refusal> {
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
            return self.answer(&hot.leave, hot.manifest, stale);
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
            (Err(Refusal::Undecided { .. } | Refusal::Upstream(_)), Some(before)) => {
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
        let resolved = self.resolve(tag).await?;
        let manifest = self.fetch(&resolved.digest).await?;
        let leave = self.subject_tag_leave(tag, subject, &manifest).await?;
        if matches!(resolved.standing, Standing::New { .. }) {
            self.move_tag(tag, &resolved.digest).await?;
        }
        self.serve(leave, manifest, is_stale(&resolved.standing))
    }

    /// Leave for what stands under such a tag: through its subject, else by signatures of its own.
    /// Where neither gives it, the subject's refusal says more.
    async fn subject_tag_leave(
        &self,
        tag: &Tag,
        subject: &Digest,
        manifest: &Arc<Manifest>,
    ) -> Result<Leave, Refusal> {
        let parent = self.leave(subject, None, 1).await;
        if let Ok(parent) = &parent
            && let Some(leave) = self.referrer_leave(parent, manifest).await
        {
            return Ok(leave);
        }
        let decision = self.judge(manifest, Some(tag)).await?;
        match (Leave::of_subject(&decision), parent) {
            (Some(leave), _) => Ok(leave),
            (None, Err(refusal @ (Refusal::Denied(_) | Refusal::Undecided { .. }))) => Err(refusal),
            (None, _) => Err(denied(&decision)),
        }
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

    /// Asks the upstream again behind the answer. A new digest is judged here, so that nobody waits
    /// for it.
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
        let manifest =
            self.memory().cache.manifest(&self.upstream, &self.repository, digest, self.freshness()).await;
        match manifest {
            Ok(manifest) => Ok(Arc::new(manifest)),
            Err(cache::Error::Manifest(error)) => {
                Err(Refusal::Denied(self.refuse_manifest(digest, &error).await?))
            }
            Err(error) => Err(refusal(error, Unknown::Manifest)),
        }
    }

    /// Leave for a manifest of this repository: by a live parent, then a lapsed one, then its own
    /// signatures.
    pub(super) async fn leave(
        &self,
        digest: &Digest,
        tag: Option<&Tag>,
        depth: usize,
    ) -> Result<Leave, Refusal> {
        if let Some(leave) = self.memory().live(self, digest, tag).and_then(|d| Leave::of_subject(&d)) {
            return Ok(leave);
        }
        if tag.is_none()
            && let Some(leave) = self.parent_leave(digest, depth).await?
        {
            return Ok(leave);
        }
        let manifest = self.fetch(digest).await?;
        if tag.is_none()
            && depth < MAX_DEPTH
            && let Some(subject) = manifest.subject()
            && let Ok(parent) = Box::pin(self.leave(&subject.digest, None, depth + 1)).await
            && let Some(leave) = self.referrer_leave(&parent, &manifest).await
        {
            return Ok(leave);
        }
        let decision = self.judge(&manifest, tag).await?;
        Leave::of_subject(&decision).ok_or_else(|| denied(&decision))
    }

    /// Leave through a parent: those with a live decision first, then lapsed ones, judged again.
    async fn parent_leave(&self, digest: &Digest, depth: usize) -> Result<Option<Leave>, Refusal> {
        if depth >= MAX_DEPTH {
            return Ok(None);
        }
        let links = self.links(digest, Place::Manifests).await?;
        for link in &links {
            let decision = self.memory().live(self, &link.parent, None);
            let leave = decision.and_then(|d| Leave::of_subject(&d)).and_then(|l| self.open(&l, link));
            if leave.is_some() {
                return Ok(leave);
            }
        }
        for link in &links {
            if let Ok(parent) = Box::pin(self.leave(&link.parent, None, depth + 1)).await
                && let Some(leave) = self.open(&parent, link)
            {
                return Ok(Some(leave));
            }
        }
        Ok(None)
    }

    /// Goes through a link, where today's policy still has it so: an index that must not vouch for
    /// its children opens no child, an artifact that is not proven needs `referrers: all`.
    fn open(&self, parent: &Leave, link: &Link) -> Option<Leave> {
        let open = match link.role {
            Role::Child => self.index_vouches(parent.decision()),
            Role::Signature => {
                self.lists_all_referrers(parent.decision()) || proves(parent.decision(), &link.child.digest)
            }
            Role::Referrer => self.lists_all_referrers(parent.decision()),
            Role::Config | Role::Layer => false,
        };
        if open { parent.through(link) } else { None }
    }

    /// Leave for an artifact whose subject is admitted.
    async fn referrer_leave(&self, parent: &Leave, artifact: &Manifest) -> Option<Leave> {
        let links = self.links(artifact.digest(), Place::Manifests).await.ok()?;
        let opened = |links: &[Link]| {
            links.iter().filter(|l| l.parent == *parent.manifest()).find_map(|l| self.open(parent, l))
        };
        if let Some(leave) = opened(&links) {
            return Some(leave);
        }
        referrers::admit(self, parent, artifact).await
    }

    /// Leave for a blob: through a parent with a live decision, else through one that is judged
    /// again.
    async fn blob_leave(&self, digest: &Digest) -> Result<(Leave, Link), Refusal> {
        let links = self.links(digest, Place::Blobs).await?;
        for link in &links {
            if let Some(leave) = self.hot(&link.parent).map(|hot| hot.leave) {
                return Ok((leave, link.clone()));
            }
        }
        let mut last = Refusal::Unknown(Unknown::Blob);
        for link in links {
            match self.leave(&link.parent, None, 0).await {
                Ok(leave) => return Ok((leave, link)),
                Err(refusal) => last = refusal,
            }
        }
        Err(last)
    }

    async fn links(&self, digest: &Digest, place: Place) -> Result<Vec<Link>, Refusal> {
        self.memory().links.parents(&self.repository, digest, place).await.map_err(|e| internal(&e))
    }

    /// Serves an admitted manifest: what it unlocks is written before it is answered, so that a
    /// client that comes back for a layer finds the way.
    fn serve(
        &self,
        leave: Leave,
        manifest: Arc<Manifest>,
        stale: bool,
    ) -> Result<Admitted<Arc<Manifest>>, Refusal> {
        self.memory().links.write_content(&self.repository, &manifest, self.index_vouches(leave.decision()));
        let binds_tag = self.binds_tag();
        self.memory().heat(self, Hot { leave: leave.clone(), manifest: Arc::clone(&manifest), binds_tag });
        self.answer(&leave, manifest, stale)
    }

    /// Serves a list that was made here. It unlocks nothing.
    pub(super) fn serve_list(
        &self,
        leave: Leave,
        list: Arc<Manifest>,
    ) -> Result<Admitted<Arc<Manifest>>, Refusal> {
        self.memory().heat(self, Hot { leave: leave.clone(), manifest: Arc::clone(&list), binds_tag: false });
        self.answer(&leave, list, false)
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

    /// What is in memory and still holds: same repository, live decision, same policy.
    fn hot(&self, digest: &Digest) -> Option<Hot> {
        self.memory().hot(self, digest)
    }

    pub(super) fn policy(&self) -> Option<&Arc<Policy>> {
        self.gate.0.policies.matching(&self.repository)
    }

    /// Whether an admitted index admits the manifests that it lists. Under `children` and `both` it
    /// does not; each is judged itself, unless nothing is enforced or an exception was made.
    fn index_vouches(&self, decision: &Decision) -> bool {
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

/// Whether a decision believed the signature that this artifact carries.
pub(super) fn proves(decision: &Decision, artifact: &Digest) -> bool {
    decision.signatures().iter().any(|s| s.digest == *artifact && s.result == Belief::Trusted)
}

/// The refusal of a decision that does not let its subject be served.
pub(super) fn denied(decision: &Arc<Decision>) -> Refusal {
    match decision.verdict() {
        Verdict::Indeterminate => {
            Refusal::Undecided { decision: Arc::clone(decision), retry_after: RETRY_AFTER }
        }
        Verdict::Allow | Verdict::Deny => Refusal::Denied(Arc::clone(decision)),
    }
}

pub(super) fn refusal(error: cache::Error, missing: Unknown) -> Refusal {
    use cache::Error;
    let unavailable = |message: String| {
        Refusal::Upstream(Trouble::Unavailable { message: message.into(), retry_after: RETRY_AFTER })
    };
    match error {
        Error::NotFound => Refusal::Unknown(missing),
        Error::Refused { status, message } => Refusal::Upstream(Trouble::Refused { status, message }),
        Error::Throttled { retry_after } => Refusal::Upstream(Trouble::Throttled { retry_after }),
        Error::Store(message) => Refusal::Upstream(Trouble::Internal { message }),
        other => unavailable(other.to_string()),
    }
}

pub(super) fn internal(error: &dyn std::fmt::Display) -> Refusal {
    Refusal::Upstream(Trouble::Internal { message: error.to_string() })
}
