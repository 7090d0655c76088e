//! Results as people read them, and as programs do.

use std::io::{self, Write as _};
use std::sync::Arc;

use serde_json::json;

use super::{Arguments, Output};
use crate::admission::Refusal;
use crate::oci::Reference;
use crate::policy::{Belief, Decision, Report, SignatureReport, Verdict};
use crate::signature::Basis;
use crate::telemetry::Untrusted;

/// A decision by our own configuration.
pub(super) fn decision(arguments: &Arguments, decision: &Arc<Decision>) -> anyhow::Result<()> {
    let report = decision.report(&arguments.reference);
    if arguments.output == Output::Json {
        return object(&serde_json::to_value(&report)?);
    }
    let mut out = io::stdout().lock();
    let policy = report.policy.as_deref().unwrap_or("none");
    writeln!(out, "{}@{}", report.repository, report.digest)?;
    writeln!(
        out,
        "  outcome    {} (policy {policy}, mode {}{})",
        report.outcome.as_str(),
        report.mode.as_str(),
        if decision.would_deny() { "; served with a warning" } else { "" }
    )?;
    reasons(&mut out, &report)?;
    for url in &report.acquire {
        writeln!(out, "  acquire    {url}")?;
    }
    if let Some(help) = decision.help() {
        writeln!(out, "\n{help}")?;
    }
    Ok(())
}

/// A decision by notation's files: what is verified to standard output, what is not to standard error.
pub(super) fn by_notation(
    arguments: &Arguments,
    decision: &Arc<Decision>,
    basis: &Basis,
) -> anyhow::Result<()> {
    let report = decision.report(&arguments.reference);
    if arguments.output == Output::Json {
        let mut value = serde_json::to_value(&report)?;
        value["trust_policy"] = trust_policy(basis);
        return object(&value);
    }
    if report.outcome == Verdict::Allow { verified(&report, basis) } else { not_verified(&report, basis) }
}

/// The same object where there is nothing to decide about.
pub(super) fn refusal(
    arguments: &Arguments,
    reference: &Reference,
    refusal: &Refusal,
    verdict: Verdict,
) -> anyhow::Result<()> {
    let message = refusal.to_string();
    if arguments.output == Output::Text {
        writeln!(io::stderr(), "portcullis: {reference}: {message}")?;
        return Ok(());
    }
    object(&json!({
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
    }))
}

fn object(value: &serde_json::Value) -> anyhow::Result<()> {
    writeln!(io::stdout(), "{}", serde_json::to_string_pretty(value)?)?;
    Ok(())
}

fn trust_policy(basis: &Basis) -> serde_json::Value {
    let applying = basis.applying.as_ref();
    json!({
        "file": basis.policy,
        "statement": applying.map(|a| &a.statement),
        "level": applying.map(|a| &a.level),
    })
}

fn verified(report: &Report, basis: &Basis) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    let place = place(basis);
    writeln!(out, "{}@{}", report.repository, report.digest)?;
    let mut trusted = report.signatures.iter().filter(|s| s.result == Belief::Trusted).peekable();
    if trusted.peek().is_none() {
        writeln!(out, "  not verified, as {place} says")?;
    }
    for signature in trusted {
        writeln!(out, "  verified   {} satisfies {place}", named(signature))?;
        if let Some(identity) = &signature.identity {
            writeln!(out, "  signed by  {identity}")?;
        }
        checks(&mut out, signature)?;
    }
    Ok(())
}

fn not_verified(report: &Report, basis: &Basis) -> anyhow::Result<()> {
    let mut out = io::stderr().lock();
    writeln!(out, "portcullis: {}@{} is not verified by {}", report.repository, report.digest, place(basis))?;
    reasons(&mut out, report)
}

fn place(basis: &Basis) -> String {
    match &basis.applying {
        Some(applying) => {
            format!("statement {:?} of {}, level {}", applying.statement, basis.policy, applying.level)
        }
        None => format!("{}: no statement of it has this repository in its registryScopes", basis.policy),
    }
}

fn reasons(out: &mut impl io::Write, report: &Report) -> anyhow::Result<()> {
    for reason in &report.reasons {
        writeln!(out, "  {:<10} {}", reason.code.as_str(), reason.message)?;
    }
    for signature in &report.signatures {
        let mark = if signature.result == Belief::Trusted { "trusted" } else { "rejected" };
        writeln!(out, "  signature  {}: {mark}, {}", named(signature), signature.message)?;
        for origin in &signature.origin {
            writeln!(out, "             signed as {origin}")?;
        }
        checks(out, signature)?;
    }
    Ok(())
}

/// What each check came to, and what a reader of the proof should know besides.
fn checks(out: &mut impl io::Write, signature: &SignatureReport) -> anyhow::Result<()> {
    for check in &signature.validations {
        let outcome = format!("{} ({})", check.outcome.as_str(), check.action);
        match &check.message {
            Some(message) => writeln!(out, "             {} {outcome}: {message}", check.name)?,
            None => writeln!(out, "             {} {outcome}", check.name)?,
        }
    }
    if let Some(kind) = &signature.predicate_type {
        writeln!(out, "             attests {kind}")?;
    }
    for step in &signature.chain {
        writeln!(out, "             by way of the {} {}", step.what, step.digest)?;
    }
    for note in &signature.notes {
        writeln!(out, "             {note}")?;
    }
    Ok(())
}

fn named(signature: &SignatureReport) -> String {
    match &signature.media_type {
        Some(envelope) => format!("{} {} ({})", signature.format, signature.digest, Untrusted::new(envelope)),
        None => format!("{} {}", signature.format, signature.digest),
    }
}
