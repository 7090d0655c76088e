//! Bodies of Rekor v1.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::{Bound, Signed};
use crate::trust::sigstore::proto::Bytes;
use crate::x509::{Certificate, Hash, PublicKey};

pub(super) enum First {
    HashedRekord(HashedRekord),
    Dsse(Dsse),
    InTotoOld(InTotoOld),
    InToto(InToto),
}

#[derive(Deserialize)]
pub(super) struct HashedRekord {
    data: Data,
    signature: RekordSignature,
}

#[derive(Deserialize)]
struct Data {
    hash: HashValue,
}

#[derive(Deserialize)]
struct HashValue {
    algorithm: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RekordSignature {
    content: Bytes,
    public_key: Content,
}

#[derive(Deserialize)]
struct Content {
    content: Bytes,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Dsse {
    payload_hash: HashValue,
    signatures: Vec<DsseSignature>,
}

#[derive(Deserialize)]
struct DsseSignature {
    signature: Bytes,
    verifier: Bytes,
}

/// 0.0.1: the envelope by its hash alone.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct InTotoOld {
    content: EnvelopeHash,
    public_key: Bytes,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EnvelopeHash {
    hash: HashValue,
    payload_hash: Option<HashValue>,
}

/// 0.0.2: the envelope without its payload.
#[derive(Deserialize)]
pub(super) struct InToto {
    content: InTotoContent,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InTotoContent {
    envelope: LoggedEnvelope,
    payload_hash: HashValue,
}

#[derive(Deserialize)]
struct LoggedEnvelope {
    signatures: Vec<InTotoSignature>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InTotoSignature {
    public_key: Bytes,
    /// In base64 twice.
    sig: Bytes,
}

impl First {
    pub(super) fn read(kind: &str, version: &str, spec: &str) -> Result<Self, serde_json::Error> {
        Ok(match (kind, version) {
            ("hashedrekord", _) => Self::HashedRekord(serde_json::from_str(spec)?),
            ("dsse", _) => Self::Dsse(serde_json::from_str(spec)?),
            (_, "0.0.1") => Self::InTotoOld(serde_json::from_str(spec)?),
            _ => Self::InToto(serde_json::from_str(spec)?),
        })
    }

    pub(super) fn check(&self, bound: &Bound<'_>) -> Result<(), String> {
        match self {
            Self::HashedRekord(rekord) => {
                bound.check_signature(&rekord.signature.content.0)?;
                verifier(&rekord.signature.public_key.content.0, bound)?;
                let (hash, digest) = rekord.data.hash.read()?;
                bound.check_digest(hash, &digest)
            }
            Self::Dsse(dsse) => {
                // Each signature of the envelope is logged: ours must be among them, by our key.
                let ours = dsse.signatures.iter().find(|s| s.signature.0 == bound.signature);
                verifier(&ours.ok_or("it is about other signatures")?.verifier.0, bound)?;
                let (hash, digest) = dsse.payload_hash.read()?;
                bound.check_payload(hash, &digest)
            }
            Self::InToto(InToto { content }) => {
                let encoded = STANDARD.encode(bound.signature);
                let ours = content.envelope.signatures.iter().find(|s| s.sig.0 == encoded.as_bytes());
                verifier(&ours.ok_or("it is about other signatures")?.public_key.0, bound)?;
                let (hash, digest) = content.payload_hash.read()?;
                bound.check_payload(hash, &digest)
            }
            Self::InTotoOld(old) => old.check(bound),
        }
    }
}

impl InTotoOld {
    /// The signature is in the envelope, and only the envelope's hash is logged: whoever has not its very bytes
    /// cannot tell what was.
    fn check(&self, bound: &Bound<'_>) -> Result<(), String> {
        let Some(envelope) = bound.envelope else {
            return Err("intoto 0.0.1 logs the envelope's bytes, which a bundle does not keep".to_owned());
        };
        verifier(&self.public_key.0, bound)?;
        let (hash, digest) = self.content.hash.read()?;
        Bound { signed: Signed::Bytes(envelope), ..*bound }.check_digest(hash, &digest)?;
        match &self.content.payload_hash {
            Some(logged) => logged.read().and_then(|(hash, digest)| bound.check_payload(hash, &digest)),
            None => Ok(()),
        }
    }
}

impl HashValue {
    fn read(&self) -> Result<(Hash, Vec<u8>), String> {
        let hash = match self.algorithm.as_str() {
            "sha256" => Hash::Sha256,
            "sha384" => Hash::Sha384,
            "sha512" => Hash::Sha512,
            other => return Err(format!("its hash is {}, which is not read", other.escape_debug())),
        };
        Ok((hash, hex::decode(&self.value).map_err(|why| format!("its hash is not hexadecimal: {why}"))?))
    }
}

/// A certificate or a public key, in PEM.
fn verifier(pem: &[u8], bound: &Bound<'_>) -> Result<(), String> {
    let wrong = |why: crate::x509::Error| format!("its key: {why}");
    if pem.trim_ascii_start().starts_with(b"-----BEGIN CERTIFICATE-----") {
        let all = Certificate::all_from(pem).map_err(wrong)?;
        return bound.check_certificate(all.first().ok_or("its certificate is missing")?);
    }
    bound.check_key(&PublicKey::from_pem(pem).map_err(wrong)?)
}
