//! One run of a value for many callers. Saves work; nothing relies on it for correctness.

use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;

use dashmap::{DashMap, Entry};
use tokio::sync::watch;

/// Runs that are under way, by key.
pub struct Flight<K, V> {
    under_way: Arc<DashMap<K, watch::Receiver<Option<V>>>>,
}

/// The run ended without a value: it panicked, or the runtime is shutting down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the shared run ended without a result")]
pub struct Lost;

impl<K, V> Flight<K, V>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// The value of the run for `key` that is under way, else of a new one of `start`. The run is a
    /// task of its own: callers that leave end nothing.
    ///
    /// # Errors
    /// [`Lost`].
    pub async fn run<F>(&self, key: K, start: impl FnOnce() -> F) -> Result<V, Lost>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let mut told = self.join_or_start(key, start);
        let value = told.wait_for(Option::is_some).await.map_err(|_| Lost)?;
        value.clone().ok_or(Lost)
    }

    /// Whether a run for `key` is under way.
    pub fn is_under_way(&self, key: &K) -> bool {
        self.under_way.contains_key(key)
    }

    fn join_or_start<F>(&self, key: K, start: impl FnOnce() -> F) -> watch::Receiver<Option<V>>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let (tell, told) = watch::channel(None);
        match self.under_way.entry(key.clone()) {
            // A run that has ended leaves the table before it tells; one that was lost may still
            // stand there for a moment.
            Entry::Occupied(entry) if entry.get().has_changed().is_ok() => return entry.get().clone(),
            Entry::Occupied(mut entry) => {
                entry.insert(told.clone());
            }
            Entry::Vacant(entry) => {
                entry.insert(told.clone());
            }
        }
        let landing = Landing { under_way: self.under_way.clone(), key, told: told.clone() };
        // Runs are large, and would be copied from place to place until they stand in their task.
        let run = Box::pin(start());
        tokio::spawn(async move {
            let value = run.await;
            drop(landing);
            let _ = tell.send(Some(value));
        });
        told
    }
}

impl<K: Eq + Hash, V> Default for Flight<K, V> {
    fn default() -> Self {
        Self { under_way: Arc::default() }
    }
}

/// Takes the run out of the table, also when it panics or is dropped.
struct Landing<K: Eq + Hash, V> {
    under_way: Arc<DashMap<K, watch::Receiver<Option<V>>>>,
    key: K,
    told: watch::Receiver<Option<V>>,
}

impl<K: Eq + Hash, V> Drop for Landing<K, V> {
    fn drop(&mut self) {
        self.under_way.remove_if(&self.key, |_, current| current.same_channel(&self.told));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn many_callers_share_a_run_and_the_next_one_starts_anew() {
        let flight = Arc::new(Flight::<u8, usize>::default());
        let runs = Arc::new(AtomicUsize::new(0));
        let once = |flight: Arc<Flight<u8, usize>>, runs: Arc<AtomicUsize>| async move {
            flight
                .run(1, || async move {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    runs.fetch_add(1, Ordering::SeqCst) + 1
                })
                .await
        };
        let together: Vec<_> = (0..64).map(|_| tokio::spawn(once(flight.clone(), runs.clone()))).collect();
        for caller in together {
            assert_eq!(caller.await.unwrap(), Ok(1));
        }
        assert_eq!(once(flight.clone(), runs).await, Ok(2));
        assert!(!flight.is_under_way(&1));
    }

    #[tokio::test]
    async fn a_caller_that_leaves_ends_nothing() {
        let flight = Arc::new(Flight::<u8, u8>::default());
        let (go, wait) = tokio::sync::oneshot::channel::<()>();
        let first = tokio::time::timeout(
            Duration::from_millis(10),
            flight.run(1, || async move {
                let _ = wait.await;
                7
            }),
        );
        assert!(first.await.is_err());
        let joined = flight.run(1, || async { 8 });
        go.send(()).unwrap();
        assert_eq!(joined.await, Ok(7));
    }

    #[tokio::test]
    async fn a_panic_is_an_error_and_stays_with_its_run() {
        let flight = Flight::<u8, u8>::default();
        let lost = flight.run(1, || async { panic!("told to") }).await;
        assert_eq!(lost, Err(Lost));
        assert_eq!(flight.run(1, || async { 2 }).await, Ok(2));
    }
}
