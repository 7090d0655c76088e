//! Reads both of the prototype's forms: the JWT, and the JSON object of its first commit. Proves
//! nothing.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

use crate::oci::{Descriptor, json, media_type};
use crate::signature::rejection::Field;
use crate::signature::{Rejection, Signature};
use crate::telemetry::Untrusted;
use crate::x509::chain::MAX_LENGTH;
use crate::x509::{Algorithm, Certificate, Encoding, Hash};

/// References beyond these are refused: each is matched against the certificate.
const MAX_REFERENCES: usize = 256;

/// A signature, taken apart.
#[derive(Debug)]
pub(super) struct Token {
    /// What it was made with.
    pub(super) algorithm: Algorithm,
    /// Whose key is said to have made it.
    pub(super) key: Key,
    /// The bytes that are signed.
    pub(super) signed: Vec<u8>,
    /// The signature over them.
    pub(super) signature: Vec<u8>,
    /// What they say.
    pub(super) claims: Claims,
    /// Whether the form signs a media type.
    pub(super) form: Form,
}

/// Which of the two forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `header.claims.signature`
    Jwt,
    /// `{"signed", "signature"}`, which has no media type.
    Json,
}

/// Whose key.
#[derive(Debug)]
pub(super) enum Key {
    /// `x5c`: the leaf and what leads from it to an authority.
    Chain(Certificate, Vec<Certificate>),
    /// `kid`: libtrust's id of a key that the verifier must know.
    Id(String),
}

#[derive(Deserialize)]
struct Header {
    typ: Option<String>,
    alg: Option<String>,
    kid: Option<String>,
    x5c: Option<Vec<String>>,
    /// As text: built as values, hostile ones would be a hundred times as large.
    crit: Option<Box<RawValue>>,
    sig: Option<String>,
}

const HEADER_KEYS: [&str; 6] = ["typ", "alg", "kid", "x5c", "crit", "sig"];

/// What is signed.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Claims {
    pub(super) media_type: Option<String>,
    digest: String,
    size: u64,
    #[serde(default)]
    pub(super) references: Option<Vec<String>>,
    pub(super) exp: Option<i64>,
    pub(super) nbf: Option<i64>,
    pub(super) iat: Option<i64>,
}

const CLAIM_KEYS: [&str; 7] = ["mediaType", "digest", "size", "references", "exp", "nbf", "iat"];

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    signed: &'a RawValue,
    #[serde(borrow)]
    signature: &'a RawValue,
}

impl Token {
    /// Takes a signature apart by its media type.
    ///
    /// # Errors
    /// [`Rejection::Malformed`] or [`Rejection::Unsupported`].
    pub(super) fn read(signature: &Signature) -> Result<Self, Rejection> {
        match &*signature.media_type {
            media_type::NV2_CONFIG_JWT | media_type::NV2_INDEX_CONFIG_JWT => Self::jwt(&signature.payload),
            media_type::NV2_CONFIG_JSON => Self::json(&signature.payload),
            other => Err(Rejection::Unsupported { what: "nv2 media type", found: other.into() }),
        }
    }

    fn jwt(payload: &[u8]) -> Result<Self, Rejection> {
        const WHAT: &str = "nv2 JWT";
        let text = std::str::from_utf8(payload).map_err(|e| malformed(WHAT, e))?;
        let mut parts = text.split('.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(malformed(WHAT, "it has not three parts"));
        };
        let signed = &payload[..header.len() + 1 + claims.len()];
        let decode = |what, part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|e| malformed(what, e));
        let header = object::<Header>("nv2 header", &decode("nv2 header", header)?, &HEADER_KEYS)?;
        let claims = decode("nv2 claims", claims)?;
        let signature = decode("nv2 signature", signature)?;
        Self::assemble(Form::Jwt, header, signed, signature, &claims)
    }

    fn json(payload: &[u8]) -> Result<Self, Rejection> {
        const WHAT: &str = "nv2 JSON signature";
        json::check(payload).map_err(|e| malformed(WHAT, e))?;
        lookalikes(WHAT, payload, &["signed", "signature"])?;
        let envelope: Envelope = serde_json::from_slice(payload).map_err(|e| malformed(WHAT, e))?;
        let header = object::<Header>(WHAT, envelope.signature.get().as_bytes(), &HEADER_KEYS)?;
        let Some(signature) = &header.sig else { return Err(malformed(WHAT, "it has no sig")) };
        let signature = STANDARD.decode(signature).map_err(|e| malformed(WHAT, e))?;
        let signed = envelope.signed.get().as_bytes();
        Self::assemble(Form::Json, header, signed, signature, signed)
    }

    fn assemble(
        form: Form,
        header: Header,
        signed: &[u8],
        signature: Vec<u8>,
        claims: &[u8],
    ) -> Result<Self, Rejection> {
        match header.typ.as_deref() {
            Some("x509") => {}
            other => return Err(unsupported("nv2 typ", other.unwrap_or("none"))),
        }
        if let Some(crit) = &header.crit {
            // RFC 7515, section 4.1.11: what is critical must be understood, and nothing here is.
            return Err(unsupported("critical header fields", crit.get()));
        }
        let algorithm = algorithm(header.alg.as_deref().unwrap_or("none"))?;
        let key = key(header.x5c, header.kid)?;
        let claims = object::<Claims>("nv2 claims", claims, &CLAIM_KEYS)?;
        if claims.references.as_ref().is_some_and(|r| r.len() > MAX_REFERENCES) {
            return Err(malformed("nv2 claims", format!("more than {MAX_REFERENCES} references")));
        }
        Ok(Self { algorithm, key, signed: signed.to_vec(), signature, claims, form })
    }
}

impl Claims {
    /// Whether they are about this manifest. A media type that is absent is let pass: the form decides
    /// whether it may be.
    ///
    /// # Errors
    /// The first field that differs.
    pub(super) fn describe(&self, subject: &Descriptor) -> Result<(), Rejection> {
        let digest = subject.digest.to_string();
        if self.digest != digest {
            return Err(mismatch(Field::Digest, &digest, &self.digest));
        }
        if self.size != subject.size {
            return Err(mismatch(Field::Size, &subject.size.to_string(), &self.size.to_string()));
        }
        match &self.media_type {
            Some(found) if **found != *subject.media_type => {
                Err(mismatch(Field::MediaType, &subject.media_type, found))
            }
            _ => Ok(()),
        }
    }

    /// The references of the content's origin.
    pub(super) fn references(&self) -> &[String] {
        self.references.as_deref().unwrap_or_default()
    }
}

/// A NumericDate (RFC 7519, section 2) as a time; what a clock cannot hold is its nearest end.
pub(super) fn time(seconds: i64) -> SystemTime {
    let span = Duration::from_secs(seconds.unsigned_abs().min(u64::from(u32::MAX) * 60));
    let epoch = SystemTime::UNIX_EPOCH;
    if seconds < 0 { epoch.checked_sub(span) } else { epoch.checked_add(span) }.unwrap_or(epoch)
}

/// RFC 7518, section 3.1, as far as the prototype's key library goes: no PSS, no HMAC, no "none".
fn algorithm(name: &str) -> Result<Algorithm, Rejection> {
    Ok(match name {
        "RS256" => Algorithm::RsaPkcs1(Hash::Sha256),
        "RS384" => Algorithm::RsaPkcs1(Hash::Sha384),
        "RS512" => Algorithm::RsaPkcs1(Hash::Sha512),
        "ES256" => Algorithm::Ecdsa(Hash::Sha256, Encoding::Fixed),
        "ES384" => Algorithm::Ecdsa(Hash::Sha384, Encoding::Fixed),
        "ES512" => Algorithm::Ecdsa(Hash::Sha512, Encoding::Fixed),
        other => return Err(unsupported("nv2 alg", other)),
    })
}

/// Where both stand, the chain decides, and the id is the hint that the specification calls it.
fn key(x5c: Option<Vec<String>>, kid: Option<String>) -> Result<Key, Rejection> {
    const WHAT: &str = "nv2 x5c";
    let encoded = x5c.unwrap_or_default();
    if encoded.len() > MAX_LENGTH {
        return Err(malformed(WHAT, format!("more than {MAX_LENGTH} certificates")));
    }
    let mut chain = Vec::new();
    for certificate in encoded {
        let der = STANDARD.decode(certificate).map_err(|e| malformed(WHAT, e))?;
        chain.push(Certificate::from_der(&der).map_err(|e| malformed(WHAT, e))?);
    }
    let mut chain = chain.into_iter();
    match (chain.next(), kid) {
        (Some(leaf), _) => Ok(Key::Chain(leaf, chain.collect())),
        (None, Some(id)) if !id.is_empty() => Ok(Key::Id(id)),
        _ => Err(malformed("nv2 header", "it has neither x5c nor kid")),
    }
}

fn object<T: DeserializeOwned>(what: &'static str, bytes: &[u8], keys: &[&str]) -> Result<T, Rejection> {
    let value = json::strict(bytes).map_err(|e| malformed(what, e))?;
    lookalikes(what, bytes, keys)?;
    Ok(value)
}

/// Refuses keys that differ from a known one only by letter case: the prototype's reader takes them for
/// the known one.
fn lookalikes(what: &'static str, bytes: &[u8], keys: &[&str]) -> Result<(), Rejection> {
    let found: BTreeMap<String, IgnoredAny> =
        serde_json::from_slice(bytes).map_err(|e| malformed(what, e))?;
    let alike = |key: &&String| {
        keys.iter().any(|known| *known != **key && known.to_uppercase() == key.to_uppercase())
    };
    match found.keys().find(alike) {
        Some(key) => Err(malformed(what, format!("the key {key} is another's in other letter case"))),
        None => Ok(()),
    }
}

fn malformed(what: &'static str, why: impl std::fmt::Display) -> Rejection {
    Rejection::Malformed { what, why: why.to_string().into() }
}

fn unsupported(what: &'static str, found: &str) -> Rejection {
    Rejection::Unsupported { what, found: Untrusted::new(found) }
}

fn mismatch(field: Field, expected: &str, found: &str) -> Rejection {
    Rejection::Mismatch { field, expected: expected.into(), found: found.into() }
}
