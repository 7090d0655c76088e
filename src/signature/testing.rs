//! Proofs made without proving, for the tests of what is done with them. Not in any build but the
//! tests'.

use std::time::SystemTime;

use bytes::Bytes;

use super::{
    Attestation, Evidence, Fingerprint, Format, Rejected, Rejection, Signature, SignerName, Step, Strength,
    Subject, Verifier,
};
use crate::oci::{Digest, Repository};
use crate::telemetry::Untrusted;
use crate::trust::RevocationData;

impl Evidence {
    /// Evidence that `signer` vouches for `subject` with the key of this number.
    pub(crate) fn made_up(signer: &str, subject: &Digest, key: u8) -> Self {
        let signature = Signature {
            format: Format::Nv2,
            digest: Digest::sha256(&[key]),
            media_type: "application/test".into(),
            payload: Bytes::new(),
            annotations: std::collections::BTreeMap::new(),
        };
        Self::new(SignerName(signer.into()), &signature, *subject, Fingerprint([key; 32]))
    }

    pub(crate) fn identified(mut self, identity: &str, issuer: &str) -> Self {
        self.identity = Some(Untrusted::new(identity));
        self.issuer = Some(Untrusted::new(issuer));
        self
    }

    pub(crate) fn named(mut self, names: &[&str]) -> Self {
        self.names = names.iter().map(Untrusted::new).collect();
        self
    }

    /// The same as an attestation, of a statement with this predicate.
    pub(crate) fn attesting(mut self, predicate_type: &str, predicate: serde_json::Value) -> Self {
        let statement = serde_json::json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{ "digest": { "sha256": self.subject.to_string() } }],
            "predicateType": predicate_type,
            "predicate": predicate,
        });
        self.attestation = Some(Attestation::new(predicate_type, statement));
        self
    }

    pub(crate) fn reached_by(mut self, steps: Vec<Step>) -> Self {
        self.steps = steps;
        self
    }

    pub(crate) fn ending(mut self, not_after: SystemTime) -> Self {
        self.not_after = Some(not_after);
        self
    }
}

/// A signer that believes nothing, of a strength of choice.
pub(crate) struct Doubter {
    pub(crate) name: SignerName,
    pub(crate) format: Format,
    pub(crate) strength: Strength,
    pub(crate) revision: [u8; 32],
}

impl Verifier for Doubter {
    fn signer(&self) -> &SignerName {
        &self.name
    }

    fn format(&self) -> Format {
        self.format
    }

    fn strength(&self, _repository: &Repository) -> Strength {
        self.strength
    }

    fn revision(&self) -> [u8; 32] {
        self.revision
    }

    fn verify(
        &self,
        _: &Subject,
        _: &Signature,
        _: &RevocationData,
        _: SystemTime,
    ) -> Result<Evidence, Rejected> {
        Err(Rejection::Malformed { what: "test", why: Untrusted::new("never believed") }.into())
    }
}
