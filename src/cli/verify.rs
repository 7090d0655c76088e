//! `portcullis verify REFERENCE`: the decision that serving would make, with every signature found
//! and why it was believed or not. Keeps nothing, so it works beside a running server. With
//! `--notation-config` notation's own files decide instead, and its exit codes are kept; with cosign's
//! flags, what they name.

mod cosign;
mod notation;
mod one_off;
mod print;
mod target;

use std::path::PathBuf;
use std::sync::Arc;

use super::{exit, report, runtime};
use crate::access::Principal;
use crate::admission::Refusal;
use crate::clock::Clock;
use crate::engine::{Engine, State};
use crate::oci::Reference;
use crate::policy::{Decision, Verdict};

#[derive(clap::Args)]
#[command(group(clap::ArgGroup::new("one_off").multiple(true).args([
    "notation_config", "key", "certificate_identity", "certificate_identity_regexp",
])))]
pub(super) struct Arguments {
    /// The configuration file [env: PORTCULLIS_CONFIG]; without one, the built-in defaults.
    // Read by hand: what is only in the environment contradicts no other argument.
    #[arg(long, conflicts_with = "one_off", value_parser = super::config_file())]
    config: Option<PathBuf>,
    /// How the result is printed.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    #[command(flatten)]
    place: one_off::Place,
    #[command(flatten, next_help_heading = "As notation verifies")]
    notation: notation::Flags,
    #[command(flatten, next_help_heading = "As cosign verifies")]
    cosign: cosign::Flags,
    /// What to judge, by its source name: docker.io/library/nginx:1.27
    reference: String,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    Text,
    Json,
}

pub(super) fn run(arguments: &Arguments) -> u8 {
    let (outcome, failed) = match arguments.notation.folder() {
        Some(folder) => (notation::verify(arguments, folder), exit::DENIED),
        None if arguments.cosign.are_given() => (cosign::verify(arguments), exit::USAGE),
        None => (verify(arguments), exit::USAGE),
    };
    outcome.unwrap_or_else(|error| {
        report(&error);
        failed
    })
}

fn verify(arguments: &Arguments) -> anyhow::Result<u8> {
    let reference = Reference::parse(&arguments.reference)
        .map_err(|e| anyhow::anyhow!("reference {:?}: {e}", arguments.reference))?;
    let mut settings = super::settings(super::config_or_set(arguments.config.as_deref())?.as_deref())?;
    settings.signs_nothing = true;
    let outcome: Result<Arc<Decision>, Refusal> = runtime()?.block_on(async {
        let state = State::ephemeral(Clock::system()).await?;
        let engine = Engine::build(settings, &state, None)?;
        anyhow::Ok(engine.gate().decide(&reference, &Principal::Process).await)
    })?;
    conclude(arguments, &reference, outcome)
}

/// Prints what it came to; returns the exit code.
fn conclude(
    arguments: &Arguments,
    reference: &Reference,
    outcome: Result<Arc<Decision>, Refusal>,
) -> anyhow::Result<u8> {
    match outcome {
        Ok(decision) => {
            print::decision(arguments, &decision)?;
            Ok(code(decision.verdict()))
        }
        Err(refusal) => {
            let verdict = verdict_of(&refusal);
            print::refusal(arguments, reference, &refusal, verdict)?;
            Ok(code(verdict))
        }
    }
}

/// What a refusal without a decision comes to.
fn verdict_of(refusal: &Refusal) -> Verdict {
    match refusal {
        Refusal::Closed { .. } => Verdict::Deny,
        _ => Verdict::Indeterminate,
    }
}

fn code(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Allow => exit::OK,
        Verdict::Deny => exit::DENIED,
        Verdict::Indeterminate => exit::UNDECIDED,
    }
}
