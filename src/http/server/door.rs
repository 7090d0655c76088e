//! Who answers what comes in by a listener: the clients' front door, or the operator's.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;

use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;

use crate::access::Principal;
use crate::admission::Outlet;
use crate::http::admin::{self, Admin};
use crate::http::front::{self, Front};
use crate::http::reply;
use crate::telemetry::metrics::Gauge;

pub(super) trait Door: Send + Sync + 'static {
    type Body: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + Unpin + 'static;
    type Answer: Future<Output = Response<Self::Body>> + Send + 'static;

    /// Counts the connections that are open.
    fn connections(&self) -> Option<&Gauge>;

    /// Answers one request, whatever it is. Files go by the connection's `outlet`.
    fn answer(
        &self,
        request: Request<Incoming>,
        who: &Arc<Principal>,
        outlet: &Outlet,
        from: SocketAddr,
    ) -> Self::Answer;
}

impl Door for Front {
    type Body = reply::Body;
    type Answer = front::Answer;

    fn connections(&self) -> Option<&Gauge> {
        Some(&self.metrics().connections)
    }

    fn answer(
        &self,
        request: Request<Incoming>,
        who: &Arc<Principal>,
        outlet: &Outlet,
        from: SocketAddr,
    ) -> Self::Answer {
        Self::answer(self, request, who, outlet, Some(from))
    }
}

/// Operators are not told from each other, and get no files.
impl Door for Admin {
    type Body = axum::body::Body;
    type Answer = admin::Answer;

    fn connections(&self) -> Option<&Gauge> {
        None
    }

    fn answer(
        &self,
        request: Request<Incoming>,
        _: &Arc<Principal>,
        _: &Outlet,
        _: SocketAddr,
    ) -> Self::Answer {
        Self::answer(self, request)
    }
}
