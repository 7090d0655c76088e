//! Signature version 4 of AWS, as far as requests without a query need it ("Create a signed AWS API request").

use std::io;
use std::time::SystemTime;

use aws_lc_rs::hmac;
use http::{HeaderName, HeaderValue};
use time::OffsetDateTime;
use time::macros::format_description;
use url::Url;
use zeroize::Zeroizing;

use super::Credentials;
use crate::egress::Request;
use crate::x509::Hash;

/// A POST to a service's root.
pub(super) struct Call<'a> {
    pub(super) service: &'a str,
    pub(super) region: &'a str,
    pub(super) endpoint: &'a Url,
    pub(super) media_type: &'static str,
    /// `X-Amz-Target`, where the service is told by that what to do.
    pub(super) target: Option<String>,
    pub(super) body: Vec<u8>,
}

impl Call<'_> {
    /// The request, signed at that time.
    ///
    /// # Errors
    /// A value that no header can have.
    pub(super) fn signed(self, by: &Credentials, at: SystemTime) -> io::Result<Request> {
        let host = match (self.endpoint.host_str().unwrap_or_default(), self.endpoint.port()) {
            (host, Some(port)) => format!("{host}:{port}"),
            (host, None) => host.to_owned(),
        };
        let time = format_description!("[year][month][day]T[hour][minute][second]Z");
        let time = OffsetDateTime::from(at).format(time).map_err(io::Error::other)?;
        let mut headers = vec![("content-type", self.media_type), ("host", &host), ("x-amz-date", &time)];
        headers.extend(by.token.as_ref().map(|token| ("x-amz-security-token", token.as_str())));
        headers.extend(self.target.as_ref().map(|target| ("x-amz-target", target.as_str())));
        let scope = Scope { region: self.region, service: self.service, time: &time };
        let authorization = authorization(by, &scope, &headers, &self.body);
        let mut request = Request::post(self.endpoint.clone(), self.media_type, self.body);
        for (name, text) in headers.into_iter().filter(|(name, _)| name.starts_with("x-amz-")) {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(io::Error::other)?;
            request = request.header(name, secret_value(text)?);
        }
        Ok(request.credential(Some(secret_value(&authorization)?)))
    }
}

/// A header's value that nothing shows.
///
/// # Errors
/// What no header can have.
pub(super) fn secret_value(text: &str) -> io::Result<HeaderValue> {
    let mut value = HeaderValue::from_str(text).map_err(io::Error::other)?;
    value.set_sensitive(true);
    Ok(value)
}

/// Where and when a signature counts.
struct Scope<'a> {
    region: &'a str,
    service: &'a str,
    /// `YYYYMMDDTHHMMSSZ`
    time: &'a str,
}

/// The `Authorization` of a POST to the root.
///
/// `headers` are all that are signed, `host` among them, with names in lower case and in order.
fn authorization(
    credentials: &Credentials,
    scope: &Scope<'_>,
    headers: &[(&str, &str)],
    body: &[u8],
) -> String {
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
    let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let canonical = format!("POST\n/\n\n{lines}\n{names}\n{}", hashed(body));
    let Scope { region, service, time } = scope;
    let day = time.get(..8).unwrap_or(time);
    let within = format!("{day}/{region}/{service}/aws4_request");
    let signed = format!("AWS4-HMAC-SHA256\n{time}\n{within}\n{}", hashed(canonical.as_bytes()));
    let first = Zeroizing::new(format!("AWS4{}", *credentials.secret_key).into_bytes());
    let key = [day, region, service, "aws4_request"].iter().fold(first, |key, part| keyed(&key, part));
    let signature = hex::encode(keyed(&key, &signed).as_slice());
    let access_key = &credentials.access_key;
    format!("AWS4-HMAC-SHA256 Credential={access_key}/{within}, SignedHeaders={names}, Signature={signature}")
}

fn hashed(bytes: &[u8]) -> String {
    hex::encode(Hash::Sha256.of(bytes))
}

fn keyed(key: &[u8], text: &str) -> Zeroizing<Vec<u8>> {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes());
    Zeroizing::new(tag.as_ref().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: &str = "20150830T123600Z";

    fn signature(service: &str, headers: &[(&str, &str)], body: &str) -> String {
        let credentials = Credentials {
            access_key: "AKIDEXAMPLE".to_owned(),
            secret_key: Zeroizing::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned()),
            token: None,
            expires: None,
        };
        let scope = Scope { region: "us-east-1", service, time: TIME };
        authorization(&credentials, &scope, headers, body.as_bytes())
    }

    /// `post-vanilla` and `post-x-www-form-urlencoded` of the test suite that AWS published.
    #[test]
    fn the_published_vectors_come_out() {
        let host = ("host", "example.amazonaws.com");
        let date = ("x-amz-date", TIME);
        assert_eq!(
            signature("service", &[host, date], ""),
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
             SignedHeaders=host;x-amz-date, \
             Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"
        );
        let form = ("content-type", "application/x-www-form-urlencoded");
        assert_eq!(
            signature("service", &[form, host, date], "Param1=value1"),
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date, \
             Signature=ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"
        );
    }

    /// As AWS' own library for Python signs it.
    #[test]
    fn a_request_to_kms_with_a_session_is_signed_as_others_do() {
        let headers = [
            ("content-type", "application/x-amz-json-1.1"),
            ("host", "kms.us-east-1.amazonaws.com"),
            ("x-amz-date", TIME),
            ("x-amz-security-token", "TOKEN"),
            ("x-amz-target", "TrentService.Sign"),
        ];
        let signed = signature("kms", &headers, r#"{"KeyId":"k"}"#);
        assert!(
            signed.ends_with("=3a461fc8ebdd0844fe052246cfee47e3df1a856de27623574c4fc31198613ab1"),
            "{signed}"
        );
    }
}
