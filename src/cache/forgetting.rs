//! Drops what is recorded of a manifest that is no longer kept: the upstream can be asked for all of it.

use super::{Cache, Error, Role};
use crate::oci::{Digest, Repository};

impl Cache {
    /// Forgets a manifest in a repository: the tags that name it or are about it, its list of referrers,
    /// and that the upstream showed it and what goes `with` it. On a thread that may wait.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn forget_now(
        &self,
        repository: &Repository,
        manifest: &Digest,
        with: &[Digest],
    ) -> Result<(), Error> {
        self.0.tags.forget_all(repository, manifest)?;
        for digest in with.iter().chain([manifest]) {
            self.0.lists.forget(repository, digest);
            self.0.seen.remove(repository, digest, Role::Manifest);
            self.0.seen.remove(repository, digest, Role::Blob);
        }
        Ok(())
    }
}
