//! The settings of a Notary Project signer: `signers.NAME.notation`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::level::{Action, Level, Validation, VerifyTimestamp};
use super::statement::{Shelf, Statement, Terms};
use super::trust_policy::{TrustPolicy, policy_files, stores_of};
use crate::setting::SettingError;
use crate::signature::SignerName;
use crate::trust::store::{self, StoreName};

/// Either a signer of our own, or (`config_dir`) a folder of notation's configuration as it stands.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The trust stores, `ca:NAME`, `signingAuthority:NAME` or `tsa:NAME`: one or a list.
    #[serde(default)]
    pub trust_store: Option<OneOrMore>,
    /// The folder that holds `x509/`; `truststore` beside the configuration file by default.
    #[serde(default)]
    pub trust_store_dir: Option<PathBuf>,
    /// Who may sign: `x509.subject: C=…, ST=…, O=…`, or `*` for everybody whom the stores vouch for.
    #[serde(default)]
    pub trusted_identities: Vec<String>,
    /// What a failed validation does: `strict` (the default), `permissive`, `audit` or `skip`.
    #[serde(default)]
    pub level: Level,
    /// Exceptions from the level, by validation.
    #[serde(default, rename = "override")]
    pub overrides: BTreeMap<Validation, Action>,
    /// When timestamps are verified, where there is a `tsa:` store.
    #[serde(default)]
    pub verify_timestamp: Option<VerifyTimestamp>,
    /// A folder with `trustpolicy.oci.json` or `trustpolicy.json` and `truststore/`, which decide.
    #[serde(default)]
    pub config_dir: Option<PathBuf>,
    /// Annotations that must be signed with these values. Set by the command line alone.
    #[serde(skip)]
    pub annotations: BTreeMap<String, String>,
}

/// One name or a list of names.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum OneOrMore {
    /// One name.
    One(String),
    /// A list of names.
    More(Vec<String>),
}

impl OneOrMore {
    fn as_slice(&self) -> &[String] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::More(names) => names,
        }
    }
}

impl Settings {
    /// Makes paths absolute, `base` being the folder of the configuration file.
    pub fn resolve(&mut self, base: &Path) {
        match &mut self.config_dir {
            Some(dir) => *dir = base.join(&dir),
            None => {
                let dir = self.trust_store_dir.take().unwrap_or_else(|| PathBuf::from("truststore"));
                self.trust_store_dir = Some(base.join(dir));
            }
        }
    }

    /// The files and folders to watch.
    pub fn paths(&self) -> Vec<PathBuf> {
        let files = match &self.config_dir {
            Some(dir) => policy_files(dir),
            None => self.trust_store_dir.iter().cloned().collect(),
        };
        files.into_iter().chain(self.stores().into_iter().map(|(_, folder)| folder)).collect()
    }

    /// The trust stores that it names, or those that there are in the folder that decides, with their folders.
    pub fn stores(&self) -> Vec<(StoreName, PathBuf)> {
        let own = || self.trust_store.as_ref().map(OneOrMore::as_slice).unwrap_or_default();
        let (base, names) = match (&self.config_dir, &self.trust_store_dir) {
            // What cannot be read is reported by who judges by it.
            (Some(dir), _) => (stores_of(dir), store::all(&stores_of(dir)).unwrap_or_default()),
            (None, Some(dir)) => (dir.clone(), own().iter().filter_map(|name| name.parse().ok()).collect()),
            (None, None) => return Vec::new(),
        };
        names.into_iter().map(|name| (name.clone(), name.folder(&base))).collect()
    }

    pub(super) fn policy(&self, signer: &SignerName) -> Result<TrustPolicy, SettingError> {
        let Some(dir) = &self.config_dir else { return self.own_policy(signer) };
        let alone = Self {
            config_dir: self.config_dir.clone(),
            annotations: self.annotations.clone(),
            ..Self::default()
        };
        if *self != alone {
            let why = "the trust policy in config_dir decides; no other key may stand beside it";
            return Err(SettingError::new(["config_dir"], why));
        }
        TrustPolicy::read(dir).map_err(|e| e.under("config_dir"))
    }

    fn own_policy(&self, signer: &SignerName) -> Result<TrustPolicy, SettingError> {
        let terms = Terms {
            level: self.level,
            overrides: &self.overrides,
            verify_timestamp: self.verify_timestamp.unwrap_or_default(),
            trust_stores: self.trust_store.as_ref().map(OneOrMore::as_slice).unwrap_or_default(),
            trusted_identities: &self.trusted_identities,
            keeps_other_identities: false,
        };
        let base = self.trust_store_dir.clone().unwrap_or_else(|| PathBuf::from("truststore"));
        let statement = Statement::new(format!("signer {signer}"), &terms, &Shelf::Folder(&base));
        statement.map(TrustPolicy::single).map_err(|fault| self.as_written(fault))
    }

    /// A single name has no index.
    fn as_written(&self, mut fault: SettingError) -> SettingError {
        if matches!(self.trust_store, Some(OneOrMore::One(_)))
            && fault.path.first().is_some_and(|k| k == "trust_store")
        {
            fault.path.truncate(1);
        }
        fault
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str) -> Result<Settings, String> {
        serde_saphyr::from_str(yaml).map_err(|e| e.to_string())
    }

    fn fault(yaml: &str) -> SettingError {
        let mut settings = read(yaml).unwrap();
        settings.resolve(Path::new("/nowhere"));
        settings.policy(&SignerName("acme".into())).unwrap_err()
    }

    #[test]
    fn a_signer_is_written_as_in_a_statement() {
        let settings = read(
            "{trust_store: [ca:acme, tsa:acme], trusted_identities: ['*'], level: permissive, \
             override: {expiry: enforce, authenticTimestamp: log}, verify_timestamp: afterCertExpiry}",
        )
        .unwrap();
        assert_eq!(settings.level, Level::Permissive);
        assert_eq!(settings.overrides[&Validation::AuthenticTimestamp], Action::Log);
        assert!(settings.policy(&SignerName("acme".into())).is_ok());
        assert_eq!(read("{trust_store: ca:acme, trusted_identities: ['*']}").unwrap().level, Level::Strict);
        for bad in
            ["{trust_stores: ca:acme}", "{level: none}", "{override: {integrity: log}}", "{trust_store: 1}"]
        {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn faults_name_their_keys() {
        assert_eq!(fault("{trusted_identities: ['*']}").path, ["trust_store"]);
        assert_eq!(fault("{trust_store: acme, trusted_identities: ['*']}").path, ["trust_store"]);
        assert_eq!(fault("{trust_store: [acme], trusted_identities: ['*']}").path, ["trust_store", "0"]);
        assert_eq!(fault("{trust_store: ca:acme}").path, ["trusted_identities"]);
        assert_eq!(
            fault("{trust_store: ca:acme, trusted_identities: [x]}").path,
            ["trusted_identities", "0"]
        );
        let skip = "{trust_store: ca:acme, trusted_identities: ['*'], override: {expiry: skip}}";
        assert_eq!(fault(skip).path, ["override", "expiry"]);
        assert_eq!(fault("{config_dir: x, level: audit}").path, ["config_dir"]);
        assert_eq!(fault("{config_dir: x}").path, ["config_dir"]);
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let base = Path::new("/etc/portcullis");
        let mut own = read("{trust_store: ca:acme}").unwrap();
        own.resolve(base);
        assert_eq!(own.paths(), ["truststore", "truststore/x509/ca/acme"].map(|f| base.join(f)));
        let mut folder = read("{config_dir: notation}").unwrap();
        folder.resolve(base);
        let files = ["trustpolicy.oci.json", "trustpolicy.json", "truststore"];
        assert_eq!(folder.paths(), files.map(|f| base.join("notation").join(f)));
    }
}
