//! The `trust` key of the configuration.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::revocation::Brought;
use super::tuf;
use crate::setting::{SettingError, duration};
use crate::x509::PublicKey;

/// Where CRLs that were carried in by hand lie, beside the configuration file.
const CRLS: &str = "trust/crls";

/// What is known of revoked certificates, and for how long; where sigstore's trusted root comes from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The folder of CRLs that were carried in by hand. It may be absent: there are none then.
    /// Default: `trust/crls` beside the file.
    pub crls: Option<PathBuf>,
    /// A fetched answer younger than this is used without asking again; an older one is used until
    /// its own end where nobody answers.
    #[serde(with = "duration")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub revocation_ttl: Duration,
    /// For so long after their end, answers that say nothing of a revocation are believed still.
    #[serde(with = "duration")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub dangerous_revocation_grace: Duration,
    /// Where sigstore's trusted root comes from, and where it is kept.
    pub tuf: tuf::Settings,
    /// Public keys, one of which must have signed the contents of what is imported. Without any, whoever imports
    /// may name some.
    pub import_keys: Vec<PathBuf>,
    /// Answers that are taken instead of asking anybody. Set while something is imported alone.
    #[serde(skip)]
    pub brought: Option<Brought>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            crls: None,
            revocation_ttl: Duration::from_secs(3600),
            dangerous_revocation_grace: Duration::ZERO,
            tuf: tuf::Settings::default(),
            import_keys: Vec::new(),
            brought: None,
        }
    }
}

impl Settings {
    /// Makes paths absolute, from `base`.
    pub fn resolve(&mut self, base: &Path) {
        let folder = self.crls.take().unwrap_or_else(|| PathBuf::from(CRLS));
        self.crls = Some(base.join(folder));
        self.import_keys.iter_mut().for_each(|path| *path = base.join(&path));
        self.tuf.resolve(base);
    }

    /// The folder and the files to watch.
    pub fn paths(&self) -> Vec<PathBuf> {
        let files = self.crls.iter().chain(&self.import_keys).chain(&self.tuf.root).cloned();
        files.chain(self.trusted_root()).collect()
    }

    /// Reads the keys that must have signed what is imported.
    ///
    /// # Errors
    /// The first that cannot be read, from the file's root on.
    pub fn read_import_keys(&self) -> Result<Vec<PublicKey>, SettingError> {
        let read = |(at, path): (usize, &PathBuf)| {
            super::public_key(path).map_err(|why| {
                let at = at.to_string();
                SettingError::new(["trust", "import_keys", &at], why.to_string())
            })
        };
        self.import_keys.iter().enumerate().map(read).collect()
    }

    /// The trusted root of signers that name none of their own; without it, the one that is built in.
    pub fn trusted_root(&self) -> Option<PathBuf> {
        self.tuf.trusted_root()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crls_lie_beside_the_file_unless_told_elsewhere() {
        let mut settings = Settings::default();
        settings.resolve(Path::new("/etc/portcullis"));
        assert_eq!(settings.paths(), [Path::new("/etc/portcullis/trust/crls")]);
        let mut elsewhere = Settings { crls: Some("/srv/crls".into()), ..Settings::default() };
        elsewhere.resolve(Path::new("/etc/portcullis"));
        assert_eq!(elsewhere.paths(), [Path::new("/srv/crls")]);
    }
}
