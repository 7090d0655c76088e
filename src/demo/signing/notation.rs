//! Signs as the Notary Project specifies: JWS and COSE envelopes, carried by an artifact whose
//! subject is what was signed.

use std::time::SystemTime;

use bytes::Bytes;
use coset::cbor::Value as Cbor;
use coset::{CoseSign1Builder, HeaderBuilder, RegisteredLabelWithPrivate, TaggedCborSerializable as _, iana};
use serde_json::{Value, json};

use super::{Error, Identity, base64, base64url, unix};
use crate::demo::package::Package;
use crate::oci::media_type::{NOTATION_COSE, NOTATION_JWS, NOTATION_SIGNATURE};
use crate::oci::{Descriptor, Digest};

const PAYLOAD: &str = "application/vnd.cncf.notary.payload.v1+json";
const SCHEME: &str = "io.cncf.notary.signingScheme";
const SIGNING_TIME: &str = "io.cncf.notary.signingTime";
const EXPIRY: &str = "io.cncf.notary.expiry";
const AGENT: &str = "io.cncf.notary.signingAgent";
const X5CHAIN: i64 = 33;

/// What is claimed beside the descriptor.
#[derive(Clone, Debug)]
pub struct Claim {
    /// When it was signed, by the signer's own word.
    pub signed: SystemTime,
    /// When the signature ends, where it does.
    pub expires: Option<SystemTime>,
}

impl Default for Claim {
    fn default() -> Self {
        Self { signed: SystemTime::now(), expires: None }
    }
}

/// A signature in a JWS envelope (signature specification, `signature-envelope-jws.md`).
///
/// # Errors
/// The key does not sign.
pub fn jws(signer: &Identity, claim: &Claim, subject: &Descriptor) -> Result<Bytes, Error> {
    let mut protected = json!({
        "alg": signer.key().sign_for_notation(b"")?.algorithm,
        "crit": critical(claim),
        "cty": PAYLOAD,
        SCHEME: "notary.x509",
        SIGNING_TIME: humantime::format_rfc3339_seconds(claim.signed).to_string(),
    });
    if let Some(expires) = claim.expires {
        protected[EXPIRY] = json!(humantime::format_rfc3339_seconds(expires).to_string());
    }
    let (protected, payload) = (base64url(protected.to_string()), base64url(payload(subject)));
    let signed = signer.key().sign_for_notation(format!("{protected}.{payload}").as_bytes())?;
    let chain: Vec<_> = signer.chain().iter().map(|certificate| base64(certificate)).collect();
    let envelope = json!({
        "payload": payload,
        "protected": protected,
        "header": {"x5c": chain, AGENT: "portcullis-demo"},
        "signature": base64url(signed.signature),
    });
    Ok(envelope.to_string().into())
}

/// A signature in a COSE envelope (signature specification, `signature-envelope-cose.md`).
///
/// # Errors
/// The key does not sign.
pub fn cose(signer: &Identity, claim: &Claim, subject: &Descriptor) -> Result<Bytes, Error> {
    let algorithm = match signer.key().sign_for_notation(b"")?.algorithm {
        "ES256" => iana::Algorithm::ES256,
        "ES384" => iana::Algorithm::ES384,
        "ES512" => iana::Algorithm::ES512,
        "PS256" => iana::Algorithm::PS256,
        "PS384" => iana::Algorithm::PS384,
        "PS512" => iana::Algorithm::PS512,
        other => return Err(Error(format!("the Notary Project does not sign by {other}"))),
    };
    // RFC 8949, section 3.4.2: tag 1 is seconds since the epoch.
    let time = |at| Cbor::Tag(1, Box::new(Cbor::Integer(unix(at).into())));
    let mut protected = HeaderBuilder::new()
        .algorithm(algorithm)
        .content_type(PAYLOAD.to_owned())
        .text_value(SCHEME.to_owned(), Cbor::Text("notary.x509".to_owned()))
        .text_value(SIGNING_TIME.to_owned(), time(claim.signed));
    for label in critical(claim) {
        protected = protected.add_critical_label(RegisteredLabelWithPrivate::Text(label.to_owned()));
    }
    if let Some(expires) = claim.expires {
        protected = protected.text_value(EXPIRY.to_owned(), time(expires));
    }
    let chain = signer.chain().iter().map(|certificate| Cbor::Bytes(certificate.to_vec())).collect();
    let unprotected = HeaderBuilder::new()
        .value(X5CHAIN, Cbor::Array(chain))
        .text_value(AGENT.to_owned(), Cbor::Text("portcullis-demo".to_owned()));
    let envelope = CoseSign1Builder::new()
        .protected(protected.build())
        .unprotected(unprotected.build())
        .payload(payload(subject).into_bytes())
        .try_create_signature(&[], |signed| {
            signer.key().sign_for_notation(signed).map(|made| made.signature)
        })?
        .build();
    let envelope = envelope.to_tagged_vec().map_err(|e| Error(e.to_string()))?;
    Ok(envelope.into())
}

/// The artifact that carries a JWS envelope about `subject`.
pub fn jws_artifact(envelope: Bytes, signer: &Identity, subject: &Descriptor) -> Package {
    artifact(NOTATION_JWS, envelope, signer, subject)
}

/// The artifact that carries a COSE envelope about `subject`.
pub fn cose_artifact(envelope: Bytes, signer: &Identity, subject: &Descriptor) -> Package {
    artifact(NOTATION_COSE, envelope, signer, subject)
}

fn artifact(kind: &'static str, envelope: Bytes, signer: &Identity, subject: &Descriptor) -> Package {
    let thumbprints: Vec<_> =
        signer.chain().iter().map(|certificate| Digest::sha256(certificate).hex()).collect();
    Package::configured(NOTATION_SIGNATURE, Bytes::from_static(b"{}"), [(kind, envelope)])
        .about(subject)
        .edited(|manifest| {
            let annotation = json!(thumbprints).to_string();
            manifest["annotations"] = json!({"io.cncf.notary.x509chain.thumbprint#S256": annotation});
        })
}

fn payload(subject: &Descriptor) -> String {
    let target: Value =
        json!({"mediaType": subject.media_type, "digest": subject.digest, "size": subject.size});
    json!({"targetArtifact": target}).to_string()
}

fn critical(claim: &Claim) -> Vec<&'static str> {
    if claim.expires.is_some() { vec![SCHEME, EXPIRY] } else { vec![SCHEME] }
}
