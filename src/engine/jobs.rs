//! The loops of the process. Each takes the current engine anew at each turn; the steps are their
//! modules' own.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::{Current, State};
use crate::store;

/// Starts the loops. Dropping the set ends them.
pub fn start(state: &Arc<State>, current: &Current) -> JoinSet<()> {
    let mut jobs = JoinSet::new();
    let audit = Arc::clone(state);
    jobs.spawn(every(Duration::from_secs(1), move || {
        let state = Arc::clone(&audit);
        async move { told("refusals could not be recorded", state.memory.audit().flush().await) }
    }));
    let uses = Arc::clone(state);
    jobs.spawn(every(Duration::from_secs(10), move || {
        let state = Arc::clone(&uses);
        async move { told("last uses could not be recorded", state.memory.store().write_back().await) }
    }));
    let retired = Arc::clone(state);
    jobs.spawn(async move { retiring(&retired).await });
    jobs.spawn(scrubbing(Arc::clone(state), Arc::clone(current)));
    let asking = Arc::clone(current);
    jobs.spawn(every(Duration::from_secs(60), move || {
        let engine = asking.load_full();
        async move { engine.gate().refresh_revocations().await }
    }));
    let (evicting, current) = (Arc::clone(state), Arc::clone(current));
    jobs.spawn(every(Duration::from_secs(60), move || {
        let (state, engine) = (Arc::clone(&evicting), current.load_full());
        async move {
            state.memory.store().set_max_size(engine.settings().store.max_size);
            told("the store is over its limit", state.memory.store().evict().await);
        }
    }));
    jobs
}

/// Retires every now and then, and at once when the store has no room for what is held. Never ready.
pub async fn retiring(state: &State) {
    let mut ticks = interval(Duration::from_secs(10));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = state.memory.wants_retiring() => {}
        }
        told("what was used longest ago could not be retired", state.memory.retire().await);
        // Where everything is in use, one who asks for room again and again gets no more by it.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Reads all stored content within the settings' rate, pass after pass. A failure waits for the next turn.
async fn scrubbing(state: Arc<State>, current: Current) {
    loop {
        told("stored content could not be looked through", scrub(&state, &current).await);
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
}

/// A pass, or what is left of one, where it is due; then the records that lead nowhere go.
async fn scrub(state: &State, current: &Current) -> Result<(), store::Error> {
    let settings = || current.load().settings().store.scrub.clone();
    let store = state.memory.store();
    let (mut pass, last) = (store.scrub().await?, store.scrubbed().await?);
    if let Some(last) = last {
        pass.show(last);
    }
    let age = last.and_then(|last| state.clock.now().duration_since(last).ok());
    if settings().every.is_zero() || (!pass.is_under_way() && age.is_some_and(|age| age < settings().every)) {
        return Ok(());
    }
    while pass.next(|| settings().rate).await?.is_some() {
        if settings().every.is_zero() {
            return Ok(());
        }
    }
    pass.passed(state.clock.now());
    // Of signatures that nobody believed nothing is kept but that they were seen.
    state.memory.sweep().await.map(drop)
}

async fn every<F: Future<Output = ()>>(period: Duration, step: impl Fn() -> F) {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        step().await;
    }
}

fn told<E: std::fmt::Display>(what: &str, result: Result<(), E>) {
    if let Err(error) = result {
        tracing::error!(%error, "{what}");
    }
}
