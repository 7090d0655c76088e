//! The listener as clients on a socket meet it.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, HandshakeKind, RootCertStore};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;
use crate::config::Tls;
use crate::http::front::Front;
use crate::telemetry::Metrics;

pub(super) struct Running {
    pub(super) address: SocketAddr,
    pub(super) front: Arc<Front>,
    tls: Option<Arc<ListenerTls>>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

async fn start(tls: Option<Tls>, head_timeout: Duration) -> Running {
    start_with(tls, Patience { head: head_timeout, ..PATIENCE }).await
}

pub(super) async fn start_with(tls: Option<Tls>, patience: Patience) -> Running {
    let front = crate::http::front::tests::front().await;
    start_before(front, tls, |server| server.patience = patience).await
}

pub(super) async fn start_before(
    front: Arc<Front>,
    tls: Option<Tls>,
    change: impl FnOnce(&mut Listener),
) -> Running {
    let tls = tls.map(|files| Arc::new(ListenerTls::load(files, &Metrics::new()).unwrap()));
    let mut server =
        Listener::bind(([127, 0, 0, 1], 0).into(), tls.clone(), Duration::from_millis(300)).await.unwrap();
    change(&mut server);
    let address = server.address().unwrap();
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(server.run(front.clone(), async move {
        let _ = stopped.await;
    }));
    Running { address, front, tls, stop, task }
}

const GET_BASE: &[u8] = b"GET /v2/ HTTP/1.1\r\nHost: proxy\r\n\r\n";

/// Reads until the connection ends or `enough` is seen.
async fn read(stream: &mut (impl AsyncRead + Unpin), enough: &str) -> String {
    let mut seen = Vec::new();
    let mut piece = [0; 4096];
    while !String::from_utf8_lossy(&seen).contains(enough) {
        match stream.read(&mut piece).await {
            Ok(n) if n > 0 => seen.extend_from_slice(&piece[..n]),
            _ => break,
        }
    }
    String::from_utf8_lossy(&seen).into_owned()
}

#[tokio::test]
async fn a_connection_serves_request_after_request() {
    let running = start(None, PATIENCE.head).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    for _ in 0..2 {
        stream.write_all(GET_BASE).await.unwrap();
        let answer = read(&mut stream, "{}").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }
    assert_eq!(running.front.metrics().connections.get(), 1);
    stream.write_all(b"DELETE /v2/a/manifests/v1 HTTP/1.1\r\nHost: proxy\r\n\r\n").await.unwrap();
    assert!(read(&mut stream, "}]}").await.starts_with("HTTP/1.1 405 "));
    let text = running.front.metrics().render();
    let counted = r#"portcullis_requests_total{code="200",kind="base",method="GET",registry="other"} 2"#;
    assert!(text.contains(counted), "{text}");
}

#[tokio::test]
async fn a_client_that_dawdles_or_floods_with_headers_is_cut_off() {
    let running = start(None, Duration::from_millis(100)).await;
    let mut slow = TcpStream::connect(running.address).await.unwrap();
    slow.write_all(b"GET /v2/ HTTP/1.1\r\nHost:").await.unwrap();
    let ended = timeout(Duration::from_secs(5), read(&mut slow, "never")).await;
    assert!(ended.is_ok(), "the connection is still open");

    let mut flood = TcpStream::connect(running.address).await.unwrap();
    let headers: String = (0..=MAX_HEADERS).map(|i| format!("x-{i}: y\r\n")).collect();
    flood.write_all(format!("GET /v2/ HTTP/1.1\r\nHost: p\r\n{headers}\r\n").as_bytes()).await.unwrap();
    assert!(read(&mut flood, "\r\n\r\n").await.starts_with("HTTP/1.1 431 "));
}

#[tokio::test]
async fn at_the_end_idle_connections_close_and_no_new_ones_open() {
    let running = start(None, PATIENCE.head).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(GET_BASE).await.unwrap();
    read(&mut stream, "{}").await;
    running.stop.send(()).unwrap();
    timeout(Duration::from_secs(5), running.task).await.unwrap().unwrap();
    assert_eq!(read(&mut stream, "never").await, "");
    assert!(TcpStream::connect(running.address).await.is_err());
}

#[tokio::test]
async fn at_the_deadline_what_is_left_is_cut_off() {
    let running = start(None, PATIENCE.head).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(b"GET /v2/ HTTP/1.1\r\nHost:").await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    running.stop.send(()).unwrap();
    timeout(Duration::from_secs(5), running.task).await.unwrap().unwrap();
    assert_eq!(running.front.metrics().connections.get(), 0);
}

/// An authority, and certificates of it for a server and a client.
struct Pki {
    folder: tempfile::TempDir,
    ca: rcgen::Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Pki {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let ca = params.self_signed(&key).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), ca.pem()).unwrap();
        Self { folder, ca, issuer: Issuer::new(params, key) }
    }

    fn issue(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    fn files(&self, with_clients: bool) -> Tls {
        let path = |name: &str| self.folder.path().join(name);
        let (certificate, key) = self.issue("proxy.example");
        std::fs::write(path("crt"), certificate.pem()).unwrap();
        std::fs::write(path("key"), key.serialize_pem()).unwrap();
        Tls { certificate: path("crt"), key: path("key"), client_ca: with_clients.then(|| path("ca.pem")) }
    }

    fn client(&self, client: Option<&str>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.ca.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        match client.map(|name| self.issue(name)) {
            Some((certificate, key)) => {
                let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
                builder.with_client_auth_cert(vec![certificate.der().clone()], key).unwrap()
            }
            None => builder.with_no_client_auth(),
        }
    }

    /// What a client gets for `GET /v2/`, and the protocol that was agreed on.
    async fn get(&self, address: SocketAddr, client: Option<&str>, alpn: &str) -> (String, Option<Vec<u8>>) {
        let mut config = self.client(client);
        config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
        let mut stream = connect(address, &Arc::new(config)).await;
        let agreed = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
        let _ = stream.write_all(GET_BASE).await;
        (read(&mut stream, "{}").await, agreed)
    }
}

async fn connect(address: SocketAddr, config: &Arc<ClientConfig>) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("proxy.example").unwrap();
    TlsConnector::from(config.clone()).connect(name, stream).await.unwrap()
}

#[tokio::test]
async fn a_session_is_resumed_until_the_certificate_is_another() {
    let pki = Pki::new();
    let running = start(Some(pki.files(false)), PATIENCE.head).await;
    let config = Arc::new(pki.client(None));
    let comes_back = async || {
        let mut stream = connect(running.address, &config).await;
        stream.write_all(GET_BASE).await.unwrap();
        // The tickets come with the answer.
        read(&mut stream, "{}").await;
        let (_, session) = stream.get_ref();
        (session.handshake_kind().unwrap(), session.peer_certificates().unwrap()[0].clone())
    };
    let (first, certificate) = comes_back().await;
    assert_eq!(first, HandshakeKind::Full);
    assert_eq!(comes_back().await.0, HandshakeKind::Resumed);
    pki.files(false);
    assert!(running.tls.as_ref().unwrap().reload().unwrap());
    let (anew, other) = comes_back().await;
    assert_eq!(anew, HandshakeKind::Full);
    assert_ne!(other, certificate, "the replaced certificate is shown to nobody");
    assert_eq!(comes_back().await.0, HandshakeKind::Resumed);
}

#[tokio::test]
async fn tls_offers_both_protocols() {
    let pki = Pki::new();
    let running = start(Some(pki.files(false)), PATIENCE.head).await;
    let (answer, agreed) = pki.get(running.address, None, "http/1.1").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert_eq!(agreed.as_deref(), Some(&b"http/1.1"[..]));
    let (_, agreed) = pki.get(running.address, None, "h2").await;
    assert_eq!(agreed.as_deref(), Some(&b"h2"[..]));
}

#[tokio::test]
async fn with_an_authority_for_clients_nobody_comes_in_without_its_certificate() {
    let pki = Pki::new();
    let running = start(Some(pki.files(true)), PATIENCE.head).await;
    let (answer, _) = pki.get(running.address, Some("client.example"), "http/1.1").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert_eq!(pki.get(running.address, None, "http/1.1").await.0, "");
    let stranger = Pki { ca: pki.ca.clone(), ..Pki::new() };
    assert_eq!(stranger.get(running.address, Some("client.example"), "http/1.1").await.0, "");
}
