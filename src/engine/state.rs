//! What is opened once a process and outlives reloads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::UNIX_EPOCH;

use crate::admission::Memory;
use crate::audit::{self, Audit};
use crate::cache::Cache;
use crate::clock::Clock;
use crate::config::Settings;
use crate::store::{self, Store};
use crate::telemetry::Metrics;

/// Store, records, cache, decisions, links, audit log, metrics.
pub struct State {
    pub(super) memory: Arc<Memory>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) unmatched: Unmatched,
    pub(super) clock: Clock,
    generations: AtomicU64,
}

/// What becomes of repositories that no policy covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmatched {
    /// Trust is required.
    Refused,
    /// Served with a warning, and recorded as would-deny (`serve --audit`).
    Audited,
}

/// Why the process cannot start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The store.
    #[error(transparent)]
    Store(#[from] store::OpenError),
    /// The records in it.
    #[error(transparent)]
    Records(#[from] store::Error),
    /// The audit log.
    #[error(transparent)]
    Audit(#[from] audit::Error),
}

impl State {
    /// Opens the store and the audit log that the settings name.
    ///
    /// # Errors
    /// [`OpenError`] says which of the two cannot be had, and what to do.
    pub async fn open(
        settings: &Settings,
        clock: Clock,
        unmatched: Unmatched,
    ) -> Result<Arc<Self>, OpenError> {
        let metrics = Metrics::new();
        let store = Store::open(&settings.store, &metrics)?;
        let audit = Audit::open(&settings.audit_path(), &clock, &metrics)?;
        Self::over(store, audit, metrics, clock, unmatched).await
    }

    /// A state that leaves nothing behind: for `verify`, `check` and tests.
    ///
    /// # Errors
    /// [`OpenError::Store`] when no temporary folder can be made.
    pub async fn ephemeral(clock: Clock) -> Result<Arc<Self>, OpenError> {
        let metrics = Metrics::new();
        let store = Store::ephemeral(&metrics)?;
        let audit = Audit::in_memory(&clock);
        Self::over(store, audit, metrics, clock, Unmatched::Refused).await
    }

    async fn over(
        store: Store,
        audit: Audit,
        metrics: Arc<Metrics>,
        clock: Clock,
        unmatched: Unmatched,
    ) -> Result<Arc<Self>, OpenError> {
        let cache = Cache::new(&store, &clock, &metrics);
        let audit = Arc::new(audit);
        let memory = Memory::open(store, cache, audit, Arc::clone(&metrics), clock.clone()).await?;
        let memory = Arc::new(memory);
        let state = Self { memory, metrics, unmatched, clock, generations: AtomicU64::new(1) };
        state.show_reloaded();
        Ok(Arc::new(state))
    }

    /// The audit log.
    pub fn audit(&self) -> &Arc<Audit> {
        self.memory.audit()
    }

    /// The time.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The process's metrics.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// A name for this opening of the store, which no other has had or will have.
    pub fn opening(&self) -> &str {
        self.memory.store().opening()
    }

    /// Shows that a configuration is in use from now on.
    pub(super) fn show_reloaded(&self) {
        let since = self.clock.now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        self.metrics.config_since.set(i64::try_from(since).unwrap_or(i64::MAX));
    }

    /// What stands in the way of serving, where something does: the store that cannot be written to, or the audit log,
    /// unless it `is_optional`.
    pub async fn unready(&self, is_optional: bool) -> Option<&'static str> {
        if self.memory.store().records().flush().await.is_err() {
            return Some("the store cannot be written to");
        }
        let is_recorded = is_optional || self.memory.audit().is_writable();
        (!is_recorded).then_some("the audit log cannot be written to")
    }

    /// Writes what is only in memory, before the process ends.
    pub async fn close(&self) {
        if let Err(error) = self.memory.audit().close().await {
            tracing::error!(%error, "refusals could not be recorded");
        }
        if let Err(error) = self.memory.retire().await {
            tracing::error!(%error, "last uses of manifests could not be recorded");
        }
        if let Err(error) = self.memory.store().write_back().await {
            tracing::error!(%error, "last uses could not be recorded");
        }
        if let Err(error) = self.memory.store().records().flush().await {
            tracing::error!(%error, "records could not be written");
        }
    }

    pub(super) fn next_generation(&self) -> u64 {
        self.generations.fetch_add(1, Ordering::Relaxed)
    }
}
