//! `signers.NAME.cosign`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::extension::Extension;
use super::pattern::Pattern;
use crate::setting::SettingError;

/// Whose cosign signatures count: those of a key, of a keyless identity, or of a private authority's
/// certificates.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// A public key; also by the name of one in a PKCS #11 token or AWS KMS.
    pub key: Option<Pem>,
    /// An identity that Fulcio certified.
    pub keyless: Option<Keyless>,
    /// An identity that an authority of one's own certified.
    pub pki: Option<Pki>,
    /// How its signatures are laid out; others do not count.
    pub layout: Layout,
    /// Whether a transparency log's word is needed.
    pub transparency_log: Requirement,
    /// Whether an RFC 3161 timestamp is needed.
    pub timestamps: Requirement,
    /// How many witnesses of each kind are needed, where any is.
    pub at_least: AtLeast,
    /// What the signature must say beside the digest, as `cosign sign -a` puts it there.
    pub annotations: BTreeMap<String, String>,
    /// A sigstore trusted root instead of the public one.
    pub trusted_root: Option<PathBuf>,
    /// The trusted root in parts, as cosign takes them.
    pub roots: Option<Roots>,
    /// None of its own is named: it judges by the one of all such signers.
    #[serde(skip)]
    pub shares_root: bool,
    /// Believe certificates that no certificate-transparency log has seen.
    pub dangerous_skip_sct: bool,
}

/// How signatures are laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// Either way.
    #[default]
    Any,
    /// As cosign 2 does: simple-signing payloads, and attestations as layers.
    Legacy,
    /// As sigstore bundles.
    Bundle,
}

/// Whether something must be there and hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Requirement {
    /// A signature without it is refused.
    #[default]
    Require,
    /// It is not needed.
    Ignore,
}

/// Thresholds. Witnesses count once, however often they speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct AtLeast {
    /// Transparency logs, under `transparency_log: require`.
    pub log_entries: usize,
    /// Timestamp authorities, under `timestamps: require`.
    pub timestamps: usize,
    /// Logs and timestamp authorities together that say when a certificate's key signed.
    pub times: usize,
    /// Certificate-transparency logs.
    pub scts: usize,
}

impl Default for AtLeast {
    fn default() -> Self {
        Self { log_entries: 1, timestamps: 1, times: 1, scts: 1 }
    }
}

/// A PEM file, the PEM text itself, or the name of a key that a token or a service keeps.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Pem(pub String);

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

/// An identity in a private authority's certificates.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Pki {
    /// The authority's root certificates.
    pub roots: Vec<Pem>,
    /// Intermediate certificates that signatures do not carry.
    pub intermediates: Vec<Pem>,
    /// The identity (e-mail address, URI or host name), exactly.
    pub identity: Option<String>,
    /// A pattern that the whole identity matches.
    pub identity_regexp: Option<String>,
    /// Who vouched for the identity, exactly, where the certificates say so as Fulcio's do.
    pub issuer: Option<String>,
    /// A pattern that the whole issuer matches.
    pub issuer_regexp: Option<String>,
    /// Further fields of the certificate, exactly, where it has Fulcio's.
    pub extensions: BTreeMap<String, String>,
}

/// A trusted root in parts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Roots {
    /// Fulcio's certificates, each file a chain: intermediates first, the root last.
    pub fulcio: Vec<Pem>,
    /// Public keys of transparency logs.
    pub rekor: Vec<Pem>,
    /// Public keys of certificate-transparency logs.
    pub ct_logs: Vec<Pem>,
    /// Chains of timestamp authorities, each file one: the leaf first where it is there, the root last.
    pub timestamps: Vec<Pem>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            key: None,
            keyless: None,
            pki: None,
            layout: Layout::Any,
            transparency_log: Requirement::Require,
            timestamps: Requirement::Ignore,
            at_least: AtLeast::default(),
            annotations: BTreeMap::new(),
            trusted_root: None,
            roots: None,
            shares_root: false,
            dangerous_skip_sct: false,
        }
    }
}

/// How names of keys begin that are kept elsewhere.
const KEEPERS: [&str; 2] = ["pkcs11:", "awskms:"];

impl Pem {
    /// The path, where it is one.
    pub fn path(&self) -> Option<&Path> {
        let is_path = !self.0.contains("-----BEGIN") && self.elsewhere().is_none();
        is_path.then(|| Path::new(&self.0))
    }

    /// The name of a key that is kept elsewhere. A verifier asks nobody: what it names has to be put in its place first.
    pub fn elsewhere(&self) -> Option<&str> {
        KEEPERS.iter().any(|scheme| self.0.starts_with(scheme)).then_some(self.0.as_str())
    }

    fn resolve(&mut self, base: &Path) {
        if let Some(path) = self.path().map(|path| base.join(path)) {
            self.0 = path.to_string_lossy().into_owned();
        }
    }
}

impl Settings {
    /// Makes paths absolute, from `base`.
    pub fn resolve(&mut self, base: &Path) {
        self.pems_mut().for_each(|pem| pem.resolve(base));
        if let Some(root) = &mut self.trusted_root {
            *root = base.join(&root);
        }
    }

    /// The files to watch.
    pub fn paths(&self) -> Vec<PathBuf> {
        let mut settings = self.clone();
        let pems: Vec<PathBuf> =
            settings.pems_mut().filter_map(|pem| pem.path().map(Path::to_owned)).collect();
        pems.into_iter().chain(self.trusted_root.clone()).collect()
    }

    fn pems_mut(&mut self) -> impl Iterator<Item = &mut Pem> {
        let pki = self.pki.iter_mut().flat_map(|pki| pki.roots.iter_mut().chain(&mut pki.intermediates));
        let roots = self.roots.iter_mut().flat_map(|roots| {
            let Roots { fulcio, rekor, ct_logs, timestamps } = roots;
            fulcio.iter_mut().chain(rekor).chain(ct_logs).chain(timestamps)
        });
        self.key.iter_mut().chain(pki).chain(roots)
    }

    /// Whether they say one thing.
    ///
    /// # Errors
    /// The key that contradicts or is missing.
    pub(super) fn check(&self) -> Result<(), SettingError> {
        let fault = |key: &str, why: &str| Err(SettingError::new([key], why));
        match (&self.key, &self.keyless, &self.pki) {
            (Some(_), None, None) => {}
            (None, Some(keyless), None) => keyless.check().map_err(|e| e.under("keyless"))?,
            (None, None, Some(pki)) => pki.check().map_err(|e| e.under("pki"))?,
            (None, None, None) => return fault("key", "one of key, keyless and pki is needed"),
            (_, Some(_), _) => return fault("keyless", "one of key, keyless and pki, not several"),
            _ => return fault("pki", "one of key, keyless and pki, not several"),
        }
        if self.trusted_root.is_some() && self.roots.is_some() {
            return fault("roots", "contradicts `trusted_root`: write one of them");
        }
        if self.dangerous_skip_sct && self.keyless.is_none() {
            return fault(
                "dangerous_skip_sct",
                "says nothing without keyless: only Fulcio's certificates have SCTs",
            );
        }
        self.at_least.check().map_err(|e| e.under("at_least"))
    }
}

impl AtLeast {
    fn check(&self) -> Result<(), SettingError> {
        let Self { log_entries, timestamps, times, scts } = *self;
        let all =
            [("log_entries", log_entries), ("timestamps", timestamps), ("times", times), ("scts", scts)];
        match all.into_iter().find(|(_, least)| !(1..=8).contains(least)) {
            Some((key, found)) => Err(SettingError::new([key], format!("expected 1 to 8, found {found}"))),
            None => Ok(()),
        }
    }
}

impl Keyless {
    /// Whether an identity that this issuer vouches for is the one that is meant.
    ///
    /// # Errors
    /// As for the signer: each must be given in one way.
    pub fn names(&self, issuer: &str, identity: &str) -> Result<bool, SettingError> {
        let by = Pattern::of("issuer", &self.issuer, &self.issuer_regexp)?;
        let whom = Pattern::of("identity", &self.identity, &self.identity_regexp)?;
        Ok(by.matches(issuer) && whom.matches(identity))
    }

    fn check(&self) -> Result<(), SettingError> {
        Pattern::of("issuer", &self.issuer, &self.issuer_regexp)?;
        Pattern::of("identity", &self.identity, &self.identity_regexp)?;
        check_extensions(&self.extensions)
    }
}

impl Pki {
    fn check(&self) -> Result<(), SettingError> {
        if self.roots.is_empty() {
            return Err(SettingError::new(
                ["roots"],
                "the list is empty: name the authority's root certificate",
            ));
        }
        self.issuer()?;
        Pattern::of("identity", &self.identity, &self.identity_regexp)?;
        check_extensions(&self.extensions)
    }

    /// Who must have vouched, where that is asked.
    pub(super) fn issuer(&self) -> Result<Option<Pattern>, SettingError> {
        let asked = self.issuer.is_some() || self.issuer_regexp.is_some();
        asked.then(|| Pattern::of("issuer", &self.issuer, &self.issuer_regexp)).transpose()
    }
}

fn check_extensions(extensions: &BTreeMap<String, String>) -> Result<(), SettingError> {
    for (name, value) in extensions {
        let fault = |why: &str| Err(SettingError::new(["extensions", name], why));
        if Extension::named(name).is_none() {
            return fault("no certificate extension has this name: docs/SIGSTORE.md lists them");
        }
        if value.is_empty() {
            return fault("the value is empty");
        }
    }
    Ok(())
}
