//! A listener: connections, their limits, TLS, and an end that lets running answers finish.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use http::{Request, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::door::Door;
use super::pulse::{Patience, Pulse};
use super::tls;
use crate::access::Principal;
use crate::admission::{Outlet, Room};
use crate::engine::ListenerTls;
use crate::sendfile::Wire;
use crate::telemetry::metrics::Gauge;

/// At most so many connections; further ones wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 8192;

/// How long a client may take.
const PATIENCE: Patience = Patience { head: Duration::from_secs(30), piece: Duration::from_secs(600) };

/// How long a client that is given up may take to be told so (HTTP/2's GOAWAY: RFC 9113, section 6.8).
const FAREWELL: Duration = Duration::from_secs(1);

/// How long a client may take for the TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// A pull's request has a dozen headers; clients behind proxies some more.
const MAX_HEADERS: usize = 100;
const MAX_HEAD_BYTES: u32 = 32 * 1024;

/// What one connection, or one stream of HTTP/2, may hold of answers before it takes another piece.
const MAX_BUFFER_BYTES: usize = 64 * 1024;

/// What a client may send before it is read, on a stream and on all of a connection (RFC 9113, section 6.9.2): pulls have
/// no bodies.
const WINDOW_BYTES: u32 = 65_535;

/// Streams that one HTTP/2 connection may have open: clients pull a handful of layers at once.
const MAX_STREAMS: u32 = 128;

/// How often the certificate's files are looked at.
const CERTIFICATE_CHECK: Duration = Duration::from_secs(10);

/// A listener that is bound, and not yet served.
#[derive(Debug)]
pub(super) struct Listener {
    listener: TcpListener,
    tls: Option<Arc<ListenerTls>>,
    drain: Duration,
    most: usize,
    pub(super) patience: Patience,
    room: Room,
}

impl Listener {
    /// Binds `address`. At the end, answers under way get `drain` to finish.
    ///
    /// # Errors
    /// What the system says when the address cannot be had.
    pub(super) async fn bind(
        address: SocketAddr,
        tls: Option<Arc<ListenerTls>>,
        drain: Duration,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let (most, patience, room) = (MAX_CONNECTIONS, PATIENCE, Room::default());
        Ok(Self { listener, tls, drain, most, patience, room })
    }

    /// With at most so many connections.
    pub(super) fn with_at_most(self, most: usize) -> Self {
        Self { most, ..self }
    }

    /// The address that clients reach, with the port that the system chose where 0 was asked for.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `shutdown` is ready, then takes no more connections, lets those that are open
    /// finish their answers, and cuts them off at the deadline.
    pub(super) async fn run<D: Door>(self, front: Arc<D>, shutdown: impl Future<Output = ()>) {
        let Self { listener, tls, drain, most, patience, room } = self;
        let ending = CancellationToken::new();
        let way = Way { tls, front, builder: builder(), patience, drain, ending: ending.clone(), room };
        let way = Arc::new(way);
        let mut connections = JoinSet::new();
        let mut check = interval(CERTIFICATE_CHECK);
        check.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tokio::pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                accepted = listener.accept(), if connections.len() < most => match accepted {
                    Ok((stream, from)) => {
                        connections.spawn(connection(stream, from, way.clone()));
                    }
                    Err(error) => stumble(&error).await,
                },
                Some(_) = connections.join_next() => {}
                _ = check.tick(), if way.tls.is_some() => renew(way.tls.clone()).await,
            }
        }
        drop(listener);
        ending.cancel();
        let ended = async { while connections.join_next().await.is_some() {} };
        if timeout(drain, ended).await.is_err() {
            tracing::warn!(left = connections.len(), "answers were cut off: they took longer than {drain:?}");
        }
    }
}

/// A client that gave up before it was accepted is nothing; a lack of file handles passes.
async fn stumble(error: &io::Error) {
    if !matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
        tracing::error!(%error, "a connection could not be accepted");
        sleep(Duration::from_millis(100)).await;
    }
}

async fn renew(tls: Option<Arc<ListenerTls>>) {
    let Some(tls) = tls else { return };
    match tokio::task::spawn_blocking(move || tls.reload()).await {
        Ok(Ok(true)) => tracing::info!("the certificate was read again"),
        Ok(Ok(false)) | Err(_) => {}
        Ok(Err(error)) => tracing::error!(%error, "the certificate stays the old one"),
    }
}

/// What all connections of a listener share.
struct Way<D> {
    tls: Option<Arc<ListenerTls>>,
    front: Arc<D>,
    builder: Builder<TokioExecutor>,
    patience: Patience,
    drain: Duration,
    /// The listener takes no more connections, and those that are open end in good order.
    ending: CancellationToken,
    room: Room,
}

async fn connection<D: Door>(stream: TcpStream, from: SocketAddr, way: Arc<Way<D>>) {
    let _open = way.front.connections().map(Open::count);
    // Answers are written whole; Nagle's algorithm would only hold back their ends.
    let _ = stream.set_nodelay(true);
    let pulse = Pulse::new();
    let Some(tls) = &way.tls else {
        let wire = Wire::new(stream);
        let (who, outlet) = (Arc::new(Principal::Anonymous), way.room.outlet(Some(wire.lane().clone())));
        return way.requests(wire, Client { who, from, outlet, pulse }).await;
    };
    match timeout(HANDSHAKE_TIMEOUT, TlsAcceptor::from(tls.config()).accept(stream)).await {
        Ok(Ok(stream)) => {
            // What is encrypted passes through the process.
            let (who, outlet) = (Arc::new(tls::principal(&stream)), way.room.outlet(None));
            let client = Client { who, from, outlet, pulse };
            way.requests(stream, client).await;
        }
        Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
        Err(_) => tracing::debug!("a TLS handshake took too long"),
    }
}

/// Who is at the other end, and how it is answered.
struct Client {
    who: Arc<Principal>,
    from: SocketAddr,
    outlet: Outlet,
    pulse: Arc<Pulse>,
}

impl<D: Door> Way<D> {
    async fn requests<S>(&self, stream: S, client: Client)
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let front = &self.front;
        // HTTP/2 cuts bodies into frames of its own.
        let framed = client.outlet.without_lane();
        let service = service_fn(|request: Request<Incoming>| {
            let outlet = if request.version() < Version::HTTP_2 { &client.outlet } else { &framed };
            let busy = client.pulse.busy();
            let answer = front.answer(request, &client.who, outlet, client.from);
            answer.map(|answer| Ok::<_, Infallible>(answer.map(|body| busy.during(body))))
        });
        let mut connection = pin!(self.builder.serve_connection(TokioIo::new(stream), service));
        // Looked at when something wakes it, and not at each request: all connections share what ends them. After the
        // connection, so that a request that has just come counts.
        let mut ends = FuturesUnordered::from_iter([self.ends(&client.pulse)]);
        let within = tokio::select! {
            biased;
            ended = connection.as_mut() => return note(ended),
            Some(within) = ends.next() => within,
        };
        connection.as_mut().graceful_shutdown();
        if let Ok(ended) = timeout(within, connection).await {
            note(ended);
        }
    }

    /// Waits until a connection is to end: tells how long that may take.
    async fn ends(&self, pulse: &Pulse) -> Duration {
        tokio::select! {
            biased;
            () = self.ending.cancelled() => self.drain,
            why = pulse.lost(self.patience) => {
                tracing::debug!(why, "a connection is closed");
                FAREWELL
            }
        }
    }
}

/// A client that hangs up is no event; what else is wrong helps its owner only.
fn note<E: std::fmt::Display>(ended: Result<(), E>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    // The pulse watches over heads, for both versions alike.
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_buf_size(MAX_BUFFER_BYTES)
        .max_headers(MAX_HEADERS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEAD_BYTES)
        .max_send_buf_size(MAX_BUFFER_BYTES)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .keep_alive_interval(PATIENCE.head)
        .keep_alive_timeout(PATIENCE.head);
    builder
}

/// A connection in the gauge, for as long as it is open; cut off or not.
struct Open(Gauge);

impl Open {
    fn count(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod http2;
#[cfg(test)]
mod tests;
