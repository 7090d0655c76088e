//! KMS' API: AWS JSON 1.1, one POST an action, through the client that everything goes through.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use url::Url;

use super::Error;
use super::credentials::{self, Keeper, Variables};
use super::reference::{Reference, is_region};
use super::sigv4::Call;
use crate::clock::Clock;
use crate::egress::{Authorities, Client, Environment, Options, Origin, Timeouts};
use crate::oci::json;
use crate::telemetry::Untrusted;

const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(5),
    headers: Duration::from_secs(15),
    idle: Duration::from_secs(15),
};

/// The longest answer, in bytes; a key of 4096 bits takes a hundredth of it.
const MAX_ANSWER: u64 = 256 * 1024;

/// AWS JSON 1.1
const MEDIA_TYPE: &str = "application/x-amz-json-1.1";

#[derive(Deserialize, Default)]
struct Refusal {
    #[serde(rename = "__type", default)]
    code: String,
    #[serde(alias = "Message", default)]
    message: String,
}

/// KMS as one region has it.
#[derive(Debug)]
pub(super) struct Service {
    client: Client,
    endpoint: Url,
    pub(super) region: String,
    credentials: Keeper,
}

impl Service {
    pub(super) fn of(reference: &Reference, environment: Variables) -> Result<Self, Error> {
        let region = match reference.region() {
            Some(region) => Some(region.to_owned()),
            None => credentials::region(&*environment)?,
        };
        let region = region.filter(|region| is_region(region)).ok_or(Error::Region)?;
        let endpoint = match &reference.endpoint {
            Some(endpoint) => endpoint.clone(),
            None => endpoint("kms", &region, &*environment)?,
        };
        let client = client(&endpoint, &*environment)?;
        Ok(Self { client, endpoint, credentials: Keeper::new(environment, region.clone()), region })
    }

    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        action: &'static str,
        request: &impl Serialize,
    ) -> Result<T, Error> {
        let call = Call {
            service: "kms",
            region: &self.region,
            endpoint: &self.endpoint,
            media_type: MEDIA_TYPE,
            target: Some(format!("TrentService.{action}")),
            body: serde_json::to_vec(request).map_err(std::io::Error::from)?,
        };
        let request = call.signed(&self.credentials.current().await?, Clock::system().now())?;
        let unreachable = |source| Error::Unreachable { endpoint: self.endpoint.clone(), source };
        let response = self.client.send(&request).await.map_err(unreachable)?;
        let status = response.status;
        let answer = response.body.read(MAX_ANSWER).await.map_err(unreachable)?;
        if status.is_success() {
            return json::strict(&answer).map_err(|e| Error::Answer { action, what: e.to_string() });
        }
        let refusal: Refusal = json::strict(&answer).unwrap_or_default();
        let code = refusal.code.rsplit('#').next().unwrap_or_default();
        let code = if code.is_empty() { format!("status {}", status.as_u16()) } else { code.to_owned() };
        Err(Error::Refused { action, code: Untrusted::new(code), message: Untrusted::new(refusal.message) })
    }
}

/// For one of AWS' services.
pub(super) fn client(endpoint: &Url, environment: Environment<'_>) -> Result<Client, Error> {
    let options = Options {
        own: Origin::of(endpoint).ok_or(Error::Endpoint)?,
        resolve: Vec::new(),
        allowed: Vec::new(),
        authorities: Authorities::System,
        timeouts: TIMEOUTS,
    };
    Client::for_service(options, environment).map_err(Error::Client)
}

/// Where a region has a service, unless the environment says otherwise, as AWS' own tools read it.
pub(super) fn endpoint(service: &str, region: &str, environment: Environment<'_>) -> Result<Url, Error> {
    let set = |name: &str| environment(name).filter(|value| !value.is_empty());
    let own = format!("AWS_ENDPOINT_URL_{}", service.to_ascii_uppercase());
    if let Some(text) = set(&own).or_else(|| set("AWS_ENDPOINT_URL")) {
        let url = Url::parse(&text).ok().filter(|url| is_bare(url) && is_private(url));
        return url.ok_or(Error::Endpoint);
    }
    let end = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    Url::parse(&format!("https://{service}.{region}.{end}/")).map_err(|_| Error::Endpoint)
}

/// Whether a URL says which host is asked, and nothing else: no user or password above all.
pub(super) fn is_bare(url: &Url) -> bool {
    is_anonymous(url) && url.path() == "/" && url.query().is_none()
}

/// Whether a URL has no user and no password, and nothing that is not sent.
pub(super) fn is_anonymous(url: &Url) -> bool {
    url.username().is_empty() && url.password().is_none() && url.fragment().is_none()
}

/// Whether nobody on the way reads the credentials that are sent there or given.
fn is_private(url: &Url) -> bool {
    Origin::of(url).is_some_and(|origin| origin.is_secure() || origin.says_loopback())
}
