//! By which contents names came to stand for what they stand for. A signature on contents does not age: whoever carries an
//! older export once more would take names back to it.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::Wanted;
use crate::oci::{Digest, Reference};
use crate::setting::time;
use crate::store::{Store, Table};

pub(super) struct Moved(Table);

/// What was signed about a name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Said {
    digest: Digest,
    /// When the contents were made.
    #[serde(with = "time")]
    made: SystemTime,
}

impl Moved {
    pub(super) fn open(store: &Store) -> Self {
        Self(store.records().table("carried"))
    }

    /// Why a name does not move, where newer contents said otherwise.
    ///
    /// # Errors
    /// What the store cannot read.
    pub(super) async fn holds(&self, wanted: &Wanted) -> Result<Option<String>, String> {
        let (before, Some(made)) = (self.said(&wanted.reference).await?, wanted.made) else {
            return Ok(None);
        };
        let newer = before.filter(|before| before.digest != wanted.digest && before.made > made);
        Ok(newer.map(|newer| {
            let (newer, made) = (time::show(newer.made), time::show(made));
            format!(
                "the contents that list it were made at {made}, and it was taken in from newer ones of {newer}: \
                 --older goes back"
            )
        }))
    }

    /// Notes what a name stands for now, by contents that somebody trusted signed.
    ///
    /// # Errors
    /// What the store cannot read.
    pub(super) async fn note(&self, wanted: &Wanted) -> Result<(), String> {
        let Some(made) = wanted.made.filter(|_| wanted.trusted) else { return Ok(()) };
        let said = Said { digest: wanted.digest, made };
        let before = self.said(&wanted.reference).await?;
        if before.is_none_or(|before| before.digest != said.digest || before.made < said.made) {
            let value = serde_json::to_vec(&said).map_err(|e| e.to_string())?;
            self.0.put(wanted.reference.to_string(), value);
        }
        Ok(())
    }

    async fn said(&self, name: &Reference) -> Result<Option<Said>, String> {
        let unread = |why: &dyn std::fmt::Display| format!("what it was last taken in from: {why}");
        let found = self.0.get(name.to_string().as_bytes()).await.map_err(|e| unread(&e))?;
        found.map(|value| serde_json::from_slice(&value)).transpose().map_err(|e| unread(&e))
    }
}
