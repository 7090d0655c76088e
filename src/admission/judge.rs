//! Makes decisions: has evidence gathered, asks the policy, records what came of it.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use futures_util::FutureExt as _;

use super::collection::believed;
use super::gate::Parts;
use super::gathering::{Gathered, Judging};
use super::kept;
use super::links::Role;
use super::memory::{Evaluation, How, Key, Made};
use super::reach::Reach;
use super::refusal::{Refusal, internal, unrecorded};
use super::request::Request;
use crate::audit;
use crate::oci::{Descriptor, Digest, Manifest, ManifestError, Tag};
use crate::policy::{self, Belief, Decision, Policy, Reason, Revision, Verdict};
use crate::signature::{Code, Subject};
use crate::telemetry::metrics::{InRegistry, Verification, WouldDeny};

/// At most so many manifests that an index lists are judged for one decision, in indexes nested so
/// deep.
pub(super) const MAX_CHILDREN: usize = 256;
pub(super) const MAX_NESTING: usize = 2;

impl Request {
    /// The decision about a manifest: a live one, else a new one that concurrent requests share.
    pub(super) async fn judge(
        &self,
        manifest: &Arc<Manifest>,
        tag: Option<&Tag>,
    ) -> Result<Arc<Decision>, Refusal> {
        let subject = manifest.digest();
        if let Some(decision) = self.memory().live(self, subject, tag) {
            self.memory().count_hit();
            return Ok(decision);
        }
        self.memory().metrics.decision_cache_misses.inc();
        if let Some(decision) = self.memory().lapsed_audit(self, subject, tag) {
            self.judge_behind(subject, tag, How::Usual);
            return Ok(decision);
        }
        self.evaluate(subject, Some(manifest), tag, How::Usual).await
    }

    /// A new decision from what the sources say now.
    pub(super) async fn judge_anew(&self, subject: &Digest) -> Result<Arc<Decision>, Refusal> {
        self.evaluate(subject, None, None, How::Anew).await
    }

    /// A decision for which every signature was judged: lists of referrers show all that are
    /// proven.
    pub(super) async fn judge_whole(&self, subject: &Digest) -> Result<Arc<Decision>, Refusal> {
        if let Some(decision) = self.memory().live_whole(self, subject) {
            return Ok(decision);
        }
        self.evaluate(subject, None, None, How::Whole).await
    }

    /// Renews a decision behind the answer that it gave, unless that was tried a moment ago.
    pub(super) fn renew_behind(&self, subject: &Digest, tag: Option<&Tag>) {
        if !self.memory().rests(self, subject, tag) {
            self.judge_behind(subject, tag, How::Anew);
        }
    }

    /// The key of a decision.
    pub(super) fn key(&self, subject: &Digest, tag: Option<&Tag>) -> Key {
        let tag = tag.filter(|_| self.binds_tag());
        Key { repository: self.repository.clone(), subject: *subject, tag: tag.cloned() }
    }

    /// The revision of what applies to the repository.
    pub(super) fn revision(&self) -> Revision {
        self.gate.0.policies.revision(&self.repository)
    }

    /// The live decision about bytes that are no manifest that may be judged.
    pub(super) fn refused_manifest(&self, digest: &Digest) -> Option<Arc<Decision>> {
        let live = self.memory().live(self, digest, None)?;
        live.reasons().iter().any(|r| r.code == Code::ManifestInvalid).then_some(live)
    }

    /// A new one.
    pub(super) async fn refuse_manifest(
        &self,
        digest: &Digest,
        error: &ManifestError,
    ) -> Result<Arc<Decision>, Refusal> {
        let parts = &self.gate.0;
        // What the bytes are is what could not be found out.
        let descriptor = Descriptor::new("application/octet-stream", *digest, 0);
        let subject = Subject { repository: self.repository.clone(), descriptor };
        let reason = Reason { code: Code::ManifestInvalid, message: format!("may not be judged: {error}") };
        let decision = Arc::new(policy::refuse(&subject, &parts.policies, reason, &parts.limits, self.now()));
        self.record(&decision, false).await?;
        let revocations = self.memory().revocations.epoch();
        let made = Made { decision: Arc::clone(&decision), whole: false, proven: Vec::new(), revocations };
        self.memory().remember(self, None, made);
        Ok(decision)
    }

    /// `manifest` is the subject's, where the caller has it already.
    async fn evaluate(
        &self,
        subject: &Digest,
        manifest: Option<&Arc<Manifest>>,
        tag: Option<&Tag>,
        how: How,
    ) -> Result<Arc<Decision>, Refusal> {
        let (key, revocations) = (self.key(subject, tag), self.memory().revocations.epoch());
        let evaluation = Evaluation { key, revision: self.revision(), how, revocations };
        let (request, subject) = (self.clone(), *subject);
        let (manifest, tag) = (manifest.cloned(), tag.cloned());
        let run = async move {
            let manifest = match manifest {
                Some(manifest) => manifest,
                None => request.fetch(&subject).await?,
            };
            let left = AtomicUsize::new(MAX_CHILDREN);
            let reach = Reach::new(MAX_NESTING, &left);
            // Boxed: what it awaits is deeper than the compiler looks through.
            request.decide_now(&manifest, tag.as_ref(), how, None, reach).boxed().await
        };
        self.memory().evaluations.run(evaluation, || run).await.map_err(|e| internal(&e))?
    }

    /// Judges behind an answer; the decision is for the next one. The evaluation is a task of its own
    /// from the first poll on, and there is one at a time, however many ask for it.
    fn judge_behind(&self, subject: &Digest, tag: Option<&Tag>, how: How) {
        let _ = self.evaluate(subject, None, tag, how).now_or_never();
    }

    /// One evaluation, from the evidence to the record.
    pub(super) async fn decide_now(
        &self,
        manifest: &Arc<Manifest>,
        tag: Option<&Tag>,
        how: How,
        parent: Option<&Arc<Manifest>>,
        reach: Reach<'_>,
    ) -> Result<Arc<Decision>, Refusal> {
        let (moment, revocations) = (self.memory().moment(), self.memory().revocations.epoch());
        let subject =
            Subject { repository: self.repository.clone(), descriptor: manifest.descriptor().clone() };
        let judging = Judging { subject: &subject, manifest, tag, how, parent, reach, moment };
        let gathered = match self.verifying_policy() {
            Some(policy) => self.gather(policy, &judging).await,
            None => Gathered::default(),
        };
        let decision = Arc::new(self.conclude(&judging, &gathered));
        self.record(&decision, gathered.from_kept.is_some()).await?;
        let proven = self.keep(&judging, &decision, &gathered).await;
        self.counter_sign(manifest, &decision, &proven, how).await?;
        let made = Made { decision: Arc::clone(&decision), whole: how == How::Whole, proven, revocations };
        self.memory().remember(self, tag, made);
        // Kept signatures sufficed: the sources are asked behind the answer, where that was long ago.
        let is_old = gathered.from_kept.is_some_and(|asked| {
            moment.now.duration_since(asked).map_or(true, |age| age > self.freshness().referrers_ttl)
        });
        if is_old && !self.upstream.is_offline() {
            self.judge_behind(manifest.digest(), tag, How::Anew);
        }
        Ok(decision)
    }

    /// The policy, where it verifies at all.
    fn verifying_policy(&self) -> Option<&Arc<Policy>> {
        self.policy().filter(|policy| policy.verifies(&self.repository))
    }

    fn conclude(&self, judging: &Judging<'_>, gathered: &Gathered) -> Decision {
        let Parts { policies, limits, .. } = &*self.gate.0;
        let Judging { subject, tag, moment, .. } = judging;
        let findings = &gathered.collected.findings;
        match &gathered.children {
            Some(children) => {
                policy::decide_index(subject, *tag, policies, findings, children, limits, moment.now)
            }
            None => policy::decide(subject, *tag, policies, findings, limits, moment.now),
        }
    }

    /// Writes the audit line and counts. An Allow that cannot be recorded is not given.
    async fn record(&self, decision: &Arc<Decision>, cached: bool) -> Result<(), Refusal> {
        let line = audit::Line::new(decision, &self.who.to_string(), cached);
        let written = self.memory().audit.decision(&line).await;
        if let Err(error) = &written {
            tracing::error!(%error, "a decision cannot be recorded");
        }
        match written {
            Err(error) if decision.serve() && !self.gate.0.dangerous_skip_audit => {
                self.count(decision, Some(Code::AuditUnavailable));
                Err(unrecorded(&error))
            }
            _ => {
                self.count(decision, None);
                Ok(())
            }
        }
    }

    /// Counts a decision, or that it is not given, and why.
    fn count(&self, decision: &Decision, instead: Option<Code>) {
        let registry = self.repository.registry().as_str();
        let policy = decision.policy().map_or("none", |name| &**name);
        let reason = instead.or(decision.reasons().first().map(|r| r.code)).map_or("none", Code::as_str);
        let format = decision
            .signatures()
            .iter()
            .find(|s| s.result == Belief::Trusted)
            .or(decision.signatures().first());
        let metrics = &self.memory().metrics;
        let verdict = instead.map_or(decision.verdict(), |_| Verdict::Indeterminate);
        let (mode, result) = (decision.mode().as_str(), verdict.as_str());
        let format = format.map_or("none", |s| s.format.as_str());
        metrics.verifications.at(Verification { registry, policy, format, mode, result, reason }).inc();
        if instead.is_none() && decision.would_deny() {
            metrics.would_deny.at(WouldDeny { registry, policy, reason }).inc();
        }
        if reason == Code::Exception.as_str() {
            metrics.exceptions_used.at(InRegistry { registry }).inc();
        }
    }

    /// Keeps what the decision rests on, and links what it proved to the subject. Returns the
    /// proven artifacts.
    async fn keep(
        &self,
        judging: &Judging<'_>,
        decision: &Arc<Decision>,
        gathered: &Gathered,
    ) -> Vec<Digest> {
        let (memory, subject) = (self.memory(), judging.manifest.digest());
        let found = gathered.collected.proven(decision);
        let proven = found.iter().map(|found| found.artifact.digest).collect();
        if !decision.serve() {
            return proven;
        }
        // First: what is written in a manifest's name goes with its row.
        if let Err(error) = memory.keeps(&(self.repository.clone(), *subject), false) {
            tracing::error!(repository = %self.repository, %subject, %error, "signatures cannot be kept");
            return proven;
        }
        self.adopt(subject, &found).await;
        for found in &found {
            memory.links.write(&self.repository, subject, Role::Referrer, &found.artifact);
        }
        // What nobody believed is not kept: whoever can push signatures could fill the store.
        let used: Vec<_> = gathered.collected.read.iter().filter(|f| believed(decision, f)).collect();
        let kept = if gathered.from_kept.is_some() || used.is_empty() {
            memory.store.hold(&[*subject], &kept::owner(&self.repository, subject)).await
        } else {
            memory.kept.keep(&self.repository, subject, &used, judging.moment.now).await
        };
        if let Err(error) = kept {
            tracing::error!(repository = %self.repository, %subject, %error, "signatures cannot be kept");
        }
        proven
    }
}
