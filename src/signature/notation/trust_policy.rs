//! Trust policies: `trustpolicy.oci.json` and `trustpolicy.json`, version 1.0, as operators already
//! have them (trust-store-trust-policy, "OCI Trust Policy").

mod document;

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};

use super::scope::Scope;
use super::statement::{Shelf, Statement};
use crate::oci::Repository;
use crate::setting::SettingError;
use crate::trust::files::read_within;
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
    FILES.iter().map(|f| dir.join(f)).chain([stores_of(dir)]).collect()
}

/// The folder of a configuration's trust stores.
pub(super) fn stores_of(dir: &Path) -> PathBuf {
    dir.join(STORES)
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
        Self::parse(&path.display().to_string(), &bytes, &Shelf::Folder(&dir.join(STORES)))
            .map_err(|why| SettingError::here(format!("{}: {why}", path.display())))
    }

    /// Reads a policy, and its trust stores from the shelf.
    ///
    /// # Errors
    /// The rule that is broken, with statement and field.
    pub(super) fn parse(source: &str, bytes: &[u8], shelf: &Shelf<'_>) -> Result<Self, String> {
        let mut warnings = Vec::new();
        let statements = document::statements(bytes, shelf, &mut warnings)?;
        for warning in warnings {
            tracing::warn!("{source}: {warning}");
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
        let read = match read_within(&path, MAX_FILE) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            read => read.map_err(unreadable)?,
        };
        return match read {
            Some(bytes) => Ok((path, bytes)),
            None => Err(SettingError::here(format!("{}: more than 1 MiB", path.display()))),
        };
    }
    Err(SettingError::here(format!("{}: neither {} nor {} is there", dir.display(), FILES[0], FILES[1])))
}

#[cfg(test)]
mod tests;
