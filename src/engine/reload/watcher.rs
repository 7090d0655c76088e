//! Which of the files that settings name may be others now, as the kernel tells it (inotify(7)). It wakes nobody for files
//! that are read, or written and still open: a log or a store may lie in a folder of keys.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _};
use inotify::{EventMask, EventOwned, EventStream, Inotify, WatchDescriptor, WatchMask, Watches};
use tokio::time::timeout;

/// Files that came, went or are written whole, and folders that did so themselves.
const CHANGES: WatchMask = WatchMask::CREATE
    .union(WatchMask::CLOSE_WRITE)
    .union(WatchMask::ATTRIB)
    .union(WatchMask::MOVE)
    .union(WatchMask::DELETE)
    .union(WatchMask::MOVE_SELF)
    .union(WatchMask::DELETE_SELF)
    .union(WatchMask::ONLYDIR);

/// So long a new file may be written before it counts. When it is closed is told, unless it was written under a name that
/// is gone by now.
const LONGEST: Duration = Duration::from_secs(5);

/// How a change concerns what is named.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Concern {
    /// Half a file may be there.
    Begun,
    Whole,
}

/// What is watched: what was named last.
pub(super) struct Watcher(Mutex<Watched>);

struct Watched {
    kernel: Watches,
    named: Vec<PathBuf>,
    /// A folder of several names is in it several times.
    folders: Vec<(WatchDescriptor, PathBuf)>,
}

/// What the kernel tells of it.
pub struct Changes {
    told: EventStream<Vec<u8>>,
    watcher: Arc<Watcher>,
}

impl Changes {
    /// Of nothing yet. Needs a runtime.
    ///
    /// # Errors
    /// What the system says: there may be too many who watch already (`fs.inotify.max_user_instances`).
    pub(super) fn new() -> io::Result<Self> {
        let told = Inotify::init()?.into_event_stream(vec![0; 4096])?;
        let watched = Watched { kernel: told.watches(), named: Vec::new(), folders: Vec::new() };
        Ok(Self { told, watcher: Arc::new(Watcher(Mutex::new(watched))) })
    }

    /// Who is to be told what to watch.
    pub(super) fn watcher(&self) -> &Arc<Watcher> {
        &self.watcher
    }

    /// Waits until something that is named may have changed, and is whole.
    ///
    /// # Errors
    /// What the system says.
    pub(super) async fn next(&mut self) -> io::Result<()> {
        if self.concern().await? == Concern::Whole {
            return Ok(());
        }
        let whole = async {
            while self.concern().await? == Concern::Begun {}
            Ok(())
        };
        timeout(LONGEST, whole).await.unwrap_or(Ok(()))
    }

    async fn concern(&mut self) -> io::Result<Concern> {
        while let Some(event) = self.told.next().await {
            if let Some(concern) = self.watcher.concern_of(&event?) {
                return Ok(concern);
            }
        }
        Err(io::ErrorKind::UnexpectedEof.into())
    }

    /// Forgets what was told so far.
    pub(super) fn forget(&mut self) {
        while self.told.next().now_or_never().flatten().is_some_and(|event| event.is_ok()) {}
    }
}

impl Watcher {
    /// From now on watches this and nothing else: folders, never files, since Kubernetes swaps links and editors swap files.
    pub(super) fn follow(&self, named: Vec<PathBuf>) {
        // The file's own name may be one in the working folder.
        let named: Vec<_> =
            named.into_iter().map(|path| std::path::absolute(&path).unwrap_or(path)).collect();
        let mut watched = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut former = Vec::new();
        let mut folders = folders_of(&named);
        loop {
            // What is watched already stays, and what stands where another one was is added.
            let added = folders.iter().filter_map(|folder| watched.add(folder)).collect();
            former.append(&mut std::mem::replace(&mut watched.folders, added));
            // One that was made before its parent was watched is told of by nobody.
            let now = folders_of(&named);
            if now == folders {
                break;
            }
            folders = now;
        }
        watched.named = named;
        watched.let_go_of(former);
    }

    fn concern_of(&self, event: &EventOwned) -> Option<Concern> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).concern_of(event)
    }
}

impl Watched {
    fn add(&mut self, folder: &Path) -> Option<(WatchDescriptor, PathBuf)> {
        match self.kernel.add(folder, CHANGES) {
            Ok(number) => Some((number, folder.to_owned())),
            Err(error) => {
                let folder = folder.display();
                tracing::warn!(%folder, %error, "a folder cannot be watched; send SIGHUP after changes in it");
                None
            }
        }
    }

    fn let_go_of(&mut self, former: Vec<(WatchDescriptor, PathBuf)>) {
        for (gone, _) in former {
            if self.folders.iter().all(|(folder, _)| *folder != gone) {
                // The kernel lets go by itself of one that was removed.
                let _ = self.kernel.remove(gone);
            }
        }
    }

    fn concern_of(&self, event: &EventOwned) -> Option<Concern> {
        // Of too much the kernel tells no more than that.
        if event.mask.contains(EventMask::Q_OVERFLOW) {
            return Some(Concern::Whole);
        }
        let of_it = self.folders.iter().filter(|(number, _)| *number == event.wd);
        let mut paths = of_it.map(|(_, folder)| at(folder, event.name.as_deref()));
        let path = paths.find(|path| concerns(path, &self.named))?;
        let is_begun = event.mask.contains(EventMask::CREATE) && may_be_open(&path);
        Some(if is_begun { Concern::Begun } else { Concern::Whole })
    }
}

/// Whether who made it may be writing it: one of several names is a link to what was there, as are all other links.
fn may_be_open(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|found| found.is_file() && found.nlink() == 1)
}

/// Those that are named, and of all that is named the nearest one around it that is there: what is absent comes there.
fn folders_of(named: &[PathBuf]) -> BTreeSet<PathBuf> {
    let within = named.iter().map(PathBuf::as_path).filter(|path| path.is_dir());
    let around = named.iter().filter_map(|path| path.ancestors().skip(1).find(|folder| folder.is_dir()));
    within.chain(around).map(Path::to_owned).collect()
}

/// Where it happened: in a folder, or to the folder itself.
fn at(folder: &Path, name: Option<&OsStr>) -> PathBuf {
    name.map_or_else(|| folder.to_owned(), |name| folder.join(name))
}

/// Whether a change at `path` can be a change of what the settings name: it itself, something in a
/// named folder, or the link that Kubernetes swaps beside it (`..data`).
fn concerns(path: &Path, named: &[PathBuf]) -> bool {
    let swapped = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".."));
    swapped || named.iter().any(|n| path == n || path.parent() == Some(n) || n.starts_with(path))
}
