//! The signed payload: containers' simple signing (`containers-signature.5`), as cosign writes it.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::claim::{malformed, unsupported};
use crate::oci::{Digest, json};
use crate::signature::Rejection;
use crate::signature::rejection::Field;
use crate::telemetry::Untrusted;

/// What `critical.type` may be: cosign's own, and the one that containers/image writes.
const TYPES: [&str; 2] = [PAYLOAD_TYPE, "atomic container signature"];
/// What cosign calls its payloads.
pub(crate) const PAYLOAD_TYPE: &str = "cosign container image signature";

/// Far more than a name, a digest and some annotations: what is said beside them is built before anything is proven, and
/// hostile text would be a hundred times as large.
const MAX_BYTES: usize = 64 * 1024;

/// What a payload says.
#[derive(Debug)]
pub(super) struct Payload {
    /// The repository or reference under which the signer published.
    pub(super) reference: String,
    /// What the signer said beside it.
    pub(super) optional: Map<String, Value>,
    digest: String,
}

// What is critical must be understood, so other fields than these are refused at every level.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    critical: Critical,
    #[serde(default)]
    optional: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Critical {
    identity: Identity,
    image: Image,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Identity {
    docker_reference: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Image {
    docker_manifest_digest: String,
}

impl Payload {
    /// Reads one.
    ///
    /// # Errors
    /// [`Rejection::Malformed`], or [`Rejection::Unsupported`] for an unknown type.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Rejection> {
        if bytes.len() > MAX_BYTES {
            return Err(malformed(
                "simple-signing payload",
                format_args!("it is longer than {MAX_BYTES} bytes"),
            ));
        }
        let document: Document = json::strict(bytes).map_err(|e| malformed("simple-signing payload", e))?;
        let critical = document.critical;
        if !TYPES.contains(&critical.kind.as_str()) {
            return Err(unsupported("simple-signing type", &critical.kind));
        }
        Ok(Self {
            reference: critical.identity.docker_reference,
            optional: document.optional.unwrap_or_default(),
            digest: critical.image.docker_manifest_digest,
        })
    }

    /// Whether it is about this manifest.
    ///
    /// # Errors
    /// [`Rejection::Mismatch`].
    pub(super) fn describe(&self, subject: &Digest) -> Result<(), Rejection> {
        let expected = subject.to_string();
        if self.digest == expected {
            return Ok(());
        }
        let (expected, found) = (expected.into(), Untrusted::new(&self.digest));
        Err(Rejection::Mismatch { field: Field::Digest, expected, found })
    }
}
