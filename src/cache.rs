//! Content as upstreams gave it: tags, manifests, blobs, lists; what is fresh, what is arriving.
//! Digests are checked here; whether anything may be served is `admission/`'s to say.
//!
//! Content that the store has for another repository is given only once this repository's own
//! upstream has shown that it holds it.

mod arriving;
mod blob;
mod body;
mod error;
mod forgetting;
mod lists;
mod manifests;
mod negative;
mod outlet;
mod passing;
mod reading;
mod seen;
mod settings;
mod tags;

use std::sync::Arc;

use crate::clock::Clock;
use crate::flight::Flight;
use crate::oci::{Digest, Manifest, Repository, Tag};
use crate::store::{self, Store};
use crate::telemetry::Metrics;
use crate::telemetry::metrics::FetchFailure;
use arriving::Fetches;
use lists::Lists;
use negative::Negative;
use seen::Seen;
use tags::Tags;

pub use blob::{Blob, BlobReader, Source};
pub use error::Error;
pub use lists::Kept;
pub use outlet::{Outlet, Room};
pub use seen::Role;
pub use settings::Freshness;
pub use tags::{Recheck, Resolved, Standing};

/// What upstreams gave. Cheap to clone; outlives reloads, which is why upstream and freshness are
/// told with every call.
#[derive(Clone)]
pub struct Cache(Arc<Inner>);

struct Inner {
    store: Store,
    clock: Clock,
    metrics: Arc<Metrics>,
    seen: Seen,
    tags: Tags,
    lists: Lists,
    negative: Negative,
    fetches: Fetches,
    manifests: Flight<(Repository, Digest), Result<Manifest, Error>>,
    small_blobs: Flight<(Repository, Digest), Result<bytes::Bytes, Error>>,
    /// By role and announced length too: those are part of the question.
    shows: Flight<(Repository, Digest, Role, u64), Result<bool, Error>>,
    rechecks: Flight<(Repository, Tag), Result<tags::Answer, Error>>,
}

impl Cache {
    /// A cache over `store`.
    pub fn new(store: &Store, clock: &Clock, metrics: &Arc<Metrics>) -> Self {
        let records = store.records();
        Self(Arc::new(Inner {
            store: store.clone(),
            clock: clock.clone(),
            metrics: metrics.clone(),
            seen: Seen::new(records),
            tags: Tags::new(records),
            lists: Lists::new(records),
            negative: Negative::default(),
            fetches: Fetches::default(),
            manifests: Flight::default(),
            small_blobs: Flight::default(),
            shows: Flight::default(),
            rechecks: Flight::default(),
        }))
    }
}

impl Inner {
    /// Counts a fetch that failed like this.
    fn counted(&self, repository: &Repository, error: Error) -> Error {
        if let Some(reason) = error.failure() {
            let registry = repository.registry().as_str();
            self.metrics.fetch_failures.at(FetchFailure { registry, reason }).inc();
        }
        error
    }
}

/// The key of what belongs to a repository.
fn key(repository: &Repository, rest: &[u8]) -> Vec<u8> {
    [&store::key::of_repository(repository), rest].concat()
}

#[cfg(test)]
mod tests;
