//! Settings → verifier: reads keys, certificates and trusted roots.

use std::collections::BTreeMap;

use super::extension::Extension;
use super::holder::{Fulcio, Holder, Identity, Pki};
use super::pattern::Pattern;
use super::settings::{self, Pem, Roots, Settings};
use super::verifier::Cosign;
use crate::setting::SettingError;
use crate::signature::SignerName;
use crate::signature::material::Material;
use crate::trust::sigstore::{self, Parts, TrustedRoot};
use crate::trust::{self, files};
use crate::x509::{Certificate, PublicKey};

pub(super) fn verifier(name: &SignerName, settings: &Settings) -> Result<Cosign, SettingError> {
    settings.check()?;
    let holder = holder(settings)?;
    let root = root(settings)?;
    let revision = revision(name, settings, &holder, &root);
    Ok(Cosign { signer: name.clone(), holder, root, settings: settings.clone(), revision })
}

fn holder(settings: &Settings) -> Result<Holder, SettingError> {
    if let Some(key) = &settings.key {
        return Ok(Holder::Key(public_key(key).map_err(|why| SettingError::new(["key"], why))?));
    }
    if let Some(keyless) = &settings.keyless {
        return fulcio(keyless, settings).map(Holder::Keyless).map_err(|fault| fault.under("keyless"));
    }
    pki(&settings.pki.clone().unwrap_or_default()).map(Holder::Pki).map_err(|fault| fault.under("pki"))
}

fn fulcio(keyless: &settings::Keyless, settings: &Settings) -> Result<Fulcio, SettingError> {
    Ok(Fulcio {
        identity: Identity {
            name: Pattern::of("identity", &keyless.identity, &keyless.identity_regexp)?,
            issuer: Some(Pattern::of("issuer", &keyless.issuer, &keyless.issuer_regexp)?),
            extensions: extensions(&keyless.extensions),
        },
        scts: if settings.dangerous_skip_sct { 0 } else { settings.at_least.scts },
    })
}

fn pki(pki: &settings::Pki) -> Result<Pki, SettingError> {
    let read = |key: &str, pems: &[Pem]| certificates(pems).map_err(|f| f.under(key));
    // A file may hold the whole chain: what is no root is no anchor either.
    let (roots, below): (Vec<_>, Vec<_>) =
        read("roots", &pki.roots)?.into_iter().partition(Certificate::is_self_signed);
    if roots.is_empty() {
        return Err(SettingError::new(["roots"], "there is no root (no self-signed certificate) in it"));
    }
    Ok(Pki {
        roots,
        intermediates: read("intermediates", &pki.intermediates)?.into_iter().chain(below).collect(),
        identity: Identity {
            name: Pattern::of("identity", &pki.identity, &pki.identity_regexp)?,
            issuer: pki.issuer()?,
            extensions: extensions(&pki.extensions),
        },
    })
}

fn extensions(named: &BTreeMap<String, String>) -> Vec<(Extension, String)> {
    named.iter().filter_map(|(name, value)| Some((Extension::named(name)?, value.clone()))).collect()
}

/// The configured trusted root, whole or in parts, else the public one.
fn root(settings: &Settings) -> Result<TrustedRoot, SettingError> {
    if let Some(roots) = &settings.roots {
        return parts(roots).map_err(|fault| fault.under("roots"));
    }
    let Some(path) = &settings.trusted_root else {
        return TrustedRoot::public_good()
            .map_err(|why| SettingError::new(["trusted_root"], why.to_string()));
    };
    let fault = |why: String| SettingError::new(["trusted_root"], format!("{}: {why}", path.display()));
    let bytes = files::read_within(path, sigstore::MAX_SIZE).map_err(|why| fault(why.to_string()))?;
    let bytes = bytes.ok_or_else(|| fault(format!("it is longer than {} bytes", sigstore::MAX_SIZE)))?;
    TrustedRoot::parse(&bytes).map_err(|why| fault(why.to_string()))
}

fn parts(roots: &Roots) -> Result<TrustedRoot, SettingError> {
    let keys = |name: &str, pems: &[Pem]| -> Result<Vec<PublicKey>, SettingError> {
        let keys = pems.iter().enumerate();
        keys.map(|(i, pem)| {
            public_key(pem).map_err(|why| SettingError::new([name.to_owned(), i.to_string()], why))
        })
        .collect()
    };
    let parts = Parts {
        fulcio: chains(&roots.fulcio).map_err(|fault| fault.under("fulcio"))?,
        rekor: keys("rekor", &roots.rekor)?,
        ct_logs: keys("ct_logs", &roots.ct_logs)?,
        timestamps: chains(&roots.timestamps).map_err(|fault| fault.under("timestamps"))?,
    };
    TrustedRoot::from_parts(parts).map_err(|why| SettingError::here(why.to_string()))
}

/// The certificates of all files and texts.
fn certificates(pems: &[Pem]) -> Result<Vec<Certificate>, SettingError> {
    Ok(chains(pems)?.concat())
}

/// The certificates of each file or text; faults are named by their number.
fn chains(pems: &[Pem]) -> Result<Vec<Vec<Certificate>>, SettingError> {
    let read = |pem: &Pem| match pem.path() {
        Some(path) => trust::certificates(&[path.to_owned()]).map_err(|why| why.to_string()),
        None => Certificate::all_from(pem.0.as_bytes()).map_err(|why| why.to_string()),
    };
    let numbered = pems.iter().enumerate();
    numbered.map(|(i, pem)| read(pem).map_err(|why| SettingError::new([i.to_string()], why))).collect()
}

fn public_key(pem: &Pem) -> Result<PublicKey, String> {
    match pem.path() {
        Some(path) => trust::public_key(path).map_err(|why| why.to_string()),
        None => PublicKey::from_pem(pem.0.as_bytes()).map_err(|why| why.to_string()),
    }
}

fn revision(name: &SignerName, settings: &Settings, holder: &Holder, root: &TrustedRoot) -> [u8; 32] {
    // Every field is part of the settings' debug form, and what its files hold comes beside it.
    let material = Material::new("cosign")
        .part("signer", name.0.as_bytes())
        .part("settings", format!("{settings:?}"))
        .part("trusted root", root.material());
    match holder {
        Holder::Key(key) => material.part("key", key.spki()),
        Holder::Keyless(_) => material,
        Holder::Pki(pki) => {
            material.certificates("roots", &pki.roots).certificates("intermediates", &pki.intermediates)
        }
    }
    .finish()
}
