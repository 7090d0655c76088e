//! Keys that AWS' Key Management Service has: it is asked for the public half, and to sign digests. No message goes there.

pub mod answer;
mod credentials;
mod reference;
mod service;
mod sigv4;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;
use url::Url;

pub use credentials::{Credentials, Ungiven};
pub use reference::Reference;

use self::service::Service;
use super::signing_key::wait;
use crate::egress;
use crate::telemetry::Untrusted;
use crate::x509::{self, Algorithm, Hash, PublicKey};

/// Why a key of KMS does not sign.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name is none. It is not shown: a password could stand in it.
    #[error("expected awskms://[ENDPOINT]/KEY with a key's id, alias or ARN and no user before ENDPOINT")]
    Name,
    /// Nobody says where the key is.
    #[error("no region is known: set AWS_REGION, or name the key by its ARN")]
    Region,
    /// An endpoint that is none. What stands there is not shown: it could be a password.
    #[error(
        "expected an https URL, or an http URL of this machine, without user and path in AWS_ENDPOINT_URL_KMS, AWS_ENDPOINT_URL_STS or AWS_ENDPOINT_URL"
    )]
    Endpoint,
    /// Nobody says who asks.
    #[error("no AWS credentials: {0}")]
    Credentials(String),
    /// Who gives credentials gives none.
    #[error(transparent)]
    Ungiven(#[from] Ungiven),
    /// The client could not be set up.
    #[error("KMS cannot be asked: {0}")]
    Client(String),
    /// KMS is not reached.
    #[error("{endpoint} did not answer: {source}")]
    Unreachable {
        /// Whom was asked.
        endpoint: Url,
        /// Why.
        source: egress::Error,
    },
    /// KMS says no.
    #[error("KMS refused {action}: {code}: {message}")]
    Refused {
        /// What was asked.
        action: &'static str,
        /// The type of its error.
        code: Untrusted,
        /// What it says.
        message: Untrusted,
    },
    /// Something else than its API has.
    #[error("KMS answered {action} with {what}")]
    Answer {
        /// What was asked.
        action: &'static str,
        /// What came.
        what: String,
    },
    /// The key is for something else.
    #[error("the key is for {0}, not for signing")]
    Usage(Untrusted),
    /// The key is of a kind that is not verified.
    #[error(transparent)]
    Public(#[from] x509::Error),
    /// The key does not sign so.
    #[error("the key does not sign by {}; it does by {has}", asked.as_str())]
    Algorithm {
        /// What was asked for.
        asked: Algorithm,
        /// What KMS says that it has.
        has: Untrusted,
    },
    /// No runtime.
    #[error("KMS cannot be asked: {0}")]
    Unasked(#[from] std::io::Error),
}

impl Error {
    /// Whether nobody answered, so that nothing is known of the key.
    pub(super) fn is_unanswered(&self) -> bool {
        match self {
            Self::Unreachable { source, .. } => source.is_silence(),
            Self::Ungiven(ungiven) => ungiven.unanswered,
            // "Common Errors" and "Errors" of KMS' API reference: those that are not about the key.
            Self::Refused { code, .. } => matches!(
                code.as_raw(),
                "ThrottlingException"
                    | "KMSInternalException"
                    | "DependencyTimeoutException"
                    | "InternalFailure"
                    | "ServiceUnavailable"
                    | "status 500"
                    | "status 502"
                    | "status 503"
                    | "status 504"
            ),
            _ => false,
        }
    }
}

/// A key of KMS.
#[derive(Debug)]
pub struct Kms {
    service: Service,
    key: String,
    public: PublicKey,
    algorithms: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Public {
    public_key: String,
    key_usage: String,
    signing_algorithms: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Signed {
    signature: String,
}

impl Kms {
    /// Asks for the public half.
    ///
    /// # Errors
    /// [`Error`].
    pub fn open(name: &str) -> Result<Self, Error> {
        let reference = Reference::parse(name)?;
        let service = Service::of(&reference, std::sync::Arc::new(|name: &str| std::env::var(name).ok()))?;
        wait(Self::asked(service, reference.key))
    }

    async fn asked(service: Service, key: String) -> Result<Self, Error> {
        const ACTION: &str = "GetPublicKey";
        let found: Public = service.ask(ACTION, &json!({ "KeyId": key })).await?;
        if found.key_usage != "SIGN_VERIFY" {
            return Err(Error::Usage(Untrusted::new(found.key_usage)));
        }
        let public = PublicKey::from_spki_der(&decoded(ACTION, &found.public_key)?)?;
        Ok(Self { service, key, public, algorithms: found.signing_algorithms.unwrap_or_default() })
    }

    /// The public half.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs a message: elliptic curves as a DER sequence of two integers.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Result<Vec<u8>, Error> {
        const ACTION: &str = "Sign";
        let unfit = || Error::Algorithm { asked: algorithm, has: Untrusted::new(self.algorithms.join(", ")) };
        let (name, hash) = name_of(algorithm).ok_or_else(unfit)?;
        if !self.algorithms.contains(&name) {
            return Err(unfit());
        }
        let request = json!({
            "KeyId": self.key,
            "Message": STANDARD.encode(hash.of(message)),
            "MessageType": "DIGEST",
            "SigningAlgorithm": name,
        });
        let signed: Signed = self.service.ask(ACTION, &request).await?;
        decoded(ACTION, &signed.signature)
    }
}

/// `SigningAlgorithm`, and what KMS is given the digest of.
fn name_of(algorithm: Algorithm) -> Option<(String, Hash)> {
    let (family, hash) = match algorithm {
        Algorithm::Ecdsa(hash, _) => ("ECDSA", hash),
        Algorithm::RsaPkcs1(hash) => ("RSASSA_PKCS1_V1_5", hash),
        Algorithm::RsaPss(hash) => ("RSASSA_PSS", hash),
        Algorithm::RsaPssSalt(..) | Algorithm::RsaPssLongest(_) | Algorithm::Ed25519 => return None,
    };
    let size = match hash {
        Hash::Sha256 => 256,
        Hash::Sha384 => 384,
        Hash::Sha512 => 512,
    };
    Some((format!("{family}_SHA_{size}"), hash))
}

fn decoded(action: &'static str, text: &str) -> Result<Vec<u8>, Error> {
    STANDARD.decode(text).map_err(|_| Error::Answer { action, what: "what is not base64".to_owned() })
}

#[cfg(test)]
mod tests;
