//! Makes decisions: collects evidence, asks the policy, records what came of it.

use std::sync::Arc;
use std::time::SystemTime;

use futures_util::future::join_all;

use super::DEADLINE;
use super::collection::{self, Collected, Collector};
use super::discovery::{Sources, discover};
use super::gate::{Parts, Request, internal};
use super::kept;
use super::links::{Leave, Role};
use super::memory::{Evaluation, How, Key};
use super::refusal::Refusal;
use crate::audit;
use crate::oci::{Descriptor, Digest, Kind, Manifest, ManifestError, Tag};
use crate::policy::{
    self, Belief, Decision, Findings, IndexRule, Mode, Policy, Reason, Revision, Trouble, Verdict,
};
use crate::signature::{Code, Format, Subject};
use crate::telemetry::metrics::{InRegistry, Verification, WouldDeny};

/// At most so many manifests of an index are judged, in indexes nested so deep.
const MAX_CHILDREN: usize = 256;
const MAX_NESTING: usize = 2;

impl Request {
    /// The decision about a manifest: a live one, else a new one that concurrent requests share.
    pub(super) async fn judge(
        &self,
        manifest: &Arc<Manifest>,
        tag: Option<&Tag>,
    ) -> Result<Arc<Decision>, Refusal> {
        let subject = manifest.digest();
        if let Some(decision) = self.memory().live(self, subject, tag) {
            self.memory().metrics.decision_cache_hits.inc();
            return Ok(decision);
        }
        self.memory().metrics.decision_cache_misses.inc();
        if let Some(decision) = self.memory().lapsed_audit(self, subject, tag) {
            self.judge_behind(manifest, tag, How::Usual);
            return Ok(decision);
        }
        self.evaluate(manifest, tag, How::Usual).await
    }

    /// A new decision from what the sources say now.
    pub(super) async fn judge_anew(
        &self,
        manifest: &Arc<Manifest>,
        tag: Option<&Tag>,
    ) -> Result<Arc<Decision>, Refusal> {
        self.evaluate(manifest, tag, How::Anew).await
    }

    /// A decision for which every signature was judged: lists of referrers show all that are
    /// proven.
    pub(super) async fn judge_whole(&self, manifest: &Arc<Manifest>) -> Result<Arc<Decision>, Refusal> {
        if let Some(decision) = self.memory().live_whole(self, manifest.digest()) {
            return Ok(decision);
        }
        self.evaluate(manifest, None, How::Whole).await
    }

    /// Renews a decision behind the answer that it gave; one renewal runs at a time.
    pub(super) fn renew_behind(&self, subject: &Digest) {
        let evaluation = self.evaluation(subject, None, How::Anew);
        if self.memory().evaluations.is_under_way(&evaluation) {
            return;
        }
        let (request, subject) = (self.clone(), *subject);
        tokio::spawn(async move {
            if let Ok(manifest) = request.fetch(&subject).await {
                let _ = request.judge_anew(&manifest, None).await;
            }
        });
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

    /// The decision about bytes that are no manifest that may be judged.
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
        Ok(decision)
    }

    fn evaluation(&self, subject: &Digest, tag: Option<&Tag>, how: How) -> Evaluation {
        Evaluation { key: self.key(subject, tag), revision: self.revision(), how }
    }

    async fn evaluate(
        &self,
        manifest: &Arc<Manifest>,
        tag: Option<&Tag>,
        how: How,
    ) -> Result<Arc<Decision>, Refusal> {
        let evaluation = self.evaluation(manifest.digest(), tag, how);
        let (request, manifest, tag) = (self.clone(), Arc::clone(manifest), tag.cloned());
        let run = async move { request.decide_now(&manifest, tag.as_ref(), how, 0).await };
        self.memory().evaluations.run(evaluation, || run).await.map_err(|e| internal(&e))?
    }

    /// One evaluation, from the evidence to the record.
    async fn decide_now(
        &self,
        manifest: &Arc<Manifest>,
        tag: Option<&Tag>,
        how: How,
        nesting: usize,
    ) -> Result<Arc<Decision>, Refusal> {
        let now = self.now();
        let subject =
            Subject { repository: self.repository.clone(), descriptor: manifest.descriptor().clone() };
        let judging = Judging { subject: &subject, manifest, tag, how, nesting, now };
        let gathered = match self.verifying_policy() {
            Some(policy) => self.gather(policy, &judging).await,
            None => Gathered::default(),
        };
        let decision = Arc::new(self.conclude(&judging, &gathered));
        self.record(&decision, gathered.from_kept).await?;
        self.keep(&judging, &decision, &gathered).await;
        self.memory().remember(self, tag, &decision, how == How::Whole);
        if gathered.from_kept && how == How::Usual {
            self.discover_behind(manifest, now).await;
        }
        Ok(decision)
    }

    /// The policy, where it verifies at all.
    fn verifying_policy(&self) -> Option<&Arc<Policy>> {
        self.policy().filter(|p| matches!(p.mode(&self.repository), Mode::Enforce | Mode::Audit))
    }

    fn conclude(&self, judging: &Judging<'_>, gathered: &Gathered) -> Decision {
        let Parts { policies, limits, .. } = &*self.gate.0;
        let Judging { subject, tag, now, .. } = judging;
        let findings = &gathered.collected.findings;
        match &gathered.children {
            Some(children) => policy::decide_index(subject, *tag, policies, findings, children, limits, *now),
            None => policy::decide(subject, *tag, policies, findings, limits, *now),
        }
    }

    /// Gathers what the policy needs within the deadline and the number of evaluations that run at
    /// once.
    async fn gather(&self, policy: &Arc<Policy>, judging: &Judging<'_>) -> Gathered {
        if let Some(back) = self.memory().clock_went_back(judging.now) {
            return Gathered::trouble(
                Code::ClockWentBack,
                format!(
                    "the clock is {} behind a time that it showed before: set it right; if the earlier time was \
                 wrong, stop the server and remove the store's records",
                    humantime::format_duration(back)
                ),
            );
        }
        let work = async {
            let children = judges_children(policy, judging.manifest);
            let mut gathered = Gathered::default();
            // Children take permits of their own: holding one meanwhile could starve them.
            if !children || policy.index() == IndexRule::Both {
                let _permit = self.memory().permits.acquire().await;
                gathered = self.gather_own(policy, judging).await;
            }
            if children {
                self.gather_children(judging, &mut gathered).await;
            }
            gathered
        };
        tokio::time::timeout(DEADLINE, work).await.unwrap_or_else(|_| {
            let seconds = DEADLINE.as_secs();
            Gathered::trouble(Code::Deadline, format!("judging it took longer than {seconds} s"))
        })
    }

    /// Kept signatures first, without network; the sources where they do not suffice.
    async fn gather_own(&self, policy: &Arc<Policy>, judging: &Judging<'_>) -> Gathered {
        let digest = judging.manifest.digest();
        let suffices = |findings: &Findings| {
            judging.how != How::Whole && {
                let Parts { policies, limits, .. } = &*self.gate.0;
                policy::decide(judging.subject, judging.tag, policies, findings, limits, judging.now)
                    .verdict()
                    == Verdict::Allow
            }
        };
        let mut collector = Collector {
            parts: collection::Parts::Kept(&self.memory().store),
            policy,
            subject: judging.subject,
            metrics: &self.memory().metrics,
            now: judging.now,
            enough: &suffices,
        };
        if judging.how == How::Usual
            && let Some(recalled) = self.memory().kept.recall(&self.repository, digest).await
        {
            let collected = collector.collect(recalled.found, Vec::new()).await;
            if suffices(&collected.findings) {
                return Gathered { collected, from_kept: true, children: None };
            }
        }
        let sources = self.sources();
        let discovered = discover(&sources, digest, &in_order_of_trial(policy)).await;
        collector.parts = collection::Parts::Fetched(&sources);
        let collected = collector.collect(discovered.found, discovered.troubles).await;
        Gathered { collected, from_kept: false, children: None }
    }

    pub(super) fn sources(&self) -> Sources<'_> {
        Sources {
            cache: &self.memory().cache,
            upstream: &self.upstream,
            repository: &self.repository,
            freshness: self.freshness(),
        }
    }

    /// Judges what an index lists, by the bytes of each.
    async fn gather_children(&self, judging: &Judging<'_>, gathered: &mut Gathered) {
        let listed = judging.manifest.manifests();
        let troubles = &mut gathered.collected.findings.troubles;
        let children = gathered.children.insert(Vec::new());
        if judging.nesting >= MAX_NESTING || listed.len() > MAX_CHILDREN {
            let message = format!(
                "it lists {} manifests, {} levels deep; at most {MAX_CHILDREN} and {MAX_NESTING} are judged",
                listed.len(),
                judging.nesting + 1
            );
            troubles.push(Trouble { code: Code::BoundExceeded, message });
            return;
        }
        let digests: Vec<Digest> = listed.iter().map(|d| d.digest).collect();
        for chunk in digests.chunks(8) {
            let decisions = join_all(chunk.iter().copied().map(|child| self.child(child, judging))).await;
            for (child, decision) in chunk.iter().zip(decisions) {
                match decision {
                    Ok(decision) | Err(Refusal::Denied(decision)) => children.push(decision),
                    // A listed manifest that is not there cannot vouch, and need not be pulled.
                    Err(Refusal::Unknown(_)) => {}
                    Err(refusal) => troubles.push(Trouble {
                        code: Code::SourceUnavailable,
                        message: format!("listed manifest {child} could not be judged: {refusal}"),
                    }),
                }
            }
        }
    }

    async fn child(&self, digest: Digest, judging: &Judging<'_>) -> Result<Arc<Decision>, Refusal> {
        if let Some(decision) = self.memory().live(self, &digest, None) {
            return Ok(decision);
        }
        let manifest = self.fetch(&digest).await?;
        Box::pin(self.decide_now(&manifest, None, judging.how, judging.nesting + 1)).await
    }

    /// Writes the audit line and counts. An Allow that cannot be recorded is not given.
    async fn record(&self, decision: &Arc<Decision>, cached: bool) -> Result<(), Refusal> {
        self.count(decision);
        let line = audit::Line::new(decision, &self.who.to_string(), cached);
        let Err(error) = self.memory().audit.decision(&line).await else { return Ok(()) };
        tracing::error!(%error, "a decision cannot be recorded");
        if decision.serve() && !self.gate.0.dangerous_skip_audit {
            return Err(internal(&format_args!("the decision could not be recorded: {error}")));
        }
        Ok(())
    }

    fn count(&self, decision: &Decision) {
        let registry = self.repository.registry().as_str();
        let policy = decision.policy().map_or("none", |name| &**name);
        let reason = decision.reasons().first().map_or("none", |r| r.code.as_str());
        let format = decision
            .signatures()
            .iter()
            .find(|s| s.result == Belief::Trusted)
            .or(decision.signatures().first());
        let metrics = &self.memory().metrics;
        let (mode, result) = (decision.mode().as_str(), decision.verdict().as_str());
        let format = format.map_or("none", |s| s.format.as_str());
        metrics.verifications.at(Verification { registry, policy, format, mode, result, reason }).inc();
        if decision.would_deny() {
            metrics.would_deny.at(WouldDeny { registry, policy, reason }).inc();
        }
        if reason == Code::Exception.as_str() {
            metrics.exceptions_used.at(InRegistry { registry }).inc();
        }
    }

    /// Keeps what the decision was made from, and links its signatures to the subject.
    async fn keep(&self, judging: &Judging<'_>, decision: &Arc<Decision>, gathered: &Gathered) {
        let Some(leave) = Leave::of_subject(decision) else { return };
        let (memory, subject) = (self.memory(), judging.manifest.digest());
        let Collected { read, claims, .. } = &gathered.collected;
        for found in read.iter().filter(|f| f.carrier.pure && claims.contains(&f.artifact.digest)) {
            memory.links.write(&self.repository, leave.manifest(), Role::Signature, &found.artifact);
        }
        let held = memory.store.hold(subject, &kept::owner(&self.repository, subject)).await;
        let kept = if gathered.from_kept || read.is_empty() {
            Ok(())
        } else {
            memory.kept.keep(&self.repository, subject, read, judging.now).await
        };
        if let Err(error) = held.and(kept) {
            tracing::error!(repository = %self.repository, %subject, %error, "signatures cannot be kept");
        }
    }

    /// Asks the sources again where kept signatures sufficed and the last asking is long ago.
    async fn discover_behind(&self, manifest: &Arc<Manifest>, now: SystemTime) {
        let recalled = self.memory().kept.recall(&self.repository, manifest.digest()).await;
        let old = recalled.is_some_and(|r| {
            now.duration_since(r.discovered).is_ok_and(|age| age > self.freshness().referrers_ttl)
        });
        if old && !self.upstream.is_offline() {
            self.judge_behind(manifest, None, How::Anew);
        }
    }

    /// Judges behind an answer; the decision is for the next one.
    fn judge_behind(&self, manifest: &Arc<Manifest>, tag: Option<&Tag>, how: How) {
        let (request, manifest, tag) = (self.clone(), Arc::clone(manifest), tag.cloned());
        tokio::spawn(async move { request.evaluate(&manifest, tag.as_ref(), how).await });
    }
}

/// One evaluation's question.
struct Judging<'a> {
    subject: &'a Subject,
    manifest: &'a Arc<Manifest>,
    tag: Option<&'a Tag>,
    how: How,
    nesting: usize,
    now: SystemTime,
}

/// What was gathered to answer it.
#[derive(Default)]
struct Gathered {
    collected: Collected,
    /// Kept signatures sufficed: no source was asked.
    from_kept: bool,
    /// The decisions about what an index lists, where the policy asks for them.
    children: Option<Vec<Arc<Decision>>>,
}

impl Gathered {
    fn trouble(code: Code, message: String) -> Self {
        let mut gathered = Self::default();
        gathered.collected.findings.troubles.push(Trouble { code, message });
        gathered
    }
}

/// Whether what the manifest lists has to be judged too.
fn judges_children(policy: &Policy, manifest: &Manifest) -> bool {
    manifest.kind() == Kind::Index && policy.index() != IndexRule::Index
}

fn in_order_of_trial(policy: &Policy) -> Vec<Format> {
    let wanted = policy.formats();
    Format::ALL.into_iter().filter(|f| wanted.contains(f)).collect()
}
