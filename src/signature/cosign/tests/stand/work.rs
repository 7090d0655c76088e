//! What is signed, what is logged of it, and the two ways in which it is kept.

use rcgen::{KeyPair, PublicKeyData as _, SigningKey as _};
use serde_json::{Value, json};

use super::super::super::*;
use super::{AT, Leaf, Log, encoded, sha256};
use crate::oci::{Digest, media_type};
use crate::signature::Format;
use crate::x509::Certificate;

const IN_TOTO: &str = "application/vnd.in-toto+json";

/// Whose signature it is.
pub(in super::super) enum By<'a> {
    Key(&'a KeyPair),
    Leaf(&'a Leaf),
}

/// Something signed.
pub(in super::super) struct Work<'a> {
    by: By<'a>,
    /// A statement where it is in an envelope.
    pub(in super::super) payload: Vec<u8>,
    enveloped: bool,
    signed: Vec<u8>,
    pub(in super::super) signature: Vec<u8>,
}

impl By<'_> {
    pub(in super::super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.key().sign(message).unwrap()
    }

    fn key(&self) -> &KeyPair {
        match self {
            Self::Key(key) => key,
            Self::Leaf(leaf) => &leaf.key,
        }
    }

    fn certificate(&self) -> Option<&Certificate> {
        match self {
            Self::Key(_) => None,
            Self::Leaf(leaf) => Some(&leaf.certificate),
        }
    }

    /// As the first version of the log keeps it.
    pub(in super::super) fn pem(&self) -> String {
        self.certificate().map_or_else(|| self.key().public_key_pem(), pem)
    }

    /// As the second does.
    pub(in super::super) fn verifier(&self) -> Value {
        match self.certificate() {
            Some(certificate) => json!({"x509Certificate": {"rawBytes": encoded(certificate.der())}}),
            None => json!({"publicKey": {"rawBytes": encoded(self.key().subject_public_key_info())}}),
        }
    }
}

pub(in super::super) fn pem(certificate: &Certificate) -> String {
    let body = encoded(certificate.der());
    format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
}

/// The pre-authentication encoding (DSSE, `protocol.md`).
pub(in super::super) fn pae(payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {IN_TOTO} {} ", IN_TOTO.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

impl<'a> Work<'a> {
    /// A statement of cosign's own kind about a digest.
    pub(in super::super) fn statement(by: By<'a>, digest: &Digest) -> Self {
        let subject = json!([{"name": "app", "digest": {"sha256": digest.hex()}}]);
        let predicate = "https://sigstore.dev/cosign/sign/v1";
        Self::saying(
            by,
            &json!({
                "_type": "https://in-toto.io/Statement/v1",
                "subject": subject,
                "predicateType": predicate,
                "predicate": {},
            }),
        )
    }

    /// Any statement.
    pub(in super::super) fn saying(by: By<'a>, statement: &Value) -> Self {
        Self::text(by, statement.to_string().into_bytes())
    }

    /// Any bytes in an envelope.
    pub(in super::super) fn text(by: By<'a>, payload: Vec<u8>) -> Self {
        let signed = pae(&payload);
        Self { signature: by.sign(&signed), by, payload, enveloped: true, signed }
    }

    /// Bytes that are signed by themselves.
    pub(in super::super) fn message(by: By<'a>, message: &[u8]) -> Self {
        let payload = message.to_vec();
        Self { signature: by.sign(message), by, signed: payload.clone(), payload, enveloped: false }
    }

    /// A simple-signing payload about a digest.
    pub(in super::super) fn payload(by: By<'a>, digest: &Digest) -> Self {
        let payload = json!({
            "critical": {
                "identity": {"docker-reference": "registry.example.test/app"},
                "image": {"docker-manifest-digest": digest},
                "type": "cosign container image signature",
            },
            "optional": null,
        });
        Self::message(by, payload.to_string().as_bytes())
    }

    pub(in super::super) fn envelope(&self) -> Value {
        json!({
            "payload": encoded(&self.payload),
            "payloadType": IN_TOTO,
            "signatures": [{"sig": encoded(&self.signature), "keyid": ""}],
        })
    }

    /// What a log of the kind and version that take it keeps of it.
    pub(in super::super) fn body(&self, kind: &str, version: &str) -> Value {
        let hex = |bytes: &[u8]| json!({"algorithm": "sha256", "value": hex::encode(sha256(bytes))});
        let output = |bytes: &[u8]| json!({"algorithm": "SHA2_256", "digest": encoded(sha256(bytes))});
        let (signature, pem) = (encoded(&self.signature), encoded(self.by.pem()));
        let second = json!({"content": signature, "verifier": self.by.verifier()});
        let envelope = self.envelope().to_string();
        let spec = match (kind, version) {
            ("hashedrekord", "0.0.1") => json!({
                "data": {"hash": hex(&self.signed)},
                "signature": {"content": signature, "publicKey": {"content": pem}},
            }),
            ("hashedrekord", _) => json!({
                "hashedRekordV002": {"data": output(&self.signed), "signature": second},
            }),
            ("dsse", "0.0.1") => json!({
                "envelopeHash": hex(envelope.as_bytes()),
                "payloadHash": hex(&self.payload),
                "signatures": [{"signature": signature, "verifier": pem}],
            }),
            ("dsse", _) => {
                json!({"dsseV002": {"payloadHash": output(&self.payload), "signatures": [second]}})
            }
            (_, "0.0.1") => json!({
                "content": {"hash": hex(envelope.as_bytes()), "payloadHash": hex(&self.payload)},
                "publicKey": pem,
            }),
            _ => json!({
                "content": {
                    "envelope": {
                        "payloadType": IN_TOTO,
                        "signatures": [{"publicKey": pem, "sig": encoded(&signature)}],
                    },
                    "hash": hex(envelope.as_bytes()),
                    "payloadHash": hex(&self.payload),
                },
            }),
        };
        json!({"apiVersion": version, "kind": kind, "spec": spec})
    }
}

/// What a log says of the work, its body changed before it was logged.
pub(in super::super) fn entry_with(
    log: &Log,
    work: &Work<'_>,
    (kind, version): (&str, &str),
    change: impl FnOnce(&mut Value),
) -> Value {
    let mut body = work.body(kind, version);
    change(&mut body);
    log.entry(&body, AT)
}

/// A bundle of version 0.3.
pub(in super::super) fn bundle(work: &Work<'_>, entries: &[Value], stamps: &[Vec<u8>]) -> Value {
    let stamps: Vec<Value> = stamps.iter().map(|stamp| json!({"signedTimestamp": encoded(stamp)})).collect();
    let mut material = json!({
        "tlogEntries": entries,
        "timestampVerificationData": {"rfc3161Timestamps": stamps},
    });
    match work.by.certificate() {
        Some(certificate) => material["certificate"] = json!({"rawBytes": encoded(certificate.der())}),
        None => material["publicKey"] = json!({"hint": "a hint"}),
    }
    json!({
        "mediaType": media_type::SIGSTORE_BUNDLE,
        "verificationMaterial": material,
        "dsseEnvelope": work.envelope(),
    })
}

/// The bundle as a claim.
pub(in super::super) fn claim(bundle: &Value) -> Signature {
    signature(media_type::SIGSTORE_BUNDLE, bundle.to_string().into_bytes())
}

fn signature(media_type: &str, payload: Vec<u8>) -> Signature {
    Signature {
        format: Format::Cosign,
        digest: Digest::sha256(b"artifact"),
        media_type: media_type.into(),
        payload: payload.into(),
        annotations: std::collections::BTreeMap::new(),
    }
}

/// A layer of the older layout.
pub(in super::super) fn legacy(work: &Work<'_>, entry: Option<&Value>, stamp: Option<&[u8]>) -> Signature {
    let mut claim = if work.enveloped {
        signature(media_type::DSSE_ENVELOPE, work.envelope().to_string().into_bytes())
    } else {
        signature(media_type::COSIGN_SIMPLE_SIGNING, work.payload.clone())
    };
    let signed = if work.enveloped { String::new() } else { encoded(&work.signature) };
    let mut annotate = |name: &str, value: String| claim.annotations.insert(name.to_owned(), value);
    annotate(layout::SIGNATURE, signed);
    if let Some(certificate) = work.by.certificate() {
        annotate(layout::CERTIFICATE, pem(certificate));
    }
    if let Some(entry) = entry {
        annotate(layout::BUNDLE, log_bundle(entry).to_string());
    }
    if let Some(stamp) = stamp {
        annotate(layout::TIMESTAMP, json!({"SignedRFC3161Timestamp": encoded(stamp)}).to_string());
    }
    claim
}

/// An entry as cosign keeps it beside a layer.
fn log_bundle(entry: &Value) -> Value {
    use base64::Engine as _;
    let number = |field: &str| entry[field].as_str().unwrap().parse::<u64>().unwrap();
    let id = entry["logId"]["keyId"].as_str().unwrap();
    let id = base64::engine::general_purpose::STANDARD.decode(id).unwrap();
    json!({
        "SignedEntryTimestamp": entry["inclusionPromise"]["signedEntryTimestamp"],
        "Payload": {
            "body": entry["canonicalizedBody"],
            "integratedTime": number("integratedTime"),
            "logIndex": number("logIndex"),
            "logID": hex::encode(id),
        },
    })
}
