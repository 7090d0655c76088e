//! `portcullis verify REFERENCE`: the decision that serving would make, with every signature found
//! and why it was believed or not. Keeps nothing, so it works beside a running server.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use super::{exit, report, runtime};
use crate::access::Principal;
use crate::admission::Refusal;
use crate::clock::Clock;
use crate::engine::{Engine, State};
use crate::oci::Reference;
use crate::policy::{Belief, Decision, Verdict};

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The configuration file; without one, the built-in defaults.
    #[arg(long, env = "PORTCULLIS_CONFIG")]
    config: Option<PathBuf>,
    /// How the result is printed.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    /// What to judge, by its source name: docker.io/library/nginx:1.27
    reference: String,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    Text,
    Json,
}

pub(super) fn run(arguments: &Arguments) -> u8 {
    match verify(arguments) {
        Ok(code) => code,
        Err(error) => {
            report(&error);
            exit::USAGE
        }
    }
}

fn verify(arguments: &Arguments) -> anyhow::Result<u8> {
    let reference = Reference::parse(&arguments.reference)
        .map_err(|e| anyhow::anyhow!("reference {:?}: {e}", arguments.reference))?;
    let settings = super::settings(arguments.config.as_deref())?;
    let outcome = runtime()?.block_on(async {
        let state = State::ephemeral(Clock::system()).await?;
        let engine = Engine::build(settings, &state, None)?;
        anyhow::Ok(engine.gate().decide(&reference, &Principal::Process).await)
    })?;
    match outcome {
        Ok(decision) => {
            print(arguments, &decision)?;
            Ok(code(decision.verdict()))
        }
        Err(refusal) => {
            let verdict = match refusal {
                Refusal::Uncovered { .. } => Verdict::Deny,
                _ => Verdict::Indeterminate,
            };
            print_refusal(arguments, &reference, &refusal, verdict)?;
            Ok(code(verdict))
        }
    }
}

fn code(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Allow => exit::OK,
        Verdict::Deny => exit::DENIED,
        Verdict::Indeterminate => exit::UNDECIDED,
    }
}

fn print(arguments: &Arguments, decision: &Arc<Decision>) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let report = decision.report(&arguments.reference);
    if arguments.output == Output::Json {
        writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?;
        return Ok(());
    }
    let policy = report.policy.as_deref().unwrap_or("none");
    writeln!(out, "{}@{}", report.repository, report.digest)?;
    writeln!(
        out,
        "  outcome    {} (policy {policy}, mode {}{})",
        report.outcome.as_str(),
        report.mode.as_str(),
        if decision.would_deny() { "; served with a warning" } else { "" }
    )?;
    for reason in &report.reasons {
        writeln!(out, "  {:<10} {}", reason.code.as_str(), reason.message)?;
    }
    for signature in &report.signatures {
        let mark = if signature.result == Belief::Trusted { "trusted" } else { "rejected" };
        writeln!(
            out,
            "  signature  {} {}: {mark}, {}",
            signature.format, signature.digest, signature.message
        )?;
        for origin in &signature.origin {
            writeln!(out, "             signed as {origin}")?;
        }
    }
    for url in &report.acquire {
        writeln!(out, "  acquire    {url}")?;
    }
    if let Some(help) = decision.help() {
        writeln!(out, "\n{help}")?;
    }
    Ok(())
}

/// The same object where there is nothing to decide about.
fn print_refusal(
    arguments: &Arguments,
    reference: &Reference,
    refusal: &Refusal,
    verdict: Verdict,
) -> anyhow::Result<()> {
    let message = refusal.to_string();
    if arguments.output == Output::Text {
        writeln!(std::io::stderr(), "portcullis: {reference}: {message}")?;
        return Ok(());
    }
    let object = serde_json::json!({
        "reference": arguments.reference,
        "repository": reference.repository,
        "digest": null,
        "outcome": verdict,
        "mode": null,
        "policy": null,
        "reasons": [{ "code": refusal.code(), "message": message }],
        "signatures": [],
        "acquire": [],
        "expires": null,
    });
    writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&object)?)?;
    Ok(())
}
