//! Public keys that are kept elsewhere, in tokens or by services. They are fetched when settings are read, since
//! verifiers ask nobody: each reload asks again, and where nobody answers nothing is loaded.

use std::path::PathBuf;

use super::Settings;
use crate::setting::SettingError;
use crate::signature::cosign::Pem;
use crate::signing::{KeyError, SigningKey, pkcs11};

/// Puts the public keys in the place of their names.
pub(super) fn fetch(settings: &mut Settings) -> Result<(), SettingError> {
    for (name, signer) in &mut settings.signers {
        if let Some(key) = signer.cosign.as_mut().and_then(|cosign| cosign.key.as_mut()) {
            let fault = |why: KeyError| {
                SettingError::new(["signers", name.0.as_ref(), "cosign", "key"], why.to_string())
            };
            *key = fetched(key).map_err(fault)?;
        }
    }
    Ok(())
}

/// The files with the PINs of keys in tokens, those that sign among them.
pub(super) fn pins(settings: &Settings) -> impl Iterator<Item = PathBuf> {
    let keys =
        settings.signers.values().filter_map(|signer| signer.cosign.as_ref()?.key.as_ref()?.elsewhere());
    let signing =
        settings.policies.iter().filter_map(|policy| Some(policy.counter_sign.as_ref()?.key.as_str()));
    keys.chain(signing).filter_map(|name| pkcs11::Uri::parse(name).ok()?.pin_source)
}

/// The key's PEM where it is kept elsewhere, else what stands there.
///
/// # Errors
/// As [`SigningKey::public_of`].
pub fn fetched(key: &Pem) -> Result<Pem, KeyError> {
    match key.elsewhere() {
        Some(name) => Ok(Pem(SigningKey::public_of(name)?.to_pem())),
        None => Ok(key.clone()),
    }
}
