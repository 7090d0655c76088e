//! What was made, by repository and subject.

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::oci::{Digest, Repository};
use crate::store::key::within;
use crate::store::{self, Change, Records, Table};

/// So many subjects are signed at once at most.
const TURNS: usize = 64;

/// What was made for each subject.
pub(in crate::admission) struct Countersigned {
    pub(super) table: Table,
    turns: [Mutex<()>; TURNS],
}

/// What was made for one.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// By which key and settings, under which revision of the policy.
    pub(super) by: String,
    /// The signatures of others that stand beside ours under the `.sig` tag.
    pub(super) beside: Option<Digest>,
    /// The referrers.
    pub(super) artifacts: Vec<Digest>,
    /// What stands under the `.sig` tag.
    pub(super) tagged: Option<Digest>,
}

impl Record {
    pub(super) fn all(&self) -> impl Iterator<Item = &Digest> {
        self.artifacts.iter().chain(&self.tagged)
    }
}

impl Countersigned {
    pub(in crate::admission) fn open(records: &Records) -> Self {
        Self { table: records.table("countersigned"), turns: std::array::from_fn(|_| Mutex::default()) }
    }

    /// The records themselves, by repository and subject.
    pub(in crate::admission) fn table(&self) -> &Table {
        &self.table
    }

    /// Whose turn it is with a subject.
    pub(in crate::admission) fn turn(&self, subject: &Digest) -> &Mutex<()> {
        let number = subject.as_bytes().first().copied().unwrap_or_default();
        &self.turns[usize::from(number) % TURNS]
    }

    /// What strikes the record of a subject that is retired.
    pub(in crate::admission) fn striking(&self, repository: &Repository, subject: &Digest) -> Change {
        self.table.deleting(within(repository, subject))
    }

    pub(super) async fn get(
        &self,
        repository: &Repository,
        subject: &Digest,
    ) -> Result<Option<Record>, store::Error> {
        let value = self.table.get(&within(repository, subject)).await?;
        // A record that cannot be read is one that has to be made anew.
        Ok(value.and_then(|value| serde_json::from_slice(&value).ok()))
    }
}
