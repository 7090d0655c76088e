//! A module in this process: loaded once, asked by one call at a time, in one session with each of its tokens.
//!
//! Tokens that restart give the numbers of sessions and objects out again. No session is opened before those that ended are
//! let go of, and each has a number of our own, so that no key is taken for another.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex as Lock, PoisonError};
use std::time::Duration;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error as Failure, RvError};
use cryptoki::session::Session;
use cryptoki::slot::Slot;
use tokio::sync::{Mutex, OwnedMutexGuard, oneshot};
use tokio::time::{Instant, timeout_at};

use super::Error;

/// Modules that were named, by their files. They stay: unloading one under a key that is in use would end the process.
static LIBRARIES: Lock<BTreeMap<PathBuf, Arc<Library>>> = Lock::new(BTreeMap::new());

/// A module, and who is in a call of it.
pub(super) struct Library {
    inside: Arc<Mutex<Inside>>,
    /// The call that was waited for last did not end in time.
    hangs: AtomicBool,
}

/// What one call at a time may touch.
pub(super) struct Inside {
    path: PathBuf,
    module: Option<Pkcs11>,
    /// By the slots' ids.
    sessions: BTreeMap<u64, (u64, Session)>,
    /// How many there were.
    opened: u64,
    /// Fingerprints of the PINs that were refused, each with its token.
    pub(super) refused: BTreeSet<[u8; 32]>,
    /// And of the one that each token took last, by the slots' ids.
    pub(super) taken: BTreeMap<u64, [u8; 32]>,
}

/// A session: its slot, and its number among all that there were.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) slot: Slot,
    number: u64,
}

impl Library {
    /// The module in a file, by whatever path.
    pub(super) fn at(path: PathBuf) -> Arc<Self> {
        let file = std::fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
        let mut all = LIBRARIES.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(file).or_insert_with(|| Arc::new(Self::new(path))))
    }

    fn new(path: PathBuf) -> Self {
        let (sessions, refused, taken) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        let inside = Inside { path, module: None, sessions, opened: 0, refused, taken };
        Self { inside: Arc::new(Mutex::new(inside)), hangs: AtomicBool::new(false) }
    }

    /// Does `work` on a thread of its own, which is left behind when it does not end in time; the time in which others are
    /// in a call counts. Behind one that was left nobody waits.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        limit: Duration,
        work: impl FnOnce(&mut Inside) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (end, late) = (Instant::now() + limit, || Error::TimedOut(limit));
        let mut inside = self.enter(end).await.ok_or_else(late)?;
        let (done, told) = oneshot::channel();
        let run = move || {
            let outcome = work(&mut inside);
            drop(inside);
            let _ = done.send(outcome);
        };
        std::thread::Builder::new().name("pkcs11".to_owned()).spawn(run)?;
        let told = timeout_at(end, told).await;
        self.hangs.store(told.is_err(), Ordering::Relaxed);
        told.map_err(|_| late())?.map_err(|_| std::io::Error::from(std::io::ErrorKind::BrokenPipe))?
    }

    async fn enter(&self, end: Instant) -> Option<OwnedMutexGuard<Inside>> {
        let inside = Arc::clone(&self.inside);
        if self.hangs.load(Ordering::Relaxed) {
            return inside.try_lock_owned().ok();
        }
        timeout_at(end, inside.lock_owned()).await.ok()
    }
}

impl Inside {
    /// The module, which is loaded first where it is not.
    pub(super) fn module(&mut self) -> Result<Pkcs11, Error> {
        if let Some(module) = &self.module {
            return Ok(module.clone());
        }
        let wrong = |source| Error::Module { path: self.path.clone(), source };
        let module = Pkcs11::new(&self.path).map_err(wrong)?;
        match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            // By other code of this process already.
            Ok(()) | Err(Failure::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
            Err(failure) => return Err(wrong(failure)),
        }
        Ok(self.module.insert(module).clone())
    }

    /// The session with a token, which is opened where there is none.
    pub(super) fn open(&mut self, slot: Slot) -> Result<Place, Error> {
        self.sessions.retain(|_, (_, session)| session.get_session_info().is_ok());
        if let Some((number, _)) = self.sessions.get(&slot.id()) {
            return Ok(Place { slot, number: *number });
        }
        let session = self.module()?.open_ro_session(slot)?;
        self.opened += 1;
        self.sessions.insert(slot.id(), (self.opened, session));
        Ok(Place { slot, number: self.opened })
    }

    /// The session, if it is still that one.
    ///
    /// # Errors
    /// [`Error::Gone`].
    pub(super) fn session(&self, place: Place) -> Result<&Session, Error> {
        let held = self.sessions.get(&place.slot.id()).filter(|(number, _)| *number == place.number);
        held.map(|(_, session)| session).ok_or(Error::Gone)
    }

    /// Ends the session, if it is still that one; with it end all keys that are open in it.
    pub(super) fn close(&mut self, place: Place) {
        if self.session(place).is_ok() {
            self.sessions.remove(&place.slot.id());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn behind_a_call_that_hangs_nobody_waits() {
        let library = Library::new("/absent.so".into());
        let (held, hangs) = std::sync::mpsc::channel::<()>();
        let short = Duration::from_millis(20);
        let hanging = move |_: &mut Inside| {
            let _ = hangs.recv();
            Ok(())
        };
        assert!(matches!(library.call(short, hanging).await, Err(Error::TimedOut(of)) if of == short));
        let (start, long) = (Instant::now(), Duration::from_secs(20));
        assert!(matches!(library.call(long, |_| Ok(())).await, Err(Error::TimedOut(_))));
        assert!(start.elapsed() < long / 2, "{:?}", start.elapsed());
        drop(held);
        while library.call(long, |_| Ok(())).await.is_err() {
            assert!(start.elapsed() < long, "the module answers again");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(library.call(long, |_| Ok(7)).await.unwrap(), 7);
    }
}
