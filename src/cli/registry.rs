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
    /// The account at the registry that is written to, else at the one that is read; without it, and at any other
    /// registry, docker's own configuration is asked.
    #[arg(short = 'u', long, requires = "password_stdin")]
    username: Option<String>,
    /// Read the account's password from standard input.
    #[arg(long, requires = "username")]
    password_stdin: bool,
    /// A configuration: registries that are upstreams in it are reached as it says.
    #[arg(long = "registry-config", value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Registries, by one configuration, docker's login, and an account that was named at one of them.
pub(super) struct Registries {
    settings: Settings,
    insecure: bool,
    /// Counts before what is configured, at this one registry: no other is sent its password.
    account: Option<(Registry, upstream::Credentials)>,
    /// Counts after what is configured.
    docker: Option<upstream::Credentials>,
    metrics: Arc<Metrics>,
}

impl Flags {
    /// Reads the password, where one is to come, of an account at `home`, and the configuration.
    ///
    /// # Errors
    /// A password or a configuration that cannot be read.
    pub(super) fn registries(&self, home: &Registry) -> anyhow::Result<Registries> {
        let settings = match &self.config {
            Some(path) => settings(Some(path))?,
            None => Settings::built_in(),
        };
        Registries::of(settings, self.insecure, home, self.username.as_deref())
    }
}

impl Registries {
    /// By a configuration, over plain HTTP where that is said; at `home` in the name of an account, if one is given,
    /// whose password is on standard input.
    ///
    /// # Errors
    /// The password cannot be read.
    pub(super) fn of(
        settings: Settings,
        insecure: bool,
        home: &Registry,
        username: Option<&str>,
    ) -> anyhow::Result<Self> {
        let account =
            username.map(login::account).transpose()?.map(|credentials| (home.clone(), credentials));
        Ok(Self { settings, insecure, account, docker: login::docker_config(), metrics: Metrics::new() })
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
        let account = self.account.as_ref().filter(|(home, _)| home == registry);
        let account = account.map(|(_, credentials)| credentials.clone());
        upstream::Settings {
            url: url.or(configured.url),
            credentials: account.or(configured.credentials).or_else(|| self.docker.clone()),
            ..configured
        }
    }
}

fn wrong(registry: &Registry, fault: &SettingError) -> anyhow::Error {
    anyhow!("{registry}: {}", fault.message)
}
