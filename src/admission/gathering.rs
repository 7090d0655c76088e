//! Gathers what one decision needs: signatures that are kept, then the sources', and the decisions
//! about what an index lists. Within the deadline, and within every bound.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::SystemTime;

use futures_util::future::join_all;

use super::DEADLINE;
use super::collection::{Collected, Collector};
use super::discovery::{Found, discover};
use super::gate::Parts;
use super::judge::{MAX_CHILDREN, MAX_NESTING};
use super::memory::{How, Moment};
use super::reach::Reach;
use super::refusal::Refusal;
use super::request::Request;
use crate::oci::{Digest, Kind, Manifest, Tag};
use crate::policy::{self, Decision, Findings, IndexRule, Policy, Trouble, Verdict};
use crate::signature::{Code, Format, Subject};

/// One evaluation's question.
pub(super) struct Judging<'a> {
    pub(super) subject: &'a Subject,
    pub(super) manifest: &'a Arc<Manifest>,
    pub(super) tag: Option<&'a Tag>,
    pub(super) how: How,
    /// The index in whose judgement it is judged, where it is.
    pub(super) parent: Option<&'a Arc<Manifest>>,
    /// What of the manifests that an index lists may still be judged.
    pub(super) reach: Reach<'a>,
    pub(super) moment: Moment,
}

/// What was gathered to answer it.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) collected: Collected,
    /// Kept signatures sufficed and no source was asked: when the last one was.
    pub(super) from_kept: Option<SystemTime>,
    /// The decisions about what an index lists, where the policy asks for them.
    pub(super) children: Option<Vec<Arc<Decision>>>,
}

impl Gathered {
    fn trouble(code: Code, message: String) -> Self {
        let mut gathered = Self::default();
        gathered.collected.findings.troubles.push(Trouble { code, message });
        gathered
    }
}

impl Request {
    /// Gathers what the policy needs within the deadline and the number of evaluations that run at
    /// once.
    pub(super) async fn gather(&self, policy: &Arc<Policy>, judging: &Judging<'_>) -> Gathered {
        if let Some(back) = judging.moment.setback {
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

    fn in_order_of_trial(&self, policy: &Policy) -> Vec<Format> {
        let wanted = policy.formats(&self.repository);
        Format::ALL.into_iter().filter(|f| wanted.contains(f)).collect()
    }

    /// Kept signatures first, without network; the sources where they do not suffice. What is kept
    /// counts beside what the sources say, so that a source that fails takes nothing away.
    async fn gather_own(&self, policy: &Arc<Policy>, judging: &Judging<'_>) -> Gathered {
        let digest = judging.manifest.digest();
        let suffices = |findings: &Findings| {
            judging.how != How::Whole && {
                let Parts { policies, limits, .. } = &*self.gate.0;
                let now = judging.moment.now;
                policy::decide(judging.subject, judging.tag, policies, findings, limits, now).verdict()
                    == Verdict::Allow
            }
        };
        let collector = Collector {
            cache: &self.memory().cache,
            store: &self.memory().store,
            policy,
            subject: judging.subject,
            metrics: &self.memory().metrics,
            revocations: (&self.memory().revocations, &self.gate.0.revocation),
            now: judging.moment.now,
            enough: &suffices,
        };
        let permits = self.memory().permits(self.repository.registry());
        let recalled = self.memory().kept.recall(&self.repository, digest).await;
        if judging.how == How::Usual
            && let Some(recalled) = &recalled
        {
            let _permit = permits.kept.acquire().await;
            let mut collected = Collected::default();
            collector.collect(&mut collected, recalled.found.clone()).await;
            if suffices(&collected.findings) {
                return Gathered { collected, from_kept: Some(recalled.discovered), children: None };
            }
        }
        let _permit = permits.asking.acquire().await;
        let sources = self.sources();
        let discovered = discover(&sources, digest, &self.in_order_of_trial(policy)).await;
        let mut read: HashSet<Digest> = discovered.found.iter().map(|f| f.artifact.digest).collect();
        let mut collected = Collected::default();
        collected.findings.troubles = discovered.troubles;
        collector.collect(&mut collected, discovered.found).await;
        if !suffices(&collected.findings) {
            let mut attestations =
                self.attestations(policy, judging, discovered.attestations, &sources).await;
            collected.findings.troubles.append(&mut attestations.troubles);
            for beside in [false, true] {
                if suffices(&collected.findings) {
                    break;
                }
                let signing = match beside {
                    false => attestations.signing(&sources).await,
                    true => attestations.lying_beside(&sources).await,
                };
                read.extend(signing.found.iter().map(|f| f.artifact.digest));
                collected.findings.troubles.extend(signing.troubles);
                collector.collect(&mut collected, signing.found).await;
            }
        }
        let kept = recalled.into_iter().flat_map(|r| r.found);
        let kept: Vec<Found> = kept.filter(|f| !read.contains(&f.artifact.digest)).collect();
        // What is kept is no source: that it cannot be read proves and disproves nothing.
        let troubles = collected.findings.troubles.len();
        collector.collect(&mut collected, kept).await;
        collected.findings.troubles.truncate(troubles);
        Gathered { collected, from_kept: None, children: None }
    }

    /// Judges what an index lists, by the bytes of each.
    async fn gather_children(&self, judging: &Judging<'_>, gathered: &mut Gathered) {
        let troubles = &mut gathered.collected.findings.troubles;
        let children = gathered.children.insert(Vec::new());
        let mut seen = HashSet::new();
        let listed = judging.manifest.manifests().iter().map(|d| d.digest).filter(|d| seen.insert(*d));
        let mut within = Vec::new();
        for child in listed {
            let Some(reach) = judging.reach.further() else {
                let message = format!(
                    "it lists more manifests, or in deeper indexes, than are judged for one decision: \
                     {MAX_CHILDREN} in {MAX_NESTING} levels"
                );
                troubles.push(Trouble { code: Code::BoundExceeded, message });
                break;
            };
            within.push((child, reach));
        }
        for chunk in within.chunks(8) {
            let decisions = join_all(chunk.iter().map(|(child, reach)| self.child(child, judging, *reach)));
            for ((child, _), decision) in chunk.iter().zip(decisions.await) {
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

    async fn child(
        &self,
        digest: &Digest,
        index: &Judging<'_>,
        reach: Reach<'_>,
    ) -> Result<Arc<Decision>, Refusal> {
        // A refusal may have been made before anybody knew of the index, which may list what vouches for the child.
        let live = self.memory().live(self, digest, None);
        if let Some(decision) =
            live.filter(|d| d.verdict() == Verdict::Allow || !self.asks_for_attestations())
        {
            return Ok(decision);
        }
        let manifest = self.fetch(digest).await?;
        Box::pin(self.decide_now(&manifest, None, index.how, Some(index.manifest), reach)).await
    }
}

/// Whether what the manifest lists has to be judged too.
fn judges_children(policy: &Policy, manifest: &Manifest) -> bool {
    manifest.kind() == Kind::Index && policy.index() != IndexRule::Index
}
