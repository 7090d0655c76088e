//! The files that AWS' own tools share: profiles with keys, with roles, and with the region.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::super::{Credentials, Error};
use super::container::Container;
use super::instance;
use super::role::Role;
use super::source::{Source, pair};
use crate::egress::Environment;
use crate::trust::files;

/// A longer file is none of AWS'.
const MAX_FILE: u64 = 1 << 20;

/// What a profile may have instead of keys, and nobody is asked for here.
const UNASKED: [&str; 3] = ["sso_session", "sso_start_url", "credential_process"];

/// The profile that counts where none is named.
const DEFAULT: &str = "default";

type Section = BTreeMap<String, Zeroizing<String>>;

/// What both files have, by the name of each profile; the file of credentials counts more.
pub(super) struct Profiles(BTreeMap<String, Section>);

/// The region: variables, else the profile.
pub(in super::super) fn region(environment: Environment<'_>) -> Result<Option<String>, Error> {
    let mut variables = ["AWS_REGION", "AWS_DEFAULT_REGION"].into_iter().filter_map(environment);
    if let Some(region) = variables.find(|value| !value.is_empty()) {
        return Ok(Some(region));
    }
    let (name, profiles) = Profiles::read(environment)?;
    Ok(profiles.setting(&name, "region").map(str::to_owned))
}

impl Profiles {
    /// The name of the profile that counts, and all of them.
    pub(super) fn read(environment: Environment<'_>) -> Result<(String, Self), Error> {
        let set = |name: &str| environment(name).filter(|value| !value.is_empty());
        let name = set("AWS_PROFILE").unwrap_or_else(|| DEFAULT.to_owned());
        let place = |variable: &str, file: &str| {
            let home = || set("HOME").map(|home| PathBuf::from(home).join(".aws").join(file));
            set(variable).map(PathBuf::from).or_else(home)
        };
        let mut found = Self(BTreeMap::new());
        for (variable, file) in
            [("AWS_CONFIG_FILE", "config"), ("AWS_SHARED_CREDENTIALS_FILE", "credentials")]
        {
            if let Some(path) = place(variable, file) {
                let text = read(&path).map_err(|e| Error::Credentials(format!("{}: {e}", path.display())))?;
                found.add(&text);
            }
        }
        // Who names one does not want another's credentials.
        if name != DEFAULT && !found.0.contains_key(&name) {
            let expected = "expected its section in AWS_CONFIG_FILE, AWS_SHARED_CREDENTIALS_FILE or ~/.aws";
            return Err(Error::Credentials(format!(
                "no profile {name:?}, which AWS_PROFILE names: {expected}"
            )));
        }
        Ok((name, found))
    }

    /// Adds a file's; nested settings, which are indented, belong to others.
    fn add(&mut self, text: &str) {
        let mut section = None;
        for line in text.lines().filter(|line| !line.starts_with(['#', ';', ' ', '\t'])) {
            if let Some(title) = line.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                let name = title.trim();
                let name = name.strip_prefix("profile ").unwrap_or(name).trim();
                section = Some(self.0.entry(name.to_owned()).or_default());
            } else if let (Some(section), Some((key, value))) = (&mut section, line.split_once('=')) {
                section.insert(key.trim().to_ascii_lowercase(), Zeroizing::new(value.trim().to_owned()));
            }
        }
    }

    fn setting(&self, profile: &str, key: &str) -> Option<&str> {
        self.0.get(profile)?.get(key).map(|value| value.as_str()).filter(|value| !value.is_empty())
    }

    /// Who gives a profile's credentials; `None` where it has nothing about that.
    pub(super) fn source(
        &self,
        profile: &str,
        environment: Environment<'_>,
    ) -> Result<Option<Source>, Error> {
        self.source_beneath(profile, &mut Vec::new(), environment)
    }

    /// `above` are the profiles whose roles are taken on with this one's credentials.
    fn source_beneath<'a>(
        &'a self,
        profile: &'a str,
        above: &mut Vec<&'a str>,
        environment: Environment<'_>,
    ) -> Result<Option<Source>, Error> {
        let setting = |key: &str| self.setting(profile, key);
        let own = |key: &str| setting(key).map(str::to_owned);
        let Some(arn) = own("role_arn").filter(|_| !above.contains(&profile)) else {
            return self.keys(profile);
        };
        let wrong = |why: &str| Error::Credentials(format!("the profile {profile:?} has a role_arn {why}"));
        if setting("mfa_serial").is_some() {
            return Err(wrong("with mfa_serial: nobody is there to be asked for a code"));
        }
        let role = Role {
            arn,
            session: own("role_session_name"),
            external_id: own("external_id"),
            duration: own("duration_seconds"),
        };
        if let Some(token) = setting("web_identity_token_file") {
            return Ok(Some(Source::Identified(role, token.into())));
        }
        let from = match (setting("source_profile"), setting("credential_source")) {
            (Some(beneath), None) => {
                above.push(profile);
                self.source_beneath(beneath, above, environment)?
            }
            (None, Some("Environment")) => Source::keys(environment)?,
            (None, Some("EcsContainer")) => Container::find(environment)?.map(Source::Container),
            (None, Some("Ec2InstanceMetadata")) => instance::find(environment)?.map(Source::Instance),
            _ => {
                let expected =
                    "source_profile, credential_source (Environment, EcsContainer or Ec2InstanceMetadata)";
                return Err(wrong(&format!("without one of {expected} and web_identity_token_file")));
            }
        };
        let from = from.ok_or_else(|| wrong("and nothing that gives credentials to take it on with"))?;
        Ok(Some(Source::Assumed(role, Box::new(from))))
    }

    fn keys(&self, profile: &str) -> Result<Option<Source>, Error> {
        let own = |key: &str| self.setting(profile, key).map(str::to_owned);
        let place = format!("the profile {profile:?}");
        let both = pair(&place, ["aws_access_key_id", "aws_secret_access_key"], own)?;
        if let Some([access_key, secret]) = both {
            let (secret_key, token) = (Zeroizing::new(secret), own("aws_session_token").map(Zeroizing::new));
            return Ok(Some(Source::Keys(Credentials { access_key, secret_key, token, expires: None })));
        }
        match UNASKED.into_iter().find(|key| self.setting(profile, key).is_some()) {
            None => Ok(None),
            Some(key) => Err(Error::Credentials(format!(
                "the profile {profile:?} has {key}, which nobody is asked for here: set AWS_ACCESS_KEY_ID, \
                 AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN to what it gives"
            ))),
        }
    }
}

/// A file that may be absent.
fn read(path: &Path) -> std::io::Result<Zeroizing<String>> {
    let bytes = match files::read_within(path, MAX_FILE) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Zeroizing::default()),
        other => Zeroizing::new(other?.ok_or(std::io::ErrorKind::FileTooLarge)?),
    };
    let text = std::str::from_utf8(&bytes).map_err(|_| std::io::ErrorKind::InvalidData)?;
    Ok(Zeroizing::new(text.to_owned()))
}

#[cfg(test)]
mod tests;
