//! Takes links back when the manifest that made them is retired.

use std::sync::PoisonError;

use super::{Links, Role, content, record};
use crate::oci::{Digest, Manifest, Repository};
use crate::store::{Change, Error, Table};

/// What makes a link that one and no other.
#[derive(Clone, Copy, Debug)]
pub(in crate::admission) struct Way {
    pub(in crate::admission) parent: Digest,
    pub(in crate::admission) role: Role,
    pub(in crate::admission) child: Digest,
}

pub(in crate::admission) use super::record::parent;

impl Links {
    /// The records themselves, whose parents [`parent`] reads.
    pub(in crate::admission) fn table(&self) -> &Table {
        &self.table
    }

    /// The ways that end with a manifest: those that its content made, and those by which it is a referrer.
    ///
    /// # Errors
    /// What the records cannot read.
    pub(in crate::admission) fn ways(
        &self,
        repository: &Repository,
        manifest: &Manifest,
    ) -> Result<Vec<Way>, Error> {
        let parent = *manifest.digest();
        let content = content(manifest).map(|(role, d)| Way { parent, role, child: d.digest });
        let referring = self.table.scan_now(&record::prefix(repository, &parent), usize::MAX)?;
        let referring = referring.iter().filter_map(|(key, value)| record::read(key, value));
        let referring = referring.filter(|link| link.role == Role::Referrer);
        let referring = referring.map(|link| Way { parent: link.parent, role: link.role, child: parent });
        Ok(content.chain(referring).collect())
    }

    /// What strikes a way; [`Links::struck`] is to be told once it is applied.
    pub(in crate::admission) fn striking(&self, repository: &Repository, way: &Way) -> Change {
        self.table.deleting(record::key(repository, &way.parent, way.role, &way.child))
    }

    /// Forgets what is in memory of a struck way.
    pub(in crate::admission) fn struck(&self, repository: &Repository, way: &Way) {
        self.written.remove(&(repository.clone(), way.parent));
        let latest = (repository.clone(), way.child, way.role.place());
        if self.latest.get(&latest).is_some_and(|link| link.parent == way.parent) {
            self.latest.remove(&latest);
        }
        self.changed(repository, &way.child);
    }

    /// Runs `work` while no links are written: who would write one waits.
    pub(in crate::admission) fn quietly<T>(&self, work: impl FnOnce() -> T) -> T {
        let _alone = self.writing.write().unwrap_or_else(PoisonError::into_inner);
        work()
    }

    /// Whether any link leads to `child`.
    ///
    /// # Errors
    /// What the records cannot read.
    pub(in crate::admission) fn lead_to(
        &self,
        repository: &Repository,
        child: &Digest,
    ) -> Result<bool, Error> {
        Ok(!self.table.scan_now(&record::prefix(repository, child), 1)?.is_empty())
    }
}
