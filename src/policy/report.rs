//! A decision as `verify` prints it and as audit lines hold it.

use std::sync::Arc;
use std::time::SystemTime;

use serde::{Serialize, Serializer};

use super::{Decision, Mode, Reason, Verdict};
use crate::oci::{Digest, Repository};
use crate::setting::time::show;
use crate::signature::validation::Validated;
use crate::signature::{Attestation, Code, Evidence, Format, SignerName, Step, TimeSource, Validations};
use crate::telemetry::Untrusted;

/// The object that `verify --output json` prints; audit lines add to it.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What was asked for.
    pub reference: String,
    /// The source name.
    pub repository: Repository,
    /// What was judged.
    pub digest: Digest,
    /// The verdict, whatever the mode makes of it.
    pub outcome: Verdict,
    /// What serving makes of the verdict.
    pub mode: Mode,
    /// The policy that applied.
    pub policy: Option<Arc<str>>,
    /// Why.
    pub reasons: Vec<Reason>,
    /// Every signature found, and why it was believed or not.
    pub signatures: Vec<SignatureReport>,
    /// Where missing keys are acquired.
    pub acquire: Vec<String>,
    /// Until when the decision holds.
    #[serde(serialize_with = "time")]
    pub expires: SystemTime,
}

impl Report {
    pub(super) fn of(decision: &Decision, reference: &str) -> Self {
        Self {
            reference: reference.to_owned(),
            repository: decision.repository().clone(),
            digest: *decision.subject(),
            outcome: decision.verdict(),
            mode: decision.mode(),
            policy: decision.policy().cloned(),
            reasons: decision.reasons().to_vec(),
            signatures: decision.signatures().to_vec(),
            acquire: decision.acquire().to_vec(),
            expires: decision.expires(),
        }
    }
}

/// Whether a signature was believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Belief {
    /// Proven, by a signer that the policy names.
    Trusted,
    /// Not.
    Rejected,
}

/// One signature, and why it was believed or not.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SignatureReport {
    /// How it is made.
    pub format: Format,
    /// The artifact that carries it.
    pub digest: Digest,
    /// Believed or not.
    pub result: Belief,
    /// Why, as a code.
    pub code: Code,
    /// Why, in words.
    pub message: String,
    /// The signer that vouches, or that came nearest.
    pub signer: Option<SignerName>,
    /// Who signed, as the certificate or key tells.
    pub identity: Option<Untrusted>,
    /// Who vouches for the identity.
    pub issuer: Option<Untrusted>,
    /// When it was signed.
    #[serde(serialize_with = "optional_time")]
    pub signed_at: Option<SystemTime>,
    /// Who says so.
    pub time_source: Option<TimeSource>,
    /// Until when the proof holds.
    #[serde(serialize_with = "optional_time")]
    pub not_after: Option<SystemTime>,
    /// The signed names: where the content comes from, wherever it was copied to.
    pub origin: Vec<Untrusted>,
    /// The media type of the envelope, token or payload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_type: Option<Arc<str>>,
    /// The statement of the signer's trust policy that decided, where it has several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statement: Option<Arc<str>>,
    /// What each check came to, for formats whose policies name them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub validations: Vec<Validated>,
    /// What a reader of the proof should know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What kind of statement was signed, where it is an attestation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub predicate_type: Option<Untrusted>,
    /// The way from the signature to the content, where it leads over other artifacts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<Step>,
}

impl SignatureReport {
    /// A signature that nothing more is known about.
    pub(super) fn rejected(format: Format, digest: Digest, code: Code, message: String) -> Self {
        Self {
            format,
            digest,
            media_type: None,
            result: Belief::Rejected,
            code,
            message,
            signer: None,
            identity: None,
            issuer: None,
            signed_at: None,
            time_source: None,
            not_after: None,
            origin: Vec::new(),
            statement: None,
            validations: Vec::new(),
            notes: Vec::new(),
            predicate_type: None,
            chain: Vec::new(),
        }
    }

    /// The same with what its checks came to.
    pub(super) fn validated(self, validations: &Validations) -> Self {
        let (statement, validations) = (validations.statement.clone(), validations.checks.clone());
        Self { statement, validations, ..self }
    }

    /// What was proven; counted or not, as `result`, `code` and `message` say.
    pub(super) fn proven(evidence: &Evidence, result: Belief, code: Code, message: String) -> Self {
        Self {
            result,
            signer: Some(evidence.signer().clone()),
            identity: evidence.identity().cloned(),
            issuer: evidence.issuer().cloned(),
            signed_at: evidence.signed_at().map(|(at, _)| at),
            time_source: evidence.signed_at().map(|(_, source)| source),
            not_after: evidence.not_after(),
            origin: evidence.names().to_vec(),
            notes: evidence.notes().to_vec(),
            predicate_type: evidence.attestation().map(Attestation::predicate_type).map(Untrusted::new),
            chain: evidence.steps().to_vec(),
            ..Self::rejected(evidence.format(), *evidence.signature(), code, message)
        }
        .validated(evidence.validations())
    }
}

fn time<S: Serializer>(at: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&show(*at))
}

fn optional_time<S: Serializer>(at: &Option<SystemTime>, serializer: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => time(at, serializer),
        None => serializer.serialize_none(),
    }
}
