//! Layers on their way to clients, which may take hours: the manifests that led to them are in use meanwhile.

use std::sync::Arc;

use dashmap::DashMap;

use crate::admission::uses::Name;
use crate::oci::{Digest, Repository};

/// How many layers are on their way through each manifest.
#[derive(Default)]
pub(in crate::admission) struct Lent(Arc<DashMap<Name, usize>>);

/// One layer on its way, until dropped.
struct Loan {
    lent: Arc<DashMap<Name, usize>>,
    names: [Name; 2],
}

impl Lent {
    /// A layer leaves through `parent`, which names it, and `subject`, which the decision is about.
    pub(in crate::admission) fn begin(
        &self,
        repository: &Repository,
        subject: &Digest,
        parent: &Digest,
    ) -> impl Send + 'static {
        let names = [subject, parent].map(|digest| (repository.clone(), *digest));
        for name in &names {
            *self.0.entry(name.clone()).or_default() += 1;
        }
        Loan { lent: Arc::clone(&self.0), names }
    }

    /// The manifests that layers are on their way through.
    pub(in crate::admission) fn names(&self) -> Vec<Name> {
        self.0.iter().map(|entry| entry.key().clone()).collect()
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        for name in &self.names {
            self.lent.remove_if_mut(name, |_, count| {
                *count = count.saturating_sub(1);
                *count == 0
            });
        }
    }
}
