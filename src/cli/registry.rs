//! How a command reaches a registry: as the configuration says, else with docker's login or one that is given.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::anyhow;

use super::{login, settings};
use crate::config::Settings;
use crate::oci::Registry;
use crate::setting::SettingError;
use crate::telemetry::Metrics;
use crate::upstream::{self, Upstream, Writer};

#[derive(clap::Args)]
#[group(skip)]
pub(super) struct Flags {
    /// Ask the registry over plain HTTP.
    #[arg(long)]
    insecure: bool,
    /// The account at the registry; without it, docker's own configuration is asked.
    #[arg(short = 'u', long, requires = "password_stdin")]
    username: Option<String>,
    /// Read the account's password from standard input.
    #[arg(long, requires = "username")]
    password_stdin: bool,
    /// A configuration: registries that are upstreams in it are reached as it says.
    #[arg(long = "registry-config", value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Registries, by one configuration and one login.
pub(super) struct Registries {
    settings: Settings,
    insecure: bool,
    /// An account was named: it counts before configured ones, docker's login after them.
    is_named: bool,
    credentials: Option<upstream::Credentials>,
    metrics: Arc<Metrics>,
}

impl Flags {
    /// Reads the password, where one is to come, and the configuration.
    ///
    /// # Errors
    /// A password or a configuration that cannot be read.
    pub(super) fn registries(&self) -> anyhow::Result<Registries> {
        let settings = match &self.config {
            Some(path) => settings(Some(path))?,
            None => Settings::built_in(),
        };
        Registries::of(settings, self.insecure, self.username.as_deref())
    }
}

impl Registries {
    /// By a configuration, over plain HTTP where that is said, in the name of an account whose password is on standard input.
    ///
    /// # Errors
    /// The password cannot be read.
    pub(super) fn of(settings: Settings, insecure: bool, username: Option<&str>) -> anyhow::Result<Self> {
        let credentials = login::credentials(username)?;
        Ok(Self { settings, insecure, is_named: username.is_some(), credentials, metrics: Metrics::new() })
    }

    /// A registry to read from.
    pub(super) fn upstream(&self, registry: &Registry) -> anyhow::Result<Arc<Upstream>> {
        let settings = self.settings_of(registry);
        let made = Upstream::build(registry.clone(), &settings, &self.settings.egress, &self.metrics, None);
        made.map_err(|fault| wrong(registry, &fault))
    }

    /// A registry to write to.
    pub(super) fn writer(&self, registry: &Registry) -> anyhow::Result<Writer> {
        let settings = self.settings_of(registry);
        let made = Writer::build(registry, &settings, &self.settings.egress, &self.metrics);
        made.map_err(|fault| wrong(registry, &fault))
    }

    fn settings_of(&self, registry: &Registry) -> upstream::Settings {
        let configured = self.settings.upstreams.get(registry).cloned().unwrap_or_default();
        let url = self.insecure.then(|| format!("http://{registry}"));
        let known = configured.credentials.filter(|_| !self.is_named);
        upstream::Settings {
            url: url.or(configured.url),
            credentials: known.or_else(|| self.credentials.clone()),
            ..configured
        }
    }
}

fn wrong(registry: &Registry, fault: &SettingError) -> anyhow::Error {
    anyhow!("{registry}: {}", fault.message)
}
