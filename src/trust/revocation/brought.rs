//! Answers that another network kept and somebody carried here: taken like a server's, and proven like them.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::kept::{Key, Record};
use crate::oci::Digest;

/// A kept answer, as one network tells another of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Answer {
    /// What it is about: the issuer's key with a certificate's serial number (OCSP) or a CRL's URL, hashed.
    about: String,
    /// The digest of its DER.
    pub digest: Digest,
}

impl Answer {
    pub(super) fn of(key: &Key, record: &Record) -> Self {
        Self { about: key.to_string(), digest: *record.digest() }
    }
}

/// What was carried here, by what it is about: several exports may have answers of several ages.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Brought(Arc<HashMap<String, Vec<Bytes>>>);

impl Brought {
    /// These answers and no others. Nobody has proven them.
    pub fn new(answers: impl IntoIterator<Item = (Answer, Bytes)>) -> Self {
        let mut all: HashMap<String, Vec<Bytes>> = HashMap::new();
        for (answer, der) in answers {
            all.entry(answer.about).or_default().push(der);
        }
        Self(Arc::new(all))
    }

    pub(super) fn of(&self, key: &Key) -> &[Bytes] {
        self.0.get(&key.to_string()).map_or(&[], Vec::as_slice)
    }
}

impl fmt::Debug for Brought {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Brought({})", self.0.len())
    }
}
