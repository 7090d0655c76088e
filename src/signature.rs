//! Signatures, and what is proven by them. A folder a format; each turns one claim into
//! [`Evidence`] or a [`Rejection`]. Pure: no I/O, no clock, no network.

pub mod anchors;
pub mod attestation;
mod chain;
mod code;
pub mod evidence;
pub mod layout;
mod material;
pub mod rejection;
pub mod settings;
pub mod validation;

pub mod cosign;
pub mod notation;
pub mod nv2;

#[cfg(test)]
pub(crate) mod testing;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub use attestation::{Attestation, Step};
pub use code::Code;
pub use evidence::{Evidence, Fingerprint, TimeSource};
pub use rejection::{Rejected, Rejection};
pub use settings::{SignerSettings, build};
pub use validation::Validations;

use crate::oci::{Descriptor, Digest, Repository};
use crate::trust::{Need, RevocationData};

/// How a signature is made and where it is found. A closed set: metrics use it as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// The Notary v2 prototype's x509 signatures.
    Nv2,
    /// Notary Project signatures.
    Notation,
    /// cosign's simple-signing layers and sigstore bundles.
    Cosign,
}

impl Format {
    /// All of them, in the order of trial.
    pub const ALL: [Self; 3] = [Self::Notation, Self::Cosign, Self::Nv2];

    /// The name in configuration, metrics and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nv2 => "nv2",
            Self::Notation => "notation",
            Self::Cosign => "cosign",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The name of a configured signer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SignerName(pub Arc<str>);

impl fmt::Display for SignerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is judged: the repository it was asked for in, and the descriptor made of its bytes.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The source name.
    pub repository: Repository,
    /// Media type, digest and size of the bytes that would be served.
    pub descriptor: Descriptor,
}

/// One attached claim, unproven.
#[derive(Clone, Debug)]
pub struct Signature {
    /// Which verifiers may try it.
    pub format: Format,
    /// The digest of the artifact (manifest) that carries it: what reports call the signature.
    pub digest: Digest,
    /// The media type of `payload`.
    pub media_type: Arc<str>,
    /// The envelope, token or payload.
    pub payload: Bytes,
    /// The annotations of the layer that holds it (cosign keeps the signature there).
    pub annotations: BTreeMap<String, String>,
}

/// How much a signer's configuration insists on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strength {
    /// Integrity and authenticity are enforced: evidence counts.
    Enforced,
    /// Failures are only logged: it may stand alone as a whole `require`, and decides as `audit`.
    Logged,
    /// Nothing is checked: it may stand alone as a whole `require`, and decides as `allow`.
    Skipped,
}

/// What of a signer's own policy file decides for a repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Basis {
    /// The file, or what stands in for one.
    pub policy: String,
    /// The statement that applies; `None` where none does.
    pub applying: Option<Applying>,
}

/// The statement of a policy file that applies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Applying {
    /// Its name.
    pub statement: String,
    /// How much it insists on, in the file's words.
    pub level: String,
}

/// One configured signer: decides whether one signature proves that it vouches for the subject.
/// Synchronous, pure and network-free, so that it can be fuzzed, replayed and run on any thread.
pub trait Verifier: Send + Sync {
    /// The configured name.
    fn signer(&self) -> &SignerName;

    /// The format it reads; it is given no other.
    fn format(&self) -> Format;

    /// How much it insists on for subjects of this repository.
    fn strength(&self, repository: &Repository) -> Strength;

    /// SHA-256 over everything its answers depend on but the signature: settings, trust material.
    fn revision(&self) -> [u8; 32];

    /// What of the signer's own policy file decides for subjects of this repository, where it has one.
    fn basis(&self, _repository: &Repository) -> Option<Basis> {
        None
    }

    /// What an operator should know about this signer's settings, such as a check that is not made yet.
    fn limitation(&self) -> Option<String> {
        None
    }

    /// Whether its proofs can hold a time that others than the signer tell.
    fn proves_time(&self) -> bool {
        true
    }

    /// When the first of the certificates ends that it trusts: for the metric that warns of it.
    fn trust_ends(&self) -> Option<SystemTime> {
        None
    }

    /// Whether it needs sigstore's trusted root, and names none of its own.
    fn shares_root(&self) -> bool {
        false
    }

    /// What must be asked before [`Verifier::verify`] can decide. Only what the signature of a
    /// trusted signer names is asked for: else whoever can push could have us call any address.
    fn needs(&self, _subject: &Subject, _signature: &Signature, _now: SystemTime) -> Vec<Need> {
        Vec::new()
    }

    /// Proves the claim, or says why it is not believed.
    ///
    /// # Errors
    /// [`Rejected`] names the first check that failed, with what was expected and found.
    fn verify(
        &self,
        subject: &Subject,
        signature: &Signature,
        revocation: &RevocationData,
        now: SystemTime,
    ) -> Result<Evidence, Rejected>;
}
