//! Docker's `config.json`, as docker, podman, crane and others write it.

use std::collections::BTreeMap;

use base64::Engine as _;
use serde::Deserialize;

use super::{Login, MAX_FILE};
use crate::oci::repository::DOCKER_HUB;
use crate::upstream::settings::Secret;

/// The name under which Docker Hub's login is kept.
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";

/// The parts of the file that are about logins.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct DockerConfig {
    auths: BTreeMap<String, Auth>,
    creds_store: Option<String>,
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase", default)]
struct Auth {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

/// What the file says about a registry.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    Login(Login),
    /// `docker-credential-NAME` knows, asked for `key`.
    Helper {
        name: String,
        key: String,
    },
}

impl DockerConfig {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() as u64 > MAX_FILE {
            return Err(format!("has more than {MAX_FILE} bytes"));
        }
        serde_json::from_slice(bytes).map_err(|e| format!("is not a docker configuration: {e}"))
    }

    /// As docker looks logins up: the registry's helper, else the general one, else the file.
    pub(super) fn find(&self, server: &str) -> Result<Found, String> {
        let own_helper = self.cred_helpers.iter().find(|(key, _)| names(key, server)).map(|(_, name)| name);
        if let Some(name) = own_helper.or(self.creds_store.as_ref()).filter(|name| !name.is_empty()) {
            let key = if server == DOCKER_HUB { DOCKER_HUB_KEY } else { server };
            return Ok(Found::Helper { name: name.clone(), key: key.to_owned() });
        }
        let entry = self.auths.iter().find(|(key, _)| names(key, server)).map(|(_, auth)| auth);
        match entry.map(Auth::login).transpose()?.flatten() {
            Some(login) => Ok(Found::Login(login)),
            None => Ok(Found::Nothing),
        }
    }
}

/// Whether a key of the file means the registry: keys are hosts, or URLs of the first registry API.
fn names(key: &str, server: &str) -> bool {
    let bare = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let host = match bare.split_once('/') {
        Some((host, "" | "v1" | "v1/" | "v2" | "v2/")) => host,
        // podman keeps logins of single namespaces too: those are not for the whole registry.
        Some(_) => return false,
        None => bare,
    };
    let canonical = match host {
        "index.docker.io" | "registry-1.docker.io" => DOCKER_HUB,
        host => host,
    };
    canonical.eq_ignore_ascii_case(server)
}

impl Auth {
    fn login(&self) -> Result<Option<Login>, String> {
        let filled = |field: &Option<String>| field.clone().filter(|value| !value.is_empty());
        if let Some(token) = filled(&self.identitytoken) {
            return Ok(Some(Login::Identity(Secret::new(token))));
        }
        if let (Some(username), Some(password)) = (filled(&self.username), filled(&self.password)) {
            return Ok(Some(Login::Password { username, password: Secret::new(password) }));
        }
        let Some(auth) = filled(&self.auth) else { return Ok(None) };
        // Some writers leave the padding off.
        let decoded = base64::engine::general_purpose::STANDARD_NO_PAD.decode(auth.trim_end_matches('='));
        let text = decoded.ok().and_then(|bytes| String::from_utf8(bytes).ok());
        match text.as_deref().and_then(|text| text.split_once(':')) {
            Some((username, password)) => Ok(Some(Login::Password {
                username: username.to_owned(),
                // Docker's own old versions padded the password with zero bytes.
                password: Secret::new(password.trim_end_matches('\0')),
            })),
            None => Err("the docker configuration's auth is not base64 of name:password".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(config: &str, server: &str) -> Result<Found, String> {
        DockerConfig::parse(config.as_bytes()).unwrap().find(server)
    }

    fn ann() -> Found {
        Found::Login(Login::Password { username: "ann".into(), password: Secret::new("a:b") })
    }

    #[test]
    fn logins_are_found_by_host() {
        // ann:a:b
        let file = r#"{"auths":{"https://index.docker.io/v1/":{"auth":"YW5uOmE6Yg=="},"r.io:5000":{"auth":"YW5uOmE6Yg"},
            "q.io":{"identitytoken":"t","auth":"YW5uOmE6Yg=="},"q.io/team":{"auth":"YW5uOmE6Yg=="},"e.io":{},"b.io":{"auth":"x"}},
            "HttpHeaders":{"X":"y"}}"#;
        assert_eq!(find(file, "docker.io"), Ok(ann()));
        assert_eq!(find(file, "r.io:5000"), Ok(ann()));
        assert_eq!(find(file, "r.io"), Ok(Found::Nothing));
        assert_eq!(find(file, "q.io"), Ok(Found::Login(Login::Identity(Secret::new("t")))));
        assert_eq!(find(file, "e.io"), Ok(Found::Nothing));
        assert!(find(file, "b.io").is_err());
    }

    #[test]
    fn helpers_come_first() {
        let file = r#"{"auths":{"r.io":{"auth":"YW5uOmE6Yg=="}},"credsStore":"desktop","credHelpers":{"g.io":"gcloud"}}"#;
        let helper = |name: &str, key: &str| Ok(Found::Helper { name: name.into(), key: key.into() });
        assert_eq!(find(file, "g.io"), helper("gcloud", "g.io"));
        assert_eq!(find(file, "r.io"), helper("desktop", "r.io"));
        assert_eq!(find(file, "docker.io"), helper("desktop", "https://index.docker.io/v1/"));
    }
}
