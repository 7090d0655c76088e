//! `portcullis check FILE`: everything that starting does, without starting. No key signs anything, and no file is made.

mod places;

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;

use super::{exit, report, runtime};
use crate::admission::CounterSigners;
use crate::clock::Clock;
use crate::engine::{Engine, State};

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The configuration file.
    file: Option<PathBuf>,
    /// The same, as other commands take it [env: PORTCULLIS_CONFIG].
    #[arg(long, conflicts_with = "file", value_parser = super::config_file())]
    config: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> u8 {
    match check(arguments) {
        Ok(()) => exit::OK,
        Err(error) => {
            report(&error);
            exit::USAGE
        }
    }
}

fn check(arguments: &Arguments) -> anyhow::Result<()> {
    let named = arguments.file.as_deref().or(arguments.config.as_deref());
    let file = super::config_or_set(named)?;
    let file =
        file.context("name a configuration: portcullis check FILE, --config FILE or PORTCULLIS_CONFIG")?;
    let mut settings = crate::config::load(&file)?;
    settings.signs_nothing = true;
    let doubtful = places::look(&settings).map_err(|fault| settings.locate(&fault))?;
    let engine = runtime()?.block_on(async {
        let state = State::ephemeral(Clock::system()).await?;
        anyhow::Ok(Engine::build(settings, &state, None)?)
    })?;
    let settings = engine.settings();
    let unproven = CounterSigners::check(&settings.policies).map_err(|fault| settings.locate(&fault))?;
    let mut out = std::io::stdout().lock();
    for policy in unproven {
        writeln!(
            out,
            "note: counter_sign of the policy {policy}: the plug-in knows the key; whether its certificates and formats fit shows \
             when the server starts, since only a signature brings them"
        )?;
    }
    for note in places::empty(settings) {
        writeln!(out, "note: {note}")?;
    }
    for warning in engine.warnings().iter().chain(&doubtful) {
        writeln!(out, "warning: {warning}")?;
    }
    if let Some(root) = engine.trusted_root() {
        writeln!(out, "sigstore's trusted root: {root}")?;
    }
    writeln!(
        out,
        "{}: ok ({} upstreams, {} signers, {} policies)",
        file.display(),
        settings.upstreams.len(),
        settings.signers.len(),
        settings.policies.len()
    )?;
    Ok(())
}
