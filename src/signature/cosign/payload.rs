//! The signed payload: containers' simple signing (`containers-signature.5`), as cosign writes it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::layout::{SIGNATURE, is_bundle};
use crate::oci::{Descriptor, json, media_type};
use crate::signature::rejection::Field;
use crate::signature::{Rejection, Signature};
use crate::telemetry::Untrusted;

/// What `critical.type` may be: cosign's own, and the one that containers/image writes.
const TYPES: [&str; 2] = ["cosign container image signature", "atomic container signature"];

/// A signature, taken apart.
#[derive(Debug)]
pub(super) struct Signed {
    /// The signature over the payload's bytes.
    pub(super) signature: Vec<u8>,
    /// The repository or reference under which the signer published.
    pub(super) reference: String,
    digest: String,
}

// What is critical must be understood, so other fields than these are refused at every level.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    critical: Critical,
    #[serde(rename = "optional", default)]
    _optional: Option<IgnoredAny>,
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

impl Signed {
    /// Takes a simple-signing layer apart.
    ///
    /// # Errors
    /// [`Rejection::Malformed`], or [`Rejection::Unsupported`] for bundles and unknown types.
    pub(super) fn read(signature: &Signature) -> Result<Self, Rejection> {
        match &*signature.media_type {
            media_type::COSIGN_SIMPLE_SIGNING => {}
            other if is_bundle(other) => {
                return Err(unsupported("signature", "sigstore bundles are not verified yet"));
            }
            other => return Err(unsupported("cosign media type", other)),
        }
        let Some(encoded) = signature.annotations.get(SIGNATURE) else {
            return Err(malformed("cosign layer", format_args!("it has no annotation {SIGNATURE}")));
        };
        let raw = STANDARD.decode(encoded).map_err(|e| malformed("cosign signature", e))?;
        let payload: Payload =
            json::strict(&signature.payload).map_err(|e| malformed("simple-signing payload", e))?;
        let critical = payload.critical;
        if !TYPES.contains(&critical.kind.as_str()) {
            return Err(unsupported("simple-signing type", &critical.kind));
        }
        Ok(Self {
            signature: raw,
            reference: critical.identity.docker_reference,
            digest: critical.image.docker_manifest_digest,
        })
    }

    /// Whether it is about this manifest.
    ///
    /// # Errors
    /// [`Rejection::Mismatch`].
    pub(super) fn describe(&self, subject: &Descriptor) -> Result<(), Rejection> {
        let expected = subject.digest.to_string();
        if self.digest == expected {
            return Ok(());
        }
        let (expected, found) = (expected.into(), Untrusted::new(&self.digest));
        Err(Rejection::Mismatch { field: Field::Digest, expected, found })
    }
}

fn malformed(what: &'static str, why: impl std::fmt::Display) -> Rejection {
    Rejection::Malformed { what, why: why.to_string().into() }
}

fn unsupported(what: &'static str, found: &str) -> Rejection {
    Rejection::Unsupported { what, found: found.into() }
}
