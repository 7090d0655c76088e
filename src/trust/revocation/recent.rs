//! The certificates whose status was wanted in this process: whom decisions rest on, and so what is
//! asked again behind them.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use super::kept::Key;
use super::{Id, Need};
use crate::x509::revocation::Status;

/// Of more, those not wanted for longest are forgotten.
const MOST: usize = 1000;
/// What was wanted longer ago raises no alarm.
const IN_USE: Duration = Duration::from_secs(2 * 24 * 3600);

#[derive(Default)]
pub(super) struct Recent(Mutex<HashMap<Id, Used>>);

struct Used {
    need: Need,
    last: SystemTime,
    /// When the answer ends that it was last found good by.
    until: Option<SystemTime>,
    /// What the answers were about: a newer one may be kept by now.
    answers: Vec<Key>,
}

impl Recent {
    pub(super) fn used(&self, need: &Need, now: SystemTime) {
        let mut all = self.lock();
        if let Some(used) = all.get_mut(&need.id()) {
            used.last = now;
            return;
        }
        if all.len() >= MOST
            && let Some(oldest) = all.iter().min_by_key(|(_, used)| used.last).map(|(id, _)| *id)
        {
            all.remove(&oldest);
        }
        all.insert(need.id(), Used { need: need.clone(), last: now, until: None, answers: Vec::new() });
    }

    /// Notes what was answered, and when the answer ends. Of one that ended with nothing in its place the end stays, so that
    /// the alarm does.
    pub(super) fn found(&self, need: &Need, status: &Status, answers: &[Key]) {
        if let Some(used) = self.lock().get_mut(&need.id()) {
            used.answers = answers.to_vec();
            match status {
                Status::Good { until, .. } => used.until = Some(*until),
                Status::Unknown { .. } => {}
                Status::Revoked { .. } | Status::NotRevocable => used.until = None,
            }
        }
    }

    /// When the first answer ends that is in use.
    pub(super) fn first_end(&self, now: SystemTime) -> Option<SystemTime> {
        let all = self.lock();
        let in_use = all.values().filter(|used| now.duration_since(used.last).unwrap_or_default() < IN_USE);
        in_use.filter_map(|used| used.until).min()
    }

    pub(super) fn needs(&self) -> Vec<Need> {
        self.lock().values().map(|used| used.need.clone()).collect()
    }

    pub(super) fn answers(&self) -> Vec<Key> {
        let all: HashSet<Key> = self.lock().values().flat_map(|used| used.answers.clone()).collect();
        all.into_iter().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Id, Used>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
