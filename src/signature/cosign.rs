//! Signatures of cosign: a simple-signing payload as layer with the signature in an annotation, under
//! the tag `sha256-<hex>.sig` or as referrer, proven with a public key. Keyless identities,
//! transparency logs and sigstore bundles are recognised and refused: they are not verified yet.

mod extension;
pub mod layout;
mod pattern;
mod payload;
mod settings;
mod verifier;

#[cfg(test)]
mod tests;

pub use settings::{AtLeast, Keyless, Pem, Pki, Requirement, Roots, Settings};
pub use verifier::verifier;

use super::{Rejection, Signature};
use crate::oci::Descriptor;

/// Whether the signature parses as a claim about the subject.
///
/// # Errors
/// Why it does not.
pub fn claims(signature: &Signature, subject: &Descriptor) -> Result<(), Rejection> {
    payload::Signed::read(signature)?.describe(subject)
}
