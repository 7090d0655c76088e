//! Placeholder.
pub mod layout;
use super::{Rejection, Signature};
use crate::oci::Descriptor;

/// Whether the signature parses as a claim about the subject.
///
/// # Errors
/// Why it does not.
pub fn claims(_signature: &Signature, _subject: &Descriptor) -> Result<(), Rejection> {
    Ok(())
}
