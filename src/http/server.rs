//! Both listeners of a process: the clients' and the operator's.

mod door;
mod listener;
mod pulse;
mod tls;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::admin::Admin;
use super::front::Front;
use crate::engine::{Current, ListenerTls, State};
use crate::setting::SettingError;
use listener::Listener;

/// How long answers under way may take when the process ends.
const DRAIN: Duration = Duration::from_secs(30);

/// The same for the operator's: readers of metrics are not waited for.
const ADMIN_DRAIN: Duration = Duration::from_millis(500);

/// So many connections are plenty for probes, a scraper and a few people; further ones wait. They must not take from the
/// clients what handles the process has.
const ADMIN_CONNECTIONS: usize = 256;

/// Why the process cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// An address cannot be had.
    #[error("{key} {address}: {why}{}", hint(why, key))]
    Address {
        /// The setting that names it.
        key: &'static str,
        /// Which.
        address: SocketAddr,
        /// What the system says.
        why: io::Error,
    },
    /// The certificate, its key or the clients' authority cannot be used.
    #[error(transparent)]
    Tls(#[from] SettingError),
}

/// Listeners that are bound, and not yet served.
pub struct Server {
    clients: Listener,
    operator: Listener,
    admin: Arc<Admin>,
    front: Arc<Front>,
    address: SocketAddr,
    admin_address: SocketAddr,
    draining: CancellationToken,
}

impl Server {
    /// Binds the addresses that the current engine's settings name.
    ///
    /// # Errors
    /// [`BindError`] names the setting that cannot be honoured.
    pub async fn bind(current: &Current, state: &Arc<State>) -> Result<Self, BindError> {
        let engine = current.load_full();
        let (listen, admin) = (engine.settings().listen.address, engine.settings().admin.address);
        let draining = CancellationToken::new();
        let tls = engine.settings().listen.tls.clone();
        let tls = tls.map(|files| ListenerTls::load(files, state.metrics())).transpose()?.map(Arc::new);
        let clients = Listener::bind(listen, tls, DRAIN).await;
        let clients = clients.map_err(fault("listen.address", listen))?;
        let operator = Listener::bind(admin, None, ADMIN_DRAIN).await;
        let operator = operator.map_err(fault("admin.address", admin))?.with_at_most(ADMIN_CONNECTIONS);
        Ok(Self {
            address: clients.address().map_err(fault("listen.address", listen))?,
            admin_address: operator.address().map_err(fault("admin.address", admin))?,
            clients,
            operator,
            admin: Arc::new(Admin::new(current, state, &draining)),
            front: Front::new(current),
            draining,
        })
    }

    /// Where clients come in, with the port that the system chose where 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where operators come in.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin_address
    }

    /// Serves until `shutdown` is ready and the answers then under way are finished. The operator's
    /// listener stays to the end, saying that the process is not ready any more.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let ended = CancellationToken::new();
        let clients = async {
            let stop = async {
                shutdown.await;
                self.draining.cancel();
            };
            self.clients.run(self.front, stop).await;
            ended.cancel();
        };
        tokio::join!(clients, self.operator.run(self.admin, ended.cancelled()));
    }
}

fn fault(key: &'static str, address: SocketAddr) -> impl Fn(io::Error) -> BindError {
    move |why| BindError::Address { key, address, why }
}

/// What to do about an address that cannot be had.
fn hint(why: &io::Error, key: &str) -> String {
    match why.kind() {
        io::ErrorKind::AddrInUse => {
            format!(
                ": another process listens there (`ss -ltnp` shows which): stop it, or set {key} to another port"
            )
        }
        io::ErrorKind::PermissionDenied => format!(
            ": ports below 1024 need a right: set {key} to a higher one, or give CAP_NET_BIND_SERVICE (systemd: \
             AmbientCapabilities=)"
        ),
        io::ErrorKind::AddrNotAvailable => {
            format!(": this machine has no such address: set {key} to one that it has")
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use arc_swap::ArcSwap;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;
    use tokio::sync::oneshot;

    use super::*;
    use crate::clock::Clock;
    use crate::config;
    use crate::engine::Engine;

    async fn bind(listen: &str) -> Result<Server, BindError> {
        let text = format!(
            "listen: {{ address: {listen} }}\nadmin: {{ address: '127.0.0.1:0' }}\nupstreams: {{ docker.io: {{ offline: true }} }}"
        );
        let state = State::ephemeral(Clock::system()).await.unwrap();
        let settings = config::parse(&text, std::path::Path::new("/portcullis.yaml")).unwrap();
        let engine = Engine::build(settings, &state, None).unwrap();
        Server::bind(&Arc::new(ArcSwap::from_pointee(engine)), &state).await
    }

    async fn get(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: proxy\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn readiness_ends_before_the_process_does() {
        let server = bind("'127.0.0.1:0'").await.unwrap();
        let (clients, operator) = (server.address(), server.admin_address());
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(server.run(async move {
            let _ = stopped.await;
        }));
        assert!(get(clients, "/v2/").await.starts_with("HTTP/1.1 200"));
        assert!(get(operator, "/readyz").await.starts_with("HTTP/1.1 200"));
        let mut open = TcpStream::connect(clients).await.unwrap();
        open.write_all(b"GET /v2/ HTTP/1.1\r\nHost:").await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        stop.send(()).unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(get(operator, "/readyz").await.starts_with("HTTP/1.1 503"));
        drop(open);
        tokio::time::timeout(Duration::from_secs(5), running).await.unwrap().unwrap();
    }

    /// A connection with half a request.
    async fn half(address: SocketAddr) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n").await.unwrap();
        stream
    }

    #[tokio::test]
    async fn half_sent_requests_to_the_operator_are_cut() {
        let mut server = bind("'127.0.0.1:0'").await.unwrap();
        server.operator.patience.head = Duration::from_millis(100);
        let operator = server.admin_address();
        tokio::spawn(server.run(std::future::pending()));
        let mut stream = half(operator).await;
        let mut answer = Vec::new();
        let cut = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
        assert!(cut.is_ok(), "the connection is still open");
        assert!(get(operator, "/healthz").await.starts_with("HTTP/1.1 200"));
    }

    #[tokio::test]
    async fn the_operator_has_so_many_connections_and_no_more() {
        let server = bind("'127.0.0.1:0'").await.unwrap();
        let (clients, operator) = (server.address(), server.admin_address());
        tokio::spawn(server.run(std::future::pending()));
        let mut open = Vec::new();
        for _ in 0..ADMIN_CONNECTIONS {
            open.push(half(operator).await);
        }
        let mut waiting = Box::pin(get(operator, "/healthz"));
        assert!(tokio::time::timeout(Duration::from_millis(300), &mut waiting).await.is_err());
        assert!(get(clients, "/v2/").await.starts_with("HTTP/1.1 200"));
        let mut first = open.pop().unwrap();
        first.write_all(b"Connection: close\r\n\r\n").await.unwrap();
        let answer = tokio::time::timeout(Duration::from_secs(10), waiting).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    #[tokio::test]
    async fn an_address_that_is_taken_is_named() {
        let first = bind("'127.0.0.1:0'").await.unwrap();
        let error = bind(&format!("'{}'", first.address())).await.err().unwrap();
        assert!(error.to_string().starts_with(&format!("listen.address {}: ", first.address())), "{error}");
    }
}
