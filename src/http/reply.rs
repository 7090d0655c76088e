//! Answers. A body is made of admitted content, or of the few texts that this file writes itself;
//! it has no constructor from bytes, so nothing else can leave the process.

mod body;
mod headers;

use std::sync::Arc;

use http::header::{
    ACCEPT_RANGES, ALLOW, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH, LINK,
    RETRY_AFTER, WARNING, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body::Body as _;
use serde::Serialize;
use ulid::Ulid;

pub use body::Body;
pub use headers::Labels;

use super::range::Asked;
use super::registry::Problem;
use crate::admission::{Admitted, Blob, Outlet, Referrers, Source, TagPage};
use crate::oci::{Descriptor, Digest, Manifest, Tag, media_type};
use crate::policy::Decision;
use crate::telemetry::metrics::SpreadCounter;
use headers::{digest_and_etag, text};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");
const INDEX: HeaderValue = HeaderValue::from_static(media_type::OCI_INDEX);
/// Clients take no other code from registries: distribution-spec 1.1, "Warnings".
const STALE: HeaderValue =
    HeaderValue::from_static(r#"299 - "stale: the upstream could not be asked, this is its last answer""#);
const NO_REFERRERS: &[u8] =
    br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;

const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");
const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");
const REASON: HeaderName = HeaderName::from_static("portcullis-reason");
const DECISION: HeaderName = HeaderName::from_static("portcullis-decision");

/// An answer, and by which decision it is given.
pub struct Reply {
    response: Response<Body>,
    decision: Option<Ulid>,
}

/// Whether the client has the content with this digest already. RFC 9110, section 13.1.2.
pub fn has_unchanged(request: &HeaderMap, digest: &Digest) -> bool {
    request.contains_key(IF_NONE_MATCH) && headers::holds(request, &digest_and_etag(digest).1)
}

/// Whether the client wants this under other entity tags alone. RFC 9110, section 13.1.1.
pub fn wants_another(request: &HeaderMap, digest: &Digest) -> bool {
    request.contains_key(IF_MATCH) && !headers::takes(request, &digest_and_etag(digest).1)
}

/// Counters of the bytes that an answer hands out.
pub struct Served<'a> {
    /// From the store.
    pub store: &'a SpreadCounter,
    /// While arriving.
    pub upstream: &'a SpreadCounter,
}

impl Reply {
    /// This is a registry.
    pub fn base(head: bool) -> Self {
        Self::json(StatusCode::OK, &serde_json::Map::new(), head)
    }

    /// A manifest; its head alone for `HEAD`, nothing but its tag where the client has it.
    pub fn manifest(
        manifest: &Admitted<Arc<Manifest>>,
        labels: &Labels,
        request: &HeaderMap,
        head: bool,
        served: &Served<'_>,
    ) -> Self {
        let content = manifest.content();
        let held = headers::holds(request, &labels.etag);
        let body = if head || held { Body::empty() } else { Body::manifest(manifest, served.store) };
        let mut reply = Self::new(if held { StatusCode::NOT_MODIFIED } else { StatusCode::OK }, body);
        if !held {
            reply.set(CONTENT_TYPE, labels.media_type.clone());
        }
        // Of a body the server itself tells the length.
        if head && !held {
            reply.set(CONTENT_LENGTH, HeaderValue::from(content.descriptor().size));
        }
        reply.set(CONTENT_DIGEST, labels.digest.clone());
        reply.set(ETAG, labels.etag.clone());
        reply.given_by(manifest.decision(), manifest.stale())
    }

    /// A blob or a part of it, as `asked`, by the connection's `outlet`.
    pub fn blob(blob: Admitted<Blob>, asked: Asked, served: &Served<'_>, outlet: Outlet) -> Self {
        let (decision, stale) = (blob.decision().clone(), blob.stale());
        let (size, digest) = (blob.content().size(), *blob.content().digest());
        let counter = match blob.content().source() {
            Source::Store => served.store,
            Source::Upstream => served.upstream,
        };
        let (status, range) = match asked {
            Asked::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
            Asked::Whole | Asked::Outside => (StatusCode::OK, 0..size),
        };
        let mut reply = Self::new(status, Body::blob(blob, range.clone(), counter, outlet));
        if status == StatusCode::PARTIAL_CONTENT {
            let value = format!("bytes {}-{}/{size}", range.start, range.end.saturating_sub(1));
            reply.set_text(CONTENT_RANGE, value);
        }
        reply.describes_blob(&digest, range.end.saturating_sub(range.start));
        reply.given_by(&decision, stale)
    }

    /// What a blob is, without it; less still where the client has it `unchanged`.
    pub fn blob_head(blob: &Admitted<Descriptor>, unchanged: bool) -> Self {
        let status = if unchanged { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
        let mut reply = Self::new(status, Body::empty());
        reply.describes_blob(&blob.content().digest, blob.content().size);
        if unchanged {
            reply.response.headers_mut().remove(CONTENT_LENGTH);
        }
        reply.given_by(blob.decision(), blob.stale())
    }

    /// A list of referrers; an empty one where nothing is known about the digest, as
    /// distribution-spec 1.1, "Listing Referrers", wants it.
    pub fn referrers(list: Option<&Admitted<Referrers>>, filtered: bool, head: bool) -> Self {
        let length = list.map_or(NO_REFERRERS.len(), |list| list.content().bytes().len());
        let body = match list {
            _ if head => Body::empty(),
            Some(list) => Body::referrers(list),
            None => Body::literal(NO_REFERRERS),
        };
        let mut reply = Self::new(StatusCode::OK, body);
        reply.set(CONTENT_TYPE, INDEX);
        reply.set(CONTENT_LENGTH, HeaderValue::from(length));
        if filtered {
            reply.set(FILTERS_APPLIED, HeaderValue::from_static("artifactType"));
        }
        match list {
            Some(list) => reply.given_by(list.decision(), list.stale()),
            None => reply,
        }
    }

    /// A page of the tags of what the client calls `name`, with the address of the next one.
    pub fn tags(name: &str, page: &TagPage, next: Option<String>, head: bool) -> Self {
        #[derive(Serialize)]
        struct List<'a> {
            name: &'a str,
            tags: &'a [Tag],
        }
        let list = List { name, tags: &page.tags };
        let mut reply = Self::json(StatusCode::OK, &list, head);
        if let Some(next) = next {
            reply.set_text(LINK, format!(r#"<{next}>; rel="next""#));
        }
        reply
    }

    /// Why something is not served, in the words of distribution-spec 1.1, "Error Codes".
    pub fn problem(problem: &Problem, head: bool) -> Self {
        #[derive(Serialize)]
        struct Errors<'a> {
            errors: [Error<'a>; 1],
        }
        #[derive(Serialize)]
        struct Error<'a> {
            code: &'a str,
            message: &'a str,
            // docker prints it, and takes nothing but a string.
            #[serde(skip_serializing_if = "Option::is_none")]
            detail: Option<&'a str>,
        }
        let error =
            Error { code: problem.code, message: &problem.message, detail: problem.detail.as_deref() };
        let mut reply = Self::json(problem.status, &Errors { errors: [error] }, head);
        if problem.status == StatusCode::METHOD_NOT_ALLOWED {
            reply.set(ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        if let Some(wait) = problem.retry_after {
            // Seconds, rounded up: an earlier try would come too early.
            reply.set(RETRY_AFTER, HeaderValue::from(wait.as_millis().div_ceil(1000).max(1) as u64));
        }
        if let Some(size) = problem.outside_of {
            reply.set_text(CONTENT_RANGE, format!("bytes */{size}"));
        }
        if let Some(reason) = problem.reason {
            reply.set(REASON, HeaderValue::from_static(reason.as_str()));
        }
        if let Some(decision) = &problem.decision {
            let (digest, _) = digest_and_etag(decision.subject());
            reply.set(CONTENT_DIGEST, digest);
            reply.names(decision);
        }
        reply
    }

    /// Repeats the `ns` that the client named the upstream by.
    pub fn echo_namespace(&mut self, namespace: &str) {
        self.set_text(HeaderName::from_static("oci-namespace"), namespace.to_owned());
    }

    /// The number that logs know the request by.
    pub fn set_request_id(&mut self, id: &str) {
        self.set_text(HeaderName::from_static("x-request-id"), id.to_owned());
    }

    /// Its status.
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// How many bytes its body has, where that is known.
    pub fn length(&self) -> Option<u64> {
        self.response.body().size_hint().exact()
    }

    /// By which decision it is given.
    pub fn decision(&self) -> Option<Ulid> {
        self.decision
    }

    /// The answer as the server sends it.
    pub fn into_response(self) -> Response<Body> {
        self.response
    }

    fn new(status: StatusCode, body: Body) -> Self {
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.reserve(6);
        headers.insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        Self { response, decision: None }
    }

    fn json(status: StatusCode, value: &impl Serialize, head: bool) -> Self {
        // Strings and lists of strings: they serialise.
        let json = serde_json::to_vec(value).unwrap_or_default();
        let length = json.len();
        let mut reply = Self::new(status, if head { Body::empty() } else { Body::written_here(json) });
        reply.set(CONTENT_TYPE, JSON);
        reply.set(CONTENT_LENGTH, HeaderValue::from(length));
        reply
    }

    fn describes_blob(&mut self, digest: &Digest, length: u64) {
        let (digest, etag) = digest_and_etag(digest);
        self.set(CONTENT_TYPE, OCTETS);
        self.set(CONTENT_LENGTH, HeaderValue::from(length));
        self.set(CONTENT_DIGEST, digest);
        self.set(ETAG, etag);
        self.set(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    }

    /// Notes the decision, and warns of what a client should know of it.
    fn given_by(mut self, decision: &Arc<Decision>, stale: bool) -> Self {
        self.decision = Some(decision.id());
        if stale {
            self.response.headers_mut().append(WARNING, STALE);
        }
        if decision.would_deny() {
            let code = decision.reasons().first().map_or("", |reason| reason.code.as_str());
            let warning = format!(r#"299 - "the policy, if enforced, would refuse this: {code}""#);
            if let Some(warning) = text(warning) {
                self.response.headers_mut().append(WARNING, warning);
            }
            self.names(decision);
        }
        self
    }

    fn names(&mut self, decision: &Decision) {
        self.decision = Some(decision.id());
        if let Some(reason) = decision.reasons().first() {
            self.set(REASON, HeaderValue::from_static(reason.code.as_str()));
        }
        self.set_text(DECISION, decision.id().to_string());
    }

    fn set(&mut self, name: HeaderName, value: HeaderValue) {
        self.response.headers_mut().insert(name, value);
    }

    /// Leaves the header out where the text cannot stand in one.
    fn set_text(&mut self, name: HeaderName, value: String) {
        if let Some(value) = text(value) {
            self.set(name, value);
        }
    }
}

#[cfg(test)]
mod tests;
