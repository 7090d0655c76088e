//! `portcullis check FILE`: everything that starting does, without starting. No key signs anything.

use std::io::Write as _;
use std::path::PathBuf;

use super::{exit, report, runtime};
use crate::admission::CounterSigners;
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
    let mut settings = crate::config::load(&arguments.file)?;
    settings.signs_nothing = true;
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
    for warning in engine.warnings() {
        writeln!(out, "warning: {warning}")?;
    }
    if let Some(root) = engine.trusted_root() {
        writeln!(out, "sigstore's trusted root: {root}")?;
    }
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
