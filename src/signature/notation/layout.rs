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
    Some(Carrier { format: Format::Notation, parts: vec![envelope.clone()], pure, config: None })
}

/// Either form of the config; another content could be anything.
fn is_empty(config: &Descriptor) -> bool {
    matches!(&*config.media_type, EMPTY | NOTATION_SIGNATURE)
        && config.size == EMPTY_CONFIG.len() as u64
        && config.digest.matches(EMPTY_CONFIG)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::{Value, json};

    use super::*;
    use crate::oci::Algorithm;
    use crate::oci::media_type::{OCI_ARTIFACT, OCI_MANIFEST};

    fn descriptor(media_type: &str, content: &[u8]) -> Value {
        json!({ "mediaType": media_type, "digest": Digest::sha256(content).to_string(), "size": content.len() })
    }

    fn image() -> Value {
        json!({
            "schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": NOTATION_SIGNATURE,
            "config": descriptor(EMPTY, b"{}"),
            "layers": [descriptor(NOTATION_JWS, b"envelope")],
            "subject": descriptor(OCI_MANIFEST, b"subject"),
        })
    }

    fn read(manifest: &Value) -> Option<Carrier> {
        let manifest = Manifest::parse(Bytes::from(manifest.to_string()), Algorithm::Sha256).unwrap();
        carrier(&manifest, &Digest::sha256(b"subject"))
    }

    /// The image form, changed.
    fn with(change: impl FnOnce(&mut Value)) -> Option<Carrier> {
        let mut manifest = image();
        change(&mut manifest);
        read(&manifest)
    }

    #[test]
    fn all_three_forms_are_read() {
        let new = read(&image()).unwrap();
        assert!(new.pure);
        assert_eq!(new.parts[0].digest, Digest::sha256(b"envelope"));
        let legacy = with(|m| {
            m.as_object_mut().unwrap().remove("artifactType");
            m["config"] = descriptor(NOTATION_SIGNATURE, b"{}");
        });
        assert!(legacy.unwrap().pure);
        let artifact = json!({
            "mediaType": OCI_ARTIFACT, "artifactType": NOTATION_SIGNATURE,
            "blobs": [descriptor(NOTATION_COSE, b"envelope")], "subject": descriptor(OCI_MANIFEST, b"subject"),
        });
        assert!(read(&artifact).unwrap().pure);
    }

    #[test]
    fn other_artifacts_are_none() {
        assert!(with(|m| m["artifactType"] = "application/x".into()).is_none());
        assert!(with(|m| drop(m.as_object_mut().unwrap().remove("subject"))).is_none());
        assert!(with(|m| m["layers"] = json!([])).is_none());
        assert!(with(|m| m["layers"][0]["mediaType"] = "application/jose".into()).is_none());
        let second = descriptor(NOTATION_JWS, b"other");
        assert!(with(|m| m["layers"].as_array_mut().unwrap().push(second)).is_none());
    }

    #[test]
    fn a_config_with_content_is_not_pure() {
        for config in [descriptor(EMPTY, b"{1}"), descriptor("application/x", b"{}")] {
            assert!(!with(|m| m["config"] = config).unwrap().pure);
        }
    }
}
