//! What is kept, how large it is, in which order it was last used, and what may not go. Start reads
//! two numbers of it and scans nothing. Use is a running number, not a time: clocks jump.

mod holds;
mod row;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::key::{of_digest, take_digest};
use super::records::{Change, Records, Table};
use super::{Error, Sizes};
use crate::oci::Digest;
use crate::telemetry::Metrics;
use row::{Row, read_u64, use_key};

/// Past this many, uses that were noted in memory are written without waiting for the job.
const MOST_TOUCHED: usize = 16_384;
/// How many candidates are looked up at a time.
const CANDIDATES: usize = 256;

pub(super) struct Ledger {
    records: Records,
    /// digest → size, last use.
    blobs: Table,
    /// last use, digest → nothing; only of what may be evicted.
    by_use: Table,
    /// digest, owner → nothing.
    holds: Table,
    /// owner, digest → nothing: the same, for letting go of all that one owner holds.
    holdings: Table,
    totals: Table,
    state: Mutex<State>,
    last_use: AtomicU64,
    touched: Mutex<HashMap<Digest, u64>>,
    /// Called when what is held left no room.
    pressed: Notify,
    metrics: Arc<Metrics>,
}

struct State {
    max: u64,
    /// Bytes of all that is kept.
    total: u64,
    /// Bytes of what may not be evicted.
    held: u64,
    /// Bytes that arriving content was promised.
    reserved: u64,
}

impl Ledger {
    pub(super) fn open(records: &Records, max: u64, metrics: &Arc<Metrics>) -> Result<Self, Error> {
        let by_use = records.table("blobs_by_use");
        let totals = records.table("blob_totals");
        let number = |name: &str| totals.get_now(name.as_bytes()).map(|v| v.map_or(0, |v| read_u64(&v)));
        let newest = by_use.last_key_now()?.map_or(0, |key| read_u64(&key));
        let state = State { max, total: number("total")?, held: number("held")?, reserved: 0 };
        // Held content stands in no order, so its uses may lie beyond the newest.
        let last_use = newest.max(number("last_use")?);
        let ledger = Self {
            blobs: records.table("blobs"),
            by_use,
            holds: records.table("blob_holds"),
            holdings: records.table("blob_holdings"),
            totals,
            records: records.clone(),
            state: Mutex::new(state),
            last_use: AtomicU64::new(last_use),
            touched: Mutex::default(),
            pressed: Notify::new(),
            metrics: metrics.clone(),
        };
        ledger.show(&ledger.lock());
        Ok(ledger)
    }

    pub(super) fn set_max(&self, max: u64) {
        self.lock().max = max;
    }

    /// Promises `size` bytes if they are free already.
    pub(super) fn reserve(&self, size: u64) -> bool {
        let mut state = self.lock();
        let fits = state.room(size);
        if fits {
            state.reserved += size;
        }
        fits
    }

    /// As [`Ledger::reserve`], where so much is free that the promise is nobody's loss if it comes to nothing.
    pub(super) fn reserve_amply(&self, size: u64) -> bool {
        let is_ample = self.lock().room(size.saturating_mul(8));
        is_ample && self.reserve(size)
    }

    /// Gives a promise back.
    pub(super) fn unreserve(&self, size: u64) {
        let mut state = self.lock();
        state.reserved = state.reserved.saturating_sub(size);
    }

    /// Promises `size` bytes, evicting what was used longest ago. `take` removes one from the disk,
    /// under the lock so that it cannot meet the same content coming in.
    pub(super) fn make_room<T>(
        &self,
        size: u64,
        take: impl Fn(&Digest) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        let mut state = self.lock();
        let mut taken = Vec::new();
        if state.held.saturating_add(state.reserved).saturating_add(size) > state.max {
            self.pressed.notify_one();
            return Err(Error::Full);
        }
        let newest = self.last_use.load(Ordering::Relaxed);
        while !state.room(size) {
            let candidates = self.by_use.scan_now(&[], CANDIDATES)?;
            // Those that were put behind all others a moment ago could not be taken.
            if candidates.first().is_none_or(|(key, _)| read_u64(key) > newest) {
                return Err(Error::Full);
            }
            for (key, _) in candidates {
                if state.room(size) {
                    break;
                }
                taken.extend(self.consider(&mut state, &key, &take)?);
            }
        }
        state.reserved += size;
        Ok(taken)
    }

    /// Enters content that has just been put into its place; `reserved` bytes were promised to it.
    pub(super) fn added(&self, digest: &Digest, size: u64, reserved: u64) -> Result<(), Error> {
        let mut state = self.lock();
        state.reserved = state.reserved.saturating_sub(reserved);
        self.enter(&mut state, digest, size)
    }

    /// Takes content from its place by `take`, and strikes it; `None`: it stays. Under one lock: the same content, coming
    /// in meanwhile, keeps its row.
    pub(super) fn take_away<T>(
        &self,
        digest: &Digest,
        take: impl FnOnce() -> Result<Option<T>, Error>,
    ) -> Result<Option<T>, Error> {
        let mut state = self.lock();
        let taken = take()?;
        if taken.is_some() {
            self.strike(&mut state, digest)?;
        }
        Ok(taken)
    }

    /// Runs `work` while nothing is evicted and nothing comes in.
    pub(super) fn quietly<T>(&self, work: impl FnOnce() -> T) -> T {
        let _state = self.lock();
        work()
    }

    /// Notes a use, in memory. Says whether it is time to write the uses back.
    pub(super) fn touch(&self, digest: &Digest) -> bool {
        let number = self.next_use();
        let mut touched = self.touched.lock().unwrap_or_else(PoisonError::into_inner);
        touched.insert(*digest, number);
        touched.len() == MOST_TOUCHED
    }

    /// Writes noted uses.
    pub(super) fn write_back(&self) -> Result<(), Error> {
        let touched = std::mem::take(&mut *self.touched.lock().unwrap_or_else(PoisonError::into_inner));
        for (digest, last_use) in touched {
            let _state = self.lock();
            self.reorder(&digest, last_use)?;
        }
        Ok(())
    }

    /// Enters content that was found on disk, where the books do not have it. `exists` looks again
    /// under the lock, since it may have been evicted meanwhile.
    pub(super) fn found(
        &self,
        digest: &Digest,
        size: u64,
        exists: impl Fn(&Digest) -> bool,
    ) -> Result<(), Error> {
        let mut state = self.lock();
        if self.row(digest)?.is_none_or(|row| row.size != size) && exists(digest) {
            self.enter(&mut state, digest, size)?;
        }
        Ok(())
    }

    /// Strikes what is not on disk. Says how many rows that were.
    pub(super) fn strike_missing(&self, exists: impl Fn(&Digest) -> bool) -> Result<u64, Error> {
        let mut struck = 0;
        self.blobs.walk_now(|(key, _)| {
            let Some((digest, _)) = take_digest(&key) else { return Ok(()) };
            let mut state = self.lock();
            if !exists(&digest) {
                self.strike(&mut state, &digest)?;
                struck += 1;
            }
            Ok(())
        })?;
        Ok(struck)
    }

    /// The first content from the key `from` on, with its size.
    pub(super) fn next(&self, from: &[u8]) -> Result<Option<(Digest, u64)>, Error> {
        let page = self.blobs.page_now(from, 1)?;
        Ok(page.first().and_then(|(key, row)| Some((take_digest(key)?.0, Row::read(row).size))))
    }

    /// How long the content was when it was kept.
    pub(super) fn size_of(&self, digest: &Digest) -> Result<Option<u64>, Error> {
        Ok(self.row(digest)?.map(|row| row.size))
    }

    pub(super) fn sizes(&self) -> Sizes {
        let State { max, total, held, reserved } = *self.lock();
        Sizes { kept: total, held, promised: reserved, limit: max }
    }

    fn consider<T>(
        &self,
        state: &mut State,
        key: &[u8],
        take: impl Fn(&Digest) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        let Some((digest, _)) = key.get(8..).and_then(take_digest) else {
            self.by_use.delete(key);
            return Ok(None);
        };
        let touched = self.touched.lock().unwrap_or_else(PoisonError::into_inner).remove(&digest);
        if let Some(last_use) = touched {
            self.reorder(&digest, last_use)?;
            return Ok(None);
        }
        let taken = match take(&digest) {
            Ok(taken) => taken,
            Err(error) => {
                // One that cannot be taken must not stand before all others for ever.
                tracing::warn!(%digest, %error, "stored content cannot be evicted");
                self.reorder(&digest, self.next_use())?;
                return Ok(None);
            }
        };
        self.by_use.delete(key);
        self.strike(state, &digest)?;
        self.metrics.store_evictions.inc();
        Ok(Some(taken))
    }

    fn enter(&self, state: &mut State, digest: &Digest, size: u64) -> Result<(), Error> {
        self.strike(state, digest)?;
        let row = Row { size, last_use: self.next_use() };
        let mut changes = vec![self.blobs.putting(of_digest(digest), row.write())];
        if self.is_held(digest)? {
            state.held += size;
        } else {
            changes.push(self.by_use.putting(use_key(row.last_use, digest), []));
        }
        state.total += size;
        self.commit(state, changes);
        Ok(())
    }

    fn strike(&self, state: &mut State, digest: &Digest) -> Result<(), Error> {
        let Some(row) = self.row(digest)? else { return Ok(()) };
        let changes =
            vec![self.blobs.deleting(of_digest(digest)), self.by_use.deleting(use_key(row.last_use, digest))];
        if self.is_held(digest)? {
            state.held = state.held.saturating_sub(row.size);
        }
        state.total = state.total.saturating_sub(row.size);
        self.commit(state, changes);
        Ok(())
    }

    fn reorder(&self, digest: &Digest, last_use: u64) -> Result<(), Error> {
        let Some(row) = self.row(digest)? else { return Ok(()) };
        let mut changes = vec![self.blobs.putting(of_digest(digest), Row { last_use, ..row }.write())];
        if !self.is_held(digest)? {
            changes.push(self.by_use.deleting(use_key(row.last_use, digest)));
            changes.push(self.by_use.putting(use_key(last_use, digest), []));
        }
        self.records.apply(changes);
        Ok(())
    }

    fn commit(&self, state: &State, mut changes: Vec<Change>) {
        changes.extend(self.totalling(state));
        self.records.apply(changes);
        self.show(state);
    }

    fn totalling(&self, state: &State) -> [Change; 3] {
        let last_use = self.last_use.load(Ordering::Relaxed);
        [("total", state.total), ("held", state.held), ("last_use", last_use)]
            .map(|(name, value)| self.totals.putting(name, value.to_be_bytes()))
    }

    fn row(&self, digest: &Digest) -> Result<Option<Row>, Error> {
        Ok(self.blobs.get_now(&of_digest(digest))?.map(|value| Row::read(&value)))
    }

    fn is_held(&self, digest: &Digest) -> Result<bool, Error> {
        Ok(!self.holds.scan_now(&of_digest(digest), 1)?.is_empty())
    }

    fn next_use(&self) -> u64 {
        self.last_use.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn show(&self, state: &State) {
        self.metrics.store_bytes.set(i64::try_from(state.total).unwrap_or(i64::MAX));
        self.metrics.store_held_bytes.set(i64::try_from(state.held).unwrap_or(i64::MAX));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn room(&self, size: u64) -> bool {
        self.total.saturating_add(self.reserved).saturating_add(size) <= self.max
    }
}
