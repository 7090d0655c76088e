//! The one door to content. Every method either gives leave ([`Admitted`]) or says why not
//! ([`Refusal`]); nothing else in the process hands content to `http`.

use std::sync::Arc;

use super::admitted::Admitted;
use super::countersign::CounterSigners;
use super::discovery::Bounds;
use super::links::{Leave, Link};
use super::memory::Memory;
use super::referrers;
use super::refusal::{Refusal, Unknown, refusal};
use super::request::Request;
use crate::access::Principal;
use crate::audit::Refused;
use crate::cache::{Blob, Freshness};
use crate::oci::{Descriptor, Digest, Manifest, Reference, Repository, Target};
use crate::policy::{Decision, Limits, Mode, Policies, Verdict};
use crate::signature::Code;
use crate::store;
use crate::telemetry::metrics::Verification;
use crate::trust::RevocationSources;
use crate::trust::revocation::Answer;
use crate::upstream::{TagPage, Upstream, Upstreams};

pub use super::referrers::Referrers;

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
    /// Who signs what the policies allow.
    pub counter_signers: CounterSigners,
    /// Where content comes from.
    pub upstreams: Upstreams,
    /// The OCI layouts that policies look for signatures in.
    pub layouts: Vec<Arc<Upstream>>,
    /// Where it can be asked whether certificates were revoked.
    pub revocation: RevocationSources,
    /// How old upstream's answers may be.
    pub freshness: Freshness,
    /// How long decisions hold.
    pub limits: Limits,
    /// How much is looked at for one subject.
    pub bounds: Bounds,
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
        let outcome = async {
            let request = self.open_request(repository, who)?;
            match &reference.target {
                Target::Digest(digest) => request.by_digest(digest).await,
                Target::Tag(tag) => request.by_tag(tag).await,
            }
        };
        let noted = |refusal: &_| self.note(refusal, repository, reference.target.to_string(), who);
        outcome.await.inspect_err(noted)
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
        let (leave, link) = self.blob_leave(&request, digest).await?;
        let blob = self
            .memory()
            .cache
            .blob(&request.upstream, repository, &link.child)
            .await
            .map_err(|e| refusal(e, Unknown::Blob))?;
        self.lend(repository, &leave, &link, blob).ok_or(Refusal::Unknown(Unknown::Blob))
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
        let (leave, link) = self.blob_leave(&self.request(repository, who)?, digest).await?;
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
        let outcome =
            async { referrers::list(&self.open_request(repository, who)?, subject, artifact_type).await };
        outcome.await.inspect_err(|refusal| self.note(refusal, repository, subject.to_string(), who))
    }

    /// A page of the upstream's tags, of a repository of which anything may be served.
    ///
    /// # Errors
    /// [`Refusal`] of the repository, or of the upstream.
    pub async fn tags(
        &self,
        repository: &Repository,
        n: Option<u32>,
        last: Option<&str>,
        who: &Principal,
    ) -> Result<TagPage, Refusal> {
        let request = self.open_request(repository, who);
        let request =
            request.inspect_err(|refusal| self.note(refusal, repository, "tags".to_owned(), who))?;
        let page = self.memory().cache.tags(&request.upstream, repository, n, last).await;
        page.map_err(|e| refusal(e, Unknown::Repository))
    }

    /// The decision about what a reference names, whatever it is: for `verify`.
    ///
    /// # Errors
    /// [`Refusal`] when there is nothing to decide about.
    pub async fn decide(&self, reference: &Reference, who: &Principal) -> Result<Arc<Decision>, Refusal> {
        let repository = &reference.repository;
        let request = self.request(repository, who)?;
        let leave = match &reference.target {
            Target::Digest(digest) => request.leave(digest, None).await,
            Target::Tag(tag) => match request.resolve(tag).await {
                Ok(resolved) => request.leave(&resolved.digest, Some(tag)).await,
                Err(refusal) => Err(refusal),
            },
        };
        match leave {
            Ok(leave) => Ok(Arc::clone(leave.decision())),
            Err(Refusal::Denied(decision) | Refusal::Undecided { decision, .. }) => Ok(decision),
            // An upstream in trouble does not hide that the answer would be no anyway.
            Err(Refusal::Upstream(trouble)) => {
                Err(self.closed(repository).unwrap_or(Refusal::Upstream(trouble)))
            }
            Err(other) => Err(other),
        }
    }

    /// The decision about what a reference names, on its own signatures alone: what it is attached to or
    /// listed in gives it nothing.
    ///
    /// # Errors
    /// [`Refusal`] when there is nothing to decide about.
    pub async fn decide_alone(
        &self,
        reference: &Reference,
        who: &Principal,
    ) -> Result<Arc<Decision>, Refusal> {
        let request = self.request(&reference.repository, who)?;
        let (digest, tag) = match &reference.target {
            Target::Digest(digest) => (*digest, None),
            Target::Tag(tag) => (request.resolve(tag).await?.digest, Some(tag)),
        };
        match request.fetch(&digest).await {
            Ok(manifest) => request.judge(&manifest, tag).await,
            Err(Refusal::Denied(decision)) => Ok(decision),
            Err(other) => Err(other),
        }
    }

    /// Asks again about the certificates that signatures rest on, ahead of their answers' end; a
    /// revocation that is learned ends the decisions before it. A step for the engine's jobs.
    pub async fn refresh_revocations(&self) {
        self.memory().revocations.refresh(&self.0.revocation).await;
    }

    /// The answers of revocation servers that decisions of this process rest on, as they are kept now.
    ///
    /// # Errors
    /// What the store cannot read.
    pub async fn revocation_answers(&self) -> Result<Vec<Answer>, String> {
        self.memory().revocations.answers().await
    }

    /// Judges a subject again, ahead of its decision's end.
    pub async fn renew(&self, repository: &Repository, digest: &Digest) {
        if let Ok(request) = self.request(repository, &Principal::Process) {
            // The decision is for the next request; what went wrong stands in the audit log.
            let _ = request.judge_anew(digest).await;
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

    /// Admits a blob through a link. As long as it is on its way to the client, what led to it is in use: a
    /// client asks for an image's next layer when it has this one.
    pub(super) fn lend(
        &self,
        repository: &Repository,
        leave: &Leave,
        link: &Link,
        blob: Blob,
    ) -> Option<Admitted<Blob>> {
        let unlocks = leave.unlocks_blob(link)?;
        let takes_time = blob.size() > store::SMALL;
        let blob = match takes_time {
            true => {
                blob.keeping(self.memory().lent.begin(repository, leave.decision().subject(), &link.parent))
            }
            false => blob,
        };
        Admitted::new(leave.decision(), unlocks, blob, false)
    }

    async fn blob_leave(&self, request: &Request, digest: &Digest) -> Result<(Leave, Link), Refusal> {
        let outcome = request.blob_leave(digest).await;
        outcome
            .inspect_err(|refusal| self.note(refusal, &request.repository, digest.to_string(), &request.who))
    }

    pub(super) fn upstream(&self, repository: &Repository) -> Result<&Arc<Upstream>, Refusal> {
        self.0.upstreams.of(repository.registry()).ok_or(Refusal::Unknown(Unknown::Registry))
    }

    pub(super) fn request(&self, repository: &Repository, who: &Principal) -> Result<Request, Refusal> {
        let upstream = Arc::clone(self.upstream(repository)?);
        Ok(Request { gate: self.clone(), upstream, repository: repository.clone(), who: who.clone() })
    }

    /// A request to a repository of which something may be admitted. Where nothing can be, the upstream is not asked: nobody
    /// learns through us what is there, or uses up what it grants.
    fn open_request(&self, repository: &Repository, who: &Principal) -> Result<Request, Refusal> {
        let request = self.request(repository, who)?;
        match self.closed(repository) {
            Some(refusal) => {
                self.count_closed(repository, &refusal);
                Err(refusal)
            }
            None => Ok(request),
        }
    }

    fn closed(&self, repository: &Repository) -> Option<Refusal> {
        let (policy, reason) = self.0.policies.closed(repository)?;
        Some(Refusal::Closed { repository: repository.clone(), policy: policy.cloned(), reason })
    }

    /// As the decision that it spares.
    fn count_closed(&self, repository: &Repository, refusal: &Refusal) {
        let Refusal::Closed { policy, reason, .. } = refusal else { return };
        let (registry, code) = (repository.registry().as_str(), reason.code);
        let mode = if code == Code::ModeDeny { Mode::Deny } else { Mode::Enforce };
        let (mode, policy) = (mode.as_str(), policy.as_deref().unwrap_or("none"));
        let (format, result) = ("none", Verdict::Deny.as_str());
        let labels = Verification { registry, policy, format, mode, result, reason: code.as_str() };
        self.memory().metrics.verifications.at(labels).inc();
    }

    /// Notes a refusal in the audit log; hits and other answers write none.
    fn note(&self, refusal: &Refusal, repository: &Repository, target: String, who: &Principal) {
        let decision = match refusal {
            Refusal::Denied(decision) | Refusal::Undecided { decision, .. } => Some(decision),
            Refusal::Closed { .. } => None,
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
