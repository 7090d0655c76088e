//! What a response's status and error body mean.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use serde::Deserialize;

use super::error::{Again, Error, Failure};
use crate::clock::Clock;
use crate::egress::Response;
use crate::oci::media_type::is_media_type;
use crate::telemetry::Untrusted;

const MAX_ERROR_BYTES: u64 = 16 * 1024;
/// A longer `Retry-After` is taken for this one.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 3600);

/// Passes a response of the status class 2xx on, and turns all others into what they mean.
pub(super) async fn success(response: Response) -> Result<Response, Failure> {
    let status = response.status;
    if status.is_success() {
        return Ok(response);
    }
    let retry_after = retry_after(&response.headers);
    let error = match status.as_u16() {
        404 | 410 => Error::NotFound,
        429 => Error::Throttled { retry_after },
        // 501 is an answer too: it does not have that part of the API.
        status @ (400..=499 | 501) => Error::Refused { status, message: message(response).await },
        status => {
            let again = match status {
                500 | 502 | 503 | 504 => Again::After(retry_after.unwrap_or_default()),
                _ => Again::Never,
            };
            let error = Error::Unavailable(format!("it answered {status}"));
            let words = Some(message(response).await);
            return Err(Failure { error, words, again, silent: false, cause: None });
        }
    };
    Err(error.into())
}

/// As [`success`], of an answer to a manifest that was written. Where its digest is doubted, it was damaged on the way,
/// or the registry looked at a blob of it that somebody else is just writing (distribution's does): another attempt
/// may fare better.
pub(super) async fn taken(response: Response) -> Result<Response, Failure> {
    let mut answered = success(response).await;
    if let Err(Failure { error: Error::Refused { status: 400, message }, again, .. }) = &mut answered
        && message.as_raw().starts_with("DIGEST_INVALID:")
    {
        *again = Again::After(Duration::ZERO);
    }
    answered
}

/// The media type that a response announces, without parameters.
pub(super) fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let name = value.split(';').next()?.trim().to_ascii_lowercase();
    is_media_type(&name).then_some(name)
}

/// The first error of the specification's list of errors, else nothing: pages of HTML help nobody.
async fn message(response: Response) -> Untrusted {
    #[derive(Deserialize)]
    struct Errors {
        errors: Vec<One>,
    }
    #[derive(Deserialize)]
    struct One {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
    }
    let reason = response.status.canonical_reason().unwrap_or("no reason given");
    let Ok(body) = response.body.read(MAX_ERROR_BYTES).await else { return Untrusted::new(reason) };
    match serde_json::from_slice::<Errors>(&body).ok().and_then(|list| list.errors.into_iter().next()) {
        Some(One { code, message }) => Untrusted::new(format!("{code}: {message}")),
        None => Untrusted::new(reason),
    }
}

/// RFC 9110, section 10.2.3: seconds or a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match value.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => date(value)?.duration_since(Clock::system().now()).unwrap_or_default(),
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

fn date(value: &str) -> Option<SystemTime> {
    let rest = value.strip_suffix(" GMT")?;
    let format = time::macros::format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second]"
    );
    Some(time::PrimitiveDateTime::parse(rest, format).ok()?.assume_utc().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(value: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, value.parse().unwrap());
        retry_after(&headers)
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(waits("7"), Some(Duration::from_secs(7)));
        assert_eq!(waits("99999999999"), Some(MAX_RETRY_AFTER));
        assert_eq!(waits("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        assert_eq!(waits("Fri, 31 Dec 2100 23:59:59 GMT"), Some(MAX_RETRY_AFTER));
        for nonsense in ["-1", "soon", "", "Sun, 06 Nov 1994 08:49:37"] {
            assert_eq!(waits(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn media_types_lose_their_parameters() {
        let mut headers = HeaderMap::new();
        assert_eq!(media_type(&headers), None);
        headers.insert(CONTENT_TYPE, "Application/JSON; charset=utf-8".parse().unwrap());
        assert_eq!(media_type(&headers).as_deref(), Some("application/json"));
        headers.insert(CONTENT_TYPE, "nonsense".parse().unwrap());
        assert_eq!(media_type(&headers), None);
    }
}
