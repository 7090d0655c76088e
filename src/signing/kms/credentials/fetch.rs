//! One exchange with who gives credentials: bounded in time and length, no redirect followed, and nothing of what is given
//! shown.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use url::Url;

use crate::egress::{self, Client, Origin, Request, Timeouts};

/// The longest answer, in bytes.
const MAX_ANSWER: u64 = 64 * 1024;

/// What gives a machine its credentials is beside it.
const NEAR: Timeouts = Timeouts {
    connect: Duration::from_secs(2),
    headers: Duration::from_secs(5),
    idle: Duration::from_secs(5),
};

/// Why nothing was given.
pub(super) struct Why {
    pub(super) text: String,
    /// Nobody answered, or has credentials just now.
    pub(super) unanswered: bool,
}

impl From<String> for Why {
    fn from(text: String) -> Self {
        Self { text, unanswered: false }
    }
}

impl From<egress::Error> for Why {
    fn from(error: egress::Error) -> Self {
        Self { text: error.to_string(), unanswered: error.is_silence() }
    }
}

/// An answer that gives nothing.
pub(super) fn refused(status: StatusCode, text: String) -> Why {
    Why { text, unanswered: status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS }
}

/// The client for who gives this machine its credentials, at the addresses for that alone.
pub(super) fn near(endpoint: &Url) -> Result<Client, String> {
    let own = Origin::of(endpoint).ok_or("expected an http or https URL")?;
    Client::for_metadata(own, NEAR)
}

/// Status and body.
pub(super) async fn answer(client: &Client, request: &Request) -> Result<(StatusCode, Bytes), Why> {
    let response = client.send(request).await?;
    let status = response.status;
    let body = response.body.read(MAX_ANSWER).await?;
    Ok((status, body))
}

/// The body of an answer that is a success.
pub(super) async fn given(client: &Client, request: &Request, what: &str) -> Result<Bytes, Why> {
    match answer(client, request).await? {
        (status, body) if status.is_success() => Ok(body),
        (status, _) => Err(refused(status, format!("{what}: status {}", status.as_u16()))),
    }
}
