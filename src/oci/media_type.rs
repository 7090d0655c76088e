//! Media types that decide how content is read. Others pass through as they are.

/// OCI image manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// OCI image index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// The OCI artifact manifest of the 1.1 release candidates; early Notary Project signatures use it.
pub const OCI_ARTIFACT: &str = "application/vnd.oci.artifact.manifest.v1+json";
/// Docker image manifest, version 2 schema 2.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker manifest list, version 2 schema 2.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Docker image manifest, schema 1: its digest does not cover its signature block, so it is refused.
pub const DOCKER_SCHEMA1: &str = "application/vnd.docker.distribution.manifest.v1+json";
/// The same, signed.
pub const DOCKER_SCHEMA1_SIGNED: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";
/// The empty JSON object, as config or layer.
pub const EMPTY: &str = "application/vnd.oci.empty.v1+json";

/// nv2: an artifact's config that is a JWT signature.
pub const NV2_CONFIG_JWT: &str = "application/vnd.cncf.notary.config.v2+jwt";
/// nv2: an artifact's config that is a signature in the JSON form.
pub const NV2_CONFIG_JSON: &str = "application/vnd.cncf.notary.config.v2+json";
/// nv2: an index's config that is a JWT signature over the manifests it lists.
pub const NV2_INDEX_CONFIG_JWT: &str = "application/vnd.cncf.notary.index.config.v2+jwt";

/// Notary Project: the signature artifact's type.
pub const NOTATION_SIGNATURE: &str = "application/vnd.cncf.notary.signature";
/// Notary Project: a JWS envelope.
pub const NOTATION_JWS: &str = "application/jose+json";
/// Notary Project: a COSE envelope.
pub const NOTATION_COSE: &str = "application/cose";

/// cosign: a simple-signing payload as layer, its signature in annotations.
pub const COSIGN_SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";

/// cosign: an attestation's DSSE envelope as layer.
pub const DSSE_ENVELOPE: &str = "application/vnd.dsse.envelope.v1+json";
/// A sigstore bundle, of the newest version.
pub const SIGSTORE_BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
/// An in-toto statement as layer, by itself unsigned: BuildKit's and Docker Hardened Images' attestations.
pub const IN_TOTO: &str = "application/vnd.in-toto+json";

/// What is asked of upstreams, most wanted first: every manifest that can be judged.
pub const ACCEPTED_MANIFESTS: [&str; 5] =
    [OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST, OCI_ARTIFACT];

/// A media type as descriptors have it: mostly bare, but older sigstore bundles are told apart by a parameter (RFC 2045,
/// section 5.1; here without quotes).
pub fn is_content_type(text: &str) -> bool {
    let mut parts = text.split(';');
    let token = |t: &str| is_media_type(&format!("x/{t}"));
    let parameter =
        |p: &str| p.trim_start().split_once('=').is_some_and(|(name, value)| token(name) && token(value));
    text.len() <= 255 && parts.next().is_some_and(is_media_type) && parts.all(parameter)
}

/// A media type without parameters, lower case, as far as it can be one (RFC 6838, section 4.2).
pub fn is_media_type(text: &str) -> bool {
    let token = |t: &str| {
        (1..=127).contains(&t.len())
            && t.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
    };
    text.split_once('/').is_some_and(|(kind, sub)| token(kind) && token(sub))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types_may_have_parameters() {
        for good in
            ["application/json", "application/vnd.dev.sigstore.bundle+json;version=0.1", "a/b; c=d;e=f"]
        {
            assert!(is_content_type(good), "{good}");
        }
        let long = format!("a/b;c={}", "d".repeat(300));
        for bad in [
            "",
            "a",
            "a/b;",
            "a/b;c",
            "a/b;=d",
            "a/b;c=",
            "a/b;c=\"d\"",
            "a/b;c=d\r\nx: y",
            "a/b;c=d/e",
            &long,
        ] {
            assert!(!is_content_type(bad), "{bad}");
        }
    }
}
