//! Brings the store within its bounds at once, and takes away what leads nowhere.

use super::{Progress, Tell, told};
use crate::engine::State;
use crate::store::{Error, Store};

pub(super) async fn run(state: &State, compact: bool, tell: &Tell) -> Result<(), String> {
    let (memory, store) = (&state.memory, state.memory.store());
    let failed = |e: Error| e.to_string();
    let before = Count::of(state);
    // The first turn only cools what was answered from memory.
    memory.retire().await.map_err(failed)?;
    memory.retire().await.map_err(failed)?;
    let retired = Count::of(state);
    freed(tell, "manifests that were used longest ago", before.retired, retired.retired, 0).await?;
    store.evict().await.map_err(failed)?;
    let evicted = Count::of(state);
    let bytes = before.bytes.saturating_sub(evicted.bytes);
    freed(tell, "content over the limit", before.evicted, evicted.evicted, bytes).await?;
    let rows = store.reconcile_now().await.map_err(failed)?;
    freed(tell, "books of content that is gone", 0, rows, 0).await?;
    let swept = memory.sweep().await.map_err(failed)?;
    freed(tell, "records that lead nowhere", 0, swept, 0).await?;
    if compact {
        let bytes = compacted(store).await.map_err(failed)?;
        freed(tell, "unused pages of the records", 0, u64::from(bytes > 0), bytes).await?;
    }
    Ok(())
}

struct Count {
    retired: u64,
    evicted: u64,
    bytes: u64,
}

impl Count {
    fn of(state: &State) -> Self {
        let metrics = &state.metrics;
        let bytes = state.memory.store().sizes().kept;
        Self { retired: metrics.store_retired.get(), evicted: metrics.store_evictions.get(), bytes }
    }
}

async fn freed(tell: &Tell, what: &str, before: u64, after: u64, bytes: u64) -> Result<(), String> {
    let count = after.saturating_sub(before);
    told(tell, Progress::Freed { what: what.to_owned(), count, bytes }).await
}

/// By how many bytes the records' file shrank.
async fn compacted(store: &Store) -> Result<u64, Error> {
    let before = store.contents().await?.records_bytes;
    store.records().compact().await?;
    Ok(before.saturating_sub(store.contents().await?.records_bytes))
}
