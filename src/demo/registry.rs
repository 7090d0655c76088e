//! OCI registries in memory, each on a loopback port: the demo's upstreams and the tests' fake. They
//! serve what they are given, also by clients, and lie, stall, cut, throttle and redirect where they are told to.

mod answer;
mod content;
mod fault;
mod writing;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

pub use fault::Fault;

use super::package::Package;
use crate::oci::{Descriptor, Digest};
use content::Repositories;

/// One registry. It goes on listening until it is dropped.
pub struct Registry {
    address: SocketAddr,
    scheme: &'static str,
    state: Arc<State>,
    listening: JoinHandle<()>,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Method, path and query: `GET /v2/app/tags/list?n=2`.
    pub line: String,
    /// The `Authorization` header, where it had one.
    pub authorization: Option<String>,
}

#[derive(Default)]
struct State(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    repositories: Repositories,
    faults: fault::Faults,
    seen: Vec<Seen>,
    login: Option<Login>,
    address: String,
    /// Uploads that were begun.
    uploads: usize,
}

/// Who may pull and push: by Bearer tokens, which are had for these credentials (none: for nothing).
#[derive(Clone)]
struct Login {
    credentials: Option<(String, String)>,
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registry {
    /// An empty registry over plain HTTP.
    ///
    /// # Errors
    /// No port could be had.
    pub async fn start() -> io::Result<Self> {
        Self::listen("http", None).await
    }

    /// An empty registry over TLS, and its certificate in PEM.
    ///
    /// # Errors
    /// No port could be had, or no certificate made.
    pub async fn start_tls() -> io::Result<(Self, String)> {
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let own = rcgen::generate_simple_self_signed(names).map_err(io::Error::other)?;
        let key = rustls_pki_types::PrivateKeyDer::try_from(own.signing_key.serialize_der())
            .map_err(io::Error::other)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(vec![own.cert.der().clone()], key)
            .map_err(io::Error::other)?;
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let registry = Self::listen("https", Some(TlsAcceptor::from(Arc::new(tls)))).await?;
        Ok((registry, own.cert.pem()))
    }

    async fn listen(scheme: &'static str, tls: Option<TlsAcceptor>) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(State::default());
        state.lock().address = format!("{scheme}://{address}");
        let listening = tokio::spawn(accept(listener, tls, state.clone()));
        Ok(Self { address, scheme, state, listening })
    }

    /// Host and port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What a configuration's `url` needs.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// Takes in a package with its blobs and children, under a tag where one is given. Without the
    /// referrers API, a referrer is listed in its subject's `sha256-<hex>` index, as clients do it.
    pub fn push<'a>(
        &self,
        repository: &str,
        tag: impl Into<Option<&'a str>>,
        package: &Package,
    ) -> Descriptor {
        self.state.lock().repositories.push(repository, tag.into(), package);
        package.descriptor().clone()
    }

    /// Takes in a blob alone.
    pub fn push_blob(&self, repository: &str, blob: &[u8]) -> Digest {
        self.state.lock().repositories.push_blob(repository, blob)
    }

    /// Takes in bytes under a digest that is not theirs.
    pub fn forge_blob(&self, repository: &str, digest: &Digest, bytes: &[u8]) {
        self.state.lock().repositories.forge_blob(repository, *digest, bytes);
    }

    /// Moves a tag to a digest that is there.
    pub fn tag(&self, repository: &str, tag: &str, digest: &Digest) {
        self.state.lock().repositories.tag(repository, tag, *digest);
    }

    /// Forgets a manifest with its tags.
    pub fn delete(&self, repository: &str, digest: &Digest) {
        self.state.lock().repositories.delete(repository, digest);
    }

    /// Whether the referrers API is answered (it is, unless this says otherwise). Say so before
    /// referrers are pushed.
    pub fn referrers_api(&self, offered: bool) {
        self.state.lock().repositories.referrers_api = offered;
    }

    /// Whether referrers are refused while their subject is not there, as some registries do (distribution-spec 1.1
    /// has them accept those).
    pub fn subjects_first(&self, demanded: bool) {
        self.state.lock().repositories.subjects_first = demanded;
    }

    /// How many tags or referrers stand on one page at most.
    pub fn page_size(&self, at_most: usize) {
        self.state.lock().repositories.page_size = Some(at_most);
    }

    /// From now on asks for a Bearer token, which its own `/token` gives to these credentials, or to
    /// anybody where there are none.
    pub fn require_token(&self, credentials: Option<(&str, &str)>) {
        let credentials = credentials.map(|(user, password)| (user.to_owned(), password.to_owned()));
        self.state.lock().login = Some(Login { credentials });
    }

    /// Misbehaves from now on at requests whose line (`GET /v2/app/blobs/…`) contains `needle`. Of
    /// several faults that fit, the latest counts.
    pub fn fault(&self, needle: &str, fault: Fault) {
        self.state.lock().faults.add(needle, fault, None);
    }

    /// The same for the next `times` requests only.
    pub fn fault_times(&self, needle: &str, times: u32, fault: Fault) {
        self.state.lock().faults.add(needle, fault, Some(times));
    }

    /// Behaves again.
    pub fn heal(&self) {
        self.state.lock().faults = fault::Faults::default();
    }

    /// The requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.state.lock().seen.clone()
    }

    /// How many requests so far had `needle` in their line.
    pub fn count(&self, needle: &str) -> usize {
        self.state.lock().seen.iter().filter(|request| request.line.contains(needle)).count()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// Connections live in the accepting task, so that they end with it.
async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, state: Arc<State>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((socket, _)) = listener.accept().await else { continue };
        let (tls, state) = (tls.clone(), state.clone());
        connections.spawn(async move {
            match tls {
                None => serve(socket, state).await,
                Some(tls) => {
                    if let Ok(socket) = tls.accept(socket).await {
                        serve(socket, state).await;
                    }
                }
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(socket: S, state: Arc<State>) {
    let service = service_fn(move |request| answer::answer(state.clone(), request));
    // A connection that breaks is what faults are for.
    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(socket), service).await;
}

#[cfg(test)]
mod tests;
