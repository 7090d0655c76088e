//! The one place that turns what went wrong into HTTP: status, code and words of
//! distribution-spec 1.1, "Error Codes". Every variant is named, so that a new one has to be placed.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use crate::access::NotAllowed;
use crate::admission::{Refusal, Trouble, Unknown};
use crate::http::route::RouteError;
use crate::oci::Digest;
use crate::policy::Decision;
use crate::signature::Code;

/// How long a client should wait where nobody knows better.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// An answer without content.
#[derive(Clone, Debug)]
pub struct Problem {
    pub(in crate::http) status: StatusCode,
    pub(in crate::http) code: &'static str,
    pub(in crate::http) message: String,
    pub(in crate::http) detail: Option<String>,
    pub(in crate::http) retry_after: Option<Duration>,
    /// The size of content that a range lies outside of.
    pub(in crate::http) outside_of: Option<u64>,
    /// Why, as a code.
    pub(in crate::http) reason: Option<Code>,
    pub(in crate::http) decision: Option<Arc<Decision>>,
}

impl Problem {
    /// A refusal; `decisions` is where decisions can be read, ending in a slash.
    pub fn of_refusal(refusal: &Refusal, decisions: Option<&str>) -> Self {
        let message = refusal.to_string();
        match refusal {
            Refusal::Denied(decision) => {
                Self::new(StatusCode::FORBIDDEN, "DENIED", message).decided(decision, decisions)
            }
            Refusal::Undecided { decision, retry_after } => {
                Self::unavailable(message, *retry_after).decided(decision, decisions)
            }
            Refusal::Closed { reason, .. } => {
                Self { reason: Some(reason.code), ..Self::new(StatusCode::FORBIDDEN, "DENIED", message) }
            }
            Refusal::Unknown(Unknown::Registry | Unknown::Repository) => {
                Self::new(StatusCode::NOT_FOUND, "NAME_UNKNOWN", message)
            }
            Refusal::Unknown(Unknown::Manifest) => {
                Self::new(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", message)
            }
            Refusal::Unknown(Unknown::Blob) => Self::new(StatusCode::NOT_FOUND, "BLOB_UNKNOWN", message),
            Refusal::Upstream(trouble) => Self::of_trouble(trouble, message),
        }
    }

    fn of_trouble(trouble: &Trouble, message: String) -> Self {
        match trouble {
            Trouble::Throttled { retry_after } => Self {
                retry_after: Some(retry_after.unwrap_or(RETRY_AFTER)),
                ..Self::new(StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS", message)
            },
            Trouble::Unavailable { retry_after, .. } => Self::unavailable(message, *retry_after),
            // Our credentials were refused, not the client's: a 401 would have it look for others.
            Trouble::Refused { .. } => Self::new(StatusCode::FORBIDDEN, "DENIED", message),
            Trouble::Unrecorded { .. } => {
                Self { reason: Some(Code::AuditUnavailable), ..Self::unavailable(message, RETRY_AFTER) }
            }
            Trouble::Internal { .. } => Self::unavailable(message, RETRY_AFTER),
        }
    }

    /// A request that is not understood or leads nowhere.
    pub fn of_route(error: &RouteError) -> Self {
        let (status, code) = match error {
            RouteError::NoEndpoint => (StatusCode::NOT_FOUND, "UNSUPPORTED"),
            RouteError::Method => (StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED"),
            RouteError::Host
            | RouteError::Encoding
            | RouteError::Name(_)
            | RouteError::TwoRegistries(..)
            | RouteError::Repeated(_) => (StatusCode::BAD_REQUEST, "NAME_INVALID"),
            // No manifest can have such a tag.
            RouteError::Tag(_) => (StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN"),
            RouteError::Digest(_) => (StatusCode::BAD_REQUEST, "DIGEST_INVALID"),
            RouteError::UnknownRegistry(_) | RouteError::NoDefault => (StatusCode::NOT_FOUND, "NAME_UNKNOWN"),
            RouteError::Page => (StatusCode::BAD_REQUEST, "PAGINATION_NUMBER_INVALID"),
        };
        Self::new(status, code, error.to_string())
    }

    /// The caller may pull nothing here.
    pub fn not_allowed() -> Self {
        Self::new(StatusCode::FORBIDDEN, "DENIED", NotAllowed.to_string())
    }

    /// The manifest's type is none of those that the client takes.
    pub fn not_accepted(media_type: &str) -> Self {
        let message = format!("the manifest is of type {media_type}, which the Accept header does not admit");
        Self::new(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", message)
    }

    /// The range lies outside of content with `size` bytes.
    pub fn outside(size: u64) -> Self {
        let message = format!("the blob has {size} bytes; the range lies outside");
        let problem = Self::new(StatusCode::RANGE_NOT_SATISFIABLE, "RANGE_INVALID", message);
        Self { outside_of: Some(size), ..problem }
    }

    /// The client wants this under other entity tags alone.
    pub fn another(digest: &Digest) -> Self {
        let message = format!("the entity tag is \"{digest}\", which If-Match does not name");
        Self::new(StatusCode::PRECONDITION_FAILED, "PRECONDITION_FAILED", message)
    }

    /// No answer was found in time.
    pub fn too_late() -> Self {
        Self::unavailable("the answer took too long; it may be there at the next try".to_owned(), RETRY_AFTER)
    }

    fn unavailable(message: String, retry_after: Duration) -> Self {
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", message);
        Self { retry_after: Some(retry_after), ..problem }
    }

    fn new(status: StatusCode, code: &'static str, message: String) -> Self {
        Self {
            status,
            code,
            message,
            detail: None,
            retry_after: None,
            outside_of: None,
            reason: None,
            decision: None,
        }
    }

    fn decided(mut self, decision: &Arc<Decision>, decisions: Option<&str>) -> Self {
        self.detail = Some(format!("{}{}", decisions.unwrap_or(""), decision.id()));
        self.reason = decision.reasons().first().map(|reason| reason.code);
        self.decision = Some(decision.clone());
        self
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(in crate::http) use tests::denial;
