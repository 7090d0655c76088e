//! The step for the jobs: asks again for what decisions rest on, so that a revocation is learned
//! without anyone pulling.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tokio::time::Instant;

use super::lookup::{Lookup, Patience};
use super::{DEADLINE, Need, RevocationData, RevocationSources, Revocations, unix};

/// So many certificates are asked about at once.
const AT_ONCE: usize = 4;
/// Ended answers are looked for so often.
const SWEEP: Duration = Duration::from_secs(3600);

impl Revocations {
    /// Asks again for what is in use and older than its ttl or near its end, and drops what ended long
    /// ago.
    pub async fn refresh(&self, sources: &RevocationSources) {
        let needs = self.0.recent.needs();
        stream::iter(&needs).for_each_concurrent(AT_ONCE, |need| self.refresh_one(need, sources)).await;
        self.0.show_first_end();
        if let Ok(noted) = self.0.noted.count().await {
            self.0.metrics.revocations_noted.set(i64::try_from(noted).unwrap_or(i64::MAX));
        }
        self.sweep().await;
    }

    async fn refresh_one(&self, need: &Need, sources: &RevocationSources) {
        let patience = Patience::ahead(Instant::now() + DEADLINE);
        let found = Lookup::new(&self.0, need, sources, patience).run().await;
        self.0.observe(need, &RevocationData::new([(need.id(), found)].into(), sources));
    }

    async fn sweep(&self) {
        let now = self.0.clock.now();
        let swept = self.0.swept.load(Ordering::Relaxed);
        if unix(now).saturating_sub(swept) < SWEEP.as_secs() {
            return;
        }
        self.0.swept.store(unix(now), Ordering::Relaxed);
        if let Err(why) = self.0.kept.sweep(now).await {
            tracing::warn!(%why, "old revocation answers stay in the store");
        }
    }
}
