//! One statement of a trust policy, or one signer of our configuration: the same terms.

use std::collections::BTreeMap;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::identity::Identities;
use super::level::{Action, Actions, Level, Validation, VerifyTimestamp};
use crate::setting::SettingError;
use crate::signature::Strength;
use crate::trust::store::{self, Kind, StoreName};
use crate::x509::Certificate;

/// The terms as they are written. A fault names them by the keys of our configuration.
pub(super) struct Terms<'a> {
    pub(super) level: Level,
    pub(super) overrides: &'a BTreeMap<Validation, Action>,
    pub(super) verify_timestamp: VerifyTimestamp,
    pub(super) trust_stores: &'a [String],
    pub(super) trusted_identities: &'a [String],
    /// Whether identities that only plugins understand may stand among them: they match nobody.
    pub(super) keeps_other_identities: bool,
}

/// Where trust stores are read from.
pub(super) enum Shelf<'a> {
    /// The folder that holds `x509/`.
    Folder(&'a Path),
    /// Nowhere: all are empty. For judging a policy's own text.
    Nowhere,
}

impl Shelf<'_> {
    fn read(&self, name: &StoreName) -> Result<(store::TrustStore, String), store::Error> {
        match self {
            Self::Folder(base) => Ok((store::read(base, name)?, name.folder(base).display().to_string())),
            Self::Nowhere => Ok((store::TrustStore::default(), String::new())),
        }
    }
}

/// What one statement wants of a signature.
#[derive(Debug)]
pub(super) struct Statement {
    /// What reports call it.
    pub(super) name: String,
    level: String,
    /// `None`: nothing is checked.
    pub(super) checks: Option<Checks>,
}

/// What is checked, and against what.
#[derive(Debug)]
pub(super) struct Checks {
    pub(super) actions: Actions,
    pub(super) verify_timestamp: VerifyTimestamp,
    pub(super) stores: Vec<Store>,
    pub(super) identities: Identities,
}

/// A named store and its certificates.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) name: StoreName,
    pub(super) place: String,
    pub(super) certificates: Vec<Certificate>,
}

impl Statement {
    /// Checks the terms and reads their trust stores.
    ///
    /// # Errors
    /// The term that cannot be honoured.
    pub(super) fn new(name: String, terms: &Terms<'_>, shelf: &Shelf<'_>) -> Result<Self, SettingError> {
        let Some(actions) = Actions::new(terms.level, terms.overrides)? else {
            return match (terms.trust_stores, terms.trusted_identities) {
                ([], []) => Ok(Self { name, level: described(terms), checks: None }),
                _ => Err(SettingError::new(
                    ["level"],
                    "skip checks nothing: trust stores and identities beside it would have no effect",
                )),
            };
        };
        let stores = stores(terms.trust_stores, shelf)?;
        let identities = Identities::parse(terms.trusted_identities, terms.keeps_other_identities).map_err(
            |(at, why)| {
                let path = ["trusted_identities".to_owned()].into_iter().chain(at.map(|at| at.to_string()));
                SettingError::new(path, why)
            },
        )?;
        let checks = Checks { actions, verify_timestamp: terms.verify_timestamp, stores, identities };
        Ok(Self { name, level: described(terms), checks: Some(checks) })
    }

    /// How much it insists on, in words: the level with what overrides it.
    pub(super) fn level(&self) -> String {
        self.level.clone()
    }

    /// How much it insists on.
    pub(super) fn strength(&self) -> Strength {
        match &self.checks {
            None => Strength::Skipped,
            Some(checks) if checks.actions.authenticity == Action::Enforce => Strength::Enforced,
            Some(_) => Strength::Logged,
        }
    }

    /// Adds all that its answers depend on to a hash.
    pub(super) fn hash_into(&self, hash: &mut Sha256) {
        let Some(checks) = &self.checks else { return hash.update([0]) };
        // Debug text of closed enums: a change of their names is a change of the rules.
        let terms = format!("{:?} {:?} {}", checks.actions, checks.verify_timestamp, checks.identities);
        hash.update((terms.len() as u64).to_be_bytes());
        hash.update(terms);
        for store in &checks.stores {
            let name = store.name.to_string();
            hash.update((name.len() as u64).to_be_bytes());
            hash.update(name);
            hash.update((store.certificates.len() as u64).to_be_bytes());
            store.certificates.iter().for_each(|c| hash.update(c.fingerprint()));
        }
    }
}

impl Checks {
    /// The stores of one type.
    pub(super) fn stores_of(&self, kind: Kind) -> impl Iterator<Item = &Store> {
        self.stores.iter().filter(move |s| s.name.kind() == kind)
    }
}

/// `strict`, or `strict with expiry: log`.
fn described(terms: &Terms<'_>) -> String {
    let changes: Vec<String> = terms
        .overrides
        .iter()
        .map(|(validation, action)| format!("{}: {}", validation.as_str(), action.as_str()))
        .collect();
    match changes.as_slice() {
        [] => terms.level.as_str().to_owned(),
        changes => format!("{} with {}", terms.level.as_str(), changes.join(", ")),
    }
}

fn stores(names: &[String], shelf: &Shelf<'_>) -> Result<Vec<Store>, SettingError> {
    if names.is_empty() {
        let why = "name the trust store that the certificates are in, such as ca:acme";
        return Err(SettingError::new(["trust_store"], why));
    }
    let mut stores: Vec<Store> = Vec::new();
    for (at, text) in names.iter().enumerate() {
        let fault = |why: String| SettingError::new(["trust_store".to_owned(), at.to_string()], why);
        let name: StoreName = text.parse().map_err(|e| fault(format!("{text:?}: {e}")))?;
        // Naming a store twice is harmless and the specification does not forbid it.
        if stores.iter().any(|s| s.name == name) {
            continue;
        }
        let (read, place) = shelf.read(&name).map_err(|e| fault(e.to_string()))?;
        for warning in &read.warnings {
            tracing::warn!("trust store {name}: {warning}");
        }
        stores.push(Store { name, place, certificates: read.certificates });
    }
    Ok(stores)
}
