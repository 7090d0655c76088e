//! `portcullis serve`: opens the state, builds the engine, listens until it is told to stop.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{exit, report, runtime};
use crate::clock::Clock;
use crate::config::Settings;
use crate::engine::reload::{Changes, ConfigFile, Reloader};
use crate::engine::{Current, Engine, State, Unmatched, jobs};
use crate::http::Server;

/// So long the end waits for work on threads of its own: a reload may be waiting for a key for longer.
const LEFTOVERS: Duration = Duration::from_secs(2);

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The configuration file; without one, the public registries are fronted on 127.0.0.1:5000, and what their publishers
    /// sign is served (docs/CONFIG.md, "Without a file").
    #[arg(long, env = crate::cli::CONFIG, value_parser = crate::cli::config_file())]
    config: Option<PathBuf>,
    /// Serve what no policy covers, with a warning, and record what would be refused.
    #[arg(long)]
    audit: bool,
}

pub(super) fn run(arguments: Arguments) -> u8 {
    let served = runtime().and_then(|runtime| {
        // A task, as all that it begins: this thread would have to be woken for each connection.
        let served = runtime.block_on(runtime.spawn(serve(arguments)));
        // Nobody ends it early: it has panicked, and says so as any panic does.
        let served = served.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        runtime.shutdown_timeout(LEFTOVERS);
        served
    });
    match served {
        Ok(()) => exit::OK,
        Err(error) => {
            report(&error);
            exit::USAGE
        }
    }
}

async fn serve(arguments: Arguments) -> anyhow::Result<()> {
    take_handles();
    let hearing = arguments.config.as_deref().map(Hearing::of).transpose()?;
    let settings = match &hearing {
        Some(hearing) => hearing.file.load()?,
        None => Settings::without_file()?,
    };
    let unmatched = if arguments.audit { Unmatched::Audited } else { Unmatched::Refused };
    let state = State::open(&settings, Clock::system(), unmatched).await?;
    let engine = Engine::build(settings, &state, None)?;
    for warning in engine.warnings() {
        tracing::warn!("{warning}");
    }
    let current: Current = Arc::new(ArcSwap::from_pointee(engine));
    let server = Server::bind(&current, &state).await?;
    let stopping = stop()?;
    let store = current.load().settings().store.path.display().to_string();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        config = hearing.as_ref().map(|hearing| hearing.file.path().display().to_string()),
        store,
        address = %server.address(),
        admin = %server.admin_address(),
        "serving"
    );
    let running = jobs::start(&state, &current);
    tokio::select! {
        () = server.run(stopping) => {}
        () = reloading(hearing, &state, &current) => {}
    }
    drop(running);
    state.close().await;
    tracing::info!("stopped");
    Ok(())
}

/// Connections and files are handles: as many as the system lets the process have, where by default it may
/// have fewer.
fn take_handles() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::warn!(%error, "the limit of open files stays at {:?}", limit.current);
    }
}

/// The configuration's file, and what tells that it is to be read again: from the start on, since a SIGHUP that nobody
/// has asked for ends the process, and a change is not told later.
struct Hearing {
    file: ConfigFile,
    changes: Option<Changes>,
    hangups: Signal,
}

impl Hearing {
    fn of(path: &Path) -> io::Result<Self> {
        let (file, changes) = ConfigFile::watched(path);
        Ok(Self { file, changes, hangups: signal(SignalKind::hangup())? })
    }
}

/// Reloads on SIGHUP and on changed files; without a file there is nothing to read again.
async fn reloading(hearing: Option<Hearing>, state: &Arc<State>, current: &Current) {
    let Some(Hearing { file, changes, mut hangups }) = hearing else { return std::future::pending().await };
    let reloader = Reloader::new(file, state, current);
    let on_signal = async {
        while hangups.recv().await.is_some() {
            reloader.reload_aside().await;
        }
    };
    tokio::join!(on_signal, reloader.watch(changes));
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
