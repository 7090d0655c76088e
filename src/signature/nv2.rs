//! Signatures of the Notary v2 prototype (`notaryproject/nv2`, `docs/signature/README.md` of its
//! branch prototype-1, and of its first commit for the JSON form): claims about a manifest, signed
//! with the key of a certificate that names the registry.

pub mod layout;
mod names;
mod settings;
mod token;
mod verifier;

#[cfg(test)]
mod tests;

pub use settings::Settings;
pub use verifier::{key_id, may_claim, verifier};

use super::{Rejection, Signature};
use crate::oci::Descriptor;

/// Whether the signature parses as a claim about the subject.
///
/// # Errors
/// Why it does not.
pub fn claims(signature: &Signature, subject: &Descriptor) -> Result<(), Rejection> {
    token::Token::read(signature)?.claims.describe(subject)
}
