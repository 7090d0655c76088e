//! Who keeps what from eviction.

use std::collections::BTreeSet;

use super::row::{Owner, use_key};
use super::{Ledger, State};
use crate::oci::Digest;
use crate::store::Error;
use crate::store::key::of_digest;

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
        for digest in self.holdings(owner)?.iter().filter(|held| !digests.contains(held)) {
            self.let_go(&mut state, digest, Owner::of(owner))?;
        }
        Ok(())
    }

    /// Ends `owner`'s hold. The last one leaves the content to eviction. Says whether it was that.
    pub(in crate::store) fn release(&self, digest: &Digest, owner: &str) -> Result<bool, Error> {
        self.let_go(&mut self.lock(), digest, Owner::of(owner))
    }

    /// What `owner` holds.
    pub(in crate::store) fn holdings(&self, owner: &str) -> Result<Vec<Digest>, Error> {
        let all = self.holdings.scan_now(Owner::of(owner).prefix(), usize::MAX)?;
        Ok(all.iter().filter_map(|(holding, _)| Owner::held(holding)).collect())
    }

    /// Ends all of `owner`'s holds. Gives back what nobody holds any more.
    pub(in crate::store) fn release_all(&self, owner: &str) -> Result<Vec<Digest>, Error> {
        let mut state = self.lock();
        let mut free = Vec::new();
        for digest in self.holdings(owner)? {
            if self.let_go(&mut state, &digest, Owner::of(owner))? {
                free.push(digest);
            }
        }
        Ok(free)
    }

    fn let_go(&self, state: &mut State, digest: &Digest, owner: Owner) -> Result<bool, Error> {
        let key = owner.hold(digest);
        let holds = self.holds.scan_now(&of_digest(digest), 2)?;
        let is_last = holds.len() == 1 && holds[0].0 == key;
        let mut changes = vec![self.holds.deleting(key), self.holdings.deleting(owner.holding(digest))];
        if let (true, Some(row)) = (is_last, self.row(digest)?) {
            changes.push(self.by_use.putting(use_key(row.last_use, digest), []));
            state.held = state.held.saturating_sub(row.size);
        }
        self.commit(state, changes);
        Ok(is_last)
    }
}
