//! Takes a changed configuration into use: on SIGHUP, and when the file or one that it names
//! changes. A bad new file is reported, and the old engine goes on.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
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
#[derive(Clone)]
pub struct Reloader {
    path: PathBuf,
    state: Arc<State>,
    current: Current,
    /// Held by the reload at work: what was read first is not to be in use last.
    turn: Arc<Mutex<()>>,
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
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
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

    /// Reloads whenever a file that the settings name changes, for as long as it is polled.
    pub async fn watch(&self) {
        let (sender, mut changes) = mpsc::channel(64);
        let Ok(mut watcher) = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if let Ok(event) = event
                && !event.kind.is_access()
            {
                // A full channel means that a reload is due anyway.
                let _ = sender.try_send(event.paths);
            }
        }) else {
            tracing::warn!("file changes cannot be watched here; send SIGHUP to reload");
            return std::future::pending().await;
        };
        let (mut watched, mut named, mut followed) = (BTreeSet::new(), Vec::new(), Weak::new());
        loop {
            let engine = self.current.load_full();
            // A log or a store in a folder of keys changes all the time: only what is named anew is looked for.
            if followed.as_ptr() != Arc::as_ptr(&engine) {
                named = engine.settings().paths();
                follow(&named, &mut watcher, &mut watched);
                followed = Arc::downgrade(&engine);
            }
            // Files may not change for months: meanwhile an engine that is replaced goes, and its keys with it.
            drop(engine);
            let Some(changed) = changes.recv().await else { return };
            if changed.iter().any(|path| concerns(path, &named)) {
                tokio::time::sleep(SETTLE).await;
                while changes.try_recv().is_ok() {}
                self.reload_aside().await;
                // A folder may be another one now.
                followed = Weak::new();
            }
        }
    }
}

/// Watches folders, never files: Kubernetes swaps links, editors swap files.
fn follow(named: &[PathBuf], watcher: &mut notify::RecommendedWatcher, watched: &mut BTreeSet<PathBuf>) {
    let folders = named.iter().filter(|path| path.is_dir()).cloned();
    let parents = named.iter().filter_map(|path| path.parent().map(Path::to_owned));
    let folders: BTreeSet<PathBuf> = folders.chain(parents).filter(|folder| folder.is_dir()).collect();
    for gone in watched.difference(&folders) {
        let _ = watcher.unwatch(gone);
    }
    for new in folders.difference(watched) {
        if let Err(error) = watcher.watch(new, RecursiveMode::NonRecursive) {
            let folder = new.display();
            tracing::warn!(%folder, %error, "a folder cannot be watched; send SIGHUP after changes in it");
        }
    }
    *watched = folders;
}

/// Whether a change at `path` can be a change of what the settings name: it itself, something in a
/// named folder, or the link that Kubernetes swaps beside it (`..data`).
fn concerns(path: &Path, named: &[PathBuf]) -> bool {
    let swapped = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".."));
    swapped || named.iter().any(|n| path == n || path.parent() == Some(n) || n.starts_with(path))
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
