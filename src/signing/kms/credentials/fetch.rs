//! One exchange with who gives credentials: bounded in time and length, no redirect followed, and nothing of what is given
//! shown.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use url::Url;

use crate::egress::{Client, Origin, Request, Timeouts};

/// The longest answer, in bytes.
const MAX_ANSWER: u64 = 64 * 1024;

/// What gives a machine its credentials is beside it.
const NEAR: Timeouts = Timeouts {
    connect: Duration::from_secs(2),
    headers: Duration::from_secs(5),
    idle: Duration::from_secs(5),
};

/// The client for who gives this machine its credentials, at the addresses for that alone.
pub(super) fn near(endpoint: &Url) -> Result<Client, String> {
    let own = Origin::of(endpoint).ok_or("expected an http or https URL")?;
    Client::for_metadata(own, NEAR)
}

/// Status and body.
pub(super) async fn answer(client: &Client, request: &Request) -> Result<(StatusCode, Bytes), String> {
    let response = client.send(request).await.map_err(|e| e.to_string())?;
    let status = response.status;
    let body = response.body.read(MAX_ANSWER).await.map_err(|e| e.to_string())?;
    Ok((status, body))
}

/// The body of an answer that is a success.
pub(super) async fn given(client: &Client, request: &Request, what: &str) -> Result<Bytes, String> {
    match answer(client, request).await? {
        (status, body) if status.is_success() => Ok(body),
        (status, _) => Err(format!("{what}: status {}", status.as_u16())),
    }
}
