//! The service's API: AWS JSON 1.1, one POST an action, through the client that everything goes through.

use std::time::Duration;

use http::{HeaderName, HeaderValue};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::macros::format_description;
use url::Url;

use super::reference::{Reference, is_region};
use super::sigv4::{Scope, authorization};
use super::{Error, credentials};
use crate::clock::Clock;
use crate::egress::{Authorities, Client, Environment, Options, Origin, Request, Timeouts};
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
    environment: fn(&str) -> Option<String>,
}

impl Service {
    pub(super) fn of(reference: &Reference, environment: fn(&str) -> Option<String>) -> Result<Self, Error> {
        let region = match reference.region() {
            Some(region) => Some(region.to_owned()),
            None => credentials::region(&environment)?,
        };
        let region = region.filter(|region| is_region(region)).ok_or(Error::Region)?;
        let endpoint = match &reference.endpoint {
            Some(endpoint) => endpoint.clone(),
            None => endpoint(&region, &environment)?,
        };
        let own = Origin::of(&endpoint).ok_or(Error::Endpoint)?;
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

    pub(super) async fn ask<T: DeserializeOwned>(
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
            return json::strict(&answer).map_err(|e| Error::Answer { action, what: e.to_string() });
        }
        let refusal: Refusal = json::strict(&answer).unwrap_or_default();
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

/// Where a region's KMS is, unless the environment says otherwise, as AWS' own tools read it.
pub(super) fn endpoint(region: &str, environment: Environment<'_>) -> Result<Url, Error> {
    let set = |name: &str| environment(name).filter(|value| !value.is_empty());
    if let Some(text) = set("AWS_ENDPOINT_URL_KMS").or_else(|| set("AWS_ENDPOINT_URL")) {
        let url = Url::parse(&text).ok().filter(|url| url.username().is_empty() && url.path() == "/");
        return url.ok_or(Error::Endpoint);
    }
    let end = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    let text = format!("https://kms.{region}.{end}/");
    Url::parse(&text).map_err(|_| Error::Endpoint)
}
