//! What a decision depends on, as one hash.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use super::{Exception, RULES, Settings, Signer};
use crate::signature::SignerName;

/// SHA-256 over the policy that applies, its signers' settings and material, the exceptions that
/// touch it and the number of our rules. Of content, never a counter, so that it survives restarts.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Revision(pub [u8; 32]);

impl Revision {
    /// The revision of one policy.
    pub(super) fn of<'a>(
        settings: &Settings,
        signers: &BTreeMap<SignerName, Signer>,
        exceptions: impl Iterator<Item = &'a Exception>,
    ) -> Self {
        let mut hash = Parts::new("policy");
        hash.value(settings);
        for (name, signer) in signers {
            hash.part(name.0.as_bytes());
            hash.part(&signer.verifier.revision());
            hash.value(&signer.acquire);
        }
        hash.exceptions(exceptions);
        hash.finish()
    }

    /// The same with further trust material.
    pub(super) fn resting_on(self, material: &[u8; 32]) -> Self {
        let mut hash = Parts::new("material");
        hash.part(&self.0);
        hash.part(material);
        hash.finish()
    }

    /// The revision where no policy applies.
    pub(super) fn without_policy<'a>(audited: bool, exceptions: impl Iterator<Item = &'a Exception>) -> Self {
        let mut hash = Parts::new("no policy");
        hash.value(&audited);
        hash.exceptions(exceptions);
        hash.finish()
    }
}

/// Hashes parts with their lengths, so that no two lists of parts read the same.
struct Parts(Sha256);

impl Parts {
    fn new(kind: &str) -> Self {
        let mut parts = Self(Sha256::new());
        parts.part(kind.as_bytes());
        parts.part(&RULES.to_be_bytes());
        parts
    }

    fn part(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
    }

    /// Derived `Debug` names every field and, other than serialising, cannot fail (on paths that
    /// are not UTF-8). Should a compiler print it differently, content is judged once more.
    fn value(&mut self, value: &impl fmt::Debug) {
        self.part(format!("{value:?}").as_bytes());
    }

    fn exceptions<'a>(&mut self, exceptions: impl Iterator<Item = &'a Exception>) {
        let mut sorted: Vec<_> = exceptions.collect();
        sorted.sort_by_key(|e| (&e.repository, &e.digest));
        self.value(&sorted);
    }

    fn finish(self) -> Revision {
        Revision(self.0.finalize().into())
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Revision {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Revision {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(String::deserialize(deserializer)?, &mut bytes)
            .map_err(serde::de::Error::custom)?;
        Ok(Self(bytes))
    }
}
