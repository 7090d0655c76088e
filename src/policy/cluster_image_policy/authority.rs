//! `spec.authorities[]`: each becomes signers, or the answer that it gives whatever is signed.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::super::{Require, Signer};
use super::attestation;
use super::identity;
use super::object::Object;
use super::source;
use super::trust_root::inline;
use super::witnesses::{TrustRoots, Witnesses};
use crate::oci::SignatureSource;
use crate::setting::SettingError;
use crate::signature::cosign::{Keyless, Layout, Pem, Settings};
use crate::signature::{self, SignerName, SignerSettings};

const FIELDS: [&str; 9] = [
    "name",
    "key",
    "keyless",
    "static",
    "source",
    "ctlog",
    "attestations",
    "rfc3161timestamp",
    "signatureFormat",
];
const KEY: [&str; 4] = ["data", "secretRef", "kms", "hashAlgorithm"];
const KEYLESS: [&str; 5] = ["url", "identities", "ca-cert", "trustRootRef", "insecureIgnoreSCT"];
/// Each has patterns and trust material of its own.
const MAX_SIGNERS: usize = 500;

/// What one authority comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Authority {
    /// These must vouch.
    Vouch(Require),
    /// `static: pass`: everything passes.
    Pass,
    /// `static: fail`: nothing does, and the file may say why.
    Fail(String),
}

/// Reads authorities, and gathers the signers that they become.
pub(super) struct Reader<'a> {
    /// What the signers' names begin with.
    pub(super) stem: &'a str,
    pub(super) roots: &'a TrustRoots,
    /// Sigstore's trusted root where the file names none.
    pub(super) root: Option<&'a Path>,
    pub(super) signers: BTreeMap<SignerName, Signer>,
    /// Where signatures of the policy that is being read lie.
    pub(super) sources: Vec<SignatureSource>,
}

impl Reader<'_> {
    /// Reads the authority at an index of a policy.
    ///
    /// # Errors
    /// What cannot be honoured, with the path from the authority on.
    pub(super) fn read(&mut self, policy: &str, i: usize, value: &Value) -> Result<Authority, SettingError> {
        let authority = Object::of(value, &FIELDS)?;
        let signers = match signers(&authority, self.roots)? {
            Means::Signers(signers) => signers,
            Means::Fixed(answer) => return Ok(answer),
        };
        self.sources.extend(source::all(&authority)?);
        let name = format!("{}/{policy}/{}", self.stem, name(&authority, i)?);
        let several = signers.len() > 1;
        let mut vouchers = Vec::new();
        for (at, settings) in signers.into_iter().enumerate() {
            let name = SignerName(if several { format!("{name}/{at}") } else { name.clone() }.into());
            self.add(&name, settings).map_err(|fault| in_files_words(fault, at))?;
            vouchers.push(name);
        }
        attestation::require(&authority, &vouchers).map(Authority::Vouch)
    }

    fn add(&mut self, name: &SignerName, settings: Settings) -> Result<(), SettingError> {
        if self.signers.len() == MAX_SIGNERS {
            return Err(SettingError::here(format!("a file makes at most {MAX_SIGNERS} signers")));
        }
        let mut settings = SignerSettings { cosign: Some(settings), ..SignerSettings::default() };
        settings.use_trusted_root(self.root.map(Path::to_owned));
        let verifier = signature::build(name, &settings)?;
        match self.signers.insert(name.clone(), Signer { verifier: Arc::clone(&verifier), acquire: None }) {
            None => Ok(()),
            Some(_) => Err(SettingError::new(["name"], "is another authority's name already")),
        }
    }
}

/// What an authority is made of.
enum Means {
    /// Signers of which any may vouch: a key, or each of its identities.
    Signers(Vec<Settings>),
    /// What it answers whatever is signed.
    Fixed(Authority),
}

fn signers(authority: &Object<'_>, roots: &TrustRoots) -> Result<Means, SettingError> {
    let (key, keyless) = (authority.object("key", &KEY)?, authority.object("keyless", &KEYLESS)?);
    let fixed = authority.object("static", &["action", "message"])?;
    let mut signers = match (key, keyless, fixed) {
        (None, None, Some(fixed)) => return self::fixed(authority, &fixed).map(Means::Fixed),
        (Some(key), None, None) => vec![of_key(&key).map_err(|e| e.under("key"))?],
        (None, Some(keyless), None) => of_identities(&keyless).map_err(|e| e.under("keyless"))?,
        (None, None, None) => return Err(SettingError::here("one of key, keyless and static is needed")),
        _ => return Err(SettingError::here("one of key, keyless and static is needed, not several")),
    };
    let layout = layout(authority)?;
    let witnesses = Witnesses::read(authority, keyless.as_ref(), layout, roots)?;
    for settings in &mut signers {
        settings.layout = layout;
        witnesses.apply(settings);
    }
    Ok(Means::Signers(signers))
}

/// policy-controller's name for it where it has none.
fn name(authority: &Object<'_>, i: usize) -> Result<String, SettingError> {
    match authority.text("name")? {
        None => Ok(format!("authority-{i}")),
        Some(name) if super::is_name(name) => Ok(name.to_owned()),
        Some(_) => Err(SettingError::new(["name"], super::NAME)),
    }
}

fn fixed(authority: &Object<'_>, fixed: &Object<'_>) -> Result<Authority, SettingError> {
    for beside in ["source", "ctlog", "attestations", "rfc3161timestamp", "signatureFormat"] {
        authority.refuse(beside, "says nothing beside `static`, which looks at no signature")?;
    }
    let within = |e: SettingError| e.under("static");
    let message = fixed.text("message").map_err(within)?.unwrap_or_default();
    match fixed.needed_text("action").map_err(within)? {
        "pass" => Ok(Authority::Pass),
        "fail" => Ok(Authority::Fail(message.to_owned())),
        other => {
            Err(SettingError::new(["static", "action"], format!("expected pass or fail, found {other:?}")))
        }
    }
}

fn layout(authority: &Object<'_>) -> Result<Layout, SettingError> {
    match authority.text("signatureFormat")? {
        None | Some("legacy") => Ok(Layout::Legacy),
        Some("bundle") => Ok(Layout::Bundle),
        Some(other) => {
            Err(SettingError::new(["signatureFormat"], format!("expected legacy or bundle, found {other:?}")))
        }
    }
}

fn of_key(key: &Object<'_>) -> Result<Settings, SettingError> {
    key.refuse("kms", "keys of a key management service are not fetched: write the public key in `data`")?;
    key.refuse("secretRef", "there are no secrets of a cluster here: write the public key in `data`")?;
    match key.text("hashAlgorithm")?.map(|name| name.trim().to_ascii_lowercase()).as_deref() {
        None | Some("sha256") => {}
        Some(other) => {
            let message = format!(
                "only sha256 can be asked for, found {other:?}: leave it out, or write the key under `signers`"
            );
            return Err(SettingError::new(["hashAlgorithm"], message));
        }
    }
    Ok(Settings { key: Some(public_key(key)?), ..Settings::default() })
}

fn public_key(key: &Object<'_>) -> Result<Pem, SettingError> {
    inline(key.needed_text("data")?).ok_or_else(|| {
        SettingError::new(["data"], "expected a public key in PEM, and no -----BEGIN is in it")
    })
}

fn of_identities(keyless: &Object<'_>) -> Result<Vec<Settings>, SettingError> {
    keyless.refuse(
        "ca-cert",
        "is not what policy-controller verifies with: write the certificate as a TrustRoot's \
         certificateAuthorities, and name it in `trustRootRef`",
    )?;
    let identities = keyless.each("identities", |_, value| identity::read(value))?;
    if identities.is_empty() {
        return Err(SettingError::new(["identities"], "is missing: whoever has an account could sign"));
    }
    let settings = |keyless: Keyless| Settings { keyless: Some(keyless), ..Settings::default() };
    Ok(identities.into_iter().map(settings).collect())
}

/// A signer's fault, in the field names of the file.
fn in_files_words(fault: SettingError, identity: usize) -> SettingError {
    let keys: Vec<&str> = fault.path.iter().map(String::as_str).collect();
    let path = match keys[..] {
        ["cosign", "key"] => vec!["key".to_owned(), "data".to_owned()],
        ["cosign", "keyless", setting] => {
            let field = identity::field_of(setting).unwrap_or(setting);
            vec!["keyless".to_owned(), "identities".to_owned(), identity.to_string(), field.to_owned()]
        }
        ["name"] => fault.path,
        [] => Vec::new(),
        _ => return SettingError::here(fault.to_string()),
    };
    SettingError { path, ..fault }
}

#[cfg(test)]
mod tests;
