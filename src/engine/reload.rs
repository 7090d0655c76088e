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
use self::unwatched::{Changes, Watcher};
#[cfg(target_os = "linux")]
use self::watcher::{Changes, Watcher};
use super::{Current, Engine, State};
use crate::config::{self, Settings};
use crate::setting::SettingError;
use crate::telemetry::metrics::ConfigReload;

/// Editors and Kubernetes write in several steps; they count as one change.
const SETTLE: Duration = Duration::from_millis(300);

/// Reads one configuration file again and again.
#[derive(Clone)]
pub struct Reloader {
    path: PathBuf,
    state: Arc<State>,
    current: Current,
    /// Held by the reload at work: what was read first is not to be in use last. Who watches is told what.
    turn: Arc<Mutex<Weak<Watcher>>>,
}

impl Reloader {
    /// For the file at `path`.
    pub fn new(path: &Path, state: &Arc<State>, current: &Current) -> Self {
        let (path, state, current) = (path.to_owned(), Arc::clone(state), Arc::clone(current));
        Self { path, state, current, turn: Arc::default() }
    }

    /// As [`Reloader::reload`], on a thread where waiting for those who keep keys holds up nobody.
    pub async fn reload_aside(&self) -> bool {
        let own = self.clone();
        // A reload that broke has swapped nothing.
        tokio::task::spawn_blocking(move || own.reload()).await.unwrap_or(false)
    }

    /// Loads, builds, swaps; or says why not and leaves everything as it is.
    pub fn reload(&self) -> bool {
        let told = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let result = self.try_reload(told.upgrade().as_deref());
        let count = |result| self.state.metrics.config_reloads.at(ConfigReload { result }).inc();
        match result {
            Ok(warnings) => {
                for warning in warnings {
                    tracing::warn!("{warning}");
                }
                tracing::info!(file = %self.path.display(), "the configuration is reloaded");
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

    fn try_reload(&self, watcher: Option<&Watcher>) -> Result<Vec<String>, config::Error> {
        let (loaded, before) = (config::load(&self.path), self.current.load_full());
        if let Some(watcher) = watcher {
            // Before it is read: no change falls between the two.
            watcher.follow(loaded.as_ref().unwrap_or(before.settings()).paths());
        }
        let settings = loaded?;
        unchanged(before.settings(), &settings).map_err(|fault| settings.locate(&fault))?;
        let engine = Engine::build(settings, &self.state, Some(&before))?;
        let warnings = engine.warnings().to_vec();
        self.current.store(Arc::new(engine));
        Ok(warnings)
    }

    /// Reloads whenever a file that the settings name changes, for as long as it is polled.
    pub async fn watch(&self) {
        let ended = match Changes::new() {
            Ok(changes) => self.reload_on(changes).await,
            Err(error) => error,
        };
        tracing::warn!(error = %ended, "file changes cannot be watched here; send SIGHUP to reload");
        std::future::pending().await
    }

    /// Ends when no more can be told.
    async fn reload_on(&self, mut changes: Changes) -> io::Error {
        let (own, watcher) = (self.clone(), Arc::downgrade(changes.watcher()));
        // A reload at work is waited for, and may wait for those who keep keys.
        if let Err(error) = tokio::task::spawn_blocking(move || own.tell(watcher)).await {
            return error.into();
        }
        loop {
            if let Err(error) = changes.next().await {
                return error;
            }
            tokio::time::sleep(SETTLE).await;
            changes.forget();
            self.reload_aside().await;
        }
    }

    /// From now on this watches what the settings of the moment name.
    fn tell(&self, watcher: Weak<Watcher>) {
        let mut told = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(watcher) = watcher.upgrade() {
            watcher.follow(self.current.load().settings().paths());
        }
        *told = watcher;
    }
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
