//! Revocations that were seen. Once proven, one stands until its issuer undoes it, whatever a server
//! says of the certificate later.

use tokio::sync::Mutex;

use super::Id;
use crate::store::{Records, Table};
use crate::x509::crl::Entry;

/// More are not counted.
const MAX_COUNTED: usize = 100_000;

pub(super) struct Noted {
    table: Table,
    /// Two who learn of one revocation note it once.
    changing: Mutex<()>,
}

impl Noted {
    pub(super) fn open(records: &Records) -> Self {
        Self { table: records.table("revoked"), changing: Mutex::default() }
    }

    /// The revocation that stands.
    ///
    /// # Errors
    /// What cannot be read. The certificate may be revoked then.
    pub(super) async fn of(&self, id: Id) -> Result<Option<Entry>, String> {
        let unreadable = |why: String| format!("whether a revocation was seen before cannot be read: {why}");
        let Some(value) = self.table.get(&id.0).await.map_err(|e| unreadable(e.to_string()))? else {
            return Ok(None);
        };
        serde_json::from_slice(&value).map(Some).map_err(|e| unreadable(e.to_string()))
    }

    /// Puts `after` in the place of `before`, if that stands there still. A record that cannot be
    /// read gives way to any revocation. Says whether it did.
    pub(super) async fn change(&self, id: Id, before: Option<&Entry>, after: Option<&Entry>) -> bool {
        let _alone = self.changing.lock().await;
        let stands = match self.of(id).await {
            Ok(current) => current.as_ref() == before,
            Err(_) => after.is_some(),
        };
        let value = after.map(serde_json::to_vec).transpose();
        match (stands, value) {
            (false, _) | (_, Err(_)) => return false,
            (true, Ok(Some(value))) => self.table.put(id.0, value),
            (true, Ok(None)) => self.table.delete(id.0),
        }
        true
    }

    /// How many stand.
    pub(super) async fn count(&self) -> Result<usize, String> {
        self.table.scan(&[], MAX_COUNTED).await.map(|all| all.len()).map_err(|e| e.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::store::Store;
    use crate::telemetry::Metrics;
    use crate::x509::crl::Reason;

    #[tokio::test]
    async fn a_change_gives_way_to_what_was_noted_meanwhile() {
        let store = Store::ephemeral(&Metrics::new()).unwrap();
        let (noted, id) = (Noted::open(store.records()), Id([7; 32]));
        let at = |reason| Entry { revoked_at: SystemTime::UNIX_EPOCH, reason, invalid_since: None };
        let (hold, stolen) = (at(Reason::CertificateHold), at(Reason::KeyCompromise));
        assert!(noted.change(id, None, Some(&hold)).await);
        assert!(!noted.change(id, None, Some(&hold)).await, "noted once");
        assert!(noted.change(id, Some(&hold), Some(&stolen)).await);
        assert!(!noted.change(id, Some(&hold), None).await, "the hold is undone, the theft is not");
        assert_eq!(noted.of(id).await, Ok(Some(stolen)));
        assert_eq!(noted.count().await, Ok(1));
    }
}
