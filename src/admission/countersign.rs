//! Counter-signing: what a policy enforced and allowed is signed with the organisation's own key, so that those who
//! trust that one key need no other. Made behind the answer, kept beside the subject, served as its referrers and
//! under its `.sig` tag for as long as the decision holds.

mod awaiting;
mod making;
mod records;
mod serving;
mod signer;
mod signers;

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::kept::owner;
use super::memory::How;
use super::refusal::{Refusal, internal};
use super::request::Request;
use crate::audit::CounterSignature;
use crate::oci::{Digest, Kind, Manifest, Repository};
use crate::policy::{Decision, IndexRule, Mode, Policy, Verdict};
use crate::signature::Code;
use crate::store::key::within;
use crate::telemetry::metrics::CounterSigned;

pub(super) use records::Countersigned;
use records::Record;
pub use signer::CounterSigner;
pub use signers::CounterSigners;

/// The suffix of the tag under which cosign looks for signatures.
const COSIGN: &str = ".sig";

/// After a failure it is tried again after each of these, behind the answers. The next decision tries anew.
const PAUSES: [Duration; 3] = [Duration::from_secs(5), Duration::from_secs(60), Duration::from_secs(600)];
/// So long a decision waits until what was made under another is taken back.
const WITHDRAWING: Duration = Duration::from_secs(1);

impl Request {
    /// Has a new decision's subject counter-signed, where its policy wants that, and what was made for it withdrawn,
    /// where it does not any more. Waits only where the policy wants that, too: before anybody else learns of the
    /// decision.
    ///
    /// # Errors
    /// [`Refusal`], of a policy whose answers wait.
    pub(super) async fn counter_sign(
        &self,
        manifest: &Arc<Manifest>,
        decision: &Arc<Decision>,
        proven: &[Digest],
        how: How,
    ) -> Result<(), Refusal> {
        let Some(signer) = self.counter_signer(decision).filter(|_| self.vouches_for_all(manifest)) else {
            // A decision about one tag says nothing of the others.
            let is_about_all = decision.tag().is_none() || !self.binds_tag();
            if decision.verdict() != Verdict::Indeterminate && is_about_all {
                self.withdraw(decision).await;
            }
            return Ok(());
        };
        let waits = signer.before_serving();
        let name = (self.repository.clone(), *manifest.digest());
        let key = (name, how, signer.name(decision.revision()));
        let run = || self.signing(signer, manifest, decision, proven, how);
        let signing = self.memory().signing.run(key, run);
        if waits {
            return signing.await.map_err(|e| internal(&e))?;
        }
        // It goes on by itself from the first poll on.
        let _ = signing.now_or_never();
        Ok(())
    }

    /// Whether a signature of the manifest would vouch for no more than was proven: under `children` and `both` an index
    /// is allowed of which not all may be. What it lists is signed itself then.
    fn vouches_for_all(&self, manifest: &Manifest) -> bool {
        let by_index = |policy: &Arc<Policy>| policy.index() == IndexRule::Index;
        manifest.kind() != Kind::Index || self.policy().is_some_and(by_index)
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
        let mut inputs = proven.to_vec();
        Box::pin(async move {
            // Who shares a tag with others' signatures has to know which of them are believed.
            if signer.is_tagged() && how != How::Whole && !request.upstream.is_offline() {
                let whole = request.judge_whole(manifest.digest()).await;
                if let Ok(whole) = whole.as_ref().map(|whole| request.memory().proven(&request, whole)) {
                    inputs.extend(whole);
                }
            }
            let mut signed = request.sign_for(&signer, &manifest, &decision, &inputs).await;
            for pause in PAUSES.iter().filter(|_| !signer.before_serving()) {
                if signed.is_ok() {
                    break;
                }
                tokio::time::sleep(*pause).await;
                signed = request.sign_for(&signer, &manifest, &decision, &inputs).await;
            }
            signed
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

    /// Takes back what was made for a subject whose decision fell, or whose policy signs no more. None of it is served
    /// any more, so the decision waits no longer than a moment for who signs another subject.
    async fn withdraw(&self, decision: &Arc<Decision>) {
        let (request, decision) = (self.clone(), Arc::clone(decision));
        let taking = tokio::spawn(async move { request.take_back(&decision).await });
        let _ = tokio::time::timeout(WITHDRAWING, taking).await;
    }

    async fn take_back(&self, decision: &Decision) {
        let (memory, repository, subject) = (self.memory(), &self.repository, decision.subject());
        let known = async || {
            let record = memory.countersigned.get(repository, subject).await;
            record.unwrap_or_else(|error| {
                tracing::error!(%repository, %subject, %error, "counter-signatures cannot be read");
                None
            })
        };
        if known().await.is_none() {
            return;
        }
        // What is being made for an earlier decision is taken back whole, or not touched.
        let _turn = memory.countersigned.turn(subject).lock().await;
        let Some(record) = known().await else { return };
        memory.countersigned.table.delete(within(repository, subject));
        self.let_go(subject, &record, &[]).await;
        self.count_signed(decision, "withdrawn");
        self.note_withdrawn(decision, &record).await;
    }

    /// Writes down that what was made is not in use any more. It goes, whether or not that can be recorded.
    async fn note_withdrawn(&self, decision: &Decision, record: &Record) {
        if let Err(error) = self.note_counter_signature("withdrawn", decision, record, None).await {
            let (repository, subject) = (&self.repository, decision.subject());
            tracing::error!(%repository, %subject, error, "the end of counter-signatures cannot be recorded");
        }
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
            artifacts: record.all().copied().collect(),
        };
        self.memory().audit.counter_signature(&line).await.map_err(|e| e.to_string())
    }
}

/// In whose name what was made is held: not the subject's own, so that it can go while the publisher's stay.
pub(super) fn maker(repository: &Repository, subject: &Digest) -> String {
    format!("{} countersigned", owner(repository, subject))
}
