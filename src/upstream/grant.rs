//! How a token is obtained: the distribution project's token specification, and its OAuth2 form for
//! identity tokens.

use std::time::Duration;

use base64::Engine as _;
use http::HeaderValue;
use serde::Deserialize;
use tokio::time::Instant;
use url::form_urlencoded::Serializer;
use url::{Position, Url};

use super::answer;
use super::credentials::Login;
use super::error::{Error, Failure};
use super::meter::Meter;
use super::scope::Scope;
use crate::egress::{Client, Request};

const MAX_ANSWER: u64 = 64 * 1024;
/// The specification's lifetime of a token whose answer names none.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(60);
const MAX_LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// A token is given up before its end, so that it does not end on the way.
const MAX_MARGIN: Duration = Duration::from_secs(30);
const CLIENT: &str = "portcullis";

/// An `Authorization` header and how long it is worth sending.
#[derive(Clone, Debug)]
pub(super) struct Granted {
    pub(super) header: HeaderValue,
    pub(super) until: Instant,
}

#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

/// Name and password as they are.
pub(super) fn basic(username: &str, password: &str) -> Result<Granted, Error> {
    let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"));
    // Not forever, so that a changed file is looked at now and then.
    granted(&format!("Basic {encoded}"), Instant::now(), Duration::from_secs(300))
}

/// Asks the token server for leave. The scope is always ours, whatever the registry's challenge said: a
/// registry must not have us ask for more.
pub(super) async fn bearer(
    client: &Client,
    meter: &Meter,
    realm: Url,
    service: Option<&str>,
    scope: &Scope<'_>,
    login: Option<&Login>,
) -> Result<Granted, Failure> {
    let server = realm[..Position::BeforePath].to_owned();
    let request = request(realm, service, scope, login)?;
    let granted = send(client, meter, &request).await;
    granted.map_err(|failure| Failure { error: failure.error.of_token_server(&server), ..failure })
}

async fn send(client: &Client, meter: &Meter, request: &Request) -> Result<Granted, Failure> {
    let asked = Instant::now();
    let result = client.send(request).await;
    meter.count_token(&result);
    let response = answer::success(result?).await?;
    let body = response.body.read(MAX_ANSWER).await?;
    let answer: Answer =
        serde_json::from_slice(&body).map_err(|_| Error::nonsense("it is no token's JSON"))?;
    let token = answer.token.or(answer.access_token).filter(|token| !token.is_empty());
    let token = token.ok_or_else(|| Error::nonsense("it has no token"))?;
    let lifetime = answer.expires_in.map_or(DEFAULT_LIFETIME, Duration::from_secs).min(MAX_LIFETIME);
    Ok(granted(&format!("Bearer {token}"), asked, lifetime)?)
}

fn request(
    mut realm: Url,
    service: Option<&str>,
    scope: &Scope<'_>,
    login: Option<&Login>,
) -> Result<Request, Error> {
    let service = service.map(|s| ("service", s));
    let scopes = scope.parts();
    if let Some(Login::Identity(token)) = login {
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "refresh_token").append_pair("refresh_token", token.reveal());
        form.append_pair("client_id", CLIENT).extend_pairs(service).append_pair("scope", &scopes.join(" "));
        return Ok(Request::post_form(realm, form.finish()));
    }
    let scopes = scopes.iter().map(|scope| ("scope", scope.as_str()));
    realm.query_pairs_mut().extend_pairs(service.into_iter().chain(scopes));
    let credential = match login {
        Some(Login::Password { username, password }) => Some(basic(username, password.reveal())?.header),
        _ => None,
    };
    Ok(Request::get(realm).credential(credential))
}

fn granted(header: &str, from: Instant, lifetime: Duration) -> Result<Granted, Error> {
    let mut header = HeaderValue::from_str(header)
        .map_err(|_| Error::nonsense("a token or password has characters that no header can carry"))?;
    header.set_sensitive(true);
    let margin = (lifetime / 10).min(MAX_MARGIN);
    Ok(Granted { header, until: from + lifetime - margin })
}
