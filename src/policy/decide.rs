//! Findings → decision.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use ulid::Ulid;

use super::assess::Assessed;
use super::parties::Parties;
use super::{
    Decision, Demand, Findings, IndexRule, Limits, Mode, Policies, Policy, Reason, Require, SignatureReport,
    SignedName, Verdict, message,
};
use crate::oci::Tag;
use crate::setting;
use crate::signature::{Code, SignerName, Subject};

/// Decides on a subject. `pulled` is the tag that was asked for, if it was one.
pub fn decide(
    subject: &Subject,
    pulled: Option<&Tag>,
    policies: &Policies,
    findings: &Findings,
    limits: &Limits,
    now: SystemTime,
) -> Decision {
    let case = Case { subject, pulled, policies, findings, children: None, limits, now };
    case.decide()
}

/// Decides on an index of whose listed manifests some were judged already: under the index rules
/// `children` and `both`, at least one of those decisions must be a live Allow of the same policy
/// in the same repository.
pub fn decide_index(
    subject: &Subject,
    pulled: Option<&Tag>,
    policies: &Policies,
    findings: &Findings,
    children: &[Arc<Decision>],
    limits: &Limits,
    now: SystemTime,
) -> Decision {
    let case = Case { subject, pulled, policies, findings, children: Some(children), limits, now };
    case.decide()
}

/// A refusal that no policy can lift, such as of a manifest that may not be judged at all: it is not
/// served in audit mode either.
pub fn refuse(
    subject: &Subject,
    policies: &Policies,
    reason: Reason,
    limits: &Limits,
    now: SystemTime,
) -> Decision {
    let findings = Findings::default();
    let case = Case { subject, pulled: None, policies, findings: &findings, children: None, limits, now };
    let policy = policies.matching(&subject.repository);
    let mode = policy.map_or(Mode::Enforce, |policy| policy.mode(&subject.repository));
    let outcome = Outcome::deny(reason);
    Decision { serve: false, ..case.decision(policy, mode, outcome) }
}

struct Case<'a> {
    subject: &'a Subject,
    pulled: Option<&'a Tag>,
    policies: &'a Policies,
    findings: &'a Findings,
    children: Option<&'a [Arc<Decision>]>,
    limits: &'a Limits,
    now: SystemTime,
}

struct Outcome {
    verdict: Verdict,
    reasons: Vec<Reason>,
    signatures: Vec<SignatureReport>,
    acquire: Vec<String>,
    help: Option<String>,
    /// An Allow ends here at the latest.
    ends: Option<SystemTime>,
}

impl Outcome {
    fn new(verdict: Verdict, reasons: Vec<Reason>) -> Self {
        Self { verdict, reasons, signatures: Vec::new(), acquire: Vec::new(), help: None, ends: None }
    }

    fn allow(code: Code, message: impl Into<String>) -> Self {
        Self::new(Verdict::Allow, vec![Reason { code, message: message.into() }])
    }

    fn deny(reason: Reason) -> Self {
        Self::new(Verdict::Deny, vec![reason])
    }
}

impl<'a> Case<'a> {
    fn decide(&self) -> Decision {
        let policy = self.policies.matching(&self.subject.repository);
        let (mode, outcome) = match policy {
            Some(policy) => {
                let mode = policy.mode(&self.subject.repository);
                (mode, self.under(policy, mode))
            }
            None => self.without_policy(),
        };
        self.decision(policy, mode, outcome)
    }

    fn without_policy(&self) -> (Mode, Outcome) {
        let mode = if self.policies.audits_everything() { Mode::Audit } else { Mode::Enforce };
        let outcome = self.exception().unwrap_or_else(|| Outcome {
            help: Some(message::help(&self.subject.repository)),
            ..Outcome::deny(message::no_policy(&self.subject.repository))
        });
        (mode, outcome)
    }

    fn under(&self, policy: &Policy, mode: Mode) -> Outcome {
        match mode {
            Mode::Allow => Outcome::allow(Code::ModeAllow, "is admitted unverified (mode allow)"),
            Mode::Deny => Outcome::deny(message::mode_deny()),
            Mode::Enforce | Mode::Audit => match policy.demand(&self.subject.repository) {
                Demand::Require(require) => self.judged(policy, &require),
                Demand::Never(reason) => self.exception().unwrap_or_else(|| Outcome::deny(reason)),
                // Settings of modes that verify always say who must vouch: see build.
                Demand::Nothing => Outcome::deny(Reason {
                    code: Code::Incomplete,
                    message: "is under a policy that requires nothing".to_owned(),
                }),
            },
        }
    }

    /// Satisfied → Allow, whatever else failed; an exception → Allow; trouble → Indeterminate; else
    /// Deny.
    fn judged(&self, policy: &Policy, require: &Require) -> Outcome {
        let assessed = Assessed::of(policy, self.subject, self.pulled, self.findings, self.now);
        // What an exception admits of an index is all that it lists, and its manifests' own signatures admit only themselves.
        let judges_children = self.children.is_some() && policy.index() != IndexRule::Index;
        let excepted = if judges_children { self.exception() } else { None };
        let outcome = excepted
            .or_else(|| self.satisfied(policy, require, &assessed))
            .or_else(|| self.exception())
            .unwrap_or_else(|| self.refused(policy, require, &assessed));
        Outcome { signatures: assessed.reports, ..outcome }
    }

    fn satisfied(&self, policy: &Policy, require: &Require, assessed: &Assessed<'a>) -> Option<Outcome> {
        let own = || self.own_signatures(require, assessed);
        let Some(children) = self.children else { return own() };
        match policy.index() {
            IndexRule::Index => own(),
            IndexRule::Children => self.children_allowed(policy, children),
            IndexRule::Both => {
                let (own, listed) = (own()?, self.children_allowed(policy, children)?);
                Some(Outcome { ends: earliest(own.ends, listed.ends), ..own })
            }
        }
    }

    fn own_signatures(&self, require: &Require, assessed: &Assessed<'a>) -> Option<Outcome> {
        let proofs = &assessed.proofs;
        if !Parties::of(proofs).satisfy(require) {
            return None;
        }
        let signers: BTreeSet<&SignerName> = proofs.iter().map(|proof| proof.evidence.signer()).collect();
        let reason = message::satisfied(&signers.into_iter().collect::<Vec<_>>());
        let ends = proofs.iter().filter_map(|proof| proof.evidence.not_after()).min();
        Some(Outcome { ends, ..Outcome::new(Verdict::Allow, vec![reason]) })
    }

    fn children_allowed(&self, policy: &Policy, children: &[Arc<Decision>]) -> Option<Outcome> {
        let live = |child: &&Arc<Decision>| {
            child.verdict == Verdict::Allow
                && child.repository == self.subject.repository
                && child.revision == policy.revision()
                && self.now < child.expires
        };
        let ends: Vec<SystemTime> = children.iter().filter(live).map(|child| child.expires).collect();
        let message =
            format!("lists {} of {} manifests that are allowed themselves", ends.len(), children.len());
        let end = *ends.iter().min()?;
        Some(Outcome { ends: Some(end), ..Outcome::allow(Code::Satisfied, message) })
    }

    fn exception(&self) -> Option<Outcome> {
        let exception =
            self.policies.exception(&self.subject.repository, &self.subject.descriptor.digest, self.now)?;
        let until = setting::time::show(exception.expires);
        let message = format!("is admitted by an exception until {until}: {}", exception.reason.trim());
        Some(Outcome { ends: Some(exception.expires), ..Outcome::allow(Code::Exception, message) })
    }

    fn refused(&self, policy: &Policy, require: &Require, assessed: &Assessed<'a>) -> Outcome {
        let mut troubles: Vec<Reason> = self.findings.troubles.iter().map(Reason::from).collect();
        troubles.extend(assessed.undecided.iter().cloned());
        troubles.extend(self.undecided_children(policy));
        let outcome = if troubles.is_empty() {
            Outcome::deny(self.why_not(policy, require, assessed))
        } else {
            Outcome::new(Verdict::Indeterminate, troubles)
        };
        Outcome { acquire: self.acquire(policy, assessed), ..outcome }
    }

    fn why_not(&self, policy: &Policy, require: &Require, assessed: &Assessed<'a>) -> Reason {
        let by_children = policy.index() == IndexRule::Children
            || (policy.index() == IndexRule::Both && self.own_signatures(require, assessed).is_some());
        match self.children {
            Some(children) if by_children => Reason {
                code: Code::ChildDenied,
                message: format!(
                    "is an index, and none of its {} manifests is allowed itself",
                    children.len()
                ),
            },
            _ => {
                let formats = policy.formats(&self.subject.repository);
                message::unsatisfied(&formats, require, &assessed.reports, self.findings.signatures.len())
            }
        }
    }

    fn undecided_children(&self, policy: &Policy) -> Vec<Reason> {
        if policy.index() == IndexRule::Index {
            return Vec::new();
        }
        let children = self.children.unwrap_or_default().iter();
        children
            .filter(|child| child.verdict == Verdict::Indeterminate)
            .flat_map(|c| c.reasons.clone())
            .collect()
    }

    /// The URLs of the policy and of those of its signers that did not vouch.
    fn acquire(&self, policy: &Policy, assessed: &Assessed<'a>) -> Vec<String> {
        let vouched: BTreeSet<&SignerName> =
            assessed.proofs.iter().map(|proof| proof.evidence.signer()).collect();
        let missing = policy.signers().filter(|(name, _)| !vouched.contains(name));
        let mut urls: Vec<String> = Vec::new();
        for url in policy.acquire().iter().chain(missing.filter_map(|(_, signer)| signer.acquire.as_ref())) {
            if !urls.contains(url) {
                urls.push(url.clone());
            }
        }
        urls
    }

    fn decision(&self, policy: Option<&Arc<Policy>>, mode: Mode, outcome: Outcome) -> Decision {
        let exact = policy.is_some_and(|policy| policy.signed_name() == SignedName::Exact);
        Decision {
            id: new_id(self.now),
            repository: self.subject.repository.clone(),
            subject: self.subject.descriptor.digest,
            tag: self.pulled.filter(|_| exact).cloned(),
            verdict: outcome.verdict,
            mode,
            serve: outcome.verdict == Verdict::Allow || mode == Mode::Audit,
            policy: policy.map(|policy| policy.name().clone()),
            reasons: outcome.reasons,
            signatures: outcome.signatures,
            acquire: outcome.acquire,
            help: outcome.help,
            revision: self.policies.revision(&self.subject.repository),
            decided: self.now,
            expires: self.expires(outcome.verdict, outcome.ends),
        }
    }

    fn expires(&self, verdict: Verdict, ends: Option<SystemTime>) -> SystemTime {
        let limit = match verdict {
            Verdict::Allow => self.limits.allow_max_age,
            Verdict::Deny => self.limits.deny_ttl,
            Verdict::Indeterminate => self.limits.indeterminate_ttl,
        };
        // A configured age that no clock reaches does not limit; the decision is then good for now.
        let latest = self.now.checked_add(limit).unwrap_or(self.now);
        ends.map_or(latest, |end| end.min(latest))
    }
}

fn earliest(a: Option<SystemTime>, b: Option<SystemTime>) -> Option<SystemTime> {
    a.into_iter().chain(b).min()
}

/// Sorted by time, unguessable enough: an id grants nothing.
fn new_id(now: SystemTime) -> Ulid {
    let millis =
        now.duration_since(UNIX_EPOCH).map_or(0, |age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
    Ulid::from_parts(millis, fastrand::u128(..))
}

#[cfg(test)]
mod tests;
