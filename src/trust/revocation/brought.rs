//! Answers that another network kept and somebody carried here: taken like a server's, and proven like them.

use std::collections::{HashMap, HashSet};
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
pub struct Brought(Arc<All>);

#[derive(Default, PartialEq, Eq)]
struct All {
    answers: HashMap<String, Vec<Bytes>>,
    /// What answers were about that were lost on the way.
    lost: HashSet<String>,
}

impl Brought {
    /// These answers and no others, nobody has proven them; and those that were to come and are `lost`.
    pub fn new(
        answers: impl IntoIterator<Item = (Answer, Bytes)>,
        lost: impl IntoIterator<Item = Answer>,
    ) -> Self {
        let lost = lost.into_iter().map(|answer| answer.about).collect();
        let mut all = All { answers: HashMap::new(), lost };
        for (answer, der) in answers {
            all.answers.entry(answer.about).or_default().push(der);
        }
        Self(Arc::new(all))
    }

    /// Whether no answer is among it.
    pub fn is_empty(&self) -> bool {
        self.0.answers.is_empty()
    }

    pub(super) fn of(&self, key: &Key) -> &[Bytes] {
        self.0.answers.get(&key.to_string()).map_or(&[], Vec::as_slice)
    }

    /// Whether there was an answer that may have told of a revocation which no other one tells of.
    pub(super) fn has_lost(&self, key: &Key) -> bool {
        self.0.lost.contains(&key.to_string())
    }
}

impl fmt::Debug for Brought {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Brought({})", self.0.answers.len())
    }
}
