//! How Notary Project signatures lie in a registry (signature-specification, "OCI Signatures").

use crate::oci::media_type::{EMPTY, NOTATION_COSE, NOTATION_JWS, NOTATION_SIGNATURE};
use crate::oci::{Descriptor, Digest, Kind, Manifest};
use crate::signature::Format;
use crate::signature::layout::Carrier;

/// The config of every signature artifact, whose content nothing reads.
const EMPTY_CONFIG: &[u8] = b"{}";

/// Reads the artifact as one signature: an image manifest, or the artifact manifest of the release
/// candidates, with a subject and exactly one layer, an envelope.
pub fn carrier(manifest: &Manifest, _subject: &Digest) -> Option<Carrier> {
    if manifest.descriptor().artifact_type.as_deref() != Some(NOTATION_SIGNATURE) {
        return None;
    }
    manifest.subject()?;
    let [envelope] = manifest.blobs() else { return None };
    if !matches!(&*envelope.media_type, NOTATION_JWS | NOTATION_COSE) {
        return None;
    }
    let pure = match (manifest.kind(), manifest.config()) {
        (Kind::Image, Some(config)) => is_empty(config),
        (Kind::Artifact, None) => true,
        _ => false,
    };
    Some(Carrier { format: Format::Notation, parts: vec![envelope.clone()], pure })
}

/// Either form of the config; another content could be anything.
fn is_empty(config: &Descriptor) -> bool {
    matches!(&*config.media_type, EMPTY | NOTATION_SIGNATURE)
        && config.size == EMPTY_CONFIG.len() as u64
        && config.digest.matches(EMPTY_CONFIG)
}
