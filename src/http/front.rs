//! What happens to every request: routed, answered, counted, and, where asked for, logged.

mod near;

use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, Guard};
use futures_util::future::Either;
use http::header::HOST;
use http::request::Parts;
use http::{Method, Request, Response, Version};
use tokio::time::timeout;

use super::meters::{Kind, Meters, RegistryMeters};
use super::registry::{self, Problem};
use super::reply::{Body, Labels, Reply};
use super::route::{Content, Names, Route, RouteError, route};
use crate::access::{Access, Principal};
use crate::admission::Outlet;
use crate::engine::{Current, Engine};
use crate::oci::{Registry, Repository, Target};
use crate::telemetry::{Metrics, Untrusted};
use near::{Known, Question};

/// How long an answer's head may take. Judging has a deadline of its own below it; bodies stream
/// for as long as they move.
const HEAD_DEADLINE: Duration = Duration::from_secs(120);

/// Answers requests with the engine of the moment.
pub struct Front {
    current: Current,
    prepared: ArcSwap<Prepared>,
    metrics: Arc<Metrics>,
}

/// What requests need of one engine, looked up once. It keeps no engine: one that is replaced goes, and its keys with
/// it, though nobody may ask for months.
struct Prepared {
    engine: Weak<Engine>,
    names: Names,
    meters: Meters,
    /// Where decisions can be read, ending in a slash.
    decisions: Option<String>,
    log_requests: bool,
    access: Access,
}

/// An answer: there already, or on its way.
pub type Answer = Either<Ready<Response<Body>>, Pin<Box<dyn Future<Output = Response<Body>> + Send>>>;

/// What was asked, and when.
struct Asked {
    started: Instant,
    parts: Parts,
    from: Option<SocketAddr>,
}

type Routed = Result<Route, RouteError>;

/// One request under way.
struct Exchange<'a> {
    asked: &'a Asked,
    routed: &'a Routed,
    engine: &'a Engine,
    prepared: &'a Prepared,
    meters: &'a RegistryMeters,
    who: &'a Principal,
    outlet: &'a Outlet,
}

impl Front {
    /// A front door to whatever engine is `current`.
    pub fn new(current: &Current) -> Arc<Self> {
        let engine = current.load_full();
        let metrics = engine.metrics().clone();
        let prepared = ArcSwap::from_pointee(Prepared::of(&engine));
        Arc::new(Self { current: current.clone(), prepared, metrics })
    }

    /// Answers one request, whatever it is; at once where memory has the answer. Files go by the
    /// connection's `outlet`. `from` is the peer's address, for the log.
    pub fn answer<B>(
        &self,
        request: Request<B>,
        who: &Arc<Principal>,
        outlet: &Outlet,
        from: Option<SocketAddr>,
    ) -> Answer {
        let started = Instant::now();
        let (parts, _) = request.into_parts();
        let engine = self.current.load();
        let prepared = self.prepared(&engine);
        let asked = Asked { started, parts, from };
        let question = Question::of(&asked.parts, &prepared);
        let again = |known: &Known| {
            let exchange = Exchange::of(&asked, &known.routed, &engine, &prepared, who, outlet);
            exchange.again(known).map(|reply| exchange.finish(reply))
        };
        if let Some(response) = question.as_ref().and_then(|question| question.recall(again)) {
            return Either::Left(ready(response));
        }
        let routed = asked.routed(&prepared.names);
        let exchange = Exchange::of(&asked, &routed, &engine, &prepared, who, outlet);
        if let Some(reply) = exchange.at_hand() {
            if let (Some(question), Ok(Route::Content(content))) = (question, &routed) {
                question.keep(content, |target| exchange.known(content, target));
            }
            return Either::Left(ready(exchange.finish(reply)));
        }
        let (engine, prepared) = (Guard::into_inner(engine), Guard::into_inner(prepared));
        let (who, outlet) = (Arc::clone(who), outlet.clone());
        // On the heap, so that answers from memory do not carry its size about.
        Either::Right(Box::pin(async move {
            let exchange = Exchange::of(&asked, &routed, &engine, &prepared, &who, &outlet);
            let reply = exchange.answer().await;
            exchange.finish(reply)
        }))
    }

    /// The metrics that it counts in.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// This engine's, made when it is first met. Two requests may both make it: the same.
    fn prepared(&self, engine: &Arc<Engine>) -> Guard<Arc<Prepared>> {
        let prepared = self.prepared.load();
        if prepared.engine.as_ptr() == Arc::as_ptr(engine) {
            return prepared;
        }
        let fresh = Arc::new(Prepared::of(engine));
        self.prepared.store(fresh.clone());
        Guard::from_inner(fresh)
    }
}

/// The name that the client reaches us by. HTTP/2 has it in the request target; HTTP/1.1 has one header for it, always
/// (RFC 9112, section 3.2): of two, somebody before us may have read the other.
fn host(parts: &Parts) -> Result<Option<&str>, RouteError> {
    let mut headers = parts.headers.get_all(HOST).iter();
    let header = headers.next();
    if headers.next().is_some() || (header.is_none() && parts.version == Version::HTTP_11) {
        return Err(RouteError::Host);
    }
    let name = match (parts.uri.authority(), header) {
        (Some(authority), _) => Some(authority.as_str()),
        (None, Some(header)) => Some(header.to_str().map_err(|_| RouteError::Host)?),
        (None, None) => None,
    };
    // RFC 3986, section 3.2.2, without percent-encoding and without somebody before an `@`.
    let is_of_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:[]".contains(&byte);
    match name {
        Some(name) if !name.bytes().all(is_of_host) => Err(RouteError::Host),
        name => Ok(name),
    }
}

/// The source registry of what is asked for.
fn registry(routed: &Routed) -> Option<&Registry> {
    match routed {
        Ok(Route::Content(content)) => Some(content.repository.registry()),
        Ok(Route::Base) | Err(_) => None,
    }
}

impl Prepared {
    fn of(engine: &Arc<Engine>) -> Self {
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
            engine: Arc::downgrade(engine),
        }
    }

    /// TLS lets nobody in without a certificate where one is needed; this holds should it ever.
    fn admits(&self, who: &Principal, repository: &Repository) -> bool {
        self.access.authorize(who, repository).is_ok()
    }
}

impl Asked {
    fn routed(&self, names: &Names) -> Routed {
        let Parts { method, uri, .. } = &self.parts;
        route(method, host(&self.parts)?, uri.path(), uri.query(), names)
    }
}

impl<'a> Exchange<'a> {
    fn of(
        asked: &'a Asked,
        routed: &'a Routed,
        engine: &'a Engine,
        prepared: &'a Prepared,
        who: &'a Principal,
        outlet: &'a Outlet,
    ) -> Self {
        let meters = prepared.meters.of(registry(routed));
        Self { asked, routed, engine, prepared, meters, who, outlet }
    }

    /// The answer that was given before, where it still holds.
    fn again(&self, known: &Known) -> Option<Reply> {
        self.request().again(self.content().ok()?, &known.hit, &known.labels)
    }

    /// What it takes to answer it again.
    fn known(&self, content: &Content, target: &Target) -> Option<Known> {
        let hit = self.engine.gate().to_repeat(&content.repository, target, self.who)?;
        Some(Known { routed: self.routed.clone(), labels: Labels::new(hit.media_type(), hit.etag()), hit })
    }

    /// The answer that needs no waiting.
    fn at_hand(&self) -> Option<Reply> {
        match self.content() {
            Ok(content) => self.request().at_hand(content),
            Err(reply) => Some(reply),
        }
    }

    async fn answer(&self) -> Reply {
        match self.content() {
            Ok(content) => {
                let answer = timeout(HEAD_DEADLINE, self.request().answer(content)).await;
                answer.unwrap_or_else(|_| Reply::problem(&Problem::too_late(), self.is_head()))
            }
            Err(reply) => reply,
        }
    }

    /// What is asked for, or the answer to a request that asks for no content or may have none.
    fn content(&self) -> Result<&'a Content, Reply> {
        let head = self.is_head();
        match self.routed {
            Ok(Route::Content(content)) if self.prepared.admits(self.who, &content.repository) => Ok(content),
            Ok(Route::Content(_)) => Err(Reply::problem(&Problem::not_allowed(), head)),
            Ok(Route::Base) => Err(Reply::base(head)),
            Err(error) => Err(Reply::problem(&Problem::of_route(error), head)),
        }
    }

    /// Counts the answer and, where it is wanted or wrong, gives it a number.
    fn finish(&self, mut reply: Reply) -> Response<Body> {
        let (taken, kind, status) = (self.asked.started.elapsed(), Kind::of(self.routed), reply.status());
        self.meters.count(kind, &self.asked.parts.method, status);
        self.prepared.meters.observe(kind, taken);
        if self.prepared.log_requests || status.is_client_error() || status.is_server_error() {
            self.name(&mut reply, taken);
        }
        reply.into_response()
    }

    /// Gives the request a number, for the client and the log alike.
    fn name(&self, reply: &mut Reply, taken: Duration) {
        let id = format!("{:016x}", fastrand::u64(..));
        reply.set_request_id(&id);
        if self.prepared.log_requests {
            tracing::info!(
                request = id,
                method = %Untrusted::new(self.asked.parts.method.as_str()),
                path = %Untrusted::new(self.asked.parts.uri.path()),
                status = reply.status().as_u16(),
                bytes = reply.length(),
                registry = registry(self.routed).map(Registry::as_str),
                client = self.asked.from.map(|from| from.to_string()),
                decision = reply.decision().map(|id| id.to_string()),
                principal = %self.who,
                seconds = taken.as_secs_f64(),
                "request"
            );
        }
    }

    fn request(&self) -> registry::Request<'_> {
        registry::Request {
            gate: self.engine.gate(),
            parts: &self.asked.parts,
            who: self.who,
            meters: self.meters,
            decisions: self.prepared.decisions.as_deref(),
            outlet: self.outlet,
        }
    }

    fn is_head(&self) -> bool {
        self.asked.parts.method == Method::HEAD
    }
}

#[cfg(test)]
pub(super) mod tests;
