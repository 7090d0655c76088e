//! What a request asks for, in which upstream. A pure function over the request line: names nest, so
//! the path is read from the right, and an upstream is only ever one of those configured.

mod names;
mod query;

use std::borrow::Cow;

use http::Method;

pub use names::Names;
use query::Query;

use crate::oci::digest::DigestError;
use crate::oci::repository::{NameError, looks_like_host};
use crate::oci::{Digest, Registry, Repository, Target};
use crate::telemetry::Untrusted;

/// A request that is understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// `/v2/`: whether this is a registry.
    Base,
    /// Something in a repository.
    Content(Content),
}

/// What is asked of which repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// The source repository.
    pub repository: Repository,
    /// What of it.
    pub endpoint: Endpoint,
    /// The value of `ns` where the client used it, to be repeated to it.
    pub namespace: Option<String>,
}

/// The read side of distribution-spec 1.1, "Endpoints".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// end-3
    Manifest(Target),
    /// end-2
    Blob(Digest),
    /// end-8a and end-8b
    Tags {
        /// At most so many.
        n: Option<u32>,
        /// Those behind this one.
        last: Option<String>,
    },
    /// end-12a and end-12b
    Referrers {
        /// What they refer to.
        subject: Digest,
        /// Only those of this type.
        artifact_type: Option<String>,
    },
}

/// Why a request is not understood, or leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// Not an endpoint of the pull API.
    #[error("there is no such endpoint; this proxy serves the pull API under /v2/")]
    NoEndpoint,
    /// A method that writes.
    #[error("this proxy only pulls; push to the source registry itself")]
    Method,
    /// Not one host, or none where the protocol wants it (RFC 9112, section 3.2).
    #[error("the request must have one Host header, with a host's name and maybe a port")]
    Host,
    /// Percent-encoding that hides a slash, is cut short, or stands for other than ASCII.
    #[error("the path or query is not encoded as it should be")]
    Encoding,
    /// The repository's name breaks the grammar.
    #[error("{0}")]
    Name(NameError),
    /// The manifest's tag breaks the grammar, so no manifest can have it.
    #[error("{0}")]
    Tag(NameError),
    /// Not a digest.
    #[error("{0}")]
    Digest(DigestError),
    /// No such upstream is configured.
    #[error("{0} is not an upstream of this proxy; its configuration lists them under `upstreams`")]
    UnknownRegistry(Untrusted),
    /// Nothing names an upstream and none is the default.
    #[error("the name has no upstream in front, and none is the default (`default: true`)")]
    NoDefault,
    /// Host, `ns` and path do not agree.
    #[error("the request names two upstreams, {0} and {1}")]
    TwoRegistries(Registry, Registry),
    /// A parameter is there twice.
    #[error("the parameter {0} stands in the query more than once")]
    Repeated(&'static str),
    /// `n` is not a number, or `last` not a tag.
    #[error("n is a number from 0 to 4294967295, last is a tag")]
    Page,
}

/// Reads a request. `host` is the `Host` header or the authority of HTTP/2.
///
/// # Errors
/// [`RouteError`] names the rule that is broken.
pub fn route(
    method: &Method,
    host: Option<&str>,
    path: &str,
    query: Option<&str>,
    names: &Names,
) -> Result<Route, RouteError> {
    let rest = match path.strip_prefix("/v2") {
        Some("" | "/") => None,
        Some(rest) => Some(rest.strip_prefix('/').ok_or(RouteError::NoEndpoint)?),
        None => return Err(RouteError::NoEndpoint),
    };
    if !matches!(*method, Method::GET | Method::HEAD) {
        return Err(RouteError::Method);
    }
    let Some(rest) = rest else { return Ok(Route::Base) };
    let rest = decode_path(rest)?;
    let query = Query::parse(query.unwrap_or(""))?;
    let (name, endpoint) = split(&rest, &query)?;
    let repository = names.repository(host, query.ns.as_deref(), name)?;
    Ok(Route::Content(Content { repository, endpoint, namespace: query.ns.map(Cow::into_owned) }))
}

/// Name and endpoint. Read from the right: a repository may have segments called `blobs` or `tags`.
fn split<'a>(rest: &'a str, query: &Query<'_>) -> Result<(&'a str, Endpoint), RouteError> {
    let (front, last) = rest.rsplit_once('/').ok_or(RouteError::NoEndpoint)?;
    let (name, kind) = front.rsplit_once('/').ok_or(RouteError::NoEndpoint)?;
    let endpoint = match (kind, last) {
        (_, "") => return Err(RouteError::NoEndpoint),
        ("tags", "list") => query.page()?,
        ("manifests", target) => Endpoint::Manifest(parse_target(target)?),
        ("blobs", digest) => Endpoint::Blob(Digest::parse(digest).map_err(RouteError::Digest)?),
        ("referrers", digest) => Endpoint::Referrers {
            subject: Digest::parse(digest).map_err(RouteError::Digest)?,
            artifact_type: query.artifact_type.as_deref().map(str::to_owned),
        },
        _ => return Err(RouteError::NoEndpoint),
    };
    Ok((name, endpoint))
}

fn parse_target(text: &str) -> Result<Target, RouteError> {
    Target::parse(text).map_err(|e| match e {
        NameError::Digest(e) => RouteError::Digest(e),
        e => RouteError::Tag(e),
    })
}

/// Resolves percent-encoding. A slash must stand for itself, or two readers of one path could see
/// two names; whatever else is decoded has to pass the grammar of names and digests.
fn decode_path(path: &str) -> Result<Cow<'_, str>, RouteError> {
    let decoded = query::decode(path)?;
    let slashes = |text: &str| text.bytes().filter(|b| *b == b'/').count();
    if matches!(decoded, Cow::Owned(_)) && slashes(&decoded) != slashes(path) {
        return Err(RouteError::Encoding);
    }
    Ok(decoded)
}

#[cfg(test)]
mod tests;
