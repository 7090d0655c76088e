//! Roles, which the Security Token Service lets others take on: who signs with credentials of its own, or brings a token of
//! an identity provider that the role trusts, as service accounts of EKS do.

use std::path::Path;

use http::StatusCode;
use url::form_urlencoded::Serializer;

use super::super::sigv4::Call;
use super::super::{Credentials, answer, service};
use super::fetch::Why;
use super::{Variables, fetch};
use crate::clock::Clock;
use crate::egress::Request;
use crate::trust::files;

const VERSION: &str = "2011-06-15";
const MEDIA_TYPE: &str = "application/x-www-form-urlencoded";

/// What a session is called in AWS' own logs, where nothing else is set.
const SESSION: &str = "portcullis";

/// A role, and how it is taken on.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Role {
    /// Its ARN.
    pub(super) arn: String,
    pub(super) session: Option<String>,
    pub(super) external_id: Option<String>,
    /// In seconds, as it stands in the profile.
    pub(super) duration: Option<String>,
}

impl Role {
    /// `AssumeRole`, signed.
    pub(super) async fn assumed(
        &self,
        by: &Credentials,
        environment: &Variables,
        region: &str,
    ) -> Result<Credentials, Why> {
        let endpoint = service::endpoint("sts", region, &**environment).map_err(|e| e.to_string())?;
        let call = Call {
            service: "sts",
            region,
            endpoint: &endpoint,
            media_type: MEDIA_TYPE,
            target: None,
            body: self.form("AssumeRole", None).into_bytes(),
        };
        let request = call.signed(by, Clock::system().now()).map_err(|e| e.to_string())?;
        let client = service::client(&endpoint, &**environment).map_err(|e| e.to_string())?;
        granted(fetch::answer(&client, &request).await?)
    }

    /// `AssumeRoleWithWebIdentity`: the token says who asks. It is read anew each time, since it is renewed.
    pub(super) async fn identified(
        &self,
        token: &Path,
        environment: &Variables,
        region: &str,
    ) -> Result<Credentials, Why> {
        let endpoint = service::endpoint("sts", region, &**environment).map_err(|e| e.to_string())?;
        let token = files::secret(token).map_err(|e| e.to_string())?;
        let form = self.form("AssumeRoleWithWebIdentity", Some(&token));
        let client = service::client(&endpoint, &**environment).map_err(|e| e.to_string())?;
        granted(fetch::answer(&client, &Request::post_form(endpoint, form)).await?)
    }

    fn form(&self, action: &str, token: Option<&str>) -> String {
        let mut form = Serializer::new(String::new());
        form.append_pair("Action", action).append_pair("Version", VERSION).append_pair("RoleArn", &self.arn);
        form.append_pair("RoleSessionName", self.session.as_deref().unwrap_or(SESSION));
        for (name, value) in [
            ("ExternalId", self.external_id.as_deref()),
            ("DurationSeconds", self.duration.as_deref()),
            ("WebIdentityToken", token),
        ] {
            form.extend_pairs(value.map(|value| (name, value)));
        }
        form.finish()
    }
}

fn granted((status, body): (StatusCode, bytes::Bytes)) -> Result<Credentials, Why> {
    if status.is_success() {
        return Ok(answer::from_xml(&body)?);
    }
    let (code, message) = answer::refusal(&body);
    let text = match code.as_raw() {
        "" => format!("refused with status {}", status.as_u16()),
        _ => format!("{code}: {message}"),
    };
    Err(fetch::refused(status, text))
}
