//! The words of a decision: one line that any client shows.

use std::collections::{BTreeMap, BTreeSet};

use super::{Belief, Decision, Reason, Require, SignatureReport, Verdict};
use crate::oci::Repository;
use crate::signature::{Code, Format, SignerName};
use crate::telemetry::Untrusted;

/// So many rejections are spelled out; `verify` and the audit log have all.
const SHOWN: usize = 3;

pub(super) fn of(decision: &Decision) -> String {
    let mut text = match decision.policy() {
        Some(policy) => format!("policy {policy}: "),
        None => String::new(),
    };
    text.push_str(&format!("{}@{}", decision.repository(), decision.subject()));
    if decision.verdict() == Verdict::Indeterminate {
        text.push_str(" cannot be judged now:");
    }
    let reasons: Vec<&str> = decision.reasons().iter().map(|reason| reason.message.as_str()).collect();
    text.push(' ');
    text.push_str(&reasons.join("; "));
    if !decision.acquire().is_empty() {
        text.push_str(&format!("; acquire the key at {}", decision.acquire().join(" or ")));
    }
    text.push_str(&format!("; decision {}", decision.id()));
    text
}

pub(super) fn satisfied(signers: &[&SignerName]) -> Reason {
    let names: Vec<String> = signers.iter().map(ToString::to_string).collect();
    Reason { code: Code::Satisfied, message: format!("is vouched for by {}", names.join(", ")) }
}

/// Why signatures do not suffice.
pub(super) fn unsatisfied(
    formats: &BTreeSet<Format>,
    require: &Require,
    reports: &[SignatureReport],
    found: usize,
) -> Reason {
    if found == 0 {
        let formats: Vec<&str> = formats.iter().map(|format| format.as_str()).collect();
        let formats = formats.join(", ");
        let message = format!("has no trusted signature: none found (looked for {formats}), needs {require}");
        return Reason { code: Code::Unsigned, message };
    }
    let trusted = trusted_signers(reports);
    let rejections = rejections(reports);
    if trusted.is_empty() {
        let needs = attestations(require, reports)
            .map(|found| format!("; needs {require}{found}"))
            .unwrap_or_default();
        let message = format!("has no trusted signature: {found} found, {rejections}{needs}");
        return Reason { code: Code::NoTrustedSignature, message };
    }
    let mut message = format!(
        "lacks signatures that it needs: {found} found, {} vouched, needs {require}{}",
        trusted.join(", "),
        attestations(require, reports).unwrap_or_default(),
    );
    if !rejections.is_empty() {
        message.push_str(&format!("; not believed: {rejections}"));
    }
    Reason { code: Code::Incomplete, message }
}

/// What attestations were proven, where some are asked for.
fn attestations(require: &Require, reports: &[SignatureReport]) -> Option<String> {
    if require.attested().is_empty() {
        return None;
    }
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for kind in reports.iter().filter_map(|report| report.predicate_type.as_ref()) {
        *counts.entry(kind.as_raw()).or_default() += 1;
    }
    if counts.is_empty() {
        return Some("; no attestation of a trusted signer found".to_owned());
    }
    let shown =
        counts.iter().take(SHOWN).map(|(kind, n)| format!("{n} of predicate type {}", Untrusted::new(kind)));
    let more = if counts.len() > SHOWN { " and others" } else { "" };
    Some(format!("; found {}{more}", shown.collect::<Vec<_>>().join(", ")))
}

fn trusted_signers(reports: &[SignatureReport]) -> Vec<String> {
    let trusted = reports.iter().filter(|report| report.result == Belief::Trusted);
    let mut names: Vec<String> =
        trusted.filter_map(|report| report.signer.as_ref()).map(ToString::to_string).collect();
    names.sort();
    names.dedup();
    names
}

fn rejections(reports: &[SignatureReport]) -> String {
    let mut texts: Vec<&str> = Vec::new();
    for report in reports.iter().filter(|report| report.result == Belief::Rejected) {
        if !texts.contains(&report.message.as_str()) {
            texts.push(&report.message);
        }
    }
    let more = texts.len().saturating_sub(SHOWN);
    texts.truncate(SHOWN);
    let text = texts.join("; ");
    if more > 0 { format!("{text}; and {more} more") } else { text }
}

pub(super) fn no_policy(repository: &Repository) -> Reason {
    let entry =
        format!("- {{ name: {}, scopes: [\"{repository}\"], require: SIGNER }}", policy_name(repository));
    let message = format!("is covered by no policy; to admit it add under `policies`: {entry}");
    Reason { code: Code::NoPolicy, message }
}

pub(super) fn mode_deny() -> Reason {
    Reason { code: Code::ModeDeny, message: "is refused whatever signs it (mode deny)".to_owned() }
}

/// [`no_policy`] with room for explanation, for terminals.
pub(super) fn help(repository: &Repository) -> String {
    let name = policy_name(repository);
    format!(
        "policies:\n  - name: {name}\n    scopes: [\"{repository}\"]\n    \
         require: SIGNER     # a name under `signers`; with `mode: audit` it is served and recorded\n"
    )
}

fn policy_name(repository: &Repository) -> String {
    let name: String = repository.path().replace('/', "-");
    name.chars().take(64).collect()
}
