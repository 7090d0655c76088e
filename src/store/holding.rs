//! Content that is kept from eviction in somebody's name.

use super::incoming::blocking;
use super::{Change, Error, Store};
use crate::oci::Digest;

impl Store {
    /// Keeps content from eviction in the name of `owner`, now or once it comes. Saying it twice is
    /// saying it once.
    ///
    /// # Errors
    /// [`Error::Records`].
    pub async fn hold(&self, digests: &[Digest], owner: &str) -> Result<(), Error> {
        let (store, digests, owner) = (self.clone(), digests.to_vec(), owner.to_owned());
        blocking("hold content", move || store.0.ledger.hold(&digests, &owner)).await
    }

    /// As [`Store::hold`], on a thread that may wait.
    ///
    /// # Errors
    /// As [`Store::hold`].
    pub fn hold_now(&self, digests: &[Digest], owner: &str) -> Result<(), Error> {
        self.0.ledger.hold(digests, owner)
    }

    /// Ends all that `owner` holds, but for these.
    ///
    /// # Errors
    /// [`Error::Records`].
    pub async fn hold_only(&self, digests: &[Digest], owner: &str) -> Result<(), Error> {
        let (store, digests, owner) = (self.clone(), digests.to_vec(), owner.to_owned());
        blocking("release content", move || store.0.ledger.hold_only(&digests, &owner)).await
    }

    /// Ends `owner`'s hold.
    ///
    /// # Errors
    /// [`Error::Records`].
    pub async fn release(&self, digest: &Digest, owner: &str) -> Result<(), Error> {
        let (store, digest, owner) = (self.clone(), *digest, owner.to_owned());
        blocking("release content", move || store.0.ledger.release(&digest, &owner).map(drop)).await
    }

    /// What `owner` holds, on a thread that may wait.
    ///
    /// # Errors
    /// [`Error::Records`].
    pub fn holdings_now(&self, owner: &str) -> Result<Vec<Digest>, Error> {
        self.0.ledger.holdings(owner)
    }

    /// Ends all that the owners hold, on a thread that may wait: `write` is given the changes, which it applies as
    /// one with whatever else goes with them. Gives back what nobody holds any more.
    ///
    /// # Errors
    /// [`Error::Records`]; nothing was written then.
    pub fn release_all_now(
        &self,
        owners: &[&str],
        write: impl FnOnce(Vec<Change>),
    ) -> Result<Vec<Digest>, Error> {
        self.0.ledger.release_all(owners, write)
    }

    /// Ready once content found no room because too much is held: its owners should let go.
    pub async fn pressed(&self) {
        self.0.ledger.pressed().await;
    }
}
