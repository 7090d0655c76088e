//! A module in this process: loaded once, and asked by one call at a time, but for signatures, of which a few are made at
//! once. Who is in a call, and who waits for how long.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::{OwnedRwLockWriteGuard, RwLock, oneshot};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::Error;
use super::inside::{Inside, Turns};

/// Who wants to be alone holds up those who sign for so long at a time. Others' signatures are made by then, but for one
/// that hangs.
const ALONE: Duration = Duration::from_secs(2);

/// Modules that were named, by their files. They stay: unloading one under a key that is in use would end the process.
static LIBRARIES: Mutex<BTreeMap<PathBuf, Arc<Library>>> = Mutex::new(BTreeMap::new());

/// A module, and who is in a call of it.
pub(super) struct Library {
    inside: Arc<RwLock<Inside>>,
    /// Calls that did not end in time, until they do.
    left: Mutex<Vec<Weak<()>>>,
}

/// How long something may take in all.
#[derive(Clone, Copy)]
pub(super) struct Within {
    limit: Duration,
    end: Instant,
}

impl Within {
    /// From now on.
    pub(super) fn of(limit: Duration) -> Self {
        Self { limit, end: Instant::now() + limit }
    }

    fn over(self) -> Error {
        Error::TimedOut(self.limit)
    }
}

impl Library {
    /// The module in a file, by whatever path.
    pub(super) fn at(path: PathBuf) -> Arc<Self> {
        let file = std::fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
        let mut all = LIBRARIES.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(file).or_insert_with(|| Arc::new(Self::new(path))))
    }

    fn new(path: PathBuf) -> Self {
        Self { inside: Arc::new(RwLock::new(Inside::of(path))), left: Mutex::default() }
    }

    /// Does `work` while nobody else is in the module, on a thread of its own, which is left behind when it does not end in
    /// time; the time in which others are in a call counts. Who comes after one that was left does not wait.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        within: Within,
        work: impl FnOnce(&mut Inside) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let mut inside = self.enter(within, 1, self.alone()).await?;
        self.run(within, move || work(&mut inside)).await
    }

    /// As [`Library::call`], but as many as there are turns may be in the module together.
    pub(super) async fn share<T: Send + 'static>(
        &self,
        within: Within,
        turns: &Turns,
        work: impl FnOnce(&Inside) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let turn = self.enter(within, turns.all, Arc::clone(&turns.free).acquire_owned()).await?;
        let inside = self.enter(within, 1, Arc::clone(&self.inside).read_owned()).await?;
        self.run(within, move || {
            let _turn = turn;
            work(&inside)
        })
        .await
    }

    /// Waits until nobody else is in the module. Whoever waits for that has others wait: behind a signature that hangs they
    /// would hang as well.
    async fn alone(&self) -> OwnedRwLockWriteGuard<Inside> {
        loop {
            if let Ok(inside) = timeout(ALONE, Arc::clone(&self.inside).write_owned()).await {
                return inside;
            }
            sleep(ALONE).await;
        }
    }

    /// Waits for leave, but not where so many calls were left that it need not come.
    async fn enter<T>(
        &self,
        within: Within,
        left: usize,
        entering: impl Future<Output = T>,
    ) -> Result<T, Error> {
        let entered = match self.left() < left {
            true => timeout_at(within.end, entering).await.ok(),
            false => entering.now_or_never(),
        };
        entered.ok_or_else(|| within.over())
    }

    async fn run<T: Send + 'static>(
        &self,
        within: Within,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let ((done, told), here) = (oneshot::channel(), Arc::new(()));
        let left = Arc::downgrade(&here);
        let run = move || {
            let outcome = work();
            drop(here);
            let _ = done.send(outcome);
        };
        std::thread::Builder::new().name("pkcs11".to_owned()).spawn(run)?;
        let Ok(told) = timeout_at(within.end, told).await else {
            self.left.lock().unwrap_or_else(PoisonError::into_inner).push(left);
            return Err(within.over());
        };
        told.map_err(|_| std::io::Error::from(std::io::ErrorKind::BrokenPipe))?
    }

    /// How many calls did not end in time, and have not since.
    fn left(&self) -> usize {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        left.retain(|call| call.strong_count() > 0);
        left.len()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    const SHORT: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(20);

    const AT_ONCE: usize = 4;

    fn library() -> (Library, Turns) {
        (Library::new("/absent.so".into()), Turns::of(AT_ONCE))
    }

    /// Ends once the sender is let go of.
    fn hanging() -> (Sender<()>, impl FnOnce() -> bool + Send + 'static) {
        let (held, hangs) = channel::<()>();
        (held, move || hangs.recv().is_ok())
    }

    #[tokio::test]
    async fn behind_a_call_that_hangs_nobody_waits() {
        let (library, turns) = library();
        let (held, hang) = hanging();
        let hanging = library.call(Within::of(SHORT), |_| Ok(hang())).await;
        assert!(matches!(hanging, Err(Error::TimedOut(SHORT))));
        let start = Instant::now();
        assert!(matches!(library.call(Within::of(LONG), |_| Ok(())).await, Err(Error::TimedOut(_))));
        assert!(matches!(library.share(Within::of(LONG), &turns, |_| Ok(())).await, Err(Error::TimedOut(_))));
        assert!(start.elapsed() < LONG / 2, "{:?}", start.elapsed());
        drop(held);
        while library.call(Within::of(LONG), |_| Ok(())).await.is_err() {
            assert!(start.elapsed() < LONG, "the module answers again");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(library.call(Within::of(LONG), |_| Ok(7)).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn a_signature_that_hangs_holds_up_only_who_wants_to_be_alone() {
        let (library, turns) = library();
        let (held, hang) = hanging();
        assert!(library.share(Within::of(SHORT), &turns, |_| Ok(hang())).await.is_err());
        let start = Instant::now();
        assert_eq!(library.share(Within::of(LONG), &turns, |_| Ok(7)).await.unwrap(), 7);
        assert!(library.call(Within::of(LONG), |_| Ok(())).await.is_err());
        assert_eq!(library.share(Within::of(LONG), &turns, |_| Ok(7)).await.unwrap(), 7);
        assert!(start.elapsed() < LONG / 2, "{:?}", start.elapsed());
        drop(held);
        while library.call(Within::of(LONG), |_| Ok(())).await.is_err() {
            assert!(start.elapsed() < LONG, "the module answers again");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// While nobody knows yet that it hangs.
    #[tokio::test]
    async fn who_waits_to_be_alone_holds_up_signatures_for_a_moment_only() {
        let (library, turns) = library();
        let (held, hang) = hanging();
        let hanging = library.share(Within::of(LONG), &turns, |_| Ok(hang()));
        let waiting = library.call(Within::of(LONG), |_| Ok(()));
        let signing = async {
            sleep(SHORT).await;
            let start = Instant::now();
            assert_eq!(library.share(Within::of(LONG), &turns, |_| Ok(7)).await.unwrap(), 7);
            assert!(start.elapsed() < 2 * ALONE, "{:?}", start.elapsed());
            drop(held);
        };
        let (_, waiting, ()) = tokio::join!(hanging, waiting, signing);
        waiting.unwrap();
    }

    #[tokio::test]
    async fn a_few_sign_at_once_and_no_more() {
        let ((library, turns), together) = (library(), Arc::new(Barrier::new(AT_ONCE + 1)));
        // They end only when all of them are there, and the one below.
        let busy = (0..AT_ONCE).map(|_| {
            let together = Arc::clone(&together);
            library.share(Within::of(LONG), &turns, move |_| Ok(together.wait()))
        });
        let one_more = async {
            tokio::time::sleep(SHORT).await;
            assert!(library.share(Within::of(SHORT), &turns, |_| Ok(())).await.is_err());
            assert!(library.call(Within::of(SHORT), |_| Ok(())).await.is_err());
            let together = Arc::clone(&together);
            tokio::task::spawn_blocking(move || together.wait()).await.unwrap();
        };
        let (busy, ()) = tokio::join!(futures_util::future::join_all(busy), one_more);
        assert!(busy.into_iter().all(|ended| ended.is_ok()));
        library.call(Within::of(LONG), |_| Ok(())).await.unwrap();
    }
}
