//! What there is in the store, for an operator.

use std::collections::BTreeMap;

use super::incoming::blocking;
use super::{Error, Store};

/// Numbers that nobody keeps in memory.
#[derive(Clone, Debug)]
pub struct Contents {
    /// Records by table; what is not written yet is not counted.
    pub records: BTreeMap<String, u64>,
    /// The size of the records' file in bytes, 0 where they are in memory.
    pub records_bytes: u64,
    /// Files that were moved aside.
    pub quarantined: u64,
}

impl Store {
    /// Counts what there is.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Records`].
    pub async fn contents(&self) -> Result<Contents, Error> {
        self.records().flush().await?;
        let store = self.clone();
        blocking("count content", move || {
            let quarantined = store.0.blobs.quarantined().map_err(Error::io("look into the quarantine"))?;
            let (records, records_bytes) = store.records().counts_now()?;
            Ok(Contents { records, records_bytes, quarantined })
        })
        .await
    }
}
