//! Who answers what comes in by a listener: the clients' front door, or the operator's.

use std::error::Error;
use std::sync::Arc;

use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;

use crate::access::Principal;
use crate::http::admin::{self, Admin};
use crate::http::front::{self, Front};
use crate::http::reply;
use crate::sendfile::Lane;
use crate::telemetry::metrics::Gauge;

pub(super) trait Door: Send + Sync + 'static {
    type Body: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + Unpin + 'static;
    type Answer: Future<Output = Response<Self::Body>> + Send + 'static;

    /// Counts the connections that are open.
    fn connections(&self) -> Option<&Gauge>;

    /// Answers one request, whatever it is. On a connection with a `lane` the kernel may send files.
    fn answer(&self, request: Request<Incoming>, who: &Arc<Principal>, lane: Option<&Lane>) -> Self::Answer;
}

impl Door for Front {
    type Body = reply::Body;
    type Answer = front::Answer;

    fn connections(&self) -> Option<&Gauge> {
        Some(&self.metrics().connections)
    }

    fn answer(&self, request: Request<Incoming>, who: &Arc<Principal>, lane: Option<&Lane>) -> Self::Answer {
        Self::answer(self, request, who, lane)
    }
}

/// Operators are not told from each other, and get no files.
impl Door for Admin {
    type Body = axum::body::Body;
    type Answer = admin::Answer;

    fn connections(&self) -> Option<&Gauge> {
        None
    }

    fn answer(&self, request: Request<Incoming>, _: &Arc<Principal>, _: Option<&Lane>) -> Self::Answer {
        Self::answer(self, request)
    }
}
