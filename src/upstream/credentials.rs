//! Where logins come from. They are read when a token is wanted, so a changed file counts at once.

mod docker_config;
mod helper;

use std::path::{Path, PathBuf};

use tokio::io::AsyncReadExt as _;

use super::settings::{self, Secret};
use crate::setting::SettingError;

use docker_config::{DockerConfig, Found};
use helper::Helpers;

/// A file with a password or Docker's configuration holds at most so many bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// A login at one registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Login {
    /// An account's name and password.
    Password { username: String, password: Secret },
    /// A token that stands for the account (an OAuth2 refresh token).
    Identity(Secret),
}

/// Where a registry's login comes from.
#[derive(Debug)]
pub(super) enum Source {
    Anonymous,
    Given { username: String, password: Secret },
    File { username: String, path: PathBuf },
    Docker { path: PathBuf, helpers: Helpers },
}

impl Source {
    /// Checks that the login is complete and its file readable.
    ///
    /// # Errors
    /// Which key is missing, too many, or names a file that cannot be used.
    pub(super) fn new(
        settings: Option<&settings::Credentials>,
        search_path: Option<String>,
    ) -> Result<Self, SettingError> {
        let Some(settings) = settings else { return Ok(Self::Anonymous) };
        let settings::Credentials { username, password, password_file, docker_config } = settings.clone();
        match (username, password, password_file, docker_config) {
            (Some(username), Some(password), None, None) => Ok(Self::Given { username, password }),
            (Some(username), None, Some(path), None) => {
                let readable = std::fs::read(&path).map_err(|e| e.to_string()).and_then(|b| password_in(&b));
                readable
                    .map_err(|e| SettingError::new(["password_file"], format!("{}: {e}", path.display())))?;
                Ok(Self::File { username, path })
            }
            (None, None, None, Some(path)) => {
                let readable = std::fs::read(&path).map_err(|e| e.to_string());
                readable
                    .and_then(|b| DockerConfig::parse(&b))
                    .map_err(|e| SettingError::new(["docker_config"], format!("{}: {e}", path.display())))?;
                Ok(Self::Docker { path, helpers: Helpers::new(search_path) })
            }
            _ => Err(SettingError::here(
                "expected either username with one of password_file and password, or docker_config alone",
            )),
        }
    }

    /// What to look at where `server` refused the login, or found `none`; nothing where none is configured.
    pub(super) fn refused(&self, none: bool, server: &str) -> Option<String> {
        match self {
            Self::Anonymous => None,
            Self::Given { .. } | Self::File { .. } => Some("the configured account was refused".to_owned()),
            Self::Docker { path, .. } if none => {
                Some(format!("docker_config {} has no entry for {server}", path.display()))
            }
            Self::Docker { path, .. } => {
                Some(format!("the account of docker_config {} for {server} was refused", path.display()))
            }
        }
    }

    /// Where a name and a password for `server` are missing.
    pub(super) fn missing(&self, server: &str) -> String {
        match self {
            Self::Docker { path, .. } => format!("docker_config {} has none for {server}", path.display()),
            _ => "none are configured".to_owned(),
        }
    }

    /// The login for `server`, as files and helpers give it now.
    ///
    /// # Errors
    /// What cannot be read; a login that is configured but missing is never taken for "anonymous".
    pub(super) async fn login(&self, server: &str) -> Result<Option<Login>, String> {
        match self {
            Self::Anonymous => Ok(None),
            Self::Given { username, password } => {
                Ok(Some(Login::Password { username: username.clone(), password: password.clone() }))
            }
            Self::File { username, path } => {
                let password =
                    password_in(&read(path).await?).map_err(|e| format!("{}: {e}", path.display()))?;
                Ok(Some(Login::Password { username: username.clone(), password }))
            }
            Self::Docker { path, helpers } => {
                let config = DockerConfig::parse(&read(path).await?)
                    .map_err(|e| format!("{}: {e}", path.display()))?;
                match config.find(server)? {
                    Found::Nothing => Ok(None),
                    Found::Login(login) => Ok(Some(login)),
                    Found::Helper { name, key } => helpers.ask(&name, &key).await,
                }
            }
        }
    }
}

/// The password in a file: all of it but the line's end that editors add.
fn password_in(bytes: &[u8]) -> Result<Secret, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())?;
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err("is empty".to_owned()),
        password => Ok(Secret::new(password)),
    }
}

async fn read(path: &Path) -> Result<Vec<u8>, String> {
    let fault = |e: std::io::Error| format!("{}: {e}", path.display());
    let mut bytes = Vec::new();
    let file = tokio::fs::File::open(path).await.map_err(fault)?;
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).await.map_err(fault)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(format!("{}: has more than {MAX_FILE} bytes", path.display()));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> settings::Credentials {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn half_a_login_is_refused() {
        for bad in [
            "{}",
            r#"{"username":"a"}"#,
            r#"{"password":"a"}"#,
            r#"{"username":"a","docker_config":"/x"}"#,
            r#"{"username":"a","password":"b","password_file":"/x"}"#,
        ] {
            assert!(Source::new(Some(&settings(bad)), None).unwrap_err().path.is_empty(), "{bad}");
        }
        let missing = settings(r#"{"username":"a","password_file":"/nowhere/x"}"#);
        assert_eq!(Source::new(Some(&missing), None).unwrap_err().path, ["password_file"]);
        let missing = settings(r#"{"docker_config":"/nowhere/x"}"#);
        assert_eq!(Source::new(Some(&missing), None).unwrap_err().path, ["docker_config"]);
    }

    #[tokio::test]
    async fn a_password_file_is_read_each_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        std::fs::write(&path, "one\n").unwrap();
        let text = format!(r#"{{"username":"ann","password_file":{path:?}}}"#);
        let source = Source::new(Some(&settings(&text)), None).unwrap();
        for word in ["one", "two"] {
            std::fs::write(&path, format!("{word}\n")).unwrap();
            let expected = Login::Password { username: "ann".into(), password: Secret::new(word) };
            assert_eq!(source.login("x.io").await, Ok(Some(expected)));
        }
        std::fs::remove_file(&path).unwrap();
        assert!(source.login("x.io").await.is_err(), "never anonymous by accident");
    }

    #[test]
    fn secrets_are_not_shown() {
        let shown = format!("{:?}", settings(r#"{"username":"a","password":"hunter2"}"#));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
