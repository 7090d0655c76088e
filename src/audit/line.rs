//! One decision as a line: the object that `verify --output json` prints, and who, when, by what.

use std::time::SystemTime;

use serde::{Serialize, Serializer};
use ulid::Ulid;

use super::Error;
use super::chain::HEAD_BYTES;
use crate::oci::Digest;
use crate::policy::{Decision, Report, Revision};
use crate::setting::time::show;

/// No line is longer, so that a log can be read with a buffer of a fixed size.
pub const MAX_LINE_BYTES: usize = 64 * 1024;

/// A decision as it is recorded.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// What was decided and on what grounds.
    #[serde(flatten)]
    pub report: Report,
    /// The decision's id, as refusals name it.
    #[serde(serialize_with = "id")]
    pub decision: Ulid,
    /// When it was made.
    #[serde(serialize_with = "time")]
    pub at: SystemTime,
    /// Whose request caused it.
    pub principal: String,
    /// The revision of the policy with its signers.
    pub policy_revision: Revision,
    /// The revision of the trust material: one hash covers both.
    pub trust_revision: Revision,
    /// Whether kept signatures alone decided, without asking the upstream.
    pub cached: bool,
    /// How many signatures were left out for want of room; the first ones stand in the line.
    #[serde(skip_serializing_if = "is_zero")]
    signatures_left_out: usize,
}

impl Line {
    /// The line of `decision`, which `principal` caused; `cached` where kept signatures alone decided.
    pub fn new(decision: &Decision, principal: &str, cached: bool) -> Self {
        let reference = match decision.tag() {
            Some(tag) => format!("{}:{tag}", decision.repository()),
            None => format!("{}@{}", decision.repository(), decision.subject()),
        };
        Self {
            report: decision.report(&reference),
            decision: decision.id(),
            at: decision.decided(),
            principal: principal.to_owned(),
            policy_revision: decision.revision(),
            trust_revision: decision.revision(),
            cached,
            signatures_left_out: 0,
        }
    }

    /// The line without its place in the chain. Of a list of signatures that is too long, the
    /// first half, quarter and so on stays.
    pub(super) fn to_json(&self) -> Result<String, Error> {
        let json = to_json(self)?;
        if fits(&json) {
            return Ok(json);
        }
        let mut cut = self.clone();
        while !cut.report.signatures.is_empty() {
            cut.report.signatures.truncate(cut.report.signatures.len() / 2);
            cut.signatures_left_out = self.report.signatures.len() - cut.report.signatures.len();
            let json = to_json(&cut)?;
            if fits(&json) {
                return Ok(json);
            }
        }
        Err(Error::Line(format!("it is longer than {MAX_LINE_BYTES} bytes even without signatures")))
    }
}

#[derive(Serialize)]
struct Damage {
    event: &'static str,
    lines: u64,
    note: &'static str,
}

/// A counter-signature that was made or withdrawn.
#[derive(Clone, Debug, Serialize)]
pub struct CounterSignature {
    /// `counter-signed` or `withdrawn`.
    pub event: &'static str,
    /// The subject's repository.
    pub repository: String,
    /// What was signed.
    pub subject: Digest,
    /// The decision that it follows.
    pub decision: String,
    /// The policy's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// The key's SHA-256, over its SubjectPublicKeyInfo, where one signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The manifests that carry the signatures.
    pub artifacts: Vec<Digest>,
}

impl CounterSignature {
    pub(super) fn to_json(&self) -> Result<String, Error> {
        to_json(self)
    }
}

/// The line that follows lines which cannot be read.
pub(super) fn damage(lines: u64) -> Result<String, Error> {
    let note = "the lines before this one cannot be read: a crash cut them short, or they were changed";
    to_json(&Damage { event: "damage", lines, note })
}

pub(super) fn time<S: Serializer>(at: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&show(*at))
}

fn id<S: Serializer>(id: &Ulid, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

pub(super) fn to_json(line: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(line).map_err(|e| Error::Line(e.to_string()))
}

fn fits(json: &str) -> bool {
    json.len() + HEAD_BYTES <= MAX_LINE_BYTES
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_zero(n: &usize) -> bool {
    *n == 0
}
