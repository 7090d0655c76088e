//! Hashes what a verifier's answers depend on, so that a change of it makes old decisions stale.

use std::path::PathBuf;

use sha2::{Digest as _, Sha256};

use crate::x509::Certificate;

/// SHA-256 over named parts. Lengths go in with them, so that no two lists of parts are alike.
pub(super) struct Material(Sha256);

impl Material {
    /// Begins with the format's name.
    pub(super) fn new(format: &str) -> Self {
        Self(Sha256::new()).part("format", format)
    }

    /// Adds one part.
    #[must_use]
    pub(super) fn part(mut self, name: &str, content: impl AsRef<[u8]>) -> Self {
        for bytes in [name.as_bytes(), content.as_ref()] {
            self.0.update((bytes.len() as u64).to_be_bytes());
            self.0.update(bytes);
        }
        self
    }

    /// Adds certificates in their order.
    #[must_use]
    pub(super) fn certificates(self, name: &str, all: &[Certificate]) -> Self {
        all.iter().fold(self, |material, certificate| material.part(name, certificate.der()))
    }

    /// The hash.
    pub(super) fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

/// Places as messages name them.
pub(super) fn places<'a>(paths: impl IntoIterator<Item = &'a PathBuf>) -> String {
    let all: Vec<String> = paths.into_iter().map(|p| p.display().to_string()).collect();
    all.join(", ")
}
