//! `policies[].counter_sign` as configuration gives it: what the organisation says itself of what it allows.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::setting::SettingError;

/// How an allowed manifest is signed again, with a key of the organisation's.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CounterSign {
    /// The private key: the path of a PEM file, or the name of one that is kept elsewhere.
    pub key: String,
    /// The file with the password of an encrypted key.
    #[serde(default)]
    pub key_password_file: Option<PathBuf>,
    /// The key's certificate, and what leads from it to its root, in one PEM file. `notation` needs them.
    #[serde(default)]
    pub certificate_chain: Option<PathBuf>,
    /// In which formats it is signed.
    pub formats: Vec<CounterFormat>,
    /// Whether a verification summary (SLSA VSA v1) is signed, too.
    #[serde(default)]
    pub attest: bool,
    /// Whether the first answer waits until it is signed. It is refused where that fails.
    #[serde(default)]
    pub before_serving: bool,
    /// The repository that it is signed as, with `{registry}` and `{path}` for the source's; by default the source's
    /// own name. Certificates of `nv2` must carry its host.
    #[serde(default)]
    pub published_as: Option<String>,
}

/// A format of a counter-signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CounterFormat {
    /// Notary Project, JWS envelope.
    Notation,
    /// Notary Project, COSE envelope.
    NotationCose,
    /// cosign, under the subject's `.sig` tag.
    Cosign,
    /// cosign, as a bundle.
    CosignBundle,
    /// The Notary v2 prototype's JWT.
    Nv2,
}

impl CounterSign {
    /// Makes the paths in it absolute.
    pub(super) fn resolve(&mut self, base: &Path) {
        if self.is_file() {
            self.key = base.join(&self.key).to_string_lossy().into_owned();
        }
        for path in self.key_password_file.iter_mut().chain(&mut self.certificate_chain) {
            *path = base.join(&*path);
        }
    }

    /// The files that it is read from.
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        let key = self.is_file().then(|| PathBuf::from(&self.key));
        let others = [&self.key_password_file, &self.certificate_chain];
        key.into_iter().chain(others.into_iter().flatten().cloned()).collect()
    }

    /// Keys that are kept elsewhere are named by a URI.
    fn is_file(&self) -> bool {
        let scheme = self.key.split_once(':').map_or("", |(scheme, _)| scheme);
        scheme.is_empty() || scheme.contains(['/', '.'])
    }

    /// What can be wrong with it by itself.
    pub(super) fn check(&self) -> Result<(), SettingError> {
        let fault = |key: &str, message: &str| Err(SettingError::new([key], message));
        match &self.published_as {
            _ if self.formats.is_empty() => fault("formats", "the list is empty: name at least one format"),
            None if self.formats.contains(&CounterFormat::Nv2) => {
                fault("published_as", "missing: nv2 signs the name that the certificate's host is in")
            }
            _ => Ok(()),
        }
    }
}
