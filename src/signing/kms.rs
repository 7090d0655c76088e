//! Keys that AWS' Key Management Service has: it is asked for the public half, and to sign digests. No message goes there.

mod credentials;
mod reference;
mod sigv4;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use time::macros::format_description;
use url::Url;

pub use reference::Reference;

use self::sigv4::{Scope, authorization};
use super::signing_key::wait;
use crate::clock::Clock;
use crate::egress::{self, Authorities, Client, Environment, Options, Origin, Request, Timeouts};
use crate::oci::json as document;
use crate::telemetry::Untrusted;
use crate::x509::{self, Algorithm, Hash, PublicKey};

const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(5),
    headers: Duration::from_secs(15),
    idle: Duration::from_secs(15),
};

/// The longest answer, in bytes; a key of 4096 bits takes a hundredth of it.
const MAX_ANSWER: u64 = 256 * 1024;

/// AWS JSON 1.1
const MEDIA_TYPE: &str = "application/x-amz-json-1.1";

/// Why a key of KMS does not sign.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name is none.
    #[error("expected awskms://[ENDPOINT]/KEY with a key's id, alias or ARN, found {0:?}")]
    Name(String),
    /// Nobody says where the key is.
    #[error("no region is known: set AWS_REGION, or name the key by its ARN")]
    Region,
    /// An endpoint that is none.
    #[error("expected an http or https URL in AWS_ENDPOINT_URL_KMS or AWS_ENDPOINT_URL, found {0:?}")]
    Endpoint(String),
    /// Nobody says who asks.
    #[error("no AWS credentials: {0}")]
    Credentials(String),
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

#[derive(Deserialize, Default)]
struct Refusal {
    #[serde(rename = "__type", default)]
    code: String,
    #[serde(alias = "Message", default)]
    message: String,
}

impl Kms {
    /// Asks for the public half.
    ///
    /// # Errors
    /// [`Error`].
    pub fn open(name: &str) -> Result<Self, Error> {
        let reference = Reference::parse(name)?;
        let service = Service::of(&reference, variable)?;
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

/// KMS as one region has it.
#[derive(Debug)]
struct Service {
    client: Client,
    endpoint: Url,
    region: String,
    environment: fn(&str) -> Option<String>,
}

impl Service {
    fn of(reference: &Reference, environment: fn(&str) -> Option<String>) -> Result<Self, Error> {
        let region = match reference.region() {
            Some(region) => Some(region.to_owned()),
            None => credentials::region(&environment)?,
        };
        let region = region.filter(|region| reference::is_region(region)).ok_or(Error::Region)?;
        let endpoint = match &reference.endpoint {
            Some(endpoint) => endpoint.clone(),
            None => endpoint(&region, &environment)?,
        };
        let own = Origin::of(&endpoint).ok_or_else(|| Error::Endpoint(endpoint.to_string()))?;
        let options = Options {
            own,
            resolve: Vec::new(),
            allowed: Vec::new(),
            authorities: Authorities::System,
            timeouts: TIMEOUTS,
        };
        let client = Client::for_service(options, &environment).map_err(Error::Client)?;
        Ok(Self { client, endpoint, region, environment })
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        action: &'static str,
        request: &impl Serialize,
    ) -> Result<T, Error> {
        let body = serde_json::to_vec(request).map_err(std::io::Error::from)?;
        let unreachable = |source| Error::Unreachable { endpoint: self.endpoint.clone(), source };
        let request = self.signed(action, body)?;
        let response = self.client.send(&request).await.map_err(unreachable)?;
        let status = response.status;
        let answer = response.body.read(MAX_ANSWER).await.map_err(unreachable)?;
        if status.is_success() {
            return document::strict(&answer).map_err(|e| Error::Answer { action, what: e.to_string() });
        }
        let refusal: Refusal = document::strict(&answer).unwrap_or_default();
        let code = refusal.code.rsplit('#').next().unwrap_or_default();
        let code = if code.is_empty() { format!("status {}", status.as_u16()) } else { code.to_owned() };
        Err(Error::Refused { action, code: Untrusted::new(code), message: Untrusted::new(refusal.message) })
    }

    fn signed(&self, action: &str, body: Vec<u8>) -> Result<Request, Error> {
        let by = credentials::find(&self.environment)?;
        let host = match (self.endpoint.host_str().unwrap_or_default(), self.endpoint.port()) {
            (host, Some(port)) => format!("{host}:{port}"),
            (host, None) => host.to_owned(),
        };
        let time = OffsetDateTime::from(Clock::system().now());
        let time = time.format(format_description!("[year][month][day]T[hour][minute][second]Z"));
        let time = time.map_err(std::io::Error::other)?;
        let target = format!("TrentService.{action}");
        let mut headers = vec![("content-type", MEDIA_TYPE), ("host", &host), ("x-amz-date", &time)];
        headers.extend(by.token.as_ref().map(|token| ("x-amz-security-token", token.as_str())));
        headers.push(("x-amz-target", &target));
        let scope = Scope { region: &self.region, service: "kms", time: &time };
        let authorization = authorization(&by, &scope, &headers, &body);
        let value = |text: &str| {
            let mut value = HeaderValue::from_str(text).map_err(std::io::Error::other)?;
            value.set_sensitive(true);
            Ok::<_, Error>(value)
        };
        let mut request = Request::post(self.endpoint.clone(), MEDIA_TYPE, body);
        for (name, text) in headers.into_iter().filter(|(name, _)| name.starts_with("x-amz-")) {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(std::io::Error::other)?;
            request = request.header(name, value(text)?);
        }
        Ok(request.credential(Some(value(&authorization)?)))
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Where a region's KMS is, unless the environment says otherwise, as AWS' own tools read it.
fn endpoint(region: &str, environment: Environment<'_>) -> Result<Url, Error> {
    let set = |name: &str| environment(name).filter(|value| !value.is_empty());
    if let Some(text) = set("AWS_ENDPOINT_URL_KMS").or_else(|| set("AWS_ENDPOINT_URL")) {
        let url = Url::parse(&text).ok().filter(|url| url.username().is_empty() && url.path() == "/");
        return url.ok_or(Error::Endpoint(text));
    }
    let end = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    let text = format!("https://kms.{region}.{end}/");
    Url::parse(&text).map_err(|_| Error::Endpoint(text))
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
