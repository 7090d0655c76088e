//! Trust material as files give it. What it is worth, `signature/` decides.

pub mod files;
pub mod settings;
pub mod store;

pub use files::{Error, certificates, public_key, readable};
pub use settings::Settings;

/// Revocation answers that were fetched for the certificates of signatures. No check asks for any
/// yet.
#[derive(Clone, Debug, Default)]
pub struct RevocationData {}
