//! Trust material as files give it.

/// Revocation answers that were fetched for the certificates of signatures. No check asks for any
/// yet.
#[derive(Clone, Debug, Default)]
pub struct RevocationData {}
