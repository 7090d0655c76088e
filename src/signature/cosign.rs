//! Signatures of cosign and of sigstore's other clients: simple-signing payloads and attestations as layers, and
//! bundles; by keys, by identities that Fulcio certified, or by certificates of a private authority, with the
//! word of transparency logs and timestamp authorities. Nothing is asked of anyone: docs/SIGSTORE.md.

mod build;
mod bundle;
mod claim;
mod config;
mod dsse;
mod extension;
mod holder;
pub mod layout;
mod legacy;
mod log;
mod pattern;
mod payload;
mod settings;
mod statement;
pub mod through;
mod verifier;
mod witness;

#[cfg(test)]
mod tests;

pub use claim::Artifact;
pub(crate) use dsse::pre_authentication;
pub use pattern::anywhere;
pub(crate) use payload::PAYLOAD_TYPE;
pub use settings::{AtLeast, Keyless, Layout, Pem, Pki, Requirement, Roots, Settings};
pub(crate) use statement::SIGN_PREDICATE;
pub use verifier::{Cosign, verifier};

use super::{Rejection, Signature};
use crate::oci::Descriptor;

/// Whether the signature parses as a claim about the subject.
///
/// # Errors
/// Why it does not.
pub fn claims(signature: &Signature, subject: &Descriptor) -> Result<(), Rejection> {
    claim::Claim::read(signature)?.describe(subject)
}
