//! Bodies of Rekor v2.

use serde::Deserialize;

use super::Bound;
use crate::trust::sigstore::proto::Bytes;
use crate::x509::{Certificate, Hash, PublicKey};

#[derive(Deserialize)]
pub(super) enum Second {
    #[serde(rename = "hashedRekordV002")]
    HashedRekord(HashedRekord),
    #[serde(rename = "dsseV002")]
    Dsse(Dsse),
}

#[derive(Deserialize)]
pub(super) struct HashedRekord {
    data: HashOutput,
    signature: Signature,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Dsse {
    payload_hash: HashOutput,
    signatures: Vec<Signature>,
}

#[derive(Deserialize)]
struct HashOutput {
    algorithm: String,
    digest: Bytes,
}

#[derive(Deserialize)]
struct Signature {
    content: Bytes,
    verifier: Verifier,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Verifier {
    public_key: Option<Raw>,
    x509_certificate: Option<Raw>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    raw_bytes: Bytes,
}

impl Second {
    pub(super) fn check(&self, bound: &Bound<'_>) -> Result<(), String> {
        match self {
            Self::HashedRekord(HashedRekord { data, signature }) => {
                bound.check_signature(&signature.content.0)?;
                signature.verifier.check(bound)?;
                bound.check_digest(data.hash()?, &data.digest.0)
            }
            Self::Dsse(Dsse { payload_hash, signatures }) => {
                let ours = signatures.iter().find(|s| s.content.0 == bound.signature);
                ours.ok_or("it is about other signatures")?.verifier.check(bound)?;
                bound.check_payload(payload_hash.hash()?, &payload_hash.digest.0)
            }
        }
    }
}

impl HashOutput {
    fn hash(&self) -> Result<Hash, String> {
        match self.algorithm.as_str() {
            "SHA2_256" => Ok(Hash::Sha256),
            "SHA2_384" => Ok(Hash::Sha384),
            "SHA2_512" => Ok(Hash::Sha512),
            other => Err(format!("its hash is {}, which is not read", other.escape_debug())),
        }
    }
}

impl Verifier {
    fn check(&self, bound: &Bound<'_>) -> Result<(), String> {
        let wrong = |why: crate::x509::Error| format!("its key: {why}");
        match (&self.public_key, &self.x509_certificate) {
            (Some(key), None) => bound.check_key(&PublicKey::from_spki_der(&key.raw_bytes.0).map_err(wrong)?),
            (None, Some(certificate)) => {
                bound.check_certificate(&Certificate::from_der(&certificate.raw_bytes.0).map_err(wrong)?)
            }
            _ => Err("it names not one key".to_owned()),
        }
    }
}
