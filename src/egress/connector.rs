//! From a URI to a connection: proxy or not, TLS or not, within the connect timeout.

use std::future::Future;
use std::io::IoSlice;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{DefaultServerNameResolver, HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tower::{Service, ServiceExt as _};

use super::Error;
use super::origin::Origin;
use super::proxy::{Proxies, Proxy, Way};
use super::rules::Rules;
use super::tcp::Tcp;
use super::tls::{self, Trusted};

type Connecting<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Makes the connections of one client.
#[derive(Clone)]
pub(super) struct Connector {
    route: Route,
    rules: Arc<Rules>,
    /// For the client's own host.
    own: Arc<ClientConfig>,
    /// For every other host.
    other: Arc<ClientConfig>,
    timeout: Duration,
}

impl Connector {
    /// # Errors
    /// When TLS cannot be set up.
    pub(super) fn new(
        rules: Arc<Rules>,
        proxies: Arc<Proxies>,
        trusted: Trusted,
        timeout: Duration,
    ) -> Result<Self, String> {
        const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];
        let Trusted { own, other, system } = trusted;
        let to_proxy = HttpsConnector::new(
            Tcp::to_proxy(),
            tls::config(system, &PROTOCOLS[1..])?,
            false,
            Arc::new(DefaultServerNameResolver::default()),
        );
        Ok(Self {
            route: Route { tcp: Tcp::under(rules.clone()), to_proxy, proxies, rules: rules.clone() },
            rules,
            own: tls::config(own, &PROTOCOLS)?,
            other: tls::config(other, &PROTOCOLS)?,
            timeout,
        })
    }
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<Routed>;
    type Error = BoxError;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let is_own = Origin::of_uri(&to).is_some_and(|o| self.rules.is_own(&o));
        let tls = if is_own { &self.own } else { &self.other };
        let names = Arc::new(DefaultServerNameResolver::default());
        let secured = HttpsConnector::new(self.route.clone(), tls.clone(), false, names);
        let timeout = self.timeout;
        Box::pin(async move {
            let shown = to.authority().map(ToString::to_string).unwrap_or_default();
            match tokio::time::timeout(timeout, secured.oneshot(to)).await {
                Ok(connected) => connected.map_err(|e| Error::of_handshake(&*e, &shown).into()),
                Err(_) => {
                    let late =
                        format!("no connection to {shown} within {}", humantime::format_duration(timeout));
                    Err(Error::TimedOut(late).into())
                }
            }
        })
    }
}

/// Reaches a destination, through a proxy where one is set for it.
#[derive(Clone)]
struct Route {
    tcp: Tcp,
    to_proxy: HttpsConnector<Tcp>,
    proxies: Arc<Proxies>,
    rules: Arc<Rules>,
}

impl Service<Uri> for Route {
    type Response = Routed;
    type Error = BoxError;
    type Future = Connecting<Routed>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let Self { tcp, to_proxy, proxies, rules } = self.clone();
        Box::pin(async move {
            let Some(origin) = Origin::of_uri(&to) else {
                return Err(Error::Forbidden(format!("{to} is neither http nor https")).into());
            };
            rules.permit_name(&origin)?;
            match proxies.way(&to, &origin, &rules) {
                Way::Direct => Ok(Routed::direct(tcp.oneshot(to).await?)),
                Way::Forward(proxy) => {
                    let connected = to_proxy.oneshot(speakable(&proxy)?).await;
                    Ok(Routed::forwarded(connected.map_err(|e| Error::of(&*e, true))?))
                }
                Way::Tunnel(proxy, None) => tunnel(&proxy, to_proxy, to).await,
                Way::Tunnel(proxy, Some(address)) => {
                    rules.permit(&origin, address.ip())?;
                    let to = Uri::builder()
                        .scheme(if origin.is_secure() { "https" } else { "http" })
                        .authority(address.to_string())
                        .path_and_query("/")
                        .build()?;
                    tunnel(&proxy, to_proxy, to).await
                }
            }
        })
    }
}

async fn tunnel(proxy: &Proxy, to_proxy: HttpsConnector<Tcp>, to: Uri) -> Result<Routed, BoxError> {
    let tunnel = Tunnel::new(speakable(proxy)?, to_proxy);
    let tunnel = match &proxy.authorization {
        Some(authorization) => tunnel.with_auth(authorization.clone()),
        None => tunnel,
    };
    let stream = tunnel.oneshot(to).await.map_err(|e| Error::of(&e, true))?;
    Ok(Routed { stream, forwarded: false })
}

fn speakable(proxy: &Proxy) -> Result<Uri, Error> {
    match proxy.uri.scheme_str() {
        Some("http" | "https") => Ok(proxy.uri.clone()),
        other => Err(Error::Unreachable(format!(
            "the proxy in the environment is {}: only http and https proxies are spoken to",
            other.unwrap_or("of no known kind")
        ))),
    }
}

/// A connection to a destination, or to the proxy that stands for it.
pub(super) struct Routed {
    stream: MaybeHttpsStream<TokioIo<TcpStream>>,
    /// The proxy reads requests itself, so they name the whole URL.
    forwarded: bool,
}

impl Routed {
    fn direct(tcp: TokioIo<TcpStream>) -> Self {
        Self { stream: MaybeHttpsStream::Http(tcp), forwarded: false }
    }

    fn forwarded(stream: MaybeHttpsStream<TokioIo<TcpStream>>) -> Self {
        Self { stream, forwarded: true }
    }
}

impl Connection for Routed {
    fn connected(&self) -> Connected {
        Connected::new().proxy(self.forwarded)
    }
}

impl Read for Routed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl Write for Routed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }
}
