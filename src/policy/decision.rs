//! A verdict with all that it rests on. Only this module's parent can make one.

use std::sync::Arc;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use ulid::Ulid;

use super::{Mode, Reason, Report, Revision, SignatureReport, message};
use crate::oci::{Digest, Repository, Tag};
use crate::setting;

/// What the evidence says, before the mode is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// What was read satisfies the policy, whatever else failed.
    Allow,
    /// Every source answered, and the policy is not satisfied.
    Deny,
    /// Neither.
    Indeterminate,
}

impl Verdict {
    /// The word in reports and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Indeterminate => "indeterminate",
        }
    }
}

/// The cached and audited unit: one verdict on one subject in one repository. Its fields are
/// private and nothing reads one from bytes, so holding one means that `policy` decided.
#[derive(Clone, Debug)]
pub struct Decision {
    pub(super) id: Ulid,
    pub(super) repository: Repository,
    pub(super) subject: Digest,
    pub(super) tag: Option<Tag>,
    pub(super) verdict: Verdict,
    pub(super) mode: Mode,
    pub(super) serve: bool,
    pub(super) policy: Option<Arc<str>>,
    pub(super) reasons: Vec<Reason>,
    pub(super) signatures: Vec<SignatureReport>,
    pub(super) acquire: Vec<String>,
    pub(super) help: Option<String>,
    pub(super) revision: Revision,
    pub(super) decided: SystemTime,
    pub(super) expires: SystemTime,
}

impl Decision {
    /// The id that refusals, audit lines and logs share.
    pub fn id(&self) -> Ulid {
        self.id
    }

    /// Where the subject was asked for.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// What was judged.
    pub fn subject(&self) -> &Digest {
        &self.subject
    }

    /// The tag that it was judged for, where the policy compares tags (`signed_name: exact`): for
    /// another tag, and by digest, it is no answer.
    pub fn tag(&self) -> Option<&Tag> {
        self.tag.as_ref()
    }

    /// What the evidence says.
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// The mode that is applied to the verdict.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether the content is served: the verdict with the mode applied.
    pub fn serve(&self) -> bool {
        self.serve
    }

    /// Whether the content is served only because the policy is in audit mode.
    pub fn would_deny(&self) -> bool {
        self.verdict != Verdict::Allow && self.serve
    }

    /// The policy that applied.
    pub fn policy(&self) -> Option<&Arc<str>> {
        self.policy.as_ref()
    }

    /// Why: never empty, the weightiest first.
    pub fn reasons(&self) -> &[Reason] {
        &self.reasons
    }

    /// Every signature found.
    pub fn signatures(&self) -> &[SignatureReport] {
        &self.signatures
    }

    /// Where the keys that are missing can be acquired.
    pub fn acquire(&self) -> &[String] {
        &self.acquire
    }

    /// Lines of configuration that would admit the content, where no policy covers it.
    pub fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// What it depends on: under another revision it is stale.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// When it was made.
    pub fn decided(&self) -> SystemTime {
        self.decided
    }

    /// Until when it holds, this moment not included.
    pub fn expires(&self) -> SystemTime {
        self.expires
    }

    /// One line for clients and operators.
    pub fn message(&self) -> String {
        message::of(self)
    }

    /// The object that `verify` prints; `reference` is what was asked for.
    pub fn report(&self, reference: &str) -> Report {
        Report::of(self, reference)
    }

    /// What is kept of it.
    pub fn record(&self) -> DecisionRecord {
        let mut signatures: Vec<Digest> = self.signatures.iter().map(|report| report.digest).collect();
        signatures.dedup();
        DecisionRecord {
            id: self.id,
            repository: self.repository.clone(),
            subject: self.subject,
            tag: self.tag.clone(),
            verdict: self.verdict,
            revision: self.revision,
            signatures,
            decided: self.decided,
            expires: self.expires,
        }
    }
}

/// A decision as it is kept: a list of inputs. Nothing turns it into a [`Decision`] again: a kept
/// Allow is proven anew on its first use in a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionRecord {
    /// See [`Decision::id`].
    pub id: Ulid,
    /// See [`Decision::repository`].
    pub repository: Repository,
    /// See [`Decision::subject`].
    pub subject: Digest,
    /// See [`Decision::tag`].
    pub tag: Option<Tag>,
    /// What it was then.
    pub verdict: Verdict,
    /// See [`Decision::revision`].
    pub revision: Revision,
    /// The artifacts whose signatures were judged.
    pub signatures: Vec<Digest>,
    /// See [`Decision::decided`].
    #[serde(with = "setting::time")]
    pub decided: SystemTime,
    /// See [`Decision::expires`].
    #[serde(with = "setting::time")]
    pub expires: SystemTime,
}
