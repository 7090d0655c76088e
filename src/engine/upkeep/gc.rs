//! Brings the store within its bounds at once, and takes away what leads nowhere. Each step is done whatever
//! became of the others; trouble is told at the end.

use super::{Progress, Tell, told};
use crate::engine::State;
use crate::store::{Error, Sizes, Store};

/// How many went, and how many bytes where that is known.
type Freed = Result<(u64, u64), Error>;

pub(super) async fn run(state: &State, compact: bool, tell: &Tell) -> Result<(), String> {
    let store = state.memory.store();
    let mut troubles = Vec::new();
    // First, since what is over a limit is found by the books.
    let struck = store.reconcile_now().await.map(|rows| (rows, 0));
    step(tell, &mut troubles, "books of content that is gone", struck).await?;
    step(tell, &mut troubles, "manifests that were used longest ago", retired(state).await).await?;
    let evicted = evicted(state, &mut troubles).await;
    step(tell, &mut troubles, "content over the limit", evicted).await?;
    let swept = state.memory.sweep().await.map(|rows| (rows, 0));
    step(tell, &mut troubles, "records that lead nowhere", swept).await?;
    if compact {
        step(tell, &mut troubles, "unused pages of the records", compacted(store).await).await?;
    }
    if troubles.is_empty() { Ok(()) } else { Err(troubles.join("; ")) }
}

async fn step(tell: &Tell, troubles: &mut Vec<String>, what: &str, freed: Freed) -> Result<(), String> {
    match freed {
        Ok((count, bytes)) => told(tell, Progress::Freed { what: what.to_owned(), count, bytes }).await,
        Err(error) => {
            troubles.push(format!("{what}: {error}"));
            Ok(())
        }
    }
}

fn too_much_held(sizes: &Sizes) -> String {
    let Sizes { held, promised, limit, .. } = sizes;
    format!(
        "the store is over its limit: {held} bytes are held by manifests and {promised} promised to content on its way \
         in, where store.max_size allows {limit}; manifests that were used within the last 45 minutes stay: do it \
         again later, or raise store.max_size"
    )
}

async fn retired(state: &State) -> Freed {
    let before = state.metrics.store_retired.get();
    // The first turn only cools what was answered from memory.
    state.memory.retire().await?;
    state.memory.retire().await?;
    Ok((state.metrics.store_retired.get().saturating_sub(before), 0))
}

async fn evicted(state: &State, troubles: &mut Vec<String>) -> Freed {
    let (store, evictions) = (state.memory.store(), &state.metrics.store_evictions);
    let (kept, before) = (store.sizes().kept, evictions.get());
    match store.evict().await {
        // Some may have gone all the same.
        Err(Error::Full) => troubles.push(too_much_held(&store.sizes())),
        evicted => evicted?,
    }
    Ok((evictions.get().saturating_sub(before), kept.saturating_sub(store.sizes().kept)))
}

/// By how many bytes the records' file shrank.
async fn compacted(store: &Store) -> Freed {
    let before = store.contents().await?.records_bytes;
    store.records().compact().await?;
    let bytes = before.saturating_sub(store.contents().await?.records_bytes);
    Ok((u64::from(bytes > 0), bytes))
}
