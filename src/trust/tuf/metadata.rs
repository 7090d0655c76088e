//! Metadata files, taken apart (TUF 1.0.34, section 4). Proves nothing but what is written in them.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::canonical::canonical;
use super::error::Refusal;
use super::role::{Key, Quorum, Role};
use crate::oci::json;
use crate::oci::{Algorithm, Digest};
use crate::setting::time;
use crate::telemetry::Untrusted;

/// The major version of the specification; another may mean other things by the same words.
const SPECIFICATION: &str = "1";

/// One metadata file.
#[derive(Clone, Debug)]
pub(super) struct Signed<T> {
    /// What the file was called.
    pub(super) file: String,
    pub(super) version: u64,
    pub(super) expires: SystemTime,
    pub(super) body: T,
    /// The bytes that are signed.
    pub(super) canonical: Vec<u8>,
    /// By the id of the key that is said to have made each.
    pub(super) signatures: BTreeMap<String, Vec<u8>>,
    /// The file as it came.
    pub(super) bytes: Vec<u8>,
}

/// What a role says beside version and end.
pub(super) trait Body: DeserializeOwned {
    const ROLE: Role;
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Root {
    pub(super) keys: BTreeMap<String, Key>,
    pub(super) roles: Quorums,
    #[serde(default)]
    pub(super) consistent_snapshot: bool,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Quorums {
    root: Quorum,
    timestamp: Quorum,
    snapshot: Quorum,
    targets: Quorum,
}

impl Quorums {
    pub(super) fn of(&self, role: Role) -> &Quorum {
        match role {
            Role::Root => &self.root,
            Role::Timestamp => &self.timestamp,
            Role::Snapshot => &self.snapshot,
            Role::Targets => &self.targets,
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Timestamp {
    meta: OnlySnapshot,
}

#[derive(Clone, Debug, Deserialize)]
struct OnlySnapshot {
    #[serde(rename = "snapshot.json")]
    snapshot: Pin,
}

impl Timestamp {
    /// The snapshot that is the current one.
    pub(super) fn snapshot(&self) -> &Pin {
        &self.meta.snapshot
    }
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Snapshot {
    /// Each targets metadata file, delegated ones too.
    pub(super) meta: BTreeMap<String, Pin>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Targets {
    pub(super) targets: BTreeMap<String, Target>,
}

impl Body for Root {
    const ROLE: Role = Role::Root;
}
impl Body for Timestamp {
    const ROLE: Role = Role::Timestamp;
}
impl Body for Snapshot {
    const ROLE: Role = Role::Snapshot;
}
impl Body for Targets {
    const ROLE: Role = Role::Targets;
}

/// Which metadata file is meant.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Pin {
    pub(super) version: u64,
    pub(super) length: Option<u64>,
    #[serde(default)]
    pub(super) hashes: Option<BTreeMap<String, String>>,
}

/// Which target is meant.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Target {
    pub(super) length: u64,
    pub(super) hashes: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Envelope {
    signed: Value,
    signatures: Vec<Signature>,
}

#[derive(Deserialize)]
struct Signature {
    keyid: String,
    sig: String,
}

#[derive(Deserialize)]
struct Head {
    _type: String,
    spec_version: String,
    version: u64,
    expires: String,
}

impl<T: Body> Signed<T> {
    /// Takes a file apart.
    ///
    /// # Errors
    /// [`Refusal::Malformed`].
    pub(super) fn read(file: &str, bytes: &[u8]) -> Result<Self, Refusal> {
        let wrong = |why: &dyn std::fmt::Display| Refusal::malformed(file, why);
        let envelope: Envelope = json::strict(bytes).map_err(|e| wrong(&e))?;
        let canonical = canonical(&envelope.signed).ok_or_else(|| wrong(&"a number that is no integer"))?;
        let head = Head::deserialize(&envelope.signed).map_err(|e| wrong(&e))?;
        let (found, expected) = (&head._type, T::ROLE.as_str());
        if found != expected {
            return Err(wrong(&format_args!("expected metadata of {expected}, found {found}")));
        }
        if head.spec_version.split('.').next() != Some(SPECIFICATION) {
            let found = &head.spec_version;
            return Err(wrong(&format_args!("expected TUF's version {SPECIFICATION}, found {found}")));
        }
        if head.version == 0 {
            return Err(wrong(&"expected a version from 1 on, found 0"));
        }
        Ok(Self {
            file: file.to_owned(),
            version: head.version,
            expires: time::parse(&head.expires).map_err(|why| wrong(&why))?,
            signatures: signatures(file, envelope.signatures)?,
            body: T::deserialize(envelope.signed).map_err(|e| wrong(&e))?,
            canonical,
            bytes: bytes.to_vec(),
        })
    }

    /// Whether its end lies ahead (section 5, each role's "check for a freeze attack").
    ///
    /// # Errors
    /// [`Refusal::Expired`].
    pub(super) fn alive(&self, now: SystemTime) -> Result<(), Refusal> {
        if now < self.expires {
            return Ok(());
        }
        Err(Refusal::Expired { file: self.file.clone(), at: self.expires, now })
    }

    /// Whether it may follow what was believed before: it is newer, or says the same.
    ///
    /// # Errors
    /// [`Refusal::Rollback`] or [`Refusal::Forked`].
    pub(super) fn follows(&self, kept: &Self) -> Result<(), Refusal> {
        if self.version == kept.version && self.canonical != kept.canonical {
            return Err(Refusal::Forked { file: self.file.clone(), version: self.version });
        }
        self.no_older(&T::ROLE.file(), kept.version, self.version)
    }

    /// Whether what this file says of `name` is no older than what was believed before.
    ///
    /// # Errors
    /// [`Refusal::Rollback`].
    pub(super) fn no_older(&self, name: &str, kept: u64, found: u64) -> Result<(), Refusal> {
        if found >= kept {
            return Ok(());
        }
        Err(Refusal::Rollback { file: self.file.clone(), name: name.into(), kept, found })
    }
}

fn signatures(file: &str, all: Vec<Signature>) -> Result<BTreeMap<String, Vec<u8>>, Refusal> {
    let mut signatures = BTreeMap::new();
    for Signature { keyid, sig } in all {
        // An empty one stands for a signer who has not signed yet: as good as any other wrong one.
        let signature = hex::decode(sig).map_err(|e| Refusal::malformed(file, e))?;
        if signatures.insert(keyid, signature).is_some() {
            return Err(Refusal::malformed(file, "one key has two signatures"));
        }
    }
    Ok(signatures)
}

impl Pin {
    /// Whether these are the bytes that are meant. Length and hashes are for the signer to give or not.
    ///
    /// # Errors
    /// [`Refusal::Length`] or [`Refusal::Digest`].
    pub(super) fn check(&self, file: &str, bytes: &[u8]) -> Result<(), Refusal> {
        if let Some(expected) = self.length {
            length(file, expected, bytes)?;
        }
        self.hashes.as_ref().map_or(Ok(()), |hashes| digests(file, hashes, bytes))
    }
}

impl Target {
    /// Whether these are the target's bytes.
    ///
    /// # Errors
    /// As [`Pin::check`].
    pub(super) fn check(&self, file: &str, bytes: &[u8]) -> Result<(), Refusal> {
        length(file, self.length, bytes)?;
        digests(file, &self.hashes, bytes)
    }
}

fn length(file: &str, expected: u64, bytes: &[u8]) -> Result<(), Refusal> {
    let found = bytes.len() as u64;
    if found == expected { Ok(()) } else { Err(Refusal::Length { file: file.to_owned(), expected, found }) }
}

/// All hashes that are known have to fit, and one has to be known.
fn digests(file: &str, hashes: &BTreeMap<String, String>, bytes: &[u8]) -> Result<(), Refusal> {
    let mut known = 0;
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        let Some(expected) = hashes.get(algorithm.as_str()) else { continue };
        let found = Digest::of(algorithm, bytes);
        if *expected != found.hex() {
            let expected = Untrusted::new(format!("{}:{expected}", algorithm.as_str()));
            return Err(Refusal::Digest { file: file.to_owned(), expected, found: found.to_string() });
        }
        known += 1;
    }
    if known == 0 {
        Err(Refusal::malformed(file, "expected its SHA-256 or SHA-512, found neither"))
    } else {
        Ok(())
    }
}
