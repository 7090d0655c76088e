//! What collection found, as `admission` hands it over, and the reasons that decisions give.

use std::sync::Arc;

use serde::Serialize;

use crate::oci::Digest;
use crate::signature::{Code, Evidence, Format, Rejected, SignerName};

/// What collection found.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// Each signature, and what each signer of its format says of it.
    pub signatures: Vec<Judged>,
    /// Sources that failed, bounds that were hit.
    pub troubles: Vec<Trouble>,
}

/// One signature, judged.
#[derive(Clone, Debug)]
pub struct Judged {
    /// How it is made.
    pub format: Format,
    /// The artifact that carries it.
    pub digest: Digest,
    /// The media type of the envelope, token or payload.
    pub media_type: Arc<str>,
    /// What each signer says of it; empty where the policy has none of the format.
    pub results: Vec<(SignerName, Result<Evidence, Rejected>)>,
}

/// Why there may be signatures that were not seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// `source_unavailable`, `bound_exceeded`, `deadline`, `clock_went_back`.
    pub code: Code,
    /// Which source or bound, in words that may be shown.
    pub message: String,
}

/// One reason of a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// From the closed list.
    pub code: Code,
    /// In words that follow the subject's name.
    pub message: String,
}

impl From<&Trouble> for Reason {
    fn from(trouble: &Trouble) -> Self {
        Self { code: trouble.code, message: trouble.message.clone() }
    }
}
