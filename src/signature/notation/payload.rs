//! The signed payload: one descriptor (signature-specification, "Payload").

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::oci::{Descriptor, Digest, json};
use crate::signature::Rejection;
use crate::signature::rejection::Field;

/// What an envelope vouches for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TargetArtifact {
    media_type: String,
    digest: Digest,
    size: u64,
    /// What the signer says about it besides.
    #[serde(default)]
    pub(super) annotations: BTreeMap<String, String>,
}

impl TargetArtifact {
    /// Reads a payload that is exactly one `targetArtifact`.
    pub(super) fn read(payload: &[u8]) -> Result<Self, Rejection> {
        // As text: built as values, hostile ones would be a hundred times as large.
        let mut document: BTreeMap<String, Box<RawValue>> = json::strict(payload).map_err(malformed)?;
        let target =
            document.remove("targetArtifact").ok_or_else(|| malformed("targetArtifact is missing"))?;
        if let Some(other) = document.keys().next() {
            return Err(malformed(format_args!("{other:?} stands beside targetArtifact")));
        }
        let keys: BTreeMap<String, IgnoredAny> = serde_json::from_str(target.get()).map_err(malformed)?;
        if let Some(key) = ambiguous_key(keys.keys()) {
            return Err(malformed(format_args!("the key {key:?} stands there in two spellings")));
        }
        serde_json::from_str(target.get()).map_err(malformed)
    }

    /// Whether it is the subject, in all that names content.
    pub(super) fn is(&self, subject: &Descriptor) -> Result<(), Rejection> {
        let fields = [
            (Field::Digest, subject.digest.to_string(), self.digest.to_string()),
            (Field::Size, subject.size.to_string(), self.size.to_string()),
            (Field::MediaType, subject.media_type.to_string(), self.media_type.clone()),
        ];
        match fields.into_iter().find(|(_, expected, found)| expected != found) {
            Some((field, expected, found)) => {
                Err(Rejection::Mismatch { field, expected: expected.into(), found: found.into() })
            }
            None => Ok(()),
        }
    }

    /// Whether the signer put all of these annotations there.
    pub(super) fn carries(&self, annotations: &BTreeMap<String, String>) -> Result<(), Rejection> {
        let missing = annotations.iter().find(|(key, value)| self.annotations.get(*key) != Some(value));
        missing.map_or(Ok(()), |(key, value)| {
            let found = self.annotations.get(key).map_or("not signed", String::as_str);
            Err(Rejection::Annotation { key: key.into(), expected: value.into(), found: found.into() })
        })
    }
}

/// A key that differs from another in case alone: readers that ignore case, as Go's do, would see one
/// field where others see two.
pub(super) fn ambiguous_key<'a>(mut keys: impl Iterator<Item = &'a String>) -> Option<&'a str> {
    let mut seen = std::collections::HashSet::new();
    keys.find(|key| !seen.insert(key.to_ascii_lowercase())).map(String::as_str)
}

fn malformed(why: impl std::fmt::Display) -> Rejection {
    Rejection::Malformed { what: "payload", why: why.to_string().into() }
}
