//! The counter-signers of all policies: their keys, opened when the configuration is read.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::CounterSigner;
use crate::admission::Gate;
use crate::oci::Repository;
use crate::policy::{CounterSign, Settings};
use crate::setting::SettingError;
use crate::signing::{KeyError, Password, SigningKey};
use crate::trust::files;

/// The counter-signers of all policies that have one.
#[derive(Debug, Default)]
pub struct CounterSigners(HashMap<Arc<str>, Arc<CounterSigner>>);

impl CounterSigners {
    /// Opens the keys of all policies that counter-sign, each once. A key for which nobody answers now goes on as one of
    /// `before` has it open; one that is refused does not.
    ///
    /// # Errors
    /// The setting that cannot be honoured.
    pub fn build(policies: &[Settings], before: Option<&Self>) -> Result<Self, SettingError> {
        let (mut built, mut keys) = (HashMap::new(), HashMap::new());
        for (i, name, settings) in signing(policies) {
            let opened = keys
                .entry((&settings.key, &settings.key_password_file))
                .or_insert_with(|| open(settings).or_else(|error| held(before, settings, &error)));
            let signer = opened.clone().and_then(|key| CounterSigner::of(key, settings));
            built.insert(Arc::from(name), Arc::new(signer.map_err(|e| within(e, i))?));
        }
        Ok(Self(built))
    }

    /// Checks what [`CounterSigners::build`] would do, and has no key sign anything: the policies of which only a signature
    /// would tell whether certificates and formats fit the key.
    ///
    /// # Errors
    /// The setting that cannot be honoured.
    pub fn check(policies: &[Settings]) -> Result<Vec<&str>, SettingError> {
        let (mut open, mut keys) = (Vec::new(), HashMap::new());
        for (i, name, settings) in signing(policies) {
            let found = keys.entry((&settings.key, &settings.key_password_file)).or_insert_with(|| {
                let found = SigningKey::look_up(&settings.key, &|| password(settings));
                found.map(|key| key.map(Arc::new)).map_err(|e| unopened(settings, &e))
            });
            match found.clone().map_err(|e| within(e, i))? {
                Some(key) => {
                    CounterSigner::of(key, settings).map_err(|e| within(e, i))?;
                }
                None => open.push(name),
            }
        }
        Ok(open)
    }

    /// The key of that name as it is open.
    fn held(&self, settings: &CounterSign) -> Option<Arc<SigningKey>> {
        let same =
            |of: &CounterSign| of.key == settings.key && of.key_password_file == settings.key_password_file;
        self.0.values().find(|signer| same(&signer.settings)).map(|signer| Arc::clone(&signer.key))
    }

    pub(in crate::admission) fn of(&self, policy: &str) -> Option<Arc<CounterSigner>> {
        self.0.get(policy).cloned()
    }

    /// Of all keys with what is made with them, where there are any: decisions are made anew when one changes.
    pub fn revision(&self) -> Option<[u8; 32]> {
        let mut names: Vec<&str> = self.0.values().map(|signer| signer.name.as_str()).collect();
        names.sort_unstable();
        (!names.is_empty()).then(|| Sha256::digest(names.concat()).into())
    }
}

impl Gate {
    /// Who signs what it allows.
    pub fn counter_signers(&self) -> &CounterSigners {
        &self.0.counter_signers
    }

    /// Whether what it allows of a repository is signed here.
    pub fn counter_signs(&self, repository: &Repository) -> bool {
        let policy = self.0.policies.matching(repository);
        policy.is_some_and(|policy| self.0.counter_signers.of(policy.name()).is_some())
    }
}

/// The policies that counter-sign: their place, name, and how.
fn signing(policies: &[Settings]) -> impl Iterator<Item = (usize, &str, &CounterSign)> {
    let all = policies.iter().enumerate();
    all.filter_map(|(i, policy)| Some((i, policy.name.as_str(), policy.counter_sign.as_ref()?)))
}

fn within(fault: SettingError, policy: usize) -> SettingError {
    fault.under("counter_sign").under(policy.to_string()).under("policies")
}

fn open(settings: &CounterSign) -> Result<Arc<SigningKey>, KeyError> {
    SigningKey::open(&settings.key, &|| password(settings)).map(Arc::new)
}

/// The key that is open, where nobody answered for it: nothing was said against it.
fn held(
    before: Option<&CounterSigners>,
    settings: &CounterSign,
    error: &KeyError,
) -> Result<Arc<SigningKey>, SettingError> {
    let held = before.filter(|_| error.is_unanswered()).and_then(|before| before.held(settings));
    let held = held.ok_or_else(|| unopened(settings, error))?;
    let key = SigningKey::shown(&settings.key);
    tracing::warn!(key, %error, "nobody answers for the key; the one that is open goes on");
    Ok(held)
}

fn password(settings: &CounterSign) -> io::Result<Password> {
    match &settings.key_password_file {
        Some(path) => files::secret(path).map(Password::kept),
        None => Err(io::Error::other("it is encrypted: name its password's file in key_password_file")),
    }
}

fn unopened(settings: &CounterSign, why: &KeyError) -> SettingError {
    SettingError::new(["key"], format!("{}: {why}", SigningKey::shown(&settings.key)))
}
