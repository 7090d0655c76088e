//! Counter-signing: what a policy enforced and allowed is signed with the organisation's own key, so that those who
//! trust that one key need no other. Made behind the answer, kept beside the subject, served as its referrers and
//! under its `.sig` tag for as long as the decision holds.

mod signer;

use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use super::kept::owner;
use super::links::Leave;
use super::memory::How;
use super::refusal::{Refusal, internal};
use super::request::Request;
use crate::audit::CounterSignature;
use crate::oci::{Digest, Manifest, Repository, Tag};
use crate::policy::{Decision, Mode, Verdict};
use crate::signature::Code;
use crate::signing::Artifact;
use crate::store::key::within;
use crate::store::{self, Change, Records, Table};
use crate::telemetry::metrics::CounterSigned;

pub use signer::{CounterSigner, CounterSigners};

/// The suffix of the tag under which cosign looks for signatures.
const COSIGN: &str = ".sig";

/// What was made for each subject.
pub(super) struct Countersigned(Table);

/// What was made for one.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    /// By which key and settings, under which revision of the policy.
    by: String,
    /// The signatures of others that stand beside ours under the `.sig` tag.
    beside: Option<Digest>,
    /// The referrers.
    artifacts: Vec<Digest>,
    /// What stands under the `.sig` tag.
    tagged: Option<Digest>,
}

impl Countersigned {
    pub(super) fn open(records: &Records) -> Self {
        Self(records.table("countersigned"))
    }

    /// What strikes the record of a subject that is retired.
    pub(super) fn striking(&self, repository: &Repository, subject: &Digest) -> Change {
        self.0.deleting(within(repository, subject))
    }

    async fn get(&self, repository: &Repository, subject: &Digest) -> Result<Option<Record>, store::Error> {
        let value = self.0.get(&within(repository, subject)).await?;
        // A record that cannot be read is one that has to be made anew.
        Ok(value.and_then(|value| serde_json::from_slice(&value).ok()))
    }
}

impl Request {
    /// Has a new decision's subject counter-signed, where its policy wants that, and what was made for it withdrawn,
    /// where it does not any more. Waits only where the policy wants that, too.
    ///
    /// # Errors
    /// [`Refusal`], of a policy whose first answer waits.
    pub(super) async fn counter_sign(
        &self,
        manifest: &Arc<Manifest>,
        decision: &Arc<Decision>,
        proven: &[Digest],
        how: How,
    ) -> Result<(), Refusal> {
        let Some(signer) = self.counter_signer(decision) else {
            if decision.verdict() != Verdict::Indeterminate {
                self.withdraw(decision).await;
            }
            return Ok(());
        };
        let waits = signer.before_serving();
        let name = ((self.repository.clone(), *manifest.digest()), how);
        let signing =
            self.memory().signing.run(name, || self.signing(signer, manifest, decision, proven, how));
        if waits {
            return signing.await.map_err(|e| internal(&e))?;
        }
        // It goes on by itself from the first poll on.
        let _ = signing.now_or_never();
        Ok(())
    }

    /// Boxed: to sign may take another decision, which has to be signed.
    fn signing(
        &self,
        signer: Arc<CounterSigner>,
        manifest: &Arc<Manifest>,
        decision: &Arc<Decision>,
        proven: &[Digest],
        how: How,
    ) -> BoxFuture<'static, Result<(), Refusal>> {
        let (request, manifest, decision) = (self.clone(), Arc::clone(manifest), Arc::clone(decision));
        let inputs = proven.to_vec();
        Box::pin(async move {
            // Who shares a tag with others' signatures has to know which of them are believed.
            if signer.is_tagged() && how != How::Whole && !request.upstream.is_offline() {
                let whole = request.judge_whole(manifest.digest()).await;
                if whole.is_ok_and(|whole| whole.verdict() == Verdict::Allow) {
                    return Ok(());
                }
            }
            request.sign_for(&signer, &manifest, &decision, &inputs).await
        })
    }

    /// Who signs what this decision allows: nobody, but for proof that was enforced. An exception is none.
    fn counter_signer(&self, decision: &Decision) -> Option<Arc<CounterSigner>> {
        let is_proof = decision.verdict() == Verdict::Allow
            && decision.mode() == Mode::Enforce
            && decision.reasons().iter().all(|reason| reason.code != Code::Exception);
        is_proof.then(|| self.gate.0.counter_signers.of(decision.policy()?)).flatten()
    }

    async fn sign_for(
        &self,
        signer: &CounterSigner,
        manifest: &Manifest,
        decision: &Arc<Decision>,
        inputs: &[Digest],
    ) -> Result<(), Refusal> {
        let made = self.make(signer, manifest, decision, inputs).await;
        let result = match &made {
            Ok(false) => return Ok(()),
            Ok(true) => "made",
            Err(error) => {
                let (repository, subject) = (&self.repository, manifest.digest());
                tracing::error!(%repository, %subject, error, "an allowed manifest cannot be counter-signed");
                "failed"
            }
        };
        self.count_signed(decision, result);
        made.map(drop).map_err(|why| internal(&format_args!("it could not be counter-signed: {why}")))
    }

    /// Makes and keeps what is not there yet. Says whether something was made.
    async fn make(
        &self,
        signer: &CounterSigner,
        manifest: &Manifest,
        decision: &Arc<Decision>,
        inputs: &[Digest],
    ) -> Result<bool, String> {
        let (memory, repository, subject) = (self.memory(), &self.repository, manifest.digest());
        let beside = match signer.is_tagged() {
            true => self.upstreams_own(decision, inputs).await.map_err(|e| e.to_string())?,
            false => None,
        };
        let by = signer.name(decision.revision());
        let known = memory.countersigned.get(repository, subject).await.map_err(|e| e.to_string())?;
        let others = beside.as_ref().map(|image| *image.digest());
        if known.is_some_and(|record| record.by == by && record.beside == others) {
            return Ok(false);
        }
        let made = signer.sign(repository, manifest.descriptor(), decision, inputs, beside.as_deref()).await;
        let made = made.map_err(|e| e.to_string())?;
        for artifact in made.referrers.iter().chain(&made.tagged) {
            self.keep_made(subject, artifact).await.map_err(|e| e.to_string())?;
        }
        let digest = |artifact: &Artifact| *artifact.manifest.digest();
        let artifacts = made.referrers.iter().map(digest).collect();
        let record = Record { by, beside: others, artifacts, tagged: made.tagged.as_ref().map(digest) };
        // Written down before it is served.
        self.note_counter_signature("counter-signed", decision, &record, Some(signer)).await?;
        let value = serde_json::to_vec(&record).map_err(|e| e.to_string())?;
        memory.countersigned.0.put(within(repository, subject), value);
        Ok(true)
    }

    async fn keep_made(&self, subject: &Digest, artifact: &Artifact) -> Result<(), crate::cache::Error> {
        let (memory, repository) = (self.memory(), &self.repository);
        memory.keeps(&(repository.clone(), *subject), false)?;
        memory.cache.adopt(repository, &artifact.manifest, &artifact.blobs).await?;
        let blobs = artifact.blobs.iter().map(|blob| Digest::sha256(blob));
        for digest in blobs.chain([*artifact.manifest.digest()]) {
            memory.store.hold(&digest, &owner(repository, subject)).await?;
        }
        Ok(())
    }

    /// The image under the upstream's own `.sig` tag, where it may be served.
    async fn upstreams_own(
        &self,
        decision: &Decision,
        proven: &[Digest],
    ) -> Result<Option<Arc<Manifest>>, Refusal> {
        let tag = Tag::about(decision.subject(), COSIGN);
        let found = async {
            let resolved = self.resolve(&tag).await?;
            let is_served = proven.contains(&resolved.digest) || self.lists_all_referrers(decision);
            if is_served { self.fetch(&resolved.digest).await.map(Some) } else { Ok(None) }
        };
        match found.await {
            Err(Refusal::Unknown(_) | Refusal::Denied(_)) => Ok(None),
            found => found,
        }
    }

    /// Takes back what was made for a subject whose decision fell, or whose policy signs no more.
    async fn withdraw(&self, decision: &Decision) {
        let (memory, repository, subject) = (self.memory(), &self.repository, decision.subject());
        let record = match memory.countersigned.get(repository, subject).await {
            Ok(None) => return,
            Ok(Some(record)) => record,
            Err(error) => {
                tracing::error!(%repository, %subject, %error, "counter-signatures cannot be read");
                return;
            }
        };
        memory.countersigned.0.delete(within(repository, subject));
        self.count_signed(decision, "withdrawn");
        if let Err(error) = self.note_counter_signature("withdrawn", decision, &record, None).await {
            tracing::error!(%repository, %subject, error, "the end of counter-signatures cannot be recorded");
        }
    }

    /// Whether an artifact is one that was made here about the subject, by who signs today.
    ///
    /// # Errors
    /// [`Refusal`]: it cannot be found out.
    pub(super) async fn is_counter_signature(
        &self,
        parent: &Leave,
        artifact: &Digest,
    ) -> Result<bool, Refusal> {
        let record = self.countersigned(parent).await?;
        Ok(record.is_some_and(|r| r.artifacts.contains(artifact) || r.tagged.as_ref() == Some(artifact)))
    }

    /// The referrers that were made here about a subject.
    ///
    /// # Errors
    /// As [`Request::is_counter_signature`].
    pub(super) async fn counter_signatures(&self, parent: &Leave) -> Result<Vec<Digest>, Refusal> {
        Ok(self.countersigned(parent).await?.map(|record| record.artifacts).unwrap_or_default())
    }

    /// What stands here under a subject's `.sig` tag.
    ///
    /// # Errors
    /// [`Refusal`] of the subject; as [`Request::is_counter_signature`].
    pub(super) async fn counter_signed_tag(
        &self,
        subject: &Digest,
        suffix: &str,
    ) -> Result<Option<Digest>, Refusal> {
        if suffix != COSIGN || self.gate.0.counter_signers.is_empty() {
            return Ok(None);
        }
        let leave = match self.leave(subject, None).await {
            Ok(leave) => leave,
            Err(Refusal::Unknown(_)) => return Ok(None),
            Err(other) => return Err(other),
        };
        Ok(self.countersigned(&leave).await?.and_then(|record| record.tagged))
    }

    async fn countersigned(&self, parent: &Leave) -> Result<Option<Record>, Refusal> {
        let decision = parent.decision();
        let Some(signer) = self.counter_signer(decision) else { return Ok(None) };
        let record = self.memory().countersigned.get(&self.repository, parent.manifest()).await;
        let record = record.map_err(|e| internal(&e))?;
        Ok(record.filter(|record| record.by == signer.name(decision.revision())))
    }

    fn count_signed(&self, decision: &Decision, result: &'static str) {
        let (registry, policy) = (self.repository.registry().as_str(), decision.policy());
        let policy = policy.map_or("none", |name| &**name);
        self.memory().metrics.counter_signatures.at(CounterSigned { registry, policy, result }).inc();
    }

    async fn note_counter_signature(
        &self,
        event: &'static str,
        decision: &Decision,
        record: &Record,
        signer: Option<&CounterSigner>,
    ) -> Result<(), String> {
        let line = CounterSignature {
            event,
            repository: self.repository.to_string(),
            subject: *decision.subject(),
            decision: decision.id().to_string(),
            policy: decision.policy().map(|name| name.to_string()),
            key: signer.map(CounterSigner::fingerprint),
            artifacts: record.artifacts.iter().chain(&record.tagged).copied().collect(),
        };
        self.memory().audit.counter_signature(&line).await.map_err(|e| e.to_string())
    }
}
