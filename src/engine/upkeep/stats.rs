//! What is in the store.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::engine::State;
use crate::setting::time::show;
use crate::store::{Error, Sizes};

/// What is in the store, in bytes and numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    /// Bytes kept, held, promised, and their limit.
    #[serde(flatten)]
    pub sizes: Sizes,
    /// Files of content that are in the books.
    pub blobs: u64,
    /// Manifests of which something is kept, counted in each repository.
    pub manifests: u64,
    /// Records by table.
    pub records: BTreeMap<String, u64>,
    /// The size of the records' file.
    pub records_bytes: u64,
    /// Files that were moved aside since they rotted.
    pub quarantined: u64,
    /// When all content had last been read and compared.
    pub last_scrub: Option<String>,
}

impl State {
    /// What is in the store.
    ///
    /// # Errors
    /// What cannot be read.
    pub async fn stats(&self) -> Result<Stats, Error> {
        let store = self.memory.store();
        let contents = store.contents().await?;
        let rows = |table: &str| contents.records.get(table).copied().unwrap_or_default();
        Ok(Stats {
            sizes: store.sizes(),
            blobs: rows("blobs"),
            manifests: rows("manifests"),
            records_bytes: contents.records_bytes,
            quarantined: contents.quarantined,
            last_scrub: store.scrubbed().await?.map(show),
            records: contents.records,
        })
    }
}
