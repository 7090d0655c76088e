//! Findings → the evidence that counts, and a report on every signature.

use std::sync::Arc;
use std::time::SystemTime;

use super::name::{self, Pulled};
use super::{Belief, Findings, Judged, Policy, Reason, SignatureReport};
use crate::oci::Tag;
use crate::setting;
use crate::signature::{Code, Evidence, Rejected, SignerName, Subject};

/// How far evidence came that does not count: further than any rejection.
const FURTHEST: u8 = u8::MAX;

/// What the findings prove under one policy.
pub(super) struct Assessed<'a> {
    /// The evidence that counts.
    pub(super) proofs: Vec<&'a Evidence>,
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
            for evidence in proven.into_iter().flatten() {
                let message = format!("proven, signed by {}", evidence.signer());
                let report = SignatureReport::proven(evidence, Belief::Trusted, Code::Trusted, message);
                assessed.reports.push(of(report));
                assessed.proofs.push(evidence);
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
        judged: &Judged,
        signer: &SignerName,
        result: &'a Result<Evidence, Rejected>,
    ) -> Result<&'a Evidence, (u8, Box<SignatureReport>)> {
        let evidence = result.as_ref().map_err(|refused| {
            let (code, message) = (refused.code(), refused.to_string());
            let report = SignatureReport::rejected(judged.format, judged.digest, code, message);
            let report = SignatureReport { signer: Some(signer.clone()), ..report };
            (refused.rejection.progress(), Box::new(report.validated(&refused.validations)))
        })?;
        self.check(signer, evidence).map_err(|(code, message)| {
            (FURTHEST, Box::new(SignatureReport::proven(evidence, Belief::Rejected, code, message)))
        })?;
        Ok(evidence)
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

fn unread(judged: &Judged) -> SignatureReport {
    let message = format!("no signer of this policy reads {} signatures", judged.format);
    SignatureReport::rejected(judged.format, judged.digest, Code::Unsupported, message)
}
