//! What admission remembers, over reloads and (as far as it is kept in records) restarts:
//! decisions, hot manifests, links, kept signatures, the latest time that was seen.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use quick_cache::Weighter;
use quick_cache::sync::Cache as Map;
use tokio::sync::Semaphore;

use super::gate::Request;
use super::kept::Kept;
use super::links::{Leave, Links};
use super::refusal::Refusal;
use super::{MAX_CLOCK_SETBACK, MAX_EVALUATIONS};
use crate::audit::Audit;
use crate::cache::Cache;
use crate::clock::Clock;
use crate::flight::Flight;
use crate::oci::{Digest, Manifest, Repository, Tag};
use crate::policy::{Decision, Mode, Revision};
use crate::store::{self, Store, Table};
use crate::telemetry::Metrics;

/// Memory for hot manifests, in bytes.
const HOT_BYTES: u64 = 64 * 1024 * 1024;
/// The record of the latest time that was seen.
const LATEST: &[u8] = b"latest";
const MAX_DECISIONS: usize = 100_000;
const MAX_DECISIONS_BY_ID: usize = 4096;

/// What outlives an engine.
pub struct Memory {
    pub(super) store: Store,
    pub(super) cache: Cache,
    pub(super) audit: Arc<Audit>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) clock: Clock,
    pub(super) links: Links,
    pub(super) kept: Kept,
    pub(super) evaluations: Flight<Evaluation, Result<Arc<Decision>, Refusal>>,
    pub(super) permits: Semaphore,
    decisions: Map<Key, Arc<Live>>,
    by_id: Map<String, Arc<Decision>>,
    hot: Map<(Repository, Digest), Arc<Warm>, ByBytes>,
    /// Raised when a decision falls: what is hot must be looked at again.
    epoch: AtomicU64,
    latest: AtomicU64,
    clock_record: Table,
}

/// What a decision is about. The tag counts only where the policy binds the signed name to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) repository: Repository,
    pub(super) subject: Digest,
    pub(super) tag: Option<Tag>,
}

/// Requests share an evaluation only under the same full key.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Evaluation {
    pub(super) key: Key,
    pub(super) revision: Revision,
    pub(super) how: How,
}

/// How far an evaluation goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum How {
    /// Kept signatures first; stops when the policy is satisfied.
    Usual,
    /// Asks the sources, whatever is kept.
    Anew,
    /// Asks the sources and judges every signature.
    Whole,
}

struct Live {
    decision: Arc<Decision>,
    /// Every signature was judged, not only as many as the policy needed.
    whole: bool,
    /// The engine under which the decision was last found to hold.
    generation: AtomicU64,
}

/// An admitted manifest with the leave it was served by.
#[derive(Clone)]
pub(super) struct Hot {
    pub(super) leave: Leave,
    pub(super) manifest: Arc<Manifest>,
    /// The policy binds decisions to a tag: this one is for requests by digest.
    pub(super) binds_tag: bool,
}

struct Warm {
    hot: Hot,
    generation: u64,
    epoch: u64,
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<(Repository, Digest), Arc<Warm>> for ByBytes {
    fn weight(&self, _: &(Repository, Digest), warm: &Arc<Warm>) -> u64 {
        // The parsed view takes about as much again as the bytes.
        2 * warm.hot.manifest.bytes().len() as u64 + 512
    }
}

impl Hot {
    /// Whether it may answer a tag: the decision is about this very manifest, not about a parent.
    pub(super) fn answers_tags(&self) -> bool {
        !self.binds_tag && self.leave.decision().subject() == self.manifest.digest()
    }
}

impl Memory {
    /// Joins what was opened for the process. Reads the latest time that was recorded, so that a
    /// clock set back over a restart is noticed.
    ///
    /// # Errors
    /// [`store::Error`] when the records cannot be read.
    pub async fn open(
        store: Store,
        cache: Cache,
        audit: Arc<Audit>,
        metrics: Arc<Metrics>,
        clock: Clock,
    ) -> Result<Self, store::Error> {
        let clock_record = store.records().table("clock");
        let latest = clock_record.get(LATEST).await?;
        let latest = latest.and_then(|v| v.as_slice().try_into().ok()).map_or(0, u64::from_be_bytes);
        Ok(Self {
            links: Links::open(store.records()),
            kept: Kept::open(store.records(), &store),
            evaluations: Flight::default(),
            permits: Semaphore::new(MAX_EVALUATIONS),
            decisions: Map::new(MAX_DECISIONS),
            by_id: Map::new(MAX_DECISIONS_BY_ID),
            hot: Map::with_weighter(10_000, HOT_BYTES, ByBytes),
            epoch: AtomicU64::new(0),
            latest: AtomicU64::new(latest),
            store,
            cache,
            audit,
            metrics,
            clock,
            clock_record,
        })
    }

    /// The store, for the engine's jobs.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The cache, for the engine's jobs.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// The audit log.
    pub fn audit(&self) -> &Arc<Audit> {
        &self.audit
    }

    /// A decision by its id, as long as it is remembered.
    pub fn decision(&self, id: &str) -> Option<Arc<Decision>> {
        self.by_id.get(id)
    }

    /// The live decision about a subject, under the request's engine. One in the last tenth of its
    /// life is renewed behind the answer.
    pub(super) fn live(
        &self,
        request: &Request,
        subject: &Digest,
        tag: Option<&Tag>,
    ) -> Option<Arc<Decision>> {
        let live = self.decisions.get(&request.key(subject, tag))?;
        if !self.holds(request, &live) || request.now() >= live.decision.expires() {
            return None;
        }
        if in_last_tenth(&live.decision, request.now()) {
            request.renew_behind(subject);
        }
        Some(Arc::clone(&live.decision))
    }

    /// As [`Memory::live`], where every signature was judged.
    pub(super) fn live_whole(&self, request: &Request, subject: &Digest) -> Option<Arc<Decision>> {
        let live = self.decisions.get(&request.key(subject, None))?;
        let holds = live.whole && self.holds(request, &live) && request.now() < live.decision.expires();
        holds.then(|| Arc::clone(&live.decision))
    }

    /// A decision of audit mode that has ended: it serves anyway, so it may be served while the
    /// next one is made.
    pub(super) fn lapsed_audit(
        &self,
        request: &Request,
        subject: &Digest,
        tag: Option<&Tag>,
    ) -> Option<Arc<Decision>> {
        let live = self.decisions.get(&request.key(subject, tag))?;
        let serves = live.decision.mode() == Mode::Audit && live.decision.serve();
        (serves && self.holds(request, &live)).then(|| Arc::clone(&live.decision))
    }

    /// Whether the request's engine judges as the one did that made the decision. Compares once an
    /// engine; afterwards the generation tells.
    fn holds(&self, request: &Request, live: &Live) -> bool {
        let generation = request.gate.0.generation;
        if live.generation.load(Ordering::Relaxed) == generation {
            return true;
        }
        let same = live.decision.revision() == request.revision();
        if same {
            live.generation.store(generation, Ordering::Relaxed);
        }
        same
    }

    /// Takes a new decision in. One that does not serve cools what an earlier one had warmed.
    pub(super) fn remember(
        &self,
        request: &Request,
        tag: Option<&Tag>,
        decision: &Arc<Decision>,
        whole: bool,
    ) {
        let key = request.key(decision.subject(), tag);
        if !decision.serve() {
            self.epoch.fetch_add(1, Ordering::Release);
        }
        let generation = AtomicU64::new(request.gate.0.generation);
        self.decisions.insert(key, Arc::new(Live { decision: Arc::clone(decision), whole, generation }));
        self.by_id.insert(decision.id().to_string(), Arc::clone(decision));
    }

    /// The hot manifest, where its leave still holds.
    pub(super) fn hot(&self, request: &Request, digest: &Digest) -> Option<Hot> {
        let warm = self.hot.get(&(request.repository.clone(), *digest))?;
        let holds = warm.generation == request.gate.0.generation
            && warm.epoch == self.epoch.load(Ordering::Acquire)
            && request.now() < warm.hot.leave.decision().expires();
        if !holds {
            return None;
        }
        if in_last_tenth(warm.hot.leave.decision(), request.now()) {
            request.renew_behind(warm.hot.leave.decision().subject());
        }
        self.metrics.decision_cache_hits.inc();
        Some(warm.hot.clone())
    }

    /// Makes an admitted manifest hot.
    pub(super) fn heat(&self, request: &Request, hot: Hot) {
        // The epoch is read before the caller could have been overtaken by a falling decision only
        // if the decision is still the live one.
        let epoch = self.epoch.load(Ordering::Acquire);
        let subject = *hot.leave.decision().subject();
        if self.live_or_bound(request, &subject, hot.leave.decision()) {
            let key = (request.repository.clone(), *hot.manifest.digest());
            let generation = request.gate.0.generation;
            self.hot.insert(key, Arc::new(Warm { hot, generation, epoch }));
        }
    }

    fn live_or_bound(&self, request: &Request, subject: &Digest, decision: &Arc<Decision>) -> bool {
        let live = self.decisions.get(&request.key(subject, None));
        live.is_some_and(|live| Arc::ptr_eq(&live.decision, decision))
    }

    /// Whether the clock went back further than a correction would explain. Notes the time
    /// otherwise.
    pub(super) fn clock_went_back(&self, now: SystemTime) -> Option<Duration> {
        let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let latest = self.latest.fetch_max(seconds, Ordering::AcqRel);
        if latest > seconds + MAX_CLOCK_SETBACK.as_secs() {
            return Some(Duration::from_secs(latest - seconds));
        }
        if seconds > latest {
            self.clock_record.put(LATEST, seconds.to_be_bytes());
        }
        None
    }
}

fn in_last_tenth(decision: &Decision, now: SystemTime) -> bool {
    let life = decision.expires().duration_since(decision.decided()).unwrap_or_default();
    decision.serve() && decision.expires().duration_since(now).is_ok_and(|left| left < life / 10)
}
