//! Findings → the evidence that counts, and a report on every signature.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::SystemTime;

use super::attested::Unmet;
use super::name::{self, Pulled};
use super::parties::Proof;
use super::{Attested, Belief, Findings, Judged, Policy, PredicateType, Reason, SignatureReport};
use crate::oci::Tag;
use crate::setting;
use crate::signature::{Attestation, Code, Evidence, Rejected, SignerName, Subject};
use crate::telemetry::Untrusted;

/// How far evidence came that does not count: further than any rejection.
const FURTHEST: u8 = u8::MAX;

/// What the findings prove under one policy.
pub(super) struct Assessed<'a> {
    /// The evidence that counts.
    pub(super) proofs: Vec<Proof<'a>>,
    /// For each signature: one report for each signer that it is trusted as, else the one that says
    /// most about why it is not.
    pub(super) reports: Vec<SignatureReport>,
    /// Signatures that may count, once somebody can say whether their certificates were revoked.
    pub(super) undecided: Vec<Reason>,
}

impl<'a> Assessed<'a> {
    pub(super) fn of(
        policy: &Policy,
        subject: &Subject,
        pulled: Option<&Tag>,
        findings: &'a Findings,
        now: SystemTime,
    ) -> Self {
        let bench = Bench { policy, subject, pulled, now };
        let mut assessed = Self { proofs: Vec::new(), reports: Vec::new(), undecided: Vec::new() };
        for judged in &findings.signatures {
            assessed.undecided.extend(bench.undecided(judged));
            let of = |report| SignatureReport { media_type: Some(Arc::clone(&judged.media_type)), ..report };
            let (proven, rejected): (Vec<_>, Vec<_>) = judged
                .results
                .iter()
                .map(|(signer, result)| bench.hear(judged, signer, result))
                .partition(Result::is_ok);
            if proven.is_empty() {
                let furthest = rejected
                    .into_iter()
                    .filter_map(Result::err)
                    .reduce(|best, next| if next.0 > best.0 { next } else { best });
                assessed.reports.push(of(furthest.map_or_else(|| unread(judged), |(_, report)| *report)));
            }
            for proof in proven.into_iter().flatten() {
                let verb = if proof.evidence.attestation().is_some() { "attested" } else { "signed" };
                let message = format!("proven, {verb} by {}", proof.evidence.signer());
                let report = SignatureReport::proven(proof.evidence, Belief::Trusted, Code::Trusted, message);
                assessed.reports.push(of(report));
                assessed.proofs.push(proof);
            }
        }
        assessed
    }
}

struct Bench<'b> {
    policy: &'b Policy,
    subject: &'b Subject,
    pulled: Option<&'b Tag>,
    now: SystemTime,
}

impl Bench<'_> {
    /// Trouble, not proof of the contrary: the signature was believed in all that could be checked.
    fn undecided(&self, judged: &Judged) -> impl Iterator<Item = Reason> {
        let unknown = judged.results.iter().filter_map(|(signer, result)| {
            let refused = result.as_ref().err()?;
            let counts = self.policy.counts(signer, &self.subject.repository);
            (counts && refused.code() == Code::RevocationUnknown).then_some(refused)
        });
        unknown.map(|refused| Reason {
            code: Code::RevocationUnknown,
            message: format!("signature {}: {refused}", judged.digest),
        })
    }

    /// The evidence, where it counts under the policy; else how far it came and why it does not.
    /// Verifiers answer for most of this already: what is kept or passed wrongly must not count
    /// either.
    fn hear<'a>(
        &self,
        judged: &'a Judged,
        signer: &SignerName,
        result: &'a Result<Evidence, Rejected>,
    ) -> Result<Proof<'a>, (u8, Box<SignatureReport>)> {
        let evidence = result.as_ref().map_err(|refused| {
            let (code, message) = (refused.code(), refused.to_string());
            let report = SignatureReport::rejected(judged.format, judged.digest, code, message);
            let report = SignatureReport { signer: Some(signer.clone()), ..report };
            (refused.rejection.progress(), Box::new(report.validated(&refused.validations)))
        })?;
        let proof = self.check(signer, evidence).and_then(|()| self.is_asked_for(judged, evidence));
        proof.map_err(|(code, message)| {
            (FURTHEST, Box::new(SignatureReport::proven(evidence, Belief::Rejected, code, message)))
        })
    }

    /// A signature counts where one of the signer is asked for, an attestation as those that it is. Neither
    /// is the other.
    fn is_asked_for<'a>(
        &self,
        judged: &'a Judged,
        evidence: &'a Evidence,
    ) -> Result<Proof<'a>, (Code, String)> {
        let signer = evidence.signer();
        let Some(attestation) = evidence.attestation() else {
            let require = self.policy.require(&self.subject.repository);
            let asked = require.is_some_and(|require| require.asks_to_sign(signer));
            let message = format!("a signature by {signer}, and the policy asks {signer} for an attestation");
            return if asked {
                Ok(Proof { evidence, meets: Vec::new() })
            } else {
                Err((Code::SignatureOnly, message))
            };
        };
        let outcomes: Vec<_> = judged.attested.iter().filter(|(wanted, _)| wanted.by == *signer).collect();
        let met = outcomes.iter().filter(|(_, outcome)| outcome.is_ok());
        let meets: Vec<&Attested> = met.map(|(wanted, _)| wanted).collect();
        if meets.is_empty() {
            Err(unmet(attestation, signer, &outcomes))
        } else {
            Ok(Proof { evidence, meets })
        }
    }

    fn check(&self, signer: &SignerName, evidence: &Evidence) -> Result<(), (Code, String)> {
        let digest = &self.subject.descriptor.digest;
        if evidence.subject() != digest {
            let message = format!("the evidence is about {}, the manifest is {digest}", evidence.subject());
            return Err((Code::DigestMismatch, message));
        }
        if evidence.signer() != signer || !self.policy.counts(signer, &self.subject.repository) {
            return Err((
                Code::IdentityMismatch,
                format!("signer {signer} does not count under this policy"),
            ));
        }
        if let Some(end) = evidence.not_after().filter(|end| *end <= self.now) {
            return Err((Code::SignatureExpired, format!("the proof ended at {}", setting::time::show(end))));
        }
        let pulled = Pulled { repository: &self.subject.repository, tag: self.pulled, digest };
        name::check(self.policy, &pulled, evidence).map_err(|why| (Code::NameMismatch, why))
    }
}

/// Why an attestation is none of those that are asked for: the one that it comes nearest to says most.
fn unmet(
    attestation: &Attestation,
    signer: &SignerName,
    outcomes: &[&(Attested, Result<(), Unmet>)],
) -> (Code, String) {
    let found = format!("attestation {} by {signer}", Untrusted::new(attestation.predicate_type()));
    if outcomes.is_empty() {
        let message =
            format!("{found}, and the policy asks {signer} for a signature: an attestation is none");
        return (Code::AttestationOnly, message);
    }
    let conditions = outcomes.iter().filter_map(|(wanted, outcome)| {
        let condition = wanted.condition.as_ref()?;
        match outcome.as_ref().err()? {
            Unmet::OtherType => None,
            Unmet::DoesNotHold => Some(format!("does not meet the condition ({condition})")),
            Unmet::NotEvaluated(why) => Some(format!(
                "does not meet the condition, which could not be evaluated: {why} ({condition})"
            )),
        }
    });
    let conditions: Vec<String> = conditions.collect();
    if !conditions.is_empty() {
        return (Code::ConditionNotMet, format!("{found} {}", conditions.join(", and ")));
    }
    let types: BTreeSet<&PredicateType> = outcomes.iter().map(|(wanted, _)| &wanted.predicate_type).collect();
    let types: Vec<String> = types.into_iter().map(ToString::to_string).collect();
    (
        Code::PredicateTypeMismatch,
        format!("{found} is of another predicate type than {}", types.join(" and ")),
    )
}

fn unread(judged: &Judged) -> SignatureReport {
    let message = format!("no signer of this policy reads {} signatures", judged.format);
    SignatureReport::rejected(judged.format, judged.digest, Code::Unsupported, message)
}
