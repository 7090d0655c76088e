//! Trust policies: `trustpolicy.oci.json` and `trustpolicy.json`, version 1.0, as operators already
//! have them (trust-store-trust-policy, "OCI Trust Policy").

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error as WordError, StrDeserializer};
use sha2::{Digest as _, Sha256};

use super::level::{Action, Level, Validation, VerifyTimestamp};
use super::scope::Scope;
use super::statement::{Statement, Terms};
use crate::oci::{Repository, json};
use crate::setting::SettingError;
use crate::x509::Certificate;

/// The files that are looked for, the first that exists being read.
const FILES: [&str; 2] = ["trustpolicy.oci.json", "trustpolicy.json"];
/// The folder that holds `x509/`, beside them.
const STORES: &str = "truststore";
/// The largest file that is read.
const MAX_FILE: u64 = 1024 * 1024;

/// The files and folders that a folder of notation's configuration is read from, there or not: what to
/// watch for changes.
pub fn policy_files(dir: &Path) -> Vec<PathBuf> {
    FILES.iter().map(|f| dir.join(f)).chain([dir.join(STORES)]).collect()
}

/// Statements by scope.
#[derive(Debug)]
pub(super) struct TrustPolicy {
    /// What reports call it.
    pub(super) source: String,
    statements: Vec<(Vec<Scope>, Statement)>,
}

impl TrustPolicy {
    /// When the first certificate of all trust stores ends.
    pub(super) fn trust_ends(&self) -> Option<SystemTime> {
        let checks = self.statements.iter().filter_map(|(_, statement)| statement.checks.as_ref());
        let stores = checks.flat_map(|checks| &checks.stores);
        stores.flat_map(|store| &store.certificates).map(Certificate::not_after).min()
    }

    /// Whether some statement enforces what is not verified yet.
    pub(super) fn asks_for_revocation(&self) -> bool {
        let checks = self.statements.iter().filter_map(|(_, statement)| statement.checks.as_ref());
        checks.into_iter().any(|checks| checks.actions.revocation == Action::Enforce)
    }

    /// One statement for every repository.
    pub(super) fn single(statement: Statement) -> Self {
        Self { source: statement.name.clone(), statements: vec![(vec![Scope::Global], statement)] }
    }

    /// Reads the policy and the trust stores in a folder of notation's configuration.
    ///
    /// # Errors
    /// No policy file, or one that breaks a rule; the message names file, statement and field.
    pub(super) fn read(dir: &Path) -> Result<Self, SettingError> {
        let (path, bytes) = find(dir)?;
        Self::parse(&path.display().to_string(), &bytes, &dir.join(STORES))
            .map_err(|why| SettingError::here(format!("{}: {why}", path.display())))
    }

    fn parse(source: &str, bytes: &[u8], stores: &Path) -> Result<Self, String> {
        let document: Document = json::strict(bytes).map_err(|e| e.to_string())?;
        match document.version.as_str() {
            "1.0" => {}
            other => return Err(format!("version: {other:?} is not read; it must be \"1.0\"")),
        }
        if document.trust_policies.is_empty() {
            return Err("trustPolicies: there is no statement".to_owned());
        }
        let mut names = HashSet::new();
        let mut scopes = HashSet::new();
        let mut statements = Vec::new();
        for (at, raw) in document.trust_policies.iter().enumerate() {
            let place = format!("trustPolicies[{at}]");
            if raw.name.is_empty() {
                return Err(format!("{place}.name: a statement has a name"));
            }
            if !names.insert(raw.name.as_str()) {
                return Err(format!("{place}.name: {:?} is another statement's name already", raw.name));
            }
            let within = |fault: String| format!("statement {:?}: {place}.{fault}", raw.name);
            statements.push(raw.read(&mut scopes, stores).map_err(within)?);
        }
        Ok(Self { source: source.to_owned(), statements })
    }

    /// The statement for a repository: the one with the most specific scope that covers it.
    pub(super) fn statement(&self, repository: &Repository) -> Option<&Statement> {
        let covering = self.statements.iter().filter_map(|(scopes, statement)| {
            scopes.iter().filter(|s| s.covers(repository)).max().map(|scope| (scope, statement))
        });
        covering.max_by_key(|(scope, _)| *scope).map(|(_, statement)| statement)
    }

    /// Adds all that its answers depend on to a hash.
    pub(super) fn hash_into(&self, hash: &mut Sha256) {
        for (scopes, statement) in &self.statements {
            for scope in scopes {
                hash.update(scope.to_string());
                hash.update([0]);
            }
            hash.update([0]);
            statement.hash_into(hash);
        }
    }
}

fn find(dir: &Path) -> Result<(PathBuf, Vec<u8>), SettingError> {
    for file in FILES {
        let path = dir.join(file);
        let unreadable = |e: io::Error| SettingError::here(format!("{}: {e}", path.display()));
        let file = match fs::File::open(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            file => file.map_err(unreadable)?,
        };
        let mut bytes = Vec::new();
        file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(SettingError::here(format!("{}: more than 1 MiB", path.display())));
        }
        return Ok((path, bytes));
    }
    Err(SettingError::here(format!("{}: neither {} nor {} is there", dir.display(), FILES[0], FILES[1])))
}

/// Unknown fields are left alone, as by every reader of these files.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    #[serde(default)]
    version: String,
    #[serde(default)]
    trust_policies: Vec<RawStatement>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawStatement {
    #[serde(default)]
    name: String,
    #[serde(default)]
    registry_scopes: Vec<String>,
    #[serde(default)]
    signature_verification: RawVerification,
    #[serde(default)]
    trust_stores: Vec<String>,
    #[serde(default)]
    trusted_identities: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawVerification {
    #[serde(default)]
    level: String,
    #[serde(default, rename = "override")]
    overrides: BTreeMap<String, String>,
    #[serde(default)]
    verify_timestamp: Option<String>,
}

impl RawStatement {
    fn read(&self, taken: &mut HashSet<Scope>, stores: &Path) -> Result<(Vec<Scope>, Statement), String> {
        let scopes = self.scopes(taken)?;
        let verification = &self.signature_verification;
        let level = word(&verification.level).map_err(|e| format!("signatureVerification.level: {e}"))?;
        let mut overrides = BTreeMap::new();
        for (validation, action) in &verification.overrides {
            let fault = |e: String| format!("signatureVerification.override.{validation}: {e}");
            overrides.insert(word::<Validation>(validation).map_err(fault)?, word(action).map_err(fault)?);
        }
        let verify_timestamp = match verification.verify_timestamp.as_deref() {
            None | Some("") => VerifyTimestamp::default(),
            Some(text) => word(text).map_err(|e| format!("signatureVerification.verifyTimestamp: {e}"))?,
        };
        // "Note that `skip` cannot be used with a global scope": it would admit everything unseen.
        if level == Level::Skip && scopes.contains(&Scope::Global) {
            return Err("signatureVerification.level: skip cannot be used with the scope \"*\"".to_owned());
        }
        let terms = Terms {
            level,
            overrides: &overrides,
            verify_timestamp,
            trust_stores: &self.trust_stores,
            trusted_identities: &self.trusted_identities,
        };
        Ok((scopes, Statement::new(self.name.clone(), &terms, stores).map_err(in_files_words)?))
    }

    fn scopes(&self, taken: &mut HashSet<Scope>) -> Result<Vec<Scope>, String> {
        if self.registry_scopes.is_empty() {
            return Err("registryScopes: name at least one repository, or \"*\"".to_owned());
        }
        let mut scopes = Vec::new();
        for (at, text) in self.registry_scopes.iter().enumerate() {
            let fault = |why: &str| format!("registryScopes[{at}]: {why}");
            let scope = Scope::parse(text).map_err(|e| fault(&e))?;
            if scope == Scope::Global && self.registry_scopes.len() > 1 {
                return Err(fault("\"*\" stands alone or not at all"));
            }
            if !taken.insert(scope.clone()) {
                return Err(fault(&format!(
                    "{scope} stands in the policy twice; one statement applies to it"
                )));
            }
            scopes.push(scope);
        }
        Ok(scopes)
    }
}

/// Reads one word of a closed set.
fn word<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, String> {
    let word: StrDeserializer<'_, WordError> = text.into_deserializer();
    T::deserialize(word).map_err(|e| e.to_string())
}

/// A fault of the terms, in the field names of the file.
fn in_files_words(fault: SettingError) -> String {
    let mut field = String::new();
    for key in &fault.path {
        match key.as_str() {
            "trust_store" => field.push_str("trustStores"),
            "trusted_identities" => field.push_str("trustedIdentities"),
            "level" | "override" => field.push_str(&format!("signatureVerification.{key}")),
            index if index.bytes().all(|b| b.is_ascii_digit()) => field.push_str(&format!("[{index}]")),
            other => field.push_str(&format!(".{other}")),
        }
    }
    format!("{field}: {}", fault.message)
}

#[cfg(test)]
mod tests;
