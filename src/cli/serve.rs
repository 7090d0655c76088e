//! `portcullis serve`: opens the state, builds the engine, listens until it is told to stop.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use tokio::signal::unix::{SignalKind, signal};

use super::{exit, report, runtime};
use crate::clock::Clock;
use crate::config::Settings;
use crate::engine::reload::Reloader;
use crate::engine::{Current, Engine, State, Unmatched, jobs};
use crate::http::admin::Admin;
use crate::http::{Front, Server};

/// How long answers under way may take when the process is asked to stop: below the 30 s after which
/// Kubernetes kills.
const DRAIN: Duration = Duration::from_secs(25);

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The configuration file; without one, docker.io, ghcr.io, quay.io, registry.k8s.io and gcr.io
    /// are fronted on 127.0.0.1:5000.
    #[arg(long, env = "PORTCULLIS_CONFIG")]
    config: Option<PathBuf>,
    /// Serve what no policy covers, with a warning, and record what would be refused.
    #[arg(long)]
    audit: bool,
}

pub(super) fn run(arguments: &Arguments) -> u8 {
    let settings = match super::settings(arguments.config.as_deref()) {
        Ok(settings) => settings,
        Err(error) => {
            report(&error.into());
            return exit::USAGE;
        }
    };
    let served = runtime().and_then(|runtime| runtime.block_on(serve(arguments, settings)));
    match served {
        Ok(()) => exit::OK,
        Err(error) => {
            report(&error);
            exit::USAGE
        }
    }
}

async fn serve(arguments: &Arguments, settings: Settings) -> anyhow::Result<()> {
    let unmatched = if arguments.audit { Unmatched::Audited } else { Unmatched::Refused };
    let tls = super::tls(&settings)?;
    let listener = Server::bind(settings.listen.address, tls, DRAIN)
        .await
        .with_context(|| format!("listen.address {}", settings.listen.address))?;
    let admin = Admin::bind(settings.admin.address)
        .await
        .with_context(|| format!("admin.address {}", settings.admin.address))?;
    let state = State::open(&settings, Clock::system(), unmatched).await?;
    let engine = Engine::build(settings, &state, None)?;
    for warning in engine.warnings() {
        tracing::warn!("{warning}");
    }
    let current: Current = Arc::new(ArcSwap::from_pointee(engine));
    let running = jobs::start(&state, &current);
    tracing::info!(address = %listener.address()?, admin = %admin.address()?, "serving");
    let reloader = arguments.config.as_deref().map(|path| Reloader::new(path, &state, &current));
    let stopping = stop()?;
    tokio::select! {
        () = listener.run(Front::new(&current), stopping) => {}
        () = operators(admin, &current, &state) => {}
        () = reloading(reloader) => {}
    }
    drop(running);
    state.close().await;
    tracing::info!("stopped");
    Ok(())
}

/// Serves the admin listener as long as the other one: a scraper sees the drain.
async fn operators(admin: Admin, current: &Current, state: &Arc<State>) {
    let served = admin.run(Arc::clone(current), Arc::clone(state), std::future::pending()).await;
    tracing::error!(error = ?served.err(), "the admin listener failed; clients are served on");
    std::future::pending().await
}

/// Reloads on SIGHUP and on changed files; without a file there is nothing to read again.
async fn reloading(reloader: Option<Reloader>) {
    let Some(reloader) = reloader else { return std::future::pending().await };
    let on_signal = async {
        let Ok(mut hangups) = signal(SignalKind::hangup()) else { return std::future::pending().await };
        while hangups.recv().await.is_some() {
            reloader.reload();
        }
    };
    tokio::join!(on_signal, reloader.watch());
    std::future::pending().await
}

/// Ends when the process is asked to stop.
fn stop() -> anyhow::Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("SIGTERM: draining"),
            _ = interrupt.recv() => tracing::info!("interrupted: draining"),
        }
    })
}
