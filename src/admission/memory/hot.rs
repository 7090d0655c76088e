//! Admitted manifests that are served from memory, with the leave that each was served by.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::sync::Cache;
use quick_cache::{Equivalent, Weighter};

use super::{Memory, Moment, in_last_tenth};
use crate::access::Principal;
use crate::admission::gate::Gate;
use crate::admission::links::Leave;
use crate::admission::request::Request;
use crate::admission::retire::seconds;
use crate::oci::{Digest, Manifest, Repository};
use crate::policy::Decision;

/// In bytes.
const HOT_BYTES: u64 = 64 * 1024 * 1024;

pub(in crate::admission) type HotMap = Cache<(Repository, Digest), Arc<Warm>, ByBytes>;

/// An admitted manifest with the leave it was served by.
#[derive(Clone)]
pub(in crate::admission) struct Hot {
    pub(in crate::admission) leave: Leave,
    pub(in crate::admission) manifest: Arc<Manifest>,
    /// The policy binds decisions to a tag: this one is for requests by digest.
    pub(in crate::admission) binds_tag: bool,
}

/// What is hot, and since when.
pub(in crate::admission) struct Warm {
    hot: Hot,
    pub(in crate::admission) since: Since,
    /// When it answered last, in Unix seconds, until that is noted.
    pub(in crate::admission) used: AtomicU64,
}

/// Which engine warmed something, and after which decisions had fallen.
#[derive(Clone, Copy)]
pub(in crate::admission) struct Since {
    generation: u64,
    epoch: u64,
}

impl Warm {
    /// What its leave rests on.
    pub(in crate::admission) fn subject(&self) -> &Digest {
        self.hot.leave.decision().subject()
    }
}

impl std::ops::Deref for Warm {
    type Target = Hot;

    fn deref(&self) -> &Hot {
        &self.hot
    }
}

/// The key without its own copies.
#[derive(Hash)]
struct Named<'a>(&'a Repository, &'a Digest);

impl Equivalent<(Repository, Digest)> for Named<'_> {
    fn equivalent(&self, key: &(Repository, Digest)) -> bool {
        *self.1 == key.1 && *self.0 == key.0
    }
}

#[derive(Clone)]
pub(in crate::admission) struct ByBytes;

impl Weighter<(Repository, Digest), Arc<Warm>> for ByBytes {
    fn weight(&self, _: &(Repository, Digest), warm: &Arc<Warm>) -> u64 {
        // The parsed view takes about as much again as the bytes.
        2 * warm.hot.manifest.bytes().len() as u64 + 512
    }
}

pub(super) fn map() -> HotMap {
    Cache::with_weighter(10_000, HOT_BYTES, ByBytes)
}

impl Hot {
    /// Whether it may answer a tag: the decision is about this very manifest, not about a parent.
    pub(in crate::admission) fn answers_tags(&self) -> bool {
        !self.binds_tag && self.leave.decision().subject() == self.manifest.digest()
    }
}

impl Memory {
    /// The hot manifest, where its leave still holds: the same repository, a live decision, the same policy.
    /// Who answers from it says so with [`Memory::count_hit`].
    pub(in crate::admission) fn hot(
        &self,
        gate: &Gate,
        repository: &Repository,
        who: &Principal,
        digest: &Digest,
    ) -> Option<Arc<Warm>> {
        let warm = self.hot.get(&Named(repository, digest))?;
        let (decision, moment) = (warm.hot.leave.decision(), self.moment());
        if !self.leave_holds(gate, warm.since, decision, moment) {
            return None;
        }
        if in_last_tenth(decision, moment.now) {
            let request = gate.request(repository, who).ok()?;
            // It may have been renewed already: then the new decision takes its place here too.
            if !self.is_current(&request, decision) {
                return None;
            }
            request.renew_behind(decision.subject(), None);
        }
        let now = seconds(moment.now);
        // Once a second: all cores read what stands beside it.
        if warm.used.load(Ordering::Relaxed) != now {
            warm.used.store(now, Ordering::Relaxed);
        }
        Some(warm)
    }

    /// Whether leave by a decision holds that warmed something: no policy was loaded, no decision fell and no
    /// revocation was learned since, and it is not over.
    pub(in crate::admission) fn leave_holds(
        &self,
        gate: &Gate,
        since: Since,
        decision: &Decision,
        moment: Moment,
    ) -> bool {
        since.generation == gate.0.generation
            && since.epoch == self.epoch()
            && moment.setback.is_none()
            && moment.now < decision.expires()
    }

    /// Counts a request that a live decision answers.
    pub(in crate::admission) fn count_hit(&self) {
        self.metrics.decision_cache_hits.inc();
    }

    /// Makes an admitted manifest hot, where its leave is by the decision in memory.
    pub(in crate::admission) fn heat(&self, request: &Request, hot: Hot) {
        // Read first: a decision that falls after the comparison ends this epoch.
        let epoch = self.epoch();
        if self.is_current(request, hot.leave.decision()) {
            let key = (request.repository.clone(), *hot.manifest.digest());
            let since = Since { generation: request.gate.0.generation, epoch };
            self.hot.insert(key, Arc::new(Warm { hot, since, used: AtomicU64::new(0) }));
        }
    }

    /// Whether it is the one in memory, and no revocation was learned since it was begun: one that was
    /// learned meanwhile is in the epoch already, which would then not end by it.
    fn is_current(&self, request: &Request, decision: &Arc<Decision>) -> bool {
        let live = self.decisions.get(&request.key(decision.subject(), None));
        live.is_some_and(|live| {
            Arc::ptr_eq(&live.decision, decision) && live.revocations == self.revocations.epoch()
        })
    }
}
