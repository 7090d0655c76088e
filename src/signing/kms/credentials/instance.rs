//! The credentials of the role that an EC2 instance has, by its metadata service, version 2 ("Use the Instance Metadata
//! Service to access instance metadata"). Version 1, which a forged request reaches, is not asked.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};
use url::Url;

use super::super::sigv4::secret_value;
use super::super::{Credentials, Error, answer, service};
use super::fetch::{self, Why};
use crate::egress::{Environment, Request};

const IPV4: &str = "http://169.254.169.254/";
const IPV6: &str = "http://[fd00:ec2::254]/";
const TOKEN: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token");
const LIFETIME: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token-ttl-seconds");
/// In seconds: for the two questions that follow.
const SHORT: HeaderValue = HeaderValue::from_static("60");
const CREDENTIALS: &str = "latest/meta-data/iam/security-credentials/";

/// Where the service is; `None` where the environment says that it is not to be asked.
pub(super) fn find(environment: Environment<'_>) -> Result<Option<Url>, Error> {
    let set = |name: &str| environment(name).filter(|value| !value.is_empty());
    if set("AWS_EC2_METADATA_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return Ok(None);
    }
    let mode = set("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE");
    let usual = if mode.is_some_and(|mode| mode.eq_ignore_ascii_case("ipv6")) { IPV6 } else { IPV4 };
    let text = set("AWS_EC2_METADATA_SERVICE_ENDPOINT").unwrap_or_else(|| usual.to_owned());
    let url = Url::parse(&text).ok().filter(service::is_bare);
    let wrong = "expected a URL without user and path in AWS_EC2_METADATA_SERVICE_ENDPOINT";
    url.map(Some).ok_or_else(|| Error::Credentials(wrong.to_owned()))
}

pub(super) async fn fetch(endpoint: &Url) -> Result<Credentials, Why> {
    let client = fetch::near(endpoint)?;
    let at = |path: &str| endpoint.join(path).map_err(|e| e.to_string());
    let plain = HeaderValue::from_static("text/plain");
    let request = Request::put(at("latest/api/token")?, plain, Bytes::new()).header(LIFETIME, SHORT);
    let token = fetch::given(&client, &request, "a session (IMDSv2)").await?;
    let token = std::str::from_utf8(&token).map_err(|_| "a session that is no text".to_owned())?;
    let token = secret_value(token).map_err(|_| "a session that is no header".to_owned())?;
    let get = |path: &str| Ok::<_, String>(Request::get(at(path)?).header(TOKEN, token.clone()));
    let role = match fetch::answer(&client, &get(CREDENTIALS)?).await? {
        (StatusCode::NOT_FOUND, _) => return Err("the instance has no role".to_owned().into()),
        (StatusCode::OK, name) => role(&name)?,
        (status, _) => return Err(fetch::refused(status, format!("its role: status {}", status.as_u16()))),
    };
    let given =
        fetch::given(&client, &get(&format!("{CREDENTIALS}{role}"))?, "the role's credentials").await?;
    Ok(answer::from_json(&given)?)
}

/// The name of a role, as IAM has them: nothing that leads to another path.
fn role(answer: &[u8]) -> Result<String, String> {
    let first = std::str::from_utf8(answer).ok().and_then(|text| text.lines().next()).unwrap_or_default();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"+=,.@_-".contains(&b);
    let is_name =
        !first.is_empty() && first.len() <= 128 && first.bytes().all(plain) && !first.starts_with('.');
    is_name.then(|| first.to_owned()).ok_or_else(|| "a role whose name is none".to_owned())
}
