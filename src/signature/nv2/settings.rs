//! `signers.NAME.nv2`

use std::path::{Path, PathBuf};

use serde::Deserialize;

/// Whose nv2 signatures count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Certificates of signers: files, or folders of files. An empty or absent folder means that the
    /// key has not been acquired yet. Signatures that only name their key (`kid`) need it here.
    pub certificates: Vec<PathBuf>,
    /// Certificates of authorities that issue to signers: files, or folders of files.
    pub ca_certificates: Vec<PathBuf>,
    /// Hosts: the signing certificate must carry one of them, and every signed reference must begin
    /// with one. Without it, whoever holds any certificate of an authority is this signer.
    pub names: Option<Vec<String>>,
}

impl Settings {
    /// Makes paths absolute, from `base`.
    pub fn resolve(&mut self, base: &Path) {
        for path in self.certificates.iter_mut().chain(&mut self.ca_certificates) {
            *path = base.join(&path);
        }
    }

    /// The files and folders to watch.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.certificates.iter().chain(&self.ca_certificates).cloned().collect()
    }
}
