//! The `trust.tuf` key of the configuration.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use url::Url;

use super::target::TRUSTED_ROOT;
use crate::egress::Origin;
use crate::setting::SettingError;

/// The public sigstore instance.
const PUBLIC: &str = "https://tuf-repo-cdn.sigstore.dev";

/// Where sigstore's trusted root comes from, and where it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The TUF repository that `portcullis trust update` asks: sigstore's, or a mirror of it.
    pub url: String,
    /// The root that its signatures are judged by to begin with. Default: the public instance's.
    pub root: Option<PathBuf>,
    /// The folder that `portcullis trust update` writes to: the trusted root in it takes the place of
    /// the one that is built in.
    pub path: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { url: PUBLIC.to_owned(), root: None, path: None }
    }
}

impl Settings {
    /// Makes paths absolute, from `base`.
    pub fn resolve(&mut self, base: &Path) {
        for path in [&mut self.root, &mut self.path].into_iter().flatten() {
            *path = base.join(&*path);
        }
    }

    /// The trusted root that takes the place of the one that is built in.
    pub fn trusted_root(&self) -> Option<PathBuf> {
        self.path.as_ref().map(|folder| folder.join(TRUSTED_ROOT))
    }

    /// Where the repository is; relative URLs start from it.
    ///
    /// # Errors
    /// It is no web address, or holds what does not belong there.
    pub fn base(&self) -> Result<(Url, Origin), SettingError> {
        let text = &self.url;
        let wrong = |why: &str| SettingError::new(["url"], format!("expected {why}, found {text:?}"));
        let mut url = Url::parse(text).map_err(|_| wrong("a URL such as https://host/path"))?;
        let origin = Origin::of(&url).ok_or_else(|| wrong("https:// or http://"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(SettingError::new(
                ["url"],
                "expected a URL without a login: the repository is public",
            ));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("scheme, host and path alone"));
        }
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        Ok((url, origin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(url: &str) -> Result<String, SettingError> {
        let settings = Settings { url: url.to_owned(), ..Settings::default() };
        settings.base().map(|(url, _)| url.to_string())
    }

    #[test]
    fn a_repository_is_a_web_address_with_or_without_a_path() {
        assert_eq!(base(PUBLIC).unwrap(), "https://tuf-repo-cdn.sigstore.dev/");
        assert_eq!(base("http://mirror.corp:8080/sigstore").unwrap(), "http://mirror.corp:8080/sigstore/");
        for wrong in
            ["tuf.corp", "ftp://tuf.corp", "https://u:p@tuf.corp", "https://tuf.corp/?a", "https://t#x", ""]
        {
            assert_eq!(base(wrong).unwrap_err().path, ["url"], "{wrong}");
        }
    }

    #[test]
    fn the_folder_holds_the_trusted_root() {
        let mut settings = Settings { path: Some("trust/sigstore".into()), ..Settings::default() };
        settings.resolve(Path::new("/etc/portcullis"));
        assert_eq!(
            settings.trusted_root().unwrap(),
            Path::new("/etc/portcullis/trust/sigstore/trusted_root.json")
        );
        assert_eq!(Settings::default().trusted_root(), None);
    }
}
