//! The two envelopes (`signature-envelope-jws.md`; `signature-envelope-cose.md`): what of them is signed, and what
//! stands beside the signature.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use coset::cbor::Value as Cbor;
use coset::{
    CoseSign1, CoseSign1Builder, HeaderBuilder, RegisteredLabelWithPrivate, TaggedCborSerializable as _, iana,
};
use serde_json::json;

use super::{Claim, Form};
use crate::signature::notation::attributes::{EXPIRY, PAYLOAD, SIGNING_SCHEME, SIGNING_TIME, TIMESTAMP};
use crate::signing::Error;
use crate::x509::{Algorithm, Encoding, Hash, KeyKind};

const SCHEME: &str = "notary.x509";
const AGENT: &str = "io.cncf.notary.signingAgent";
const AGENT_NAME: &str = concat!("portcullis/", env!("CARGO_PKG_VERSION"));
/// RFC 9360, section 2.
const X5CHAIN: i64 = 33;

/// An envelope without its signature.
#[derive(Clone, Debug)]
pub struct Draft {
    algorithm: Algorithm,
    signed: Vec<u8>,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    Jws { protected: String, payload: String },
    Cose(Box<CoseSign1>),
}

/// The one algorithm of a key ("Algorithm Selection"), with its names in JOSE and COSE.
fn algorithm(kind: KeyKind) -> Result<(Algorithm, &'static str, iana::Algorithm), Error> {
    use iana::Algorithm as Cose;
    let (pss, ecdsa) = (Algorithm::RsaPss, |hash| Algorithm::Ecdsa(hash, Encoding::Fixed));
    Ok(match kind {
        KeyKind::Rsa { bits: 2048 } => (pss(Hash::Sha256), "PS256", Cose::PS256),
        KeyKind::Rsa { bits: 3072 } => (pss(Hash::Sha384), "PS384", Cose::PS384),
        KeyKind::Rsa { bits: 4096 } => (pss(Hash::Sha512), "PS512", Cose::PS512),
        KeyKind::P256 => (ecdsa(Hash::Sha256), "ES256", Cose::ES256),
        KeyKind::P384 => (ecdsa(Hash::Sha384), "ES384", Cose::ES384),
        KeyKind::P521 => (ecdsa(Hash::Sha512), "ES512", Cose::ES512),
        KeyKind::Rsa { .. } | KeyKind::Ed25519 => return Err(Error::Unfit { format: "notation", kind }),
    })
}

impl Draft {
    /// What a key of this kind is to sign.
    ///
    /// # Errors
    /// [`Error::Unfit`], [`Error::Unwritable`].
    pub fn new(kind: KeyKind, claim: &Claim<'_>, form: Form) -> Result<Self, Error> {
        let (algorithm, jose, cose) = algorithm(kind)?;
        let (signed, content) = match form {
            Form::Jws => {
                let protected = URL_SAFE_NO_PAD.encode(protected(jose, claim));
                let payload = URL_SAFE_NO_PAD.encode(claim.payload()?);
                (format!("{protected}.{payload}").into_bytes(), Content::Jws { protected, payload })
            }
            Form::Cose => {
                let draft = unsigned(cose, claim)?;
                (draft.tbs_data(&[]), Content::Cose(Box::new(draft)))
            }
        };
        Ok(Self { algorithm, signed, content })
    }

    /// By what it is to be signed.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The bytes that are to be signed.
    pub fn signed(&self) -> &[u8] {
        &self.signed
    }

    /// The envelope with its signature, the certificates of its key in DER, and an authority's token over the signature.
    ///
    /// # Errors
    /// [`Error::Cose`].
    pub fn seal(self, signature: Vec<u8>, chain: &[&[u8]], stamp: Option<Vec<u8>>) -> Result<Bytes, Error> {
        match self.content {
            Content::Jws { protected, payload } => {
                let x5c: Vec<String> = chain.iter().map(|certificate| STANDARD.encode(certificate)).collect();
                let mut header = json!({"x5c": x5c, AGENT: AGENT_NAME});
                if let Some(token) = stamp {
                    header[TIMESTAMP] = json!(STANDARD.encode(token));
                }
                let signature = URL_SAFE_NO_PAD.encode(signature);
                let envelope = json!({"payload": payload, "protected": protected, "header": header, "signature": signature});
                Ok(envelope.to_string().into())
            }
            Content::Cose(draft) => {
                let chain = chain.iter().map(|certificate| Cbor::Bytes(certificate.to_vec())).collect();
                let mut unprotected = HeaderBuilder::new()
                    .value(X5CHAIN, Cbor::Array(chain))
                    .text_value(AGENT.to_owned(), Cbor::Text(AGENT_NAME.to_owned()));
                if let Some(token) = stamp {
                    unprotected = unprotected.text_value(TIMESTAMP.to_owned(), Cbor::Bytes(token));
                }
                let envelope = CoseSign1 { signature, unprotected: unprotected.build(), ..*draft };
                envelope.to_tagged_vec().map(Bytes::from).map_err(|why| Error::Cose(why.to_string()))
            }
        }
    }
}

fn protected(algorithm: &str, claim: &Claim<'_>) -> String {
    let time = |at| humantime::format_rfc3339_seconds(at).to_string();
    let mut header = json!({
        "alg": algorithm,
        "crit": critical(claim),
        "cty": PAYLOAD,
        SIGNING_SCHEME: SCHEME,
        SIGNING_TIME: time(claim.signed),
    });
    if let Some(expires) = claim.expires {
        header[EXPIRY] = json!(time(expires));
    }
    header.to_string()
}

fn unsigned(algorithm: iana::Algorithm, claim: &Claim<'_>) -> Result<CoseSign1, Error> {
    let mut protected = HeaderBuilder::new()
        .algorithm(algorithm)
        .content_type(PAYLOAD.to_owned())
        .text_value(SIGNING_SCHEME.to_owned(), Cbor::Text(SCHEME.to_owned()))
        .text_value(SIGNING_TIME.to_owned(), seconds(claim.signed));
    for label in critical(claim) {
        protected = protected.add_critical_label(RegisteredLabelWithPrivate::Text(label.to_owned()));
    }
    if let Some(expires) = claim.expires {
        protected = protected.text_value(EXPIRY.to_owned(), seconds(expires));
    }
    Ok(CoseSign1Builder::new().protected(protected.build()).payload(claim.payload()?).build())
}

/// RFC 8949, section 3.4.2: tag 1 is seconds since the epoch.
fn seconds(at: SystemTime) -> Cbor {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    Cbor::Tag(1, Box::new(Cbor::Integer(since.into())))
}

fn critical(claim: &Claim<'_>) -> Vec<&'static str> {
    if claim.expires.is_some() { vec![SIGNING_SCHEME, EXPIRY] } else { vec![SIGNING_SCHEME] }
}
