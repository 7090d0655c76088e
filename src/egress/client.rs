//! The client: one exchange within its timeouts, and redirects followed by hand.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::header::{CONTENT_ENCODING, LOCATION};
use http::{HeaderValue, StatusCode, Uri};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use url::Url;

use super::body::Body;
use super::connector::Connector;
use super::message::{Request, Response};
use super::origin::{HostPattern, Origin};
use super::outgoing::{Outgoing, Pieces};
use super::proxy::{Environment, Proxies, Way};
use super::rules::Rules;
use super::{Error, Settings, tls};
use crate::setting::SettingError;

/// Redirects followed for one request.
const MAX_HOPS: usize = 8;

/// HTTP for one purpose: an upstream with the hosts it sends us to, or what certificates name. Cheap to
/// clone; clones share connections.
#[derive(Clone)]
pub struct Client {
    http: legacy::Client<Connector, Outgoing>,
    rules: Arc<Rules>,
    proxies: Arc<Proxies>,
    timeouts: Timeouts,
}

/// How long is waited before a request counts as failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For name resolution, connection and TLS together.
    pub connect: Duration,
    /// From the request to the response's head.
    pub headers: Duration,
    /// Between two pieces of a body.
    pub idle: Duration,
}

/// Who vouches for a service's own host. For the hosts that it sends us to, the system's authorities
/// count as well.
#[derive(Clone, Debug)]
pub enum Authorities {
    /// Those of the system.
    System,
    /// These alone, in PEM.
    Only(Vec<u8>),
    /// These, in PEM, and the system's.
    Also(Vec<u8>),
}

/// What a client is for.
#[derive(Clone, Debug)]
pub struct Options {
    /// The service it is for. Private addresses are reached where this one has one itself.
    pub own: Origin,
    /// Addresses of the own host, instead of what DNS says.
    pub resolve: Vec<SocketAddr>,
    /// Further hosts, which may have private addresses.
    pub allowed: Vec<HostPattern>,
    /// Who vouches for the own host.
    pub authorities: Authorities,
    /// How long is waited.
    pub timeouts: Timeouts,
}

impl Client {
    /// A client for one service and the hosts that it sends us to.
    ///
    /// # Errors
    /// What is wrong with the authorities.
    pub fn for_service(options: Options, environment: Environment<'_>) -> Result<Self, String> {
        let authorities = tls::Trusted::new(&options.authorities)?;
        let rules = Rules::for_service(options.own, options.resolve, options.allowed);
        Self::new(rules, authorities, options.timeouts, environment)
    }

    /// A client for the revocation servers that certificates name: any public host, hosts in
    /// [`Settings::allow`] at private addresses, and this machine where the URL and that list say so.
    ///
    /// # Errors
    /// An entry of the list that names no host, by its index, or that TLS cannot be set up.
    pub fn for_revocation(
        settings: &Settings,
        timeouts: Timeouts,
        environment: Environment<'_>,
    ) -> Result<Self, SettingError> {
        let rules = Rules::for_revocation(settings.hosts()?, settings.revocation_everywhere);
        let made = tls::Trusted::new(&Authorities::System)
            .and_then(|authorities| Self::new(rules, authorities, timeouts, environment));
        made.map_err(SettingError::here)
    }

    /// A client for the service that gives this machine its credentials, and for nobody else. No proxy is between.
    ///
    /// # Errors
    /// Which addresses it could have, where it has none of them; that TLS cannot be set up.
    pub fn for_metadata(own: Origin, timeouts: Timeouts) -> Result<Self, String> {
        let host = own.host().to_owned();
        let rules = Rules::for_metadata(own).ok_or_else(|| {
            let known = "169.254.169.254, 169.254.170.2, 169.254.170.23, [fd00:ec2::254] or [fd00:ec2::23]";
            format!("expected a loopback address, {known}, found {host}")
        })?;
        Self::new(rules, tls::Trusted::new(&Authorities::System)?, timeouts, &|_| None)
    }

    fn new(
        rules: Rules,
        authorities: tls::Trusted,
        timeouts: Timeouts,
        environment: Environment<'_>,
    ) -> Result<Self, String> {
        let (rules, proxies) = (Arc::new(rules), Arc::new(Proxies::from(environment)));
        let connector = Connector::new(rules.clone(), proxies.clone(), authorities, timeouts.connect)?;
        let http = legacy::Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .http2_adaptive_window(true)
            // A connection that died silently would else swallow requests until the header timeout.
            .http2_keep_alive_interval(Some(Duration::from_secs(20)))
            .http2_keep_alive_timeout(Duration::from_secs(10))
            .build(connector);
        Ok(Self { http, rules, proxies, timeouts })
    }

    /// Sends a request and follows redirects: at most 8, never from https to http, each host under
    /// the same rules, and the credential only as long as the origin stays.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn follow(&self, mut request: Request) -> Result<Response, Error> {
        self.follow_on(&mut request).await
    }

    /// As [`Client::follow`]; the request is in the end as it was sent last, whether that was answered or not.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn follow_on(&self, request: &mut Request) -> Result<Response, Error> {
        for _ in 0..=MAX_HOPS {
            let response = self.send(request).await?;
            if !is_redirect(response.status) || !request.is_repeatable() {
                return Ok(response);
            }
            let to = target(&response)?;
            if Origin::of(&to) != Origin::of(&request.url) {
                request.credential = None;
            }
            request.url = to;
        }
        Err(Error::Broken(format!("more than {MAX_HOPS} redirects")))
    }

    /// Sends a request. A redirect is an answer like others.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn send(&self, request: &Request) -> Result<Response, Error> {
        let (origin, encoded) = self.prepare(request)?;
        self.exchange(request, &origin, encoded, &AtomicU64::new(0)).await
    }

    /// Sends a request whose content, `length` bytes, comes in pieces. The time to wait for an answer runs from
    /// the last piece that the peer took. A redirect is an answer like others.
    ///
    /// # Errors
    /// [`Error`]; the pieces' own errors too, and other content than was announced.
    pub async fn send_pieces(
        &self,
        request: &Request,
        length: u64,
        pieces: Pieces,
    ) -> Result<Response, Error> {
        let (origin, encoded) = self.prepare(request)?;
        let (body, taken) = Outgoing::pieces(length, pieces);
        self.exchange(request, &origin, encoded.map(|_| body), &taken).await
    }

    /// The request as it is sent, where our rules permit that.
    fn prepare(&self, request: &Request) -> Result<(Origin, http::Request<Outgoing>), Error> {
        let origin = Origin::of(&request.url).ok_or_else(|| {
            Error::Forbidden(format!("{}: is neither http nor https", request.url.scheme()))
        })?;
        // Connections are pooled, so the connector alone would judge the first request only.
        self.rules.permit_name(&origin)?;
        let mut encoded = request.encode(None)?;
        if let Some(authorization) = self.forward_authorization(encoded.uri(), &origin) {
            encoded = request.encode(Some(authorization))?;
        }
        Ok((origin, encoded))
    }

    async fn exchange(
        &self,
        request: &Request,
        origin: &Origin,
        encoded: http::Request<Outgoing>,
        taken: &AtomicU64,
    ) -> Result<Response, Error> {
        let mut answering = pin!(self.http.request(encoded));
        let mut before = None;
        let answer = loop {
            match tokio::time::timeout(self.timeouts.headers, answering.as_mut()).await {
                Ok(answer) => break answer.map_err(|e| Error::of(&e, e.is_connect()))?,
                Err(_) => {
                    let now = Some(taken.load(Ordering::Relaxed));
                    if now == Some(0) || now == before {
                        let within = humantime::format_duration(self.timeouts.headers);
                        return Err(Error::TimedOut(format!("{origin} did not answer within {within}")));
                    }
                    before = now;
                }
            }
        };
        let (head, incoming) = answer.into_parts();
        let body = Body::new(incoming, self.timeouts.idle);
        let response =
            Response { status: head.status, headers: head.headers, url: request.url.clone(), body };
        if response.status.is_success() && !is_plain(&response) {
            return Err(Error::Broken(format!("{origin} encoded the content, which was not asked for")));
        }
        Ok(response)
    }

    /// A proxy that is asked for the URL itself reads its own credential from the request.
    fn forward_authorization(&self, to: &Uri, origin: &Origin) -> Option<HeaderValue> {
        match self.proxies.way(to, origin, &self.rules) {
            Way::Forward(proxy) => proxy.authorization,
            Way::Direct | Way::Tunnel(..) => None,
        }
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("rules", &self.rules).finish_non_exhaustive()
    }
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

fn is_plain(response: &Response) -> bool {
    let mut encodings = response.headers.get_all(CONTENT_ENCODING).iter();
    encodings.all(|e| e.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// Where a redirect points, if it may be followed there.
fn target(response: &Response) -> Result<Url, Error> {
    let location =
        response.header(LOCATION).ok_or_else(|| Error::Broken("a redirect without a Location".to_owned()))?;
    let to = response
        .url
        .join(location)
        .map_err(|_| Error::Broken("a redirect whose Location is not a URL".to_owned()))?;
    let origin = Origin::of(&to)
        .ok_or_else(|| Error::Forbidden("a redirect to what is neither http nor https".to_owned()))?;
    if response.url.scheme() == "https" && !origin.is_secure() {
        return Err(Error::Forbidden(format!("a redirect from https down to {origin}")));
    }
    if !to.username().is_empty() || to.password().is_some() {
        return Err(Error::Forbidden("a redirect with credentials in its URL".to_owned()));
    }
    Ok(to)
}
