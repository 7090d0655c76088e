//! One request, one answer: the read side of OCI distribution-spec 1.1, its write side called, with the faults
//! applied.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use futures_util::stream;
use http::request::Parts;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderName, HeaderValue, LINK, LOCATION,
    RETRY_AFTER, WWW_AUTHENTICATE,
};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::json;

use super::content::referrers_index;
use super::writing::write;
use super::{Fault, Inner, Login, Seen, State};
use crate::oci::Digest;
use crate::oci::media_type::OCI_INDEX;

const TOKEN: &str = "a-token-of-the-demo";
/// The token for those who asked for leave to write.
const PUSH_TOKEN: &str = "a-push-token-of-the-demo";
const MAX_BODY: usize = 256 * 1024 * 1024;
pub(super) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

type Answer = Response<BoxBody<Bytes, io::Error>>;

/// Answers, or misbehaves. An error closes the connection.
pub(super) async fn answer(state: Arc<State>, request: Request<Incoming>) -> io::Result<Answer> {
    let (request, body) = request.into_parts();
    let body = Limited::new(body, MAX_BODY).collect().await.map_err(io::Error::other)?.to_bytes();
    let (plain, fault) = {
        let mut inner = state.lock();
        let line = format!("{} {}", request.method, target(&request));
        let authorization = header(&request, &AUTHORIZATION).map(str::to_owned);
        inner.seen.push(Seen { line: line.clone(), authorization });
        let fault = inner.faults.next(&line);
        // A request that is refused changes nothing.
        let plain = match fault {
            Some(Fault::Status(..) | Fault::Error(..) | Fault::Drop | Fault::Stall) => {
                Plain::error(StatusCode::OK, "FAULT")
            }
            _ => route(&mut inner, &request, &body),
        };
        (plain, fault)
    };
    match fault {
        None => Ok(send(plain, Delivery::Whole)),
        Some(fault) => misbehave(fault, plain, &request).await,
    }
}

async fn misbehave(fault: Fault, mut plain: Plain, request: &Parts) -> io::Result<Answer> {
    let delivery = match fault {
        Fault::Bytes(bytes) => {
            plain.body = bytes;
            Delivery::Whole
        }
        Fault::Header(name, value) => {
            let value = HeaderValue::from_str(&value).map_err(io::Error::other)?;
            plain.headers.retain(|(held, _)| *held != name);
            plain.headers.push((HeaderName::from_static(name), value));
            Delivery::Whole
        }
        Fault::Status(status, retry_after) => {
            plain = Plain::error(StatusCode::from_u16(status).map_err(io::Error::other)?, "FAULT");
            if let Some(seconds) = retry_after {
                plain.headers.push((RETRY_AFTER, seconds.into()));
            }
            Delivery::Whole
        }
        Fault::Error(status, code) => {
            plain = Plain::error(StatusCode::from_u16(status).map_err(io::Error::other)?, code);
            Delivery::Whole
        }
        Fault::Redirect(base) => {
            plain = Plain::error(StatusCode::TEMPORARY_REDIRECT, "FAULT");
            plain = plain.with(LOCATION, &format!("{base}{}", target(request)));
            Delivery::Whole
        }
        Fault::Delay(time) => {
            tokio::time::sleep(time).await;
            Delivery::Whole
        }
        Fault::Stall => std::future::pending().await,
        Fault::Drop => return Err(io::Error::other("dropped on purpose")),
        Fault::StallAfter(bytes) => Delivery::StallAfter(bytes),
        Fault::Cut(bytes) => Delivery::Cut(bytes),
        Fault::Drip(piece, pause) => Delivery::Drip(piece, pause),
    };
    Ok(send(plain, delivery))
}

/// An answer before it is sent.
pub(super) struct Plain {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

impl Plain {
    pub(super) fn new(media_type: &str, body: Bytes) -> Self {
        Self { status: StatusCode::OK, headers: Vec::new(), body }.with(CONTENT_TYPE, media_type)
    }

    pub(super) fn error(status: StatusCode, code: &str) -> Self {
        let body = json!({"errors": [{"code": code, "message": format!("demo registry: {status}")}]});
        Self { status, ..Self::new("application/json", body.to_string().into()) }
    }

    pub(super) fn of(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    pub(super) fn with(mut self, name: HeaderName, value: &str) -> Self {
        self.headers.extend(HeaderValue::from_str(value).ok().map(|value| (name, value)));
        self
    }
}

fn route(inner: &mut Inner, request: &Parts, body: &Bytes) -> Plain {
    let path = request.uri.path();
    if path == "/token" {
        return token(inner, request);
    }
    if let Some(challenge) = challenge(inner, request) {
        return challenge;
    }
    if let Some(written) = write(inner, request, body) {
        return written;
    }
    let Some(rest) = path.strip_prefix("/v2/") else {
        return Plain::error(StatusCode::NOT_FOUND, "NOT_FOUND");
    };
    if rest.is_empty() {
        return Plain::new("application/json", Bytes::from_static(b"{}"));
    }
    // Names nest, so the path is read from the right.
    let mut parts = rest.rsplitn(3, '/');
    let (last, kind, name) = (parts.next(), parts.next(), parts.next());
    let found = match (name, kind, last) {
        (Some(name), Some("manifests"), Some(reference)) => manifest(inner, name, reference),
        (Some(name), Some("blobs"), Some(digest)) => blob(inner, name, digest, request),
        (Some(name), Some("tags"), Some("list")) => tags(inner, name, request),
        (Some(name), Some("referrers"), Some(digest)) => referrers(inner, name, digest, request),
        _ => None,
    };
    found.unwrap_or_else(|| Plain::error(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN"))
}

fn manifest(inner: &Inner, name: &str, reference: &str) -> Option<Plain> {
    let repository = inner.repositories.of(name)?;
    let digest = Digest::parse(reference).ok().or_else(|| repository.tags.get(reference).copied())?;
    let (media_type, bytes) = repository.manifests.get(&digest)?;
    Some(Plain::new(media_type, bytes.clone()).with(CONTENT_DIGEST, &digest.to_string()))
}

/// A blob, or its end from the first byte of a range on: all that a resuming client asks for.
fn blob(inner: &Inner, name: &str, digest: &str, request: &Parts) -> Option<Plain> {
    let bytes = inner.repositories.of(name)?.blobs.get(&Digest::parse(digest).ok()?)?;
    let whole = Plain::new("application/octet-stream", bytes.clone()).with(CONTENT_DIGEST, digest);
    let range = header(request, &hyper::header::RANGE).and_then(|r| r.strip_prefix("bytes="));
    let from: Option<usize> = range.and_then(|r| r.split('-').next()?.parse().ok());
    let Some(from) = from.filter(|from| *from < bytes.len()) else {
        return Some(whole);
    };
    let range = format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
    let part = Plain { status: StatusCode::PARTIAL_CONTENT, body: bytes.slice(from..), ..whole };
    Some(part.with(CONTENT_RANGE, &range))
}

fn tags(inner: &Inner, name: &str, request: &Parts) -> Option<Plain> {
    let repository = inner.repositories.of(name)?;
    let last = query(request, "last").unwrap_or_default();
    let asked = query(request, "n").and_then(|n| n.parse().ok()).unwrap_or(usize::MAX);
    let size = asked.min(inner.repositories.page_size.unwrap_or(usize::MAX));
    let mut tags: Vec<_> = repository.tags.keys().filter(|tag| **tag > last).collect();
    let more = tags.len() > size;
    tags.truncate(size);
    let body = json!({"name": name, "tags": tags}).to_string();
    let page = Plain::new("application/json", body.into());
    Some(match tags.last() {
        Some(last) if more => {
            page.with(LINK, &format!("</v2/{name}/tags/list?n={size}&last={last}>; rel=\"next\""))
        }
        _ => page,
    })
}

fn referrers(inner: &Inner, name: &str, digest: &str, request: &Parts) -> Option<Plain> {
    let repository = inner.repositories.of(name).filter(|_| inner.repositories.referrers_api)?;
    let artifact_type = query(request, "artifactType");
    let all = repository.referrers(&Digest::parse(digest).ok()?, artifact_type.as_deref());
    let skip = query(request, "from").and_then(|from| from.parse().ok()).unwrap_or(0).min(all.len());
    let size = inner.repositories.page_size.unwrap_or(usize::MAX);
    let end = skip.saturating_add(size).min(all.len());
    let page = Plain::new(OCI_INDEX, referrers_index(&all[skip..end]));
    Some(if end < all.len() {
        page.with(LINK, &format!("</v2/{name}/referrers/{digest}?from={end}>; rel=\"next\""))
    } else {
        page
    })
}

fn challenge(inner: &Inner, request: &Parts) -> Option<Plain> {
    inner.login.as_ref()?;
    let given = header(request, &AUTHORIZATION);
    let admits = |token: &str| given == Some(&format!("Bearer {token}"));
    let is_read = matches!(request.method, Method::GET | Method::HEAD);
    if admits(PUSH_TOKEN) || (is_read && admits(TOKEN)) {
        return None;
    }
    let realm = format!("Bearer realm=\"{}/token\",service=\"demo\"", inner.address);
    Some(Plain::error(StatusCode::UNAUTHORIZED, "UNAUTHORIZED").with(WWW_AUTHENTICATE, &realm))
}

fn token(inner: &Inner, request: &Parts) -> Plain {
    let given = header(request, &AUTHORIZATION);
    let wanted = inner.login.as_ref().and_then(Login::basic);
    if wanted.is_some() && wanted.as_deref() != given {
        return Plain::error(StatusCode::UNAUTHORIZED, "UNAUTHORIZED");
    }
    let is_to_push = query(request, "scope").is_some_and(|scope| scope.ends_with(":pull,push"));
    let token = if is_to_push { PUSH_TOKEN } else { TOKEN };
    let body = json!({"token": token, "expires_in": 300}).to_string();
    Plain::new("application/json", body.into())
}

impl Login {
    fn basic(&self) -> Option<String> {
        let (user, password) = self.credentials.as_ref()?;
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        Some(format!("Basic {pair}"))
    }
}

/// Path and query: over HTTP/2 the URI holds the host too.
fn target(request: &Parts) -> &str {
    request.uri.path_and_query().map_or("/", |target| target.as_str())
}

fn header<'a>(request: &'a Parts, name: &HeaderName) -> Option<&'a str> {
    request.headers.get(name)?.to_str().ok()
}

pub(super) fn query(request: &Parts, key: &str) -> Option<String> {
    let query = request.uri.query()?.as_bytes();
    url::form_urlencoded::parse(query).find(|(k, _)| k == key).map(|(_, value)| value.into_owned())
}

/// How a body goes out.
#[derive(Clone, Copy)]
enum Delivery {
    Whole,
    StallAfter(usize),
    Cut(usize),
    Drip(usize, Duration),
}

fn send(plain: Plain, delivery: Delivery) -> Answer {
    let length = plain.body.len();
    let mut answer = Response::new(BoxBody::new(StreamBody::new(stream::unfold(
        (plain.body, delivery),
        |(left, delivery)| async move {
            let (piece, left, delivery) = next(left, delivery).await?;
            Some((piece.map(Frame::data), (left, delivery)))
        },
    ))));
    *answer.status_mut() = plain.status;
    answer.headers_mut().extend(plain.headers);
    // The length that was promised is what a cut body breaks.
    answer.headers_mut().entry(CONTENT_LENGTH).or_insert_with(|| length.into());
    answer
}

async fn next(mut left: Bytes, delivery: Delivery) -> Option<(io::Result<Bytes>, Bytes, Delivery)> {
    let whole = left.len();
    match delivery {
        Delivery::Cut(0) => {
            // The server flushes what it has while it waits, and would drop it otherwise.
            tokio::time::sleep(Duration::from_millis(10)).await;
            Some((Err(io::Error::other("cut on purpose")), Bytes::new(), Delivery::Whole))
        }
        Delivery::StallAfter(0) => std::future::pending().await,
        _ if left.is_empty() => None,
        Delivery::Whole => Some((Ok(left.split_to(whole)), left, delivery)),
        Delivery::Cut(bytes) => Some((Ok(left.split_to(bytes.min(whole))), left, Delivery::Cut(0))),
        Delivery::StallAfter(bytes) => {
            Some((Ok(left.split_to(bytes.min(whole))), left, Delivery::StallAfter(0)))
        }
        Delivery::Drip(piece, pause) => {
            tokio::time::sleep(pause).await;
            Some((Ok(left.split_to(piece.clamp(1, whole))), left, delivery))
        }
    }
}
