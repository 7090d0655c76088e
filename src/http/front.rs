//! What happens to every request: routed, answered, counted, and, where asked for, logged.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use http::header::HOST;
use http::request::Parts;
use http::{Method, Request, Response};
use tokio::time::timeout;

use super::meters::{Kind, Meters};
use super::registry::{self, Problem};
use super::reply::{Body, Reply};
use super::route::{Names, Route, route};
use crate::access::{Access, Principal};
use crate::engine::{Current, Engine};
use crate::oci::Repository;
use crate::telemetry::{Metrics, Untrusted};

/// How long an answer's head may take. Judging has a deadline of its own below it; bodies stream
/// for as long as they move.
const HEAD_DEADLINE: Duration = Duration::from_secs(120);

/// Answers requests with the engine of the moment.
pub struct Front {
    current: Current,
    prepared: ArcSwap<Prepared>,
    metrics: Arc<Metrics>,
}

/// What requests need of one engine, looked up once.
struct Prepared {
    engine: Arc<Engine>,
    names: Names,
    meters: Meters,
    /// Where decisions can be read, ending in a slash.
    decisions: Option<String>,
    log_requests: bool,
    access: Access,
}

impl Front {
    /// A front door to whatever engine is `current`.
    pub fn new(current: &Current) -> Arc<Self> {
        let engine = current.load_full();
        let metrics = engine.metrics().clone();
        let prepared = ArcSwap::from_pointee(Prepared::of(engine));
        Arc::new(Self { current: current.clone(), prepared, metrics })
    }

    /// Answers one request, whatever it is.
    pub async fn answer<B>(&self, request: Request<B>, who: &Principal) -> Response<Body> {
        let started = Instant::now();
        let (parts, _) = request.into_parts();
        let prepared = self.prepared();
        let routed = route(&parts.method, host(&parts), parts.uri.path(), parts.uri.query(), &prepared.names);
        let kind = Kind::of(&routed);
        let meters = prepared.meters.of(match &routed {
            Ok(Route::Content(content)) => Some(content.repository.registry()),
            Ok(Route::Base) | Err(_) => None,
        });
        let head = parts.method == Method::HEAD;
        let mut reply = match routed {
            Ok(Route::Base) => Reply::base(head),
            Ok(Route::Content(content)) if !prepared.admits(who, &content.repository) => {
                Reply::problem(&Problem::not_allowed(), head)
            }
            Ok(Route::Content(content)) => {
                let decisions = prepared.decisions.as_deref();
                let gate = prepared.engine.gate();
                let request = registry::Request { gate, parts: &parts, who, meters, decisions };
                let answer = timeout(HEAD_DEADLINE, request.answer(content)).await;
                answer.unwrap_or_else(|_| Reply::problem(&Problem::too_late(), head))
            }
            Err(error) => Reply::problem(&Problem::of_route(&error), head),
        };
        let taken = started.elapsed();
        meters.count(kind, &parts.method, reply.status());
        prepared.meters.observe(kind, taken);
        if prepared.log_requests || reply.status().is_client_error() || reply.status().is_server_error() {
            prepared.name(&parts, who, &mut reply, taken);
        }
        reply.into_response()
    }

    /// The metrics that it counts in.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// The current engine's, made when it is first met. Two requests may both make it: the same.
    fn prepared(&self) -> Arc<Prepared> {
        let prepared = self.prepared.load_full();
        let current = self.current.load();
        if Arc::ptr_eq(&prepared.engine, &current) {
            return prepared;
        }
        let fresh = Arc::new(Prepared::of(Arc::clone(&current)));
        self.prepared.store(fresh.clone());
        fresh
    }
}

/// The name that the client reaches us by. HTTP/2 has it in the request target.
fn host(parts: &Parts) -> Option<&str> {
    match parts.uri.authority() {
        Some(authority) => Some(authority.as_str()),
        None => parts.headers.get(HOST)?.to_str().ok(),
    }
}

impl Prepared {
    fn of(engine: Arc<Engine>) -> Self {
        let (settings, upstreams) = (engine.settings(), engine.upstreams());
        let registries: Vec<_> = upstreams.names().cloned().collect();
        let default = upstreams.default().map(|upstream| upstream.name().clone());
        let hosts = settings.listen.hosts.iter().map(|(host, registry)| (host.clone(), registry.clone()));
        Self {
            meters: Meters::new(engine.metrics(), registries.iter()),
            names: Names::new(registries, default, hosts),
            decisions: settings
                .admin
                .url
                .as_ref()
                .map(|url| format!("{}/decisions/", url.as_str().trim_end_matches('/'))),
            log_requests: settings.log.requests,
            access: Access::new(settings.listen.authenticates_clients()),
            engine,
        }
    }

    /// TLS lets nobody in without a certificate where one is needed; this holds should it ever.
    fn admits(&self, who: &Principal, repository: &Repository) -> bool {
        self.access.authorize(who, repository).is_ok()
    }

    /// Gives the request a number, for the client and the log alike.
    fn name(&self, parts: &Parts, who: &Principal, reply: &mut Reply, taken: Duration) {
        let id = format!("{:016x}", fastrand::u64(..));
        reply.set_request_id(&id);
        if self.log_requests {
            tracing::info!(
                request = id,
                method = %Untrusted::new(parts.method.as_str()),
                path = %Untrusted::new(parts.uri.path()),
                status = reply.status().as_u16(),
                decision = reply.decision().map(|id| id.to_string()),
                principal = %who,
                seconds = taken.as_secs_f64(),
                "request"
            );
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
