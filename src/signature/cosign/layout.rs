//! cosign's artifacts: an image manifest whose layers are simple-signing payloads, envelopes of
//! attestations, or sigstore bundles.

use super::config;
use crate::oci::{Descriptor, Digest, Kind, Manifest, media_type};
use crate::signature::Format;
use crate::signature::layout::Carrier;

/// The annotation of a layer that holds the signature over it, in base64.
pub(crate) const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
/// The annotation of a layer that holds the certificate of a keyless signature.
pub(super) const CERTIFICATE: &str = "dev.sigstore.cosign/certificate";

/// The annotation of a layer that holds the certificates above it.
pub(super) const CHAIN: &str = "dev.sigstore.cosign/chain";
/// The annotation of a layer that holds Rekor's word.
pub(super) const BUNDLE: &str = "dev.sigstore.cosign/bundle";
/// The annotation of a layer that holds an RFC 3161 timestamp.
pub(crate) const TIMESTAMP: &str = "dev.sigstore.cosign/rfc3161timestamp";

/// What the config of such an artifact may be: cosign writes an image's for tags, its own type for
/// referrers, and an empty one for bundles.
const CONFIGS: [&str; 5] = [
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
    "application/vnd.dev.cosign.artifact.sig.v1+json",
    "application/vnd.dev.cosign.artifact.att.v1+json",
    media_type::EMPTY,
];

/// Reads the artifact.
pub fn carrier(manifest: &Manifest, _subject: &Digest) -> Option<Carrier> {
    if manifest.kind() == Kind::Index {
        return None;
    }
    let parts: Vec<Descriptor> = manifest.blobs().iter().filter(|layer| is_claim(layer)).cloned().collect();
    if parts.is_empty() {
        return None;
    }
    let unknown = manifest.config().filter(|config| !config::is_known(config, manifest.blobs()));
    let may_be_plain = unknown.is_none_or(|config| config.size <= config::MAX_BYTES);
    let is_config = manifest.config().is_none_or(|config| CONFIGS.contains(&&*config.media_type));
    let pure = is_config && may_be_plain && parts.len() == manifest.blobs().len();
    Some(Carrier { format: Format::Cosign, parts, pure, config: unknown.cloned() })
}

/// Whether the config of the artifact with these layers says nothing but what they are.
pub fn is_plain_config(config: &[u8], layers: &[Descriptor]) -> bool {
    config::is_plain(config, layers)
}

/// Whether the media type is that of a sigstore bundle, of any version.
pub(super) fn is_bundle(media_type: &str) -> bool {
    let rest = media_type.strip_prefix("application/vnd.dev.sigstore.bundle");
    rest.is_some_and(|rest| rest.starts_with(['.', '+']) && rest.contains("+json"))
}

fn is_claim(layer: &Descriptor) -> bool {
    matches!(&*layer.media_type, media_type::COSIGN_SIMPLE_SIGNING | media_type::DSSE_ENVELOPE)
        || is_bundle(&layer.media_type)
}
