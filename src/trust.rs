//! Trust material as files give it, sigstore's renewed by TUF; revocation data, fetched and kept. What it is worth,
//! `signature/` decides.

pub mod acquire;
pub mod anchor;
pub mod files;
pub mod place;
pub mod revocation;
pub mod settings;
pub mod sigstore;
pub mod sigstore_root;
pub mod store;
pub mod tuf;

pub use anchor::Anchor;
pub use files::{Error, certificates, public_key, readable};
pub use place::Place;
pub use revocation::{Need, RevocationData, RevocationSources, Revocations};
pub use settings::Settings;
pub use sigstore::TrustedRoot;
pub use sigstore_root::RootInUse;
