//! Takes a changed configuration into use: on SIGHUP, and when the file or one that it names
//! changes. A bad new file is reported, and the old engine goes on.

#[cfg(not(target_os = "linux"))]
mod unwatched;
#[cfg(target_os = "linux")]
mod watcher;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

#[cfg(not(target_os = "linux"))]
pub use self::unwatched::Changes;
#[cfg(not(target_os = "linux"))]
use self::unwatched::Watcher;
#[cfg(target_os = "linux")]
pub use self::watcher::Changes;
#[cfg(target_os = "linux")]
use self::watcher::Watcher;
use super::{Current, Engine, State};
use crate::config::{self, Settings};
use crate::setting::SettingError;
use crate::telemetry::metrics::ConfigReload;

/// Editors and Kubernetes write in several steps; they count as one change.
const SETTLE: Duration = Duration::from_millis(300);

/// A configuration file, and who is told what it names before that is read.
#[derive(Clone)]
pub struct ConfigFile {
    path: PathBuf,
    watcher: Weak<Watcher>,
}

/// Reads one configuration file again and again.
#[derive(Clone)]
pub struct Reloader {
    file: ConfigFile,
    state: Arc<State>,
    current: Current,
    /// Held by the reload at work: what was read first is not to be in use last.
    turn: Arc<Mutex<()>>,
}

impl ConfigFile {
    /// The file at `path`, which nobody watches.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), watcher: Weak::new() }
    }

    /// The file at `path`, watched from now on for as long as the changes are kept, which wait there until somebody
    /// asks ([`Reloader::watch`]). Where the system watches nothing there are none. Needs a runtime.
    pub fn watched(path: &Path) -> (Self, Option<Changes>) {
        let changes = Changes::new().inspect_err(unwatched).ok();
        let watcher = changes.as_ref().map(|changes| Arc::downgrade(changes.watcher())).unwrap_or_default();
        (Self { path: path.to_owned(), watcher }, changes)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads it and what it names, as [`config::load`] does.
    ///
    /// # Errors
    /// The first fault, with its place.
    pub fn load(&self) -> Result<Settings, config::Error> {
        self.load_beside(vec![self.path.clone()])
    }

    /// Each thing is watched before it is read: no change falls between the two. Where the file cannot tell what it
    /// names, it is `known` that stays watched.
    fn load_beside(&self, known: Vec<PathBuf>) -> Result<Settings, config::Error> {
        self.follow(known);
        let settings = config::read(&self.path)?;
        self.follow(settings.paths());
        config::complete(settings)
    }

    fn follow(&self, named: Vec<PathBuf>) {
        if let Some(watcher) = self.watcher.upgrade() {
            watcher.follow(named);
        }
    }
}

impl Reloader {
    /// For this file, which the engine of the moment was built from.
    pub fn new(file: ConfigFile, state: &Arc<State>, current: &Current) -> Self {
        Self { file, state: Arc::clone(state), current: Arc::clone(current), turn: Arc::default() }
    }

    /// As [`Reloader::reload`], on a thread where waiting for those who keep keys holds up nobody.
    pub async fn reload_aside(&self) -> bool {
        let own = self.clone();
        // A reload that broke has swapped nothing.
        tokio::task::spawn_blocking(move || own.reload()).await.unwrap_or(false)
    }

    /// Loads, builds, swaps; or says why not and leaves everything as it is.
    pub fn reload(&self) -> bool {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let result = self.try_reload();
        let metrics = &self.state.metrics;
        let count = |result| metrics.config_reloads.at(ConfigReload { result }).inc();
        metrics.config_successful.set(i64::from(result.is_ok()));
        match result {
            Ok(warnings) => {
                for warning in warnings {
                    tracing::warn!("{warning}");
                }
                tracing::info!(file = %self.file.path.display(), "the configuration is reloaded");
                self.state.show_reloaded();
                count("ok");
                true
            }
            Err(error) => {
                tracing::error!(%error, "the configuration is not reloaded; the one before goes on");
                count("error");
                false
            }
        }
    }

    fn try_reload(&self) -> Result<Vec<String>, config::Error> {
        let before = self.current.load_full();
        let settings = self.file.load_beside(before.settings().paths())?;
        unchanged(before.settings(), &settings).map_err(|fault| settings.locate(&fault))?;
        let engine = Engine::build(settings, &self.state, Some(&before))?;
        let warnings = engine.warnings().to_vec();
        self.current.store(Arc::new(engine));
        Ok(warnings)
    }

    /// Reloads whenever a file that the settings name changes, and at once where one has since it was read, for as long
    /// as this is polled.
    pub async fn watch(&self, changes: Option<Changes>) {
        if let Some(changes) = changes {
            unwatched(&self.reload_on(changes).await);
        }
        std::future::pending().await
    }

    /// Ends when no more can be told.
    async fn reload_on(&self, mut changes: Changes) -> io::Error {
        loop {
            if let Err(error) = changes.next().await {
                return error;
            }
            tokio::time::sleep(SETTLE).await;
            changes.forget();
            self.reload_aside().await;
        }
    }
}

fn unwatched(error: &io::Error) {
    tracing::warn!(%error, "file changes cannot be watched here; send SIGHUP to reload");
}

/// What is opened once cannot change under way.
fn unchanged(before: &Settings, after: &Settings) -> Result<(), SettingError> {
    let fixed = [
        (&["store", "path"], before.store.path == after.store.path),
        (&["listen", "address"], before.listen.address == after.listen.address),
        (&["listen", "tls"], before.listen.tls == after.listen.tls),
        (&["admin", "address"], before.admin.address == after.admin.address),
        (&["audit", "path"], before.audit_path() == after.audit_path()),
    ];
    match fixed.iter().find(|(_, same)| !same) {
        Some((path, _)) => Err(SettingError::new(
            path.iter().copied(),
            "this cannot change while the server runs; restart it",
        )),
        None => Ok(()),
    }
}
