//! Who keeps what from eviction.

use std::collections::BTreeSet;

use super::row::{Owner, use_key};
use super::{Ledger, State};
use crate::oci::Digest;
use crate::store::key::of_digest;
use crate::store::{Change, Error};

/// What ends a hold.
struct Ending {
    changes: Vec<Change>,
    /// It was the last hold of its content.
    is_last: bool,
    /// How many bytes may be evicted from then on.
    size: u64,
}

impl Ledger {
    /// Ready once room was wanted that what is held does not leave.
    pub(in crate::store) async fn pressed(&self) {
        self.pressed.notified().await;
    }

    /// Keeps content from eviction in the name of `owner`, who may say so twice. Content that is
    /// not there yet is held once it comes.
    pub(in crate::store) fn hold(&self, digests: &[Digest], owner: &str) -> Result<(), Error> {
        let mut state = self.lock();
        let owner = Owner::of(owner);
        let mut changes = Vec::new();
        // What stands there twice is held once.
        for digest in &BTreeSet::from_iter(digests) {
            changes.push(self.holds.putting(owner.hold(digest), []));
            changes.push(self.holdings.putting(owner.holding(digest), []));
            if let (false, Some(row)) = (self.is_held(digest)?, self.row(digest)?) {
                changes.push(self.by_use.deleting(use_key(row.last_use, digest)));
                state.held += row.size;
            }
        }
        self.commit(&state, changes);
        Ok(())
    }

    /// Ends `owner`'s holds of all but these.
    pub(in crate::store) fn hold_only(&self, digests: &[Digest], owner: &str) -> Result<(), Error> {
        let mut state = self.lock();
        let all = self.holdings(owner)?.into_iter().filter(|held| !digests.contains(held)).collect();
        self.let_go(&mut state, all, &[Owner::of(owner)], |changes| self.records.apply(changes)).map(drop)
    }

    /// Ends `owner`'s hold. The last one leaves the content to eviction. Says whether it was that.
    pub(in crate::store) fn release(&self, digest: &Digest, owner: &str) -> Result<bool, Error> {
        let write = |changes| self.records.apply(changes);
        let free = self.let_go(&mut self.lock(), [*digest].into(), &[Owner::of(owner)], write)?;
        Ok(!free.is_empty())
    }

    /// What `owner` holds.
    pub(in crate::store) fn holdings(&self, owner: &str) -> Result<Vec<Digest>, Error> {
        let all = self.holdings.scan_now(Owner::of(owner).prefix(), usize::MAX)?;
        Ok(all.iter().filter_map(|(holding, _)| Owner::held(holding)).collect())
    }

    /// Ends all of the owners' holds by changes that `write` applies as one, maybe with others. Gives back what
    /// nobody holds any more.
    pub(in crate::store) fn release_all(
        &self,
        owners: &[&str],
        write: impl FnOnce(Vec<Change>),
    ) -> Result<Vec<Digest>, Error> {
        let mut state = self.lock();
        let mut all = BTreeSet::new();
        for owner in owners {
            all.extend(self.holdings(owner)?);
        }
        let owners: Vec<_> = owners.iter().map(|owner| Owner::of(owner)).collect();
        self.let_go(&mut state, all, &owners, write)
    }

    fn let_go(
        &self,
        state: &mut State,
        digests: BTreeSet<Digest>,
        owners: &[Owner],
        write: impl FnOnce(Vec<Change>),
    ) -> Result<Vec<Digest>, Error> {
        let (mut free, mut all, mut freed) = (Vec::new(), Vec::new(), 0);
        for digest in digests {
            let Ending { changes, is_last, size } = self.ending(&digest, owners)?;
            all.extend(changes);
            freed += size;
            free.extend(is_last.then_some(digest));
        }
        state.held = state.held.saturating_sub(freed);
        all.extend(self.totalling(state));
        write(all);
        self.show(state);
        Ok(free)
    }

    fn ending(&self, digest: &Digest, owners: &[Owner]) -> Result<Ending, Error> {
        let keys: Vec<_> = owners.iter().map(|owner| owner.hold(digest)).collect();
        let holds = self.holds.scan_now(&of_digest(digest), owners.len() + 1)?;
        let is_last = !holds.is_empty() && holds.iter().all(|(hold, _)| keys.contains(hold));
        let mut changes: Vec<_> = keys.into_iter().map(|key| self.holds.deleting(key)).collect();
        changes.extend(owners.iter().map(|owner| self.holdings.deleting(owner.holding(digest))));
        let freed = if is_last { self.row(digest)? } else { None };
        changes.extend(freed.map(|row| self.by_use.putting(use_key(row.last_use, digest), [])));
        Ok(Ending { changes, is_last, size: freed.map_or(0, |row| row.size) })
    }
}
