//! In whose name a command asks a registry.

use std::io::Read as _;
use std::path::PathBuf;

use anyhow::{Context as _, bail};

use crate::upstream::{Credentials, Secret};

/// A longer password is none.
const MAX_PASSWORD: u64 = 64 * 1024;

/// A given name with the password on standard input, else what docker knows, else nobody.
///
/// # Errors
/// A password that cannot be read.
pub(super) fn credentials(username: Option<&str>) -> anyhow::Result<Option<Credentials>> {
    username.map_or_else(|| Ok(docker_config()), |name| account(name).map(Some))
}

/// A name with the password on standard input.
///
/// # Errors
/// A password that cannot be read.
pub(super) fn account(username: &str) -> anyhow::Result<Credentials> {
    let password = Secret::new(password()?);
    let (username, password) = (Some(username.to_owned()), Some(password));
    Ok(Credentials { username, password, ..Credentials::default() })
}

fn password() -> anyhow::Result<String> {
    let mut text = String::new();
    let input = std::io::stdin().lock().take(MAX_PASSWORD + 1);
    { input }.read_to_string(&mut text).context("the password on standard input")?;
    match text.trim_end_matches(['\r', '\n']) {
        "" => bail!("the password on standard input is empty"),
        long if long.len() as u64 > MAX_PASSWORD => bail!("the password on standard input is too long"),
        password => Ok(password.to_owned()),
    }
}

/// `$DOCKER_CONFIG/config.json`, by default in `~/.docker`, where there is one.
pub(super) fn docker_config() -> Option<Credentials> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = set("DOCKER_CONFIG").or_else(|| Some(set("HOME")?.join(".docker")))?;
    let file = folder.join("config.json");
    file.exists().then(|| Credentials { docker_config: Some(file), ..Credentials::default() })
}
