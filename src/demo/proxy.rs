//! The real proxy, as `serve` builds it from a configuration file, on a loopback port.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::Error;
use crate::clock::Clock;
use crate::engine::reload::{Changes, ConfigFile, Reloader};
use crate::engine::{Current, Engine, State, Unmatched};
use crate::http::Server;

/// A running proxy. It ends when it is dropped; [`Proxy::stop`] also waits for the end.
pub struct Proxy {
    address: SocketAddr,
    admin_address: SocketAddr,
    current: Current,
    state: Arc<State>,
    reloader: Reloader,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Proxy {
    /// Starts a proxy by the file at `path`, which tells its time by `clock`.
    ///
    /// # Errors
    /// The configuration is wrong, or the store or a port cannot be had.
    pub async fn start(path: &Path, clock: Clock) -> Result<Self, Error> {
        Self::by(ConfigFile::new(path), None, clock).await
    }

    /// Starts one that reads its configuration again whenever a file that it names changes, as `serve` does.
    ///
    /// # Errors
    /// As [`Proxy::start`].
    pub async fn start_watching(path: &Path, clock: Clock) -> Result<Self, Error> {
        let (file, changes) = ConfigFile::watched(path);
        Self::by(file, changes, clock).await
    }

    async fn by(file: ConfigFile, changes: Option<Changes>, clock: Clock) -> Result<Self, Error> {
        let settings = file.load()?;
        let state = State::open(&settings, clock, Unmatched::Refused).await?;
        let engine = Engine::build(settings, &state, None)?;
        let current: Current = Arc::new(ArcSwap::from_pointee(engine));
        let server = Server::bind(&current, &state).await?;
        let (address, admin_address) = (server.address(), server.admin_address());
        let (stop, stopped) = oneshot::channel::<()>();
        let reloader = Reloader::new(file, &state, &current);
        let watching = reloader.clone();
        let serving = tokio::spawn(async move {
            tokio::select! {
                // A dropped sender ends it too.
                () = server.run(async move { drop(stopped.await) }) => {}
                () = watching.watch(changes) => {}
            }
        });
        Ok(Self { address, admin_address, current, state, reloader, stop, serving })
    }

    /// The base of all its URLs.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The base of the admin listener's URLs.
    pub fn admin_url(&self) -> String {
        format!("http://{}", self.admin_address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The engine that new requests get.
    pub fn engine(&self) -> Arc<Engine> {
        self.current.load_full()
    }

    /// What outlives its engines.
    pub fn state(&self) -> &Arc<State> {
        &self.state
    }

    /// Reads its configuration again; false where the new one is not taken.
    pub fn reload(&self) -> bool {
        self.reloader.reload()
    }

    /// Ends it in good order: drains, writes what is only in memory, closes the store.
    pub async fn stop(self) {
        let Self { stop, serving, state, .. } = self;
        drop(stop);
        // A server that panicked has ended as well.
        let _ = serving.await;
        state.close().await;
    }
}
