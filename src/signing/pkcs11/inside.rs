//! What there is of a module: its sessions with tokens, where it takes several calls at once several with each, and the
//! PINs that were entered.
//!
//! Tokens that restart give the numbers of sessions and objects out again. No session is opened before those that ended are
//! let go of, nor while anybody signs, and those with a token have a number of our own, so that no key is taken for another.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error as Failure, RvError};
use cryptoki::session::Session;
use cryptoki::slot::Slot;
use tokio::sync::Semaphore;

use super::Error;

/// So many signatures are made at once, and so many sessions are open with each token, where the module takes that.
const AT_ONCE: usize = 4;

/// What one call at a time may change.
pub(super) struct Inside {
    path: PathBuf,
    module: Option<Pkcs11>,
    /// It takes several calls at once.
    takes_several: bool,
    /// By the slots' ids.
    sessions: BTreeMap<u64, Sessions>,
    /// How often some were opened.
    opened: u64,
    /// Fingerprints of the PINs that were refused, each with its token.
    pub(super) refused: BTreeSet<[u8; 32]>,
    /// And of the one that each token took last, by the slots' ids.
    pub(super) taken: BTreeMap<u64, [u8; 32]>,
}

/// The sessions with a token, which are opened and let go of together.
struct Sessions {
    number: u64,
    all: Vec<Mutex<Session>>,
    turns: Turns,
}

/// Sessions with a token: its slot, their number among all that there were, and whose turn it is.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) slot: Slot,
    number: u64,
    pub(super) turns: Turns,
}

/// As many may sign as there are sessions: who has a turn finds one of them free.
#[derive(Clone)]
pub(super) struct Turns {
    pub(super) all: usize,
    pub(super) free: Arc<Semaphore>,
}

impl Turns {
    pub(super) fn of(all: usize) -> Self {
        Self { all, free: Arc::new(Semaphore::new(all)) }
    }
}

impl Inside {
    /// The module in a file, which is not loaded yet.
    pub(super) fn of(path: PathBuf) -> Self {
        let (sessions, refused, taken) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        Self { path, module: None, takes_several: false, sessions, opened: 0, refused, taken }
    }

    /// The module, which is loaded first where it is not.
    pub(super) fn module(&mut self) -> Result<Pkcs11, Error> {
        if let Some(module) = &self.module {
            return Ok(module.clone());
        }
        let wrong = |source| Error::Module { path: self.path.clone(), source };
        let module = Pkcs11::new(&self.path).map_err(wrong)?;
        let begun = |flags| match module.initialize(CInitializeArgs::new(flags)) {
            Ok(()) => Ok(flags.contains(CInitializeFlags::OS_LOCKING_OK)),
            // By other code of this process already, who knows how.
            Err(Failure::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(false),
            Err(failure) => Err(failure),
        };
        let takes_several = match begun(CInitializeFlags::OS_LOCKING_OK) {
            Err(Failure::Pkcs11(RvError::CantLock, _)) => begun(CInitializeFlags::empty()),
            begun => begun,
        };
        self.takes_several = takes_several.map_err(wrong)?;
        Ok(self.module.insert(module).clone())
    }

    /// The sessions with a token, which are opened where there are none.
    pub(super) fn open(&mut self, slot: Slot) -> Result<Place, Error> {
        let lasts = |session: &mut Mutex<Session>| own(session).get_session_info().is_ok();
        self.sessions.retain(|_, sessions| sessions.all.iter_mut().all(lasts));
        if let Some(sessions) = self.sessions.get(&slot.id()) {
            return Ok(Place { slot, number: sessions.number, turns: sessions.turns.clone() });
        }
        let (module, mut all) = (self.module()?, Vec::new());
        all.push(Mutex::new(module.open_ro_session(slot)?));
        while self.takes_several && all.len() < AT_ONCE {
            // A token may have room for fewer.
            let Ok(session) = module.open_ro_session(slot) else { break };
            all.push(Mutex::new(session));
        }
        self.opened += 1;
        let (number, turns) = (self.opened, Turns::of(all.len()));
        self.sessions.insert(slot.id(), Sessions { number, all, turns: turns.clone() });
        Ok(Place { slot, number, turns })
    }

    /// The sessions, if they are still those.
    ///
    /// # Errors
    /// [`Error::Gone`].
    pub(super) fn sessions(&mut self, place: &Place) -> Result<impl Iterator<Item = &Session>, Error> {
        let held = self.sessions.get_mut(&place.slot.id()).filter(|held| held.number == place.number);
        Ok(held.ok_or(Error::Gone)?.all.iter_mut().map(own))
    }

    /// The first of the sessions, if they are still those.
    ///
    /// # Errors
    /// [`Error::Gone`].
    pub(super) fn session(&mut self, place: &Place) -> Result<&Session, Error> {
        self.sessions(place)?.next().ok_or(Error::Gone)
    }

    /// Does `work` in the first session that nobody is in, if they are still those: for who has a turn with them. It is
    /// told which of them it is.
    ///
    /// # Errors
    /// [`Error::Gone`], and those of `work`.
    pub(super) fn in_one_of<T>(
        &self,
        place: &Place,
        work: impl FnOnce(usize, &Session) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let held = self.sessions.get(&place.slot.id()).filter(|held| held.number == place.number);
        let mut all = held.ok_or(Error::Gone)?.all.iter().enumerate();
        let (at, session) = all.find_map(|(at, session)| Some((at, free(session)?))).ok_or(Error::Gone)?;
        work(at, &session)
    }

    /// Ends the sessions, if they are still those; with them end all keys that are open in them.
    pub(super) fn close(&mut self, place: &Place) {
        if self.session(place).is_ok() {
            self.sessions.remove(&place.slot.id());
        }
    }
}

/// The session, for who is alone in the module.
fn own(session: &mut Mutex<Session>) -> &Session {
    session.get_mut().unwrap_or_else(PoisonError::into_inner)
}

/// The session, where nobody is in it. A call that panicked left it as the token has it.
fn free(session: &Mutex<Session>) -> Option<MutexGuard<'_, Session>> {
    match session.try_lock() {
        Ok(session) => Some(session),
        Err(TryLockError::Poisoned(session)) => Some(session.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}
