//! Signs as cosign does with a key: a simple-signing payload as layer, its signature beside it.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Error, Key, base64};
use crate::demo::package::Package;
use crate::oci::media_type::COSIGN_SIMPLE_SIGNING;
use crate::oci::{Digest, Tag};

const ARTIFACT: &str = "application/vnd.dev.cosign.artifact.sig.v1+json";

/// The payload that cosign signs about a digest, published under `name` (a repository).
pub fn payload(name: &str, subject: &Digest) -> Value {
    json!({
        "critical": {
            "identity": {"docker-reference": name},
            "image": {"docker-manifest-digest": subject},
            "type": "cosign container image signature",
        },
        "optional": null,
    })
}

/// A payload and its signature, laid out for the `.sig` tag.
///
/// # Errors
/// The key does not sign.
pub fn image(key: &Key, payload: &Value) -> Result<Package, Error> {
    let payload = Bytes::from(payload.to_string());
    let signature = base64(&key.sign_for_cosign(&payload)?);
    let config = json!({
        "architecture": "",
        "os": "",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [Digest::sha256(&payload)]},
    });
    let config_type = "application/vnd.oci.image.config.v1+json";
    Ok(annotated(
        Package::configured(config_type, config.to_string().into(), [(COSIGN_SIMPLE_SIGNING, payload)]),
        &signature,
    ))
}

/// The same, laid out as a referrer; its subject is yet to be named.
///
/// # Errors
/// The key does not sign.
pub fn referrer(key: &Key, payload: &Value) -> Result<Package, Error> {
    let payload = Bytes::from(payload.to_string());
    let signature = base64(&key.sign_for_cosign(&payload)?);
    let package =
        Package::configured(ARTIFACT, Bytes::from_static(b"{}"), [(COSIGN_SIMPLE_SIGNING, payload)]);
    Ok(annotated(package, &signature))
}

/// The tag under which cosign looks for signatures.
pub fn tag(subject: &Digest) -> String {
    Tag::about(subject, ".sig").to_string()
}

fn annotated(package: Package, signature: &str) -> Package {
    package.edited(|manifest| {
        manifest["layers"][0]["annotations"] = json!({"dev.cosignproject.cosign/signature": signature});
    })
}
