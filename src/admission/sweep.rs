//! Finds records that lead nowhere, which a crash or lost records may have left. No request needs it.

use std::sync::Arc;

use super::memory::Memory;
use super::uses::Uses;
use crate::oci::Digest;
use crate::store::key::{REPOSITORY, put_digest, take_digest};
use crate::store::{Error, Table};

impl Memory {
    /// Takes away links whose parents are no longer kept, kept signatures of subjects that are not, and
    /// what the cache recorded of either. Says how many records that were.
    ///
    /// # Errors
    /// What the store cannot read.
    pub async fn sweep(self: &Arc<Self>) -> Result<u64, Error> {
        let memory = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || memory.sweep_now()).await;
        done.unwrap_or_else(|e| Err(Error::Records(e.to_string())))
    }

    fn sweep_now(&self) -> Result<u64, Error> {
        let mut swept = 0;
        let mut in_the_name_of = |table: &Table, key: Vec<u8>, manifest: Option<Digest>| {
            swept += u64::from(self.uses.strike_unless_kept(table, key, manifest)?);
            Ok(())
        };
        let links = self.links.table();
        links.walk_now(|(key, _)| {
            let parent = super::links::parent(&key);
            in_the_name_of(links, key, parent)
        })?;
        for table in [self.kept.table(), self.countersigned.table()] {
            table.walk_now(|(key, _)| {
                let subject = key.get(REPOSITORY..).and_then(take_digest).map(|(subject, _)| subject);
                in_the_name_of(table, key, subject)
            })?;
        }
        let gone = self.cache.sweep_now(&mut in_the_name_of).map_err(|e| Error::Records(e.to_string()))?;
        Ok(swept + gone)
    }
}

impl Uses {
    /// Takes away a row, whose key begins with a repository's, in the name of a manifest of which nothing
    /// is kept there, or of none. Says whether it did. Who enters the manifest writes rows after that, so
    /// none of those is lost.
    pub(super) fn strike_unless_kept(
        &self,
        table: &Table,
        key: Vec<u8>,
        manifest: Option<Digest>,
    ) -> Result<bool, Error> {
        let mut name = key.get(..REPOSITORY).unwrap_or_default().to_vec();
        if let Some(manifest) = manifest {
            put_digest(&mut name, &manifest);
            // Most are, and need no lock.
            if self.has_key(&name)? {
                return Ok(false);
            }
        }
        let books = self.lock();
        let is_kept = manifest.is_some() && (self.has_key(&name)? || books.notes(&name));
        if !is_kept {
            table.delete(key);
        }
        Ok(!is_kept)
    }
}
