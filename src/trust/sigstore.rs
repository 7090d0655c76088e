//! Sigstore's trusted roots: whose certificates, logs and timestamps count, and when (sigstore/protobuf-specs,
//! `sigstore_trustroot.proto`). Reads what is given; fetches nothing.

mod document;
mod parts;
pub mod proto;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::SystemTime;

pub use parts::Parts;

use crate::x509::{Algorithm, Certificate, Encoding, Hash, KeyKind, PublicKey};

/// The longest document that is read: the public one is 10 KiB.
pub const MAX_SIZE: u64 = 1024 * 1024;
/// The most authorities or logs of one kind.
const MAX_INSTANCES: usize = 64;

/// The trusted root of the public-good instance, as its TUF repository published it.
const PUBLIC_GOOD: &[u8] = include_bytes!("../../config/sigstore/public-good/trusted_root.json");

/// Why a document or file is no trusted root.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a sigstore trusted root: {0}")]
pub struct Error(pub String);

/// See the module. Cheap to clone.
#[derive(Clone, Debug)]
pub struct TrustedRoot(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    authorities: Vec<Authority>,
    timestamp_authorities: Vec<Authority>,
    ct_logs: Vec<Log>,
    logs: Vec<Log>,
    /// What it was read from: changes of it are changes of trust.
    material: Vec<u8>,
}

/// When something counts. Both ends belong to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// The first moment; `None` where it has none.
    pub start: Option<SystemTime>,
    /// The last moment; `None` while it goes on.
    pub end: Option<SystemTime>,
}

impl Window {
    /// Whether the moment is in it.
    pub fn contains(&self, at: SystemTime) -> bool {
        self.start.is_none_or(|start| start <= at) && self.end.is_none_or(|end| at <= end)
    }
}

/// A certificate authority: Fulcio, or a timestamp authority.
#[derive(Clone, Debug)]
pub struct Authority {
    /// Leaf first where there is one (timestamp authorities), the root last; never empty.
    certificates: Vec<Certificate>,
    /// Where it answers: its name, for thresholds and messages.
    pub name: String,
    /// When what it certified counts.
    pub window: Window,
}

impl Authority {
    /// What its chains end at.
    pub fn root(&self) -> Option<&Certificate> {
        self.certificates.last()
    }

    /// All certificates but the root.
    pub fn others(&self) -> &[Certificate] {
        self.certificates.split_last().map_or(&[], |(_, others)| others)
    }

    /// Whether one of its own certificates signs for it: where the chain names such, none but they do, whoever else
    /// the root has certified. Where it begins with an issuer, everybody below does.
    pub fn signs_by(&self, signer: &Certificate) -> bool {
        let issues = |c: &&Certificate| c.basic_constraints().is_some_and(|constraints| constraints.ca);
        let mut own = self.others().iter().filter(|c| !issues(c)).peekable();
        own.peek().is_none() || own.any(|certificate| certificate == signer)
    }
}

/// A log, of signatures or of certificates.
#[derive(Clone, Debug)]
pub struct Log {
    /// The id that entries and SCTs name it by.
    pub id: Vec<u8>,
    /// The id that begins its checkpoints' signatures: mostly the same.
    pub checkpoint_id: Vec<u8>,
    /// Where it is, as the trusted root says; empty where nothing says so.
    pub url: String,
    /// Its public key.
    pub key: PublicKey,
    /// When its word counts.
    pub window: Window,
}

impl Log {
    /// The algorithm that it signs by: one a kind of key (sigstore/protobuf-specs, `PublicKeyDetails`).
    pub fn algorithm(&self) -> Algorithm {
        match self.key.kind() {
            KeyKind::P256 => Algorithm::Ecdsa(Hash::Sha256, Encoding::Asn1),
            KeyKind::P384 => Algorithm::Ecdsa(Hash::Sha384, Encoding::Asn1),
            KeyKind::P521 => Algorithm::Ecdsa(Hash::Sha512, Encoding::Asn1),
            KeyKind::Ed25519 => Algorithm::Ed25519,
            KeyKind::Rsa { .. } => Algorithm::RsaPkcs1(Hash::Sha256),
        }
    }

    /// How messages name it.
    pub fn shown(&self) -> String {
        if self.url.is_empty() { format!("with the id {}", hex::encode(&self.id)) } else { self.url.clone() }
    }

    /// The host in [`Self::url`]: the origin of a Rekor v2 log's checkpoints. `None` where nothing says where
    /// the log is.
    pub fn host(&self) -> Option<String> {
        url::Url::parse(&self.url).ok()?.host_str().map(str::to_owned)
    }
}

impl TrustedRoot {
    /// The public-good instance's, as this program was built with it.
    ///
    /// # Errors
    /// None that a released program could give: a test reads it.
    pub fn public_good() -> Result<Self, Error> {
        Self::parse(PUBLIC_GOOD)
    }

    /// Reads a `trusted_root.json`.
    ///
    /// # Errors
    /// Not one, too much in it, or a key or certificate that is not verified.
    pub fn parse(json: &[u8]) -> Result<Self, Error> {
        document::read(json).map(|inner| Self(Arc::new(inner)))
    }

    /// The same in parts, as cosign's variables name them.
    ///
    /// # Errors
    /// A chain without a root.
    pub fn from_parts(parts: Parts) -> Result<Self, Error> {
        parts.join().map(|inner| Self(Arc::new(inner)))
    }

    /// Fulcio's authorities.
    pub fn authorities(&self) -> &[Authority] {
        &self.0.authorities
    }

    /// Timestamp authorities.
    pub fn timestamp_authorities(&self) -> &[Authority] {
        &self.0.timestamp_authorities
    }

    /// Certificate-transparency logs.
    pub fn ct_logs(&self) -> &[Log] {
        &self.0.ct_logs
    }

    /// Transparency logs of signatures.
    pub fn logs(&self) -> &[Log] {
        &self.0.logs
    }

    /// What verdicts under it depend on.
    pub fn material(&self) -> &[u8] {
        &self.0.material
    }

    /// When the first of the authorities' certificates ends that still count.
    pub fn ends(&self) -> Option<SystemTime> {
        let current = self.authorities().iter().filter(|authority| authority.window.end.is_none());
        current.flat_map(|authority| &authority.certificates).map(Certificate::not_after).min()
    }
}
