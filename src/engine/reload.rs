//! Takes a changed configuration into use: on SIGHUP, and when the file or one that it names
//! changes. A bad new file is reported, and the old engine goes on.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

use super::{Current, Engine, State};
use crate::config::{self, Settings};
use crate::setting::SettingError;
use crate::telemetry::metrics::ConfigReload;

/// Editors and Kubernetes write in several steps; they count as one change.
const SETTLE: Duration = Duration::from_millis(300);

/// Reads one configuration file again and again.
pub struct Reloader {
    path: PathBuf,
    state: Arc<State>,
    current: Current,
}

impl Reloader {
    /// For the file at `path`.
    pub fn new(path: &Path, state: &Arc<State>, current: &Current) -> Self {
        Self { path: path.to_owned(), state: Arc::clone(state), current: Arc::clone(current) }
    }

    /// Loads, builds, swaps; or says why not and leaves everything as it is.
    pub fn reload(&self) -> bool {
        let result = self.try_reload();
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

    fn try_reload(&self) -> Result<Vec<String>, config::Error> {
        let settings = config::load(&self.path)?;
        let before = self.current.load_full();
        unchanged(before.settings(), &settings).map_err(|fault| settings.locate(&fault))?;
        let engine = Engine::build(settings, &self.state, Some(&before))?;
        let warnings = engine.warnings().to_vec();
        self.current.store(Arc::new(engine));
        Ok(warnings)
    }

    /// Reloads whenever something changes, for as long as it is polled.
    pub async fn watch(&self) {
        let (sender, mut changes) = mpsc::channel(1);
        let Ok(mut watcher) = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|e| !e.kind.is_access()) {
                // A full channel means that a reload is due anyway.
                let _ = sender.try_send(());
            }
        }) else {
            tracing::warn!("file changes cannot be watched here; send SIGHUP to reload");
            return std::future::pending().await;
        };
        let mut watched = BTreeSet::new();
        loop {
            self.follow(&mut watcher, &mut watched);
            if changes.recv().await.is_none() {
                return;
            }
            tokio::time::sleep(SETTLE).await;
            while changes.try_recv().is_ok() {}
            self.reload();
        }
    }

    /// Watches folders, never files: Kubernetes swaps links, editors swap files.
    fn follow(&self, watcher: &mut notify::RecommendedWatcher, watched: &mut BTreeSet<PathBuf>) {
        let mut folders: BTreeSet<PathBuf> = BTreeSet::new();
        let named = self.current.load().settings().paths();
        for path in named.iter().chain([&self.path]) {
            if path.is_dir() {
                folders.insert(path.clone());
            }
            folders.extend(path.parent().map(Path::to_owned));
        }
        for gone in watched.difference(&folders) {
            let _ = watcher.unwatch(gone);
        }
        for new in folders.difference(watched) {
            if let Err(error) = watcher.watch(new, RecursiveMode::NonRecursive) {
                tracing::warn!(folder = %new.display(), %error, "a folder cannot be watched; send SIGHUP after changes in it");
            }
        }
        *watched = folders;
    }
}

/// What is opened once cannot change under way.
fn unchanged(before: &Settings, after: &Settings) -> Result<(), SettingError> {
    let fixed = [
        (&["store", "path"], before.store.path == after.store.path),
        (&["listen", "address"], before.listen.address == after.listen.address),
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
