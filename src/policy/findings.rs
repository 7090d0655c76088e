//! What collection found, as `admission` hands it over, with what attestations say to the policy, and the reasons that
//! decisions give.

use std::sync::Arc;

use serde::Serialize;

use super::attested::Unmet;
use super::{Attested, Policy};
use crate::oci::{Digest, Repository};
use crate::signature::{Code, Evidence, Format, Rejected, Signature, SignerName};

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
    /// Whether the attestation in it, by the signer that is asked, is what the policy asks for.
    pub(super) attested: Vec<(Attested, Result<(), Unmet>)>,
}

impl Judged {
    /// Takes what the verifiers of a policy say of a signature, and asks of each attestation that they proved whether it is
    /// what the policy wants: once, since decisions are made again with every signature found. The statements are then let go.
    pub fn new(
        policy: &Policy,
        repository: &Repository,
        signature: &Signature,
        mut results: Vec<(SignerName, Result<Evidence, Rejected>)>,
    ) -> Self {
        let require = policy.require(repository);
        let wanted = require.as_ref().map(|require| require.attested()).unwrap_or_default();
        let mut attested = Vec::new();
        for (signer, result) in &mut results {
            let Ok(evidence) = result else { continue };
            let Some(attestation) = evidence.attestation() else { continue };
            let by_signer =
                wanted.iter().filter(|wanted| wanted.by == *signer && evidence.signer() == signer);
            attested.extend(by_signer.map(|wanted| ((*wanted).clone(), wanted.met_by(attestation))));
            evidence.forget_statement();
        }
        let media_type = Arc::clone(&signature.media_type);
        Self { format: signature.format, digest: signature.digest, media_type, results, attested }
    }

    /// Whether a signer of the policy made it, whatever the policy asks that signer for.
    pub fn is_proven(&self) -> bool {
        self.results.iter().any(|(_, result)| result.is_ok())
    }

    /// Whether conditions were evaluated over it, which takes as long as many signatures.
    pub fn is_attestation(&self) -> bool {
        !self.attested.is_empty()
    }
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
