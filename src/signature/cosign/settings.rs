//! `signers.NAME.cosign`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::setting::SettingError;

/// Whose cosign signatures count: those of a key, or of a keyless identity.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// A public key: a PEM file, or the PEM text itself.
    pub key: Option<Key>,
    /// An identity that Fulcio certified. Not verified yet: it admits nothing.
    pub keyless: Option<Keyless>,
    /// Whether a transparency log's word is needed. Not verified yet: `require` admits nothing.
    #[serde(default)]
    pub transparency_log: Requirement,
    /// Whether an RFC 3161 timestamp is needed. Not verified yet: `require` admits nothing.
    #[serde(default = "ignore")]
    pub timestamps: Requirement,
    /// A sigstore trusted root instead of the public one.
    pub trusted_root: Option<PathBuf>,
}

/// Whether something must be there and hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Requirement {
    /// A signature without it is refused.
    #[default]
    Require,
    /// It is not looked at.
    Ignore,
}

/// A public key, as a path or as PEM text.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Key(pub String);

/// A keyless identity: who certified it, and whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Keyless {
    /// The OIDC issuer, exactly.
    pub issuer: Option<String>,
    /// A pattern that the whole issuer matches.
    pub issuer_regexp: Option<String>,
    /// The identity (e-mail address or URI), exactly.
    pub identity: Option<String>,
    /// A pattern that the whole identity matches.
    pub identity_regexp: Option<String>,
    /// Further fields of the certificate, exactly.
    pub extensions: BTreeMap<String, String>,
}

/// Fulcio's certificate extensions (`docs/oid-info.md` of sigstore/fulcio) that a policy may name.
const EXTENSIONS: [&str; 20] = [
    "github_workflow_trigger",
    "github_workflow_sha",
    "github_workflow_name",
    "github_workflow_repository",
    "github_workflow_ref",
    "build_signer_uri",
    "build_signer_digest",
    "runner_environment",
    "source_repository_uri",
    "source_repository_digest",
    "source_repository_ref",
    "source_repository_identifier",
    "source_repository_owner_uri",
    "source_repository_owner_identifier",
    "build_config_uri",
    "build_config_digest",
    "build_trigger",
    "run_invocation_uri",
    "source_repository_visibility_at_signing",
    "deployment_environment",
];

fn ignore() -> Requirement {
    Requirement::Ignore
}

impl Key {
    /// The path, where it is one.
    pub fn path(&self) -> Option<&Path> {
        if self.0.contains("-----BEGIN") { None } else { Some(Path::new(&self.0)) }
    }
}

impl Settings {
    /// Makes paths absolute, from `base`.
    pub fn resolve(&mut self, base: &Path) {
        if let Some(key) = &mut self.key
            && let Some(path) = key.path().map(|p| base.join(p))
        {
            key.0 = path.to_string_lossy().into_owned();
        }
        if let Some(root) = &mut self.trusted_root {
            *root = base.join(&root);
        }
    }

    /// The files to watch.
    pub fn paths(&self) -> Vec<PathBuf> {
        let key = self.key.as_ref().and_then(Key::path).map(Path::to_owned);
        key.into_iter().chain(self.trusted_root.clone()).collect()
    }

    /// Whether they say one thing.
    ///
    /// # Errors
    /// The key that contradicts or is missing.
    pub(super) fn check(&self) -> Result<(), SettingError> {
        match (&self.key, &self.keyless) {
            (Some(_), None) => Ok(()),
            (None, Some(keyless)) => keyless.check().map_err(|e| e.under("keyless")),
            (Some(_), Some(_)) => Err(SettingError::new(["keyless"], "either key or keyless, not both")),
            (None, None) => Err(SettingError::new(["key"], "key or keyless is needed")),
        }
    }
}

impl Keyless {
    fn check(&self) -> Result<(), SettingError> {
        one("issuer", &self.issuer, &self.issuer_regexp)?;
        one("identity", &self.identity, &self.identity_regexp)?;
        match self.extensions.keys().find(|name| !EXTENSIONS.contains(&name.as_str())) {
            Some(name) => {
                Err(SettingError::new(["extensions", name], "no certificate extension has this name"))
            }
            None => Ok(()),
        }
    }
}

/// Keyless needs an issuer and an identity, each given in one way and saying something.
fn one(name: &str, exact: &Option<String>, pattern: &Option<String>) -> Result<(), SettingError> {
    match (exact, pattern) {
        (Some(value), None) | (None, Some(value)) if !value.is_empty() => Ok(()),
        _ => Err(SettingError::new([name], format!("exactly one of {name} and {name}_regexp is needed"))),
    }
}
