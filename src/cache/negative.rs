//! What upstreams did not have a moment ago.

use std::time::{Duration, SystemTime};

use quick_cache::sync::Cache;

use crate::oci::{Repository, Target};

/// More than this many are forgotten, those not asked for first.
const MOST: usize = 16_384;

pub(super) struct Negative(Cache<(Repository, Target), SystemTime>);

impl Default for Negative {
    fn default() -> Self {
        Self(Cache::new(MOST))
    }
}

impl Negative {
    /// Whether it was missing less than `ttl` ago.
    pub(super) fn holds(
        &self,
        repository: &Repository,
        target: &Target,
        now: SystemTime,
        ttl: Duration,
    ) -> bool {
        let missed = self.0.get(&(repository.clone(), target.clone()));
        missed.is_some_and(|at| now.duration_since(at).is_ok_and(|age| age < ttl))
    }

    pub(super) fn add(&self, repository: &Repository, target: &Target, now: SystemTime) {
        self.0.insert((repository.clone(), target.clone()), now);
    }

    pub(super) fn remove(&self, repository: &Repository, target: &Target) {
        self.0.remove(&(repository.clone(), target.clone()));
    }
}
