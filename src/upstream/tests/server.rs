//! An HTTP server on loopback that answers as told and remembers what it was asked.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use http::{HeaderMap, HeaderName, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;

/// A running server; it ends with the test's runtime.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    scheme: &'static str,
    log: Arc<Log>,
}

#[derive(Default)]
struct Log {
    seen: Mutex<Vec<Seen>>,
    now: AtomicUsize,
    most: AtomicUsize,
}

/// A request as it came in.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) method: String,
    /// The request's target: path and query, or all of the URL where a proxy was meant.
    pub(super) target: String,
    pub(super) headers: HeaderMap,
    pub(super) version: Version,
    pub(super) body: String,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// What the server does about a request.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    status: u16,
    headers: Vec<(HeaderName, String)>,
    pieces: Vec<Bytes>,
    end: End,
    delay: Duration,
    spacing: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Proper,
    Stalled,
    Cut,
}

impl Reply {
    pub(super) fn new(status: u16, body: impl Into<Bytes>) -> Self {
        let (headers, delay) = (Vec::new(), Duration::ZERO);
        Self { status, headers, pieces: vec![body.into()], end: End::Proper, delay, spacing: delay }
    }

    pub(super) fn ok(body: impl Into<Bytes>) -> Self {
        Self::new(200, body)
    }

    pub(super) fn redirect(to: impl Into<String>) -> Self {
        Self::new(307, "").header("location", to)
    }

    pub(super) fn unauthorized(challenge: impl Into<String>) -> Self {
        Self::new(401, "").header("www-authenticate", challenge)
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((HeaderName::from_static(name), value.into()));
        self
    }

    /// The body comes in pieces, its length unannounced.
    pub(super) fn pieces(mut self, pieces: Vec<Bytes>) -> Self {
        self.pieces = pieces;
        self
    }

    /// After the body's pieces, nothing more comes.
    pub(super) fn stalled(mut self) -> Self {
        self.end = End::Stalled;
        self
    }

    /// After the body's pieces, the connection ends.
    pub(super) fn cut(mut self) -> Self {
        self.end = End::Cut;
        self
    }

    /// The head comes late.
    pub(super) fn late(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Before each piece of the body there is a pause.
    pub(super) fn spaced(mut self, spacing: Duration) -> Self {
        self.spacing = spacing;
        self
    }

    fn response(self) -> Response<StreamBody<BoxStream<'static, Result<Frame<Bytes>, std::io::Error>>>> {
        let mut response = Response::builder().status(StatusCode::from_u16(self.status).unwrap());
        let has_length = self.headers.iter().any(|(name, _)| name == "content-length");
        if self.pieces.len() == 1 && self.end == End::Proper && !has_length {
            response = response.header("content-length", self.pieces[0].len());
        }
        for (name, value) in self.headers {
            response = response.header(name, value);
        }
        let spacing = self.spacing;
        let pieces = stream::iter(self.pieces).then(move |piece| async move {
            tokio::time::sleep(spacing).await;
            Ok(Frame::data(piece))
        });
        // Between two polls, so that the pieces are on their way before the end.
        let pause = || async { tokio::time::sleep(Duration::from_millis(20)).await };
        let end = match self.end {
            End::Proper => stream::empty().boxed(),
            End::Stalled => stream::pending().boxed(),
            End::Cut => stream::once(pause()).map(|()| Err(std::io::Error::other("cut"))).boxed(),
        };
        response.body(StreamBody::new(pieces.chain(end).boxed())).unwrap()
    }
}

impl Server {
    /// Serves plain HTTP.
    pub(super) async fn start(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen(answer, None).await
    }

    /// Serves HTTPS for `localhost`; the authority to trust is in the file.
    pub(super) async fn start_tls(
        answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> (Self, tempfile::TempDir, PathBuf) {
        let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let ca = dir.path().join("ca.pem");
        std::fs::write(&ca, key.cert.pem()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let private = rustls_pki_types::PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap();
        let mut tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![key.cert.der().clone()], private)
            .unwrap();
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
        (Self::listen(answer, Some(acceptor)).await, dir, ca)
    }

    async fn listen(
        answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
        tls: Option<tokio_rustls::TlsAcceptor>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (log, answer) = (Arc::new(Log::default()), Arc::new(answer));
        let scheme = if tls.is_some() { "https" } else { "http" };
        let server = Self { address, scheme, log: log.clone() };
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (log, answer, tls) = (log.clone(), answer.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(socket, log, answer).await,
                        Some(tls) => {
                            if let Ok(socket) = tls.accept(socket).await {
                                serve(socket, log, answer).await;
                            }
                        }
                    }
                });
            }
        });
        server
    }

    /// `http://127.0.0.1:PORT`, or with TLS `https://localhost:PORT`.
    pub(super) fn url(&self) -> String {
        let host = if self.scheme == "https" { "localhost" } else { "127.0.0.1" };
        format!("{}://{host}:{}", self.scheme, self.address.port())
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.log.seen.lock().unwrap().clone()
    }

    /// How many requests have this in their target.
    pub(super) fn count(&self, needle: &str) -> usize {
        self.seen().iter().filter(|seen| seen.target.contains(needle)).count()
    }

    /// The most requests that were being answered at once.
    pub(super) fn most_at_once(&self) -> usize {
        self.log.most.load(Ordering::SeqCst)
    }
}

async fn serve(
    socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    log: Arc<Log>,
    answer: Arc<impl Fn(&Seen) -> Reply + Send + Sync + 'static>,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        let (log, answer) = (log.clone(), answer.clone());
        async move {
            let (head, body) = request.into_parts();
            let seen = Seen {
                method: head.method.to_string(),
                target: match head.version {
                    Version::HTTP_2 => head.uri.path_and_query().unwrap().to_string(),
                    _ => head.uri.to_string(),
                },
                headers: head.headers,
                version: head.version,
                body: String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap(),
            };
            log.seen.lock().unwrap().push(seen.clone());
            log.most.fetch_max(log.now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            let reply = answer(&seen);
            tokio::time::sleep(reply.delay).await;
            log.now.fetch_sub(1, Ordering::SeqCst);
            Ok::<_, Infallible>(reply.response())
        }
    });
    let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
    // A client that goes away is what some tests are about.
    let _ = server.serve_connection(TokioIo::new(socket), service).await;
}
