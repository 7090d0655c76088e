//! What admission remembers, over reloads and (as far as it is kept in records) restarts:
//! decisions, hot manifests, links, kept signatures, the latest time that was seen.

mod hot;
mod lent;
mod time;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use dashmap::DashMap;
use quick_cache::Weighter;
use quick_cache::sync::Cache as Map;
use tokio::sync::Semaphore;

use super::MAX_EVALUATIONS;
use super::countersign::Countersigned;
use super::kept::Kept;
use super::links::Links;
use super::refusal::Refusal;
use super::request::Request;
use super::retire::seconds;
use super::uses::{Name, Uses};
use crate::audit::Audit;
use crate::cache::Cache;
use crate::clock::Clock;
use crate::flight::Flight;
use crate::oci::{Digest, Registry, Repository, Tag};
use crate::policy::{Decision, Limits, Mode, Revision, Verdict};
use crate::signature::Code;
use crate::store::{self, Store, Table};
use crate::telemetry::Metrics;
use crate::trust::Revocations;

pub(super) use hot::{Hot, Since, Warm};
pub(super) use time::Moment;

const MAX_DECISIONS: usize = 100_000;
const MAX_DECISIONS_BY_ID: usize = 4096;
/// A decision is at most so many signatures' reports away from being forgotten.
const MAX_REPORTS: u64 = 200_000;
const MAX_REPORTS_BY_ID: u64 = 20_000;

/// What outlives an engine.
pub struct Memory {
    pub(super) store: Store,
    pub(super) cache: Cache,
    pub(super) audit: Arc<Audit>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) clock: Clock,
    pub(super) links: Links,
    pub(super) revocations: Revocations,
    pub(super) kept: Kept,
    pub(super) countersigned: Countersigned,
    /// Counter-signing under way.
    pub(super) signing: Flight<(Name, How, String), Result<(), Refusal>>,
    pub(super) evaluations: Flight<Evaluation, Result<Arc<Decision>, Refusal>>,
    permits: DashMap<Registry, Arc<Permits>>,
    decisions: Map<Key, Arc<Live>, ByReports>,
    by_id: Map<String, Arc<Decision>, ByReports>,
    pub(super) hot: hot::HotMap,
    pub(super) uses: Uses,
    pub(super) lent: lent::Lent,
    pub(super) cooling: Mutex<Cooling>,
    /// Raised when a decision falls: what is hot must be looked at again.
    epoch: AtomicU64,
    latest: AtomicU64,
    clock_record: Table,
}

/// Leave to evaluate one upstream's content.
pub(super) struct Permits {
    /// From what is kept: nobody who waits for a silent upstream holds it up.
    pub(super) kept: Semaphore,
    /// From what the sources say.
    pub(super) asking: Semaphore,
}

/// What is hot no more. Who got it in the last moment may note its use still.
pub(super) type Cooling = HashMap<Name, Arc<Warm>>;

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
    /// [`Revocations::epoch`]: nobody who comes after a revocation joins one that was begun before it.
    pub(super) revocations: u64,
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
    /// The artifacts that the decision proved to be signatures of its subject and nothing else.
    proven: Vec<Digest>,
    /// It could not be renewed a moment ago: until then nobody tries again.
    rests: Option<SystemTime>,
    /// The engine under which the decision was last found to hold.
    generation: AtomicU64,
    /// The revocations that were known when it was begun.
    revocations: u64,
}

/// A new decision, and what else is remembered with it.
pub(super) struct Made {
    pub(super) decision: Arc<Decision>,
    /// Every signature was judged.
    pub(super) whole: bool,
    /// The artifacts that it proved to be signatures of its subject and nothing else.
    pub(super) proven: Vec<Digest>,
    /// [`Revocations::epoch`] before anything was gathered: what is learned on the way ends the decision.
    pub(super) revocations: u64,
}

/// Decisions weigh as much as what they report.
#[derive(Clone)]
struct ByReports;

impl Weighter<Key, Arc<Live>> for ByReports {
    fn weight(&self, _: &Key, live: &Arc<Live>) -> u64 {
        weight(&live.decision)
    }
}

impl Weighter<String, Arc<Decision>> for ByReports {
    fn weight(&self, _: &String, decision: &Arc<Decision>) -> u64 {
        weight(decision)
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
        let latest = clock_record.get(time::LATEST).await?;
        let latest = latest.and_then(|v| v.as_slice().try_into().ok()).map_or(0, u64::from_be_bytes);
        Ok(Self {
            links: Links::open(store.records()),
            revocations: Revocations::open(&store, &metrics, &clock),
            kept: Kept::open(store.records(), &store),
            countersigned: Countersigned::open(store.records()),
            signing: Flight::default(),
            evaluations: Flight::default(),
            permits: DashMap::new(),
            decisions: Map::with_weighter(MAX_DECISIONS, MAX_REPORTS, ByReports),
            by_id: Map::with_weighter(MAX_DECISIONS_BY_ID, MAX_REPORTS_BY_ID, ByReports),
            hot: hot::map(),
            uses: Uses::open(store.records())?,
            lent: lent::Lent::default(),
            cooling: Mutex::default(),
            epoch: AtomicU64::new(0),
            latest: AtomicU64::new(latest.min(time::END_OF_TIME)),
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

    /// The permits for evaluations of one upstream's content.
    pub(super) fn permits(&self, registry: &Registry) -> Arc<Permits> {
        let [kept, asking] = [(); 2].map(|()| Semaphore::new(MAX_EVALUATIONS));
        let permits = self.permits.entry(registry.clone());
        Arc::clone(&permits.or_insert_with(|| Arc::new(Permits { kept, asking })))
    }

    /// The live decision about a subject, under the request's engine. One in the last tenth of its
    /// life is renewed behind the answer.
    pub(super) fn live(
        &self,
        request: &Request,
        subject: &Digest,
        tag: Option<&Tag>,
    ) -> Option<Arc<Decision>> {
        let (live, moment) = (self.decisions.get(&request.key(subject, tag))?, self.moment());
        if !self.is_live(request, &live, moment) {
            return None;
        }
        if in_last_tenth(&live.decision, moment.now) {
            request.renew_behind(subject, tag);
        }
        Some(Arc::clone(&live.decision))
    }

    /// As [`Memory::live`], where every signature was judged.
    pub(super) fn live_whole(&self, request: &Request, subject: &Digest) -> Option<Arc<Decision>> {
        let live = self.decisions.get(&request.key(subject, None))?;
        let holds = live.whole && self.is_live(request, &live, self.moment());
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

    /// Whether a decision could not be renewed a moment ago.
    pub(super) fn rests(&self, request: &Request, subject: &Digest, tag: Option<&Tag>) -> bool {
        let live = self.decisions.get(&request.key(subject, tag));
        live.and_then(|live| live.rests).is_some_and(|until| self.moment().now < until)
    }

    /// Whether `decision`, which is the one in memory, proved that the artifact is a signature of its
    /// subject and nothing else.
    pub(super) fn proves(&self, request: &Request, decision: &Arc<Decision>, artifact: &Digest) -> bool {
        let live = self.decisions.get(&request.key(decision.subject(), None));
        live.is_some_and(|live| Arc::ptr_eq(&live.decision, decision) && live.proven.contains(artifact))
    }

    /// The artifacts that it proved so.
    pub(super) fn proven(&self, request: &Request, decision: &Arc<Decision>) -> Vec<Digest> {
        let live = self.decisions.get(&request.key(decision.subject(), None));
        let live = live.filter(|live| Arc::ptr_eq(&live.decision, decision));
        live.map_or_else(Vec::new, |live| live.proven.clone())
    }

    fn is_live(&self, request: &Request, live: &Live, moment: Moment) -> bool {
        // While the clock is wrong, nothing is served but by decisions that know of it.
        let knows = live.decision.reasons().iter().any(|r| r.code == Code::ClockWentBack);
        let in_time = moment.setback.is_none() || !live.decision.serve() || knows;
        in_time && moment.now < live.decision.expires() && self.holds(request, live)
    }

    /// Whether the request's engine judges as the one did that made the decision, and lets it hold
    /// for so long. Compares once an engine; afterwards the generation tells.
    fn holds(&self, request: &Request, live: &Live) -> bool {
        if live.revocations != self.revocations.epoch() {
            return false;
        }
        let generation = request.gate.0.generation;
        if live.generation.load(Ordering::Relaxed) == generation {
            return true;
        }
        let decision = &live.decision;
        let same = decision.revision() == request.revision() && !outlives(decision, &request.gate.0.limits);
        if same {
            live.generation.store(generation, Ordering::Relaxed);
        }
        same
    }

    /// Takes a new decision in. One that does not serve cools what an earlier one had warmed, and
    /// one that could not be made leaves an Allow that still holds as it is.
    pub(super) fn remember(&self, request: &Request, tag: Option<&Tag>, made: Made) {
        let Made { decision, whole, proven, revocations } = made;
        let decision = &decision;
        self.by_id.insert(decision.id().to_string(), Arc::clone(decision));
        let key = request.key(decision.subject(), tag);
        let generation = AtomicU64::new(request.gate.0.generation);
        let new = match self.decisions.get(&key) {
            Some(old) if decision.verdict() == Verdict::Indeterminate && self.still_allows(request, &old) => {
                Live {
                    decision: Arc::clone(&old.decision),
                    whole: old.whole,
                    proven: old.proven.clone(),
                    rests: Some(decision.expires()),
                    generation,
                    revocations: old.revocations,
                }
            }
            _ => Live { decision: Arc::clone(decision), whole, proven, rests: None, generation, revocations },
        };
        let falls = !new.decision.serve();
        self.decisions.insert(key, Arc::new(new));
        // Behind the insertion: what is warmed from now on is compared with the new decision, and
        // what was warmed before has the epoch that ends here.
        if falls {
            self.epoch.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Forgets the decision about what is no longer kept.
    pub(super) fn forget(&self, key: &Key) {
        self.decisions.remove(key);
    }

    /// Notes that a manifest of which something is kept is used. Whatever is written in its name comes after.
    pub(super) fn used(&self, repository: &Repository, digest: &Digest) {
        self.uses.note((repository.clone(), *digest), seconds(self.moment().now));
    }

    /// Enters a manifest in whose name links or holds are written next.
    pub(super) fn keeps(&self, name: &Name, is_linked: bool) -> Result<(), store::Error> {
        self.uses.enter(name, seconds(self.moment().now), is_linked)
    }

    fn still_allows(&self, request: &Request, live: &Live) -> bool {
        live.decision.verdict() == Verdict::Allow && self.is_live(request, live, self.moment())
    }

    /// Changes whenever a decision falls or a revocation is learned.
    fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire).wrapping_add(self.revocations.epoch())
    }
}

/// Bounded, so that there is room for every decision.
fn weight(decision: &Decision) -> u64 {
    1 + decision.signatures().len().min(255) as u64
}

pub(super) fn in_last_tenth(decision: &Decision, now: SystemTime) -> bool {
    let life = decision.expires().duration_since(decision.decided()).unwrap_or_default();
    decision.serve() && decision.expires().duration_since(now).is_ok_and(|left| left < life / 10)
}

/// Whether a decision was made under limits that let it hold longer than these.
fn outlives(decision: &Decision, limits: &Limits) -> bool {
    let limit = match decision.verdict() {
        Verdict::Allow => limits.allow_max_age,
        Verdict::Deny => limits.deny_ttl,
        Verdict::Indeterminate => limits.indeterminate_ttl,
    };
    decision.decided().checked_add(limit).is_some_and(|end| end < decision.expires())
}
