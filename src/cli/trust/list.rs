//! `trust list` and `trust fingerprint`: who is trusted, by which certificates and keys.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::bail;

use super::show;
use crate::cli::exit;
use crate::clock::Clock;
use crate::config::Settings;
use crate::policy::Source;
use crate::signature::anchors::NamedPlace;
use crate::signature::{SignerSettings, notation};
use crate::trust::{Anchor, Place, files};

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The configuration file; without one, the built-in defaults.
    #[arg(long, value_name = "FILE", env = crate::cli::CONFIG, value_parser = crate::cli::config_file())]
    config: Option<PathBuf>,
    /// Only this signer's.
    #[arg(long, value_name = "NAME")]
    signer: Option<String>,
}

#[derive(clap::Args)]
pub(super) struct Files {
    /// Certificates and public keys, PEM or DER.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

pub(super) fn list(arguments: &Arguments) -> anyhow::Result<u8> {
    let settings = crate::cli::settings(arguments.config.as_deref())?;
    let wanted = |name: &str| arguments.signer.as_deref().is_none_or(|wanted| wanted == name);
    let mut code = exit::OK;
    let mut shown = 0;
    for (name, signer) in settings.signers.iter().filter(|(name, _)| wanted(&name.0)) {
        let acquire = signer.acquire.as_ref().map(|url| format!(", acquired at {url}")).unwrap_or_default();
        code = code.max(section(&format!("signer {name}{acquire}"), &signer.places())?);
        shown += 1;
    }
    if arguments.signer.is_none() {
        for (title, places) in of_policies(&settings) {
            code = code.max(section(&title, &places)?);
        }
    }
    match &arguments.signer {
        Some(name) if shown == 0 => bail!("no signer is called {name}"),
        _ => Ok(code),
    }
}

pub(super) fn fingerprint(arguments: &Files) -> anyhow::Result<u8> {
    let now = Clock::system().now();
    let mut code = exit::OK;
    for file in &arguments.files {
        let mut out = std::io::stdout().lock();
        match read(file) {
            Ok(anchors) => anchors.iter().try_for_each(|a| show::anchor(&mut out, a, Some(file), now))?,
            Err(error) => {
                crate::cli::report(&error);
                code = exit::DENIED;
            }
        }
    }
    Ok(code)
}

/// The certificates or the key in a file.
pub(super) fn read(file: &std::path::Path) -> anyhow::Result<Vec<Anchor>> {
    let bytes = files::read(file)?;
    Anchor::all_from(&bytes).map_err(|why| anyhow::anyhow!("{}: {why}", file.display()))
}

/// The policy files of notation's have trust stores of their own.
fn of_policies(settings: &Settings) -> impl Iterator<Item = (String, Vec<NamedPlace>)> {
    settings.policies.iter().filter_map(|policy| {
        let Some(Source::Notation(folder)) = &policy.from else { return None };
        let notation = notation::Settings { config_dir: Some(folder.clone()), ..Default::default() };
        let signer = SignerSettings { notation: Some(notation), ..SignerSettings::default() };
        Some((format!("policy {}, from.notation", policy.name), signer.places()))
    })
}

/// What one signer is trusted by. A place that cannot be read is told, and the rest is shown.
fn section(title: &str, places: &[NamedPlace]) -> anyhow::Result<u8> {
    let now = Clock::system().now();
    let mut out = std::io::stdout().lock();
    writeln!(out, "{title}")?;
    if places.is_empty() {
        writeln!(out, "no certificate or key of its own: sigstore's trusted root decides")?;
    }
    let mut code = exit::OK;
    for NamedPlace { key, place } in places {
        let at =
            place.path().map_or_else(|| "in the configuration".to_owned(), |path| path.display().to_string());
        writeln!(out, "{key}: {at}")?;
        match place.anchors() {
            Ok(anchors) if anchors.is_empty() => writeln!(out, "nothing: not acquired yet")?,
            Ok(anchors) => {
                for (file, anchor) in &anchors {
                    show::anchor(
                        &mut out,
                        anchor,
                        Some(file).filter(|_| !matches!(place, Place::Written(_))).map(|f| &**f),
                        now,
                    )?;
                }
            }
            Err(error) => {
                crate::cli::report(&error.into());
                code = exit::DENIED;
            }
        }
    }
    writeln!(out)?;
    Ok(code)
}
