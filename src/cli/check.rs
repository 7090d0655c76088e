//! `portcullis check FILE`: everything that starting does, without starting.

use std::io::Write as _;
use std::path::PathBuf;

use super::{exit, report, runtime};
use crate::clock::Clock;
use crate::engine::{Engine, State};

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The configuration file.
    file: PathBuf,
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
    let settings = crate::config::load(&arguments.file)?;
    let engine = runtime()?.block_on(async {
        let state = State::ephemeral(Clock::system()).await?;
        anyhow::Ok(Engine::build(settings, &state, None)?)
    })?;
    let mut out = std::io::stdout().lock();
    for warning in engine.warnings() {
        writeln!(out, "warning: {warning}")?;
    }
    writeln!(out, "sigstore's trusted root: {}", engine.trusted_root())?;
    let settings = engine.settings();
    writeln!(
        out,
        "{}: ok ({} upstreams, {} signers, {} policies)",
        arguments.file.display(),
        settings.upstreams.len(),
        settings.signers.len(),
        settings.policies.len()
    )?;
    Ok(())
}
