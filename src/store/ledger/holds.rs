//! Who keeps what from eviction.

use super::Ledger;
use super::row::{Owner, use_key};
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
    pub(in crate::store) fn hold(&self, digest: &Digest, owner: &str) -> Result<(), Error> {
        let mut state = self.lock();
        let owner = Owner::of(owner);
        let mut changes = vec![
            self.holds.putting(owner.hold(digest), []),
            self.holdings.putting(owner.holding(digest), []),
        ];
        if let (false, Some(row)) = (self.is_held(digest)?, self.row(digest)?) {
            changes.push(self.by_use.deleting(use_key(row.last_use, digest)));
            state.held += row.size;
        }
        self.commit(&state, changes);
        Ok(())
    }

    /// Ends `owner`'s hold. The last one leaves the content to eviction. Says whether it was that.
    pub(in crate::store) fn release(&self, digest: &Digest, owner: &str) -> Result<bool, Error> {
        let mut state = self.lock();
        let Ending { changes, is_last, size } = self.ending(digest, Owner::of(owner))?;
        state.held = state.held.saturating_sub(size);
        self.commit(&state, changes);
        Ok(is_last)
    }

    /// What `owner` holds.
    pub(in crate::store) fn holdings(&self, owner: &str) -> Result<Vec<Digest>, Error> {
        let all = self.holdings.scan_now(Owner::of(owner).prefix(), usize::MAX)?;
        Ok(all.iter().filter_map(|(holding, _)| Owner::held(holding)).collect())
    }

    /// Ends all of `owner`'s holds by changes that `write` applies as one, maybe with others. Gives back what
    /// nobody holds any more.
    pub(in crate::store) fn release_all(
        &self,
        owner: &str,
        write: impl FnOnce(Vec<Change>),
    ) -> Result<Vec<Digest>, Error> {
        let mut state = self.lock();
        let (mut free, mut all, mut freed) = (Vec::new(), Vec::new(), 0);
        for digest in self.holdings(owner)? {
            let Ending { changes, is_last, size } = self.ending(&digest, Owner::of(owner))?;
            all.extend(changes);
            freed += size;
            if is_last {
                free.push(digest);
            }
        }
        state.held = state.held.saturating_sub(freed);
        all.extend(self.totalling(&state));
        write(all);
        self.show(&state);
        Ok(free)
    }

    fn ending(&self, digest: &Digest, owner: Owner) -> Result<Ending, Error> {
        let key = owner.hold(digest);
        let holds = self.holds.scan_now(&of_digest(digest), 2)?;
        let is_last = holds.len() == 1 && holds[0].0 == key;
        let mut changes = vec![self.holds.deleting(key), self.holdings.deleting(owner.holding(digest))];
        let freed = if is_last { self.row(digest)? } else { None };
        changes.extend(freed.map(|row| self.by_use.putting(use_key(row.last_use, digest), [])));
        Ok(Ending { changes, is_last, size: freed.map_or(0, |row| row.size) })
    }
}
