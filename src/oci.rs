//! The words of the OCI specifications as types: names, digests, descriptors, manifests.
//! Parses and refuses; does no I/O.

pub mod descriptor;
pub mod digest;
pub mod index;
pub mod json;
pub mod manifest;
pub mod media_type;
pub mod reference;
pub mod repository;
pub mod signature_source;

pub use descriptor::{Descriptor, Platform};
pub use digest::{Algorithm, Digest, Hasher};
pub use index::Index;
pub use manifest::{Kind, Manifest, ManifestError};
pub use reference::{Reference, Tag, Target};
pub use repository::{DOCKER_HUB, Registry, Repository, looks_like_host};
pub use signature_source::{RepositoryPattern, SignatureSource};

/// A manifest larger than this is refused before it is read: the distribution specification lets a
/// registry refuse manifests above 4 MiB, and no client needs more.
pub const MAX_MANIFEST_BYTES: u64 = 4 * 1024 * 1024;
