//! Which artifacts carry signatures, and how. Reads an artifact's own manifest, never the index's
//! word for it (several registries misreport `artifactType`).

#[cfg(test)]
mod tests;

use bytes::Bytes;

use super::{Format, Rejection, Signature, cosign, notation, nv2};
use crate::oci::{Descriptor, Digest, Manifest};

/// An artifact manifest that is laid out as a format's signatures are.
#[derive(Clone, Debug)]
pub struct Carrier {
    /// The format.
    pub format: Format,
    /// The blobs to fetch: each becomes one [`Signature`].
    pub parts: Vec<Descriptor>,
    /// Whether the whole artifact is what its format allows and nothing else: only then may it be
    /// served as a proven signature.
    pub pure: bool,
    /// A config of which only the content tells that: see [`Self::is_plain_config`].
    pub config: Option<Descriptor>,
}

impl Carrier {
    /// Whether the bytes of [`Self::config`] say nothing of their own.
    pub fn is_plain_config(&self, bytes: &[u8]) -> bool {
        self.format == Format::Cosign && cosign::layout::is_plain_config(bytes, &self.parts)
    }
}

/// Reads `manifest` as signatures about `subject`; `None` where it is something else, or its
/// `subject` field names other content.
pub fn carrier(manifest: &Manifest, subject: &Digest) -> Option<Carrier> {
    if manifest.subject().is_some_and(|named| named.digest != *subject) {
        return None;
    }
    nv2::layout::carrier(manifest, subject)
        .or_else(|| notation::layout::carrier(manifest, subject))
        .or_else(|| cosign::layout::carrier(manifest, subject))
}

/// The claim in one part of a carrier.
pub fn signature(carrier: &Carrier, artifact: Digest, part: &Descriptor, payload: Bytes) -> Signature {
    Signature {
        format: carrier.format,
        digest: artifact,
        media_type: part.media_type.clone(),
        payload,
        annotations: part.annotations.clone(),
    }
}

/// Whether a signature parses as a claim about `subject`, proven or not.
///
/// # Errors
/// The reason why it does not.
pub fn claims(signature: &Signature, subject: &Descriptor) -> Result<(), Rejection> {
    match signature.format {
        Format::Nv2 => nv2::claims(signature, subject),
        Format::Notation => notation::claims(signature, subject),
        Format::Cosign => cosign::claims(signature, subject),
    }
}
