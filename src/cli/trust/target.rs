//! Which place is meant: a signer's of a configuration, or a folder or file by its path.

use std::path::PathBuf;

use anyhow::{Context as _, bail};

use crate::config::Settings;
use crate::signature::SignerName;
use crate::signature::anchors::NamedPlace;
use crate::trust::Place;

#[derive(Clone, clap::Args)]
pub(super) struct Target {
    /// The configuration file; without one, the built-in defaults.
    #[arg(long, value_name = "FILE", env = crate::cli::CONFIG, value_parser = crate::cli::config_file())]
    pub(super) config: Option<PathBuf>,
    /// The signer whose certificates or keys are meant.
    #[arg(long, value_name = "NAME")]
    pub(super) signer: Option<String>,
    /// The one of its settings that is meant, where several name a place: nv2.ca_certificates
    #[arg(long, value_name = "KEY", requires = "signer")]
    pub(super) setting: Option<String>,
    /// A folder of certificates, a trust store (…/x509/TYPE/NAME), or the file of a key, instead of a signer's.
    #[arg(long, value_name = "PATH", conflicts_with = "signer")]
    pub(super) folder: Option<PathBuf>,
}

impl Target {
    /// The configuration; with a folder none is needed, and its egress rules hold all the same.
    pub(super) fn settings(&self) -> anyhow::Result<Settings> {
        Ok(crate::cli::settings(self.config.as_deref())?)
    }

    /// The places that are meant.
    pub(super) fn places(&self, settings: &Settings) -> anyhow::Result<Vec<NamedPlace>> {
        match (&self.folder, &self.signer) {
            (Some(path), _) => {
                let path = std::path::absolute(path).with_context(|| path.display().to_string())?;
                Ok(vec![NamedPlace { key: "--folder", place: Place::of(&path) }])
            }
            (None, Some(name)) => self.of_signer(settings, name),
            (None, None) => {
                bail!("nothing says where: give --signer NAME with --config FILE, or --folder PATH")
            }
        }
    }

    fn of_signer(&self, settings: &Settings, name: &str) -> anyhow::Result<Vec<NamedPlace>> {
        let Some(signer) = settings.signers.get(&SignerName(name.into())) else {
            let known: Vec<String> = settings.signers.keys().map(ToString::to_string).collect();
            let known = if known.is_empty() { "none is configured".to_owned() } else { known.join(", ") };
            bail!("no signer is called {name}; known signers: {known}");
        };
        let mut places = signer.places();
        if places.is_empty() {
            bail!("signer {name} is trusted by no certificate or key of its own");
        }
        if let Some(key) = &self.setting {
            let named: Vec<&str> = places.iter().map(|named| named.key).collect();
            let known = named.join(", ");
            places.retain(|named| named.key == key);
            if places.is_empty() {
                bail!("signer {name} has no {key}; it has {known}");
            }
        }
        Ok(places)
    }
}
