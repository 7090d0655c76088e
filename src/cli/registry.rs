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

/// How one registry is reached, whatever is configured.
#[derive(clap::Args)]
#[group(skip)]
pub(super) struct Access {
    /// The account at the registry that is written to, else at the one that is read; without it, and at any other
    /// registry, the configuration's, else docker's.
    #[arg(short = 'u', long, requires = "password_stdin")]
    username: Option<String>,
    /// Read the account's password from standard input.
    #[arg(long, requires = "username")]
    password_stdin: bool,
}

#[derive(clap::Args)]
#[group(skip)]
pub(super) struct Flags {
    /// Ask registries over plain HTTP.
    #[arg(long)]
    insecure: bool,
    #[command(flatten)]
    access: Access,
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
        self.access.registries(settings, home, self.insecure)
    }
}

impl Access {
    /// Registries by a configuration, all over plain HTTP where `insecure`; at `home` in the name of the account, if one
    /// is given.
    ///
    /// # Errors
    /// The password cannot be read.
    pub(super) fn registries(
        &self,
        settings: Settings,
        home: &Registry,
        insecure: bool,
    ) -> anyhow::Result<Registries> {
        let credentials = self.username.as_deref().map(login::account).transpose()?;
        let account = credentials.map(|credentials| (home.clone(), credentials));
        let docker = login::docker_config();
        Ok(Registries { settings, insecure, account, docker, metrics: Metrics::new() })
    }
}

impl Registries {
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
