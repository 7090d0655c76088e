//! The four top-level roles, and who may speak for each: keys by id and how many of them are needed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Deserialize;

use super::error::Refusal;
use crate::x509::{Algorithm, Encoding, Hash, PublicKey};

/// A top-level role (TUF 1.0.34, section 2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Says which keys speak for all four.
    Root,
    /// Says which snapshot is the current one, and that for days only.
    Timestamp,
    /// Says which versions of all other metadata belong together.
    Snapshot,
    /// Says what the targets are.
    Targets,
}

impl Role {
    /// As metadata names it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Timestamp => "timestamp",
            Self::Snapshot => "snapshot",
            Self::Targets => "targets",
        }
    }

    /// Its file, without a version.
    pub(super) fn file(self) -> String {
        format!("{self}.json")
    }

    /// The most bytes of its metadata that are read. Sigstore's own are a tenth of that or less.
    pub(super) const fn limit(self) -> u64 {
        match self {
            Self::Timestamp => 64 << 10,
            Self::Root | Self::Snapshot | Self::Targets => 1 << 20,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A key as metadata writes it (section 4.2).
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Key {
    keytype: String,
    scheme: String,
    keyval: KeyValue,
}

#[derive(Clone, Debug, Deserialize)]
struct KeyValue {
    /// Absent in kinds of keys that are not verified.
    #[serde(default)]
    public: String,
}

impl Key {
    /// The key and what it signs with. `None` for kinds that are not verified: they count for nobody.
    fn usable(&self) -> Option<(PublicKey, Algorithm)> {
        let pem = || PublicKey::from_pem(self.keyval.public.as_bytes()).ok();
        match (self.keytype.as_str(), self.scheme.as_str()) {
            ("ecdsa" | "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256") => {
                Some((pem()?, Algorithm::Ecdsa(Hash::Sha256, Encoding::Asn1)))
            }
            ("ecdsa" | "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384") => {
                Some((pem()?, Algorithm::Ecdsa(Hash::Sha384, Encoding::Asn1)))
            }
            ("rsa", "rsassa-pss-sha256") => Some((pem()?, Algorithm::RsaPss(Hash::Sha256))),
            ("ed25519", "ed25519") => Some((ed25519(&self.keyval.public)?, Algorithm::Ed25519)),
            _ => None,
        }
    }
}

/// Ed25519 keys stand there bare, in hexadecimal: wraps one as SubjectPublicKeyInfo (RFC 8410, section 4).
fn ed25519(hexadecimal: &str) -> Option<PublicKey> {
    const HEAD: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
    let raw = hex::decode(hexadecimal).ok().filter(|raw| raw.len() == 32)?;
    PublicKey::from_spki_der(&[&HEAD[..], &raw].concat()).ok()
}

/// Which keys speak for a role, and how many are needed.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Quorum {
    keyids: BTreeSet<String>,
    threshold: usize,
}

impl Quorum {
    /// Whether enough of these keys signed the message. A key counts once, whatever ids it has: what the
    /// threshold protects from is the loss of keys, not of names.
    ///
    /// # Errors
    /// [`Refusal::Unsigned`].
    pub(super) fn verify(
        &self,
        keys: &BTreeMap<String, Key>,
        message: &[u8],
        signatures: &BTreeMap<String, Vec<u8>>,
        file: &str,
    ) -> Result<(), Refusal> {
        let signed = self.keyids.iter().filter_map(|id| {
            let (key, algorithm) = keys.get(id)?.usable()?;
            key.verify(algorithm, message, signatures.get(id)?).ok()?;
            Some(key.fingerprint())
        });
        let found = signed.collect::<BTreeSet<_>>().len();
        // No signature at all is never enough, whatever the threshold says.
        let needed = self.threshold.max(1);
        if found >= needed {
            return Ok(());
        }
        Err(Refusal::Unsigned { file: file.to_owned(), needed, found })
    }
}
