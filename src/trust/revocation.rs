//! Asks whether certificates are revoked, and keeps what was answered. What the answers are worth,
//! [`crate::x509::revocation`] decides; whose certificates may be asked about, the caller: any
//! certificate names servers, so only chains that end at a configured anchor come here.

mod asking;
mod brought;
mod carried;
mod data;
mod failing;
mod fetch;
mod kept;
mod lookup;
mod noted;
mod recent;
mod refresh;
mod sources;

#[cfg(test)]
pub(super) mod tests;

use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use crate::clock::Clock;
use crate::flight::Flight;
use crate::store::{self, Store};
use crate::telemetry::Metrics;
use crate::telemetry::metrics::RevocationStatus;
use crate::x509::revocation::{Question, Status};
use crate::x509::{Certificate, chain};
use failing::Failing;
use kept::{Kept, Key};
use lookup::{Lookup, Patience};
use noted::Noted;
use recent::Recent;

pub use brought::{Answer, Brought};
pub use data::RevocationData;
pub use sources::RevocationSources;

/// All asking for one set of certificates ends by then; admission's own deadline is longer.
const DEADLINE: Duration = Duration::from_secs(15);
/// About more certificates of one set nobody is asked: a signer's chain and a timestamp authority's.
const MAX_ASKED: usize = 2 * chain::MAX_LENGTH;

/// Ask whether `certificate` is revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// Whose status is wanted.
    pub certificate: Certificate,
    /// Who issued it, and so signs what is said about it.
    pub issuer: Certificate,
}

/// The certificate by its issuer's key and its serial number (RFC 5280, section 4.1.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Id([u8; 32]);

/// What is known of revocations: kept answers, noted revocations, servers that fail. Opened once a
/// process; cheap to clone.
#[derive(Clone)]
pub struct Revocations(Arc<Inner>);

struct Inner {
    clock: Clock,
    metrics: Arc<Metrics>,
    kept: Kept,
    noted: Noted,
    failing: Failing,
    recent: Recent,
    /// What went wrong, by what is asked for.
    asking: Flight<Key, Arc<[String]>>,
    epoch: AtomicU64,
    /// In Unix seconds.
    swept: AtomicU64,
}

impl Revocations {
    /// Over what `store` kept.
    pub fn open(store: &Store, metrics: &Arc<Metrics>, clock: &Clock) -> Self {
        Self(Arc::new(Inner {
            clock: clock.clone(),
            metrics: Arc::clone(metrics),
            kept: Kept::open(store),
            noted: Noted::open(store.records()),
            failing: Failing::default(),
            recent: Recent::default(),
            asking: Flight::default(),
            epoch: AtomicU64::new(0),
            swept: AtomicU64::new(0),
        }))
    }

    /// What can be known now: from the store where that is young enough, else from the servers that
    /// the certificates name. Servers that fail cost time, never an error: [`RevocationData::status`]
    /// tells of them.
    pub async fn gather(&self, needs: &[Need], sources: &RevocationSources) -> RevocationData {
        if needs.is_empty() {
            return RevocationData::new(HashMap::new(), sources);
        }
        let deadline = Instant::now() + DEADLINE;
        let mut seen = HashSet::new();
        let distinct = needs.iter().filter(|need| seen.insert(need.id()));
        let found = join_all(distinct.enumerate().map(|(i, need)| async move {
            let patience = Patience::until(deadline, i < MAX_ASKED);
            let found = Lookup::new(&self.0, need, sources, patience).run().await;
            self.0.recent.used(need, self.0.clock.now());
            (need, found)
        }))
        .await;
        let needs: Vec<&Need> = found.iter().map(|(need, _)| *need).collect();
        let found = found.iter().map(|(need, found)| (need.id(), found.clone())).collect();
        let data = RevocationData::new(found, sources);
        for need in needs {
            let label = self.0.observe(need, &data);
            self.0.metrics.revocation_status.at(RevocationStatus { status: label }).inc();
        }
        self.0.show_first_end();
        data
    }

    /// The answers that decisions of this process rest on, as they are kept now: one about each thing.
    ///
    /// # Errors
    /// What the store cannot read.
    pub async fn answers(&self) -> Result<Vec<Answer>, String> {
        let mut answers = Vec::new();
        for key in self.0.recent.answers() {
            let record = self.0.kept.record(&key).await?;
            answers.extend(record.map(|record| Answer::of(&key, &record)));
        }
        Ok(answers)
    }

    /// How many bytes of the store answers hold, on a thread that may wait.
    ///
    /// # Errors
    /// What the store cannot read.
    pub fn held_now(&self) -> Result<u64, store::Error> {
        self.0.kept.held_now()
    }

    /// Rises whenever a revocation is learned or undone: what was decided before has to be decided
    /// again.
    pub fn epoch(&self) -> u64 {
        self.0.epoch.load(Ordering::Acquire)
    }

    /// A revocation of somebody is learned.
    #[cfg(test)]
    pub(crate) fn learn_something(&self) {
        self.0.epoch.fetch_add(1, Ordering::AcqRel);
    }
}

impl Inner {
    /// Remembers when an answer ends. Gives the status as metrics call it.
    fn observe(&self, need: &Need, data: &RevocationData) -> &'static str {
        let now = self.clock.now();
        let status = data.status(&need.certificate, &need.issuer, now, None);
        self.recent.found(need, &status, data.answers(need));
        match status {
            Status::Good { .. } => "good",
            Status::Revoked { .. } => "revoked",
            Status::Unknown { .. } => "unknown",
            Status::NotRevocable => "not_revocable",
        }
    }

    /// A revocation of the certificate stands from now on, or stands no longer.
    fn learned(&self, need: &Need, stood: bool, stands: bool) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
        self.metrics.revocations_noted.add(i64::from(stands) - i64::from(stood));
        let subject = need.certificate.subject();
        if stands {
            tracing::warn!(%subject, "a certificate is revoked");
        } else {
            tracing::warn!(%subject, "a certificate's revocation is undone by its issuer");
        }
    }

    fn show_first_end(&self) {
        let first = self.recent.first_end(self.clock.now());
        let seconds = first.map_or(0, |end| i64::try_from(unix(end)).unwrap_or(i64::MAX));
        self.metrics.revocation_data_expiry.set(seconds);
    }
}

impl Need {
    fn id(&self) -> Id {
        Id::of(&self.certificate, &self.issuer)
    }

    fn question(&self, now: SystemTime) -> Question<'_> {
        let Self { certificate, issuer } = self;
        Question { certificate, issuer, now, signed_at: None, grace: Duration::ZERO }
    }
}

// By the bytes, as equality is.
impl Hash for Need {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.certificate.der().hash(state);
        self.issuer.der().hash(state);
    }
}

impl Id {
    fn of(certificate: &Certificate, issuer: &Certificate) -> Self {
        // The key is DER and tells its own length.
        let hash = Sha256::new().chain_update(issuer.public_key().spki()).chain_update(certificate.serial());
        Self(hash.finalize().into())
    }
}

/// Seconds since 1970; before it, 0.
fn unix(at: SystemTime) -> u64 {
    at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}
