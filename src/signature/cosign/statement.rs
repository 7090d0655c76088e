//! in-toto Statements: who is meant, and what is said (in-toto Attestation Framework v1, "Statement").

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::claim::{malformed, unsupported};
use crate::oci::{Algorithm, Digest, json};
use crate::signature::rejection::Field;
use crate::signature::{Attestation, Rejection};

/// The predicate of what is no attestation but a signature: `cosign sign` writes it in bundles.
pub(crate) const SIGN_PREDICATE: &str = "https://sigstore.dev/cosign/sign/v1";
/// What a statement may call itself.
const TYPES: [&str; 2] = ["https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1"];
/// More subjects than any build has.
const MAX_SUBJECTS: usize = 1024;
const MAX_DIGESTS: usize = 32;

/// What a statement says.
#[derive(Debug)]
pub(super) struct Statement {
    pub(super) predicate_type: String,
    subjects: Vec<Subject>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Subject>,
    predicate_type: String,
}

/// One subject (`ResourceDescriptor`).
#[derive(Debug, Deserialize)]
struct Subject {
    #[serde(default)]
    name: String,
    #[serde(default)]
    digest: BTreeMap<String, String>,
    #[serde(default)]
    annotations: Option<Box<RawValue>>,
}

impl Statement {
    /// Reads one.
    ///
    /// # Errors
    /// [`Rejection::Malformed`], or [`Rejection::Unsupported`] for other versions.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Rejection> {
        const WHAT: &str = "in-toto statement";
        // What else is in it is built once it is proven: as values, hostile text would be a hundred times as large.
        let document: Document = json::strict(bytes).map_err(|e| malformed(WHAT, e))?;
        if !TYPES.contains(&document.kind.as_str()) {
            return Err(unsupported("in-toto statement type", &document.kind));
        }
        if document.predicate_type.is_empty() {
            return Err(malformed(WHAT, "its predicateType is empty"));
        }
        if document.subject.is_empty() || document.subject.len() > MAX_SUBJECTS {
            let found = document.subject.len();
            return Err(malformed(
                WHAT,
                format_args!("expected 1 to {MAX_SUBJECTS} subjects, found {found}"),
            ));
        }
        if document.subject.iter().any(|s| s.digest.is_empty() || s.digest.len() > MAX_DIGESTS) {
            return Err(malformed(WHAT, format_args!("a subject has not 1 to {MAX_DIGESTS} digests")));
        }
        Ok(Self { predicate_type: document.predicate_type, subjects: document.subject })
    }

    /// Whether one of its subjects is this manifest.
    ///
    /// # Errors
    /// [`Rejection::Mismatch`].
    pub(super) fn describe(&self, subject: &Digest) -> Result<(), Rejection> {
        if self.about(subject).is_some() {
            return Ok(());
        }
        let named = self.subjects.iter().take(4).flat_map(|s| &s.digest);
        let found: Vec<String> = named.map(|(algorithm, hash)| format!("{algorithm}:{hash}")).collect();
        Err(Rejection::Mismatch {
            field: Field::Digest,
            expected: subject.to_string().into(),
            found: found.join(", ").into(),
        })
    }

    /// The name that it gives the manifest, where it gives one.
    pub(super) fn name(&self, subject: &Digest) -> Option<&str> {
        self.about(subject).map(|s| s.name.as_str()).filter(|name| !name.is_empty())
    }

    /// What it says of the manifest in passing.
    pub(super) fn annotations(&self, subject: &Digest) -> Option<Map<String, Value>> {
        serde_json::from_str(self.about(subject)?.annotations.as_ref()?.get()).ok()
    }

    /// The statement as evidence of it, from the bytes that it was read from.
    pub(super) fn attestation(&self, bytes: &[u8]) -> Attestation {
        Attestation::new(self.predicate_type.as_str(), serde_json::from_slice(bytes).unwrap_or_default())
    }

    /// A digest of the subject's that is there and another is no match, whatever else agrees.
    fn about(&self, subject: &Digest) -> Option<&Subject> {
        let algorithm = match subject.algorithm() {
            Algorithm::Sha256 => "sha256",
            Algorithm::Sha512 => "sha512",
        };
        let hash = subject.hex();
        self.subjects.iter().find(|s| s.digest.get(algorithm).is_some_and(|found| *found == hash))
    }
}
