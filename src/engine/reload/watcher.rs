//! Which of the files that settings name may be others now, as the kernel tells it (inotify(7)). It wakes nobody for files
//! that are read, or written and still open: a log or a store may lie in a folder of keys.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::{FutureExt as _, StreamExt as _};
use inotify::{EventMask, EventOwned, EventStream, Inotify, WatchDescriptor, WatchMask, Watches};

/// Files that came, went or are written whole, and folders that did so themselves.
const CHANGES: WatchMask = WatchMask::CREATE
    .union(WatchMask::CLOSE_WRITE)
    .union(WatchMask::ATTRIB)
    .union(WatchMask::MOVE)
    .union(WatchMask::DELETE)
    .union(WatchMask::MOVE_SELF)
    .union(WatchMask::DELETE_SELF)
    .union(WatchMask::ONLYDIR);

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

    /// Waits until something that is named may have changed.
    ///
    /// # Errors
    /// What the system says.
    pub(super) async fn next(&mut self) -> io::Result<()> {
        while let Some(event) = self.told.next().await {
            if self.watcher.is_concerned_by(&event?) {
                return Ok(());
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

    fn is_concerned_by(&self, event: &EventOwned) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_concerned_by(event)
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

    fn is_concerned_by(&self, event: &EventOwned) -> bool {
        let name = event.name.as_deref();
        let of_it = self.folders.iter().filter(|(number, _)| *number == event.wd);
        // Of too much the kernel tells no more than that.
        event.mask.contains(EventMask::Q_OVERFLOW)
            || of_it.into_iter().any(|(_, folder)| concerns(&at(folder, name), &self.named))
    }
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    /// A folder of keys that is named, in a folder that is not.
    struct Stand {
        folder: tempfile::TempDir,
        keys: PathBuf,
        changes: Changes,
    }

    impl Stand {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let keys = folder.path().join("keys");
            fs::create_dir(&keys).unwrap();
            let changes = Changes::new().unwrap();
            changes.watcher().follow(vec![keys.clone()]);
            Self { folder, keys, changes }
        }

        fn beside(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn follow(&self, named: &[&Path]) {
            self.changes.watcher().follow(named.iter().map(|path| path.to_path_buf()).collect());
        }

        /// Far later than the kernel tells it at the latest.
        async fn changed(&mut self, what: &str) {
            let told = timeout(Duration::from_secs(20), self.changes.next()).await;
            told.unwrap_or_else(|_| panic!("nobody was told: {what}")).unwrap();
            while timeout(Duration::from_millis(20), self.changes.next()).await.is_ok() {}
        }

        async fn unchanged(&mut self) {
            assert!(timeout(Duration::from_millis(50), self.changes.next()).await.is_err());
        }
    }

    #[tokio::test]
    async fn files_that_are_read_or_still_open_wake_nobody() {
        let mut stand = Stand::new();
        let mut log = fs::File::create(stand.keys.join("log")).unwrap();
        stand.changed("made").await;
        for _ in 0..10 {
            log.write_all(b"line\n").unwrap();
            assert!(!fs::read(stand.keys.join("log")).unwrap().is_empty());
        }
        let told = timeout(Duration::from_millis(50), stand.changes.told.next()).await;
        assert!(told.is_err(), "{told:?}");
        drop(log);
        stand.changed("closed").await;
    }

    #[tokio::test]
    async fn each_way_to_make_a_file_another_one_is_told() {
        let mut stand = Stand::new();
        let (one, other, data) = (stand.keys.join("one"), stand.beside("other"), stand.beside("..data"));
        let changes: [(&str, &dyn Fn() -> io::Result<()>); 7] = [
            ("written", &|| fs::write(&one, "a")),
            ("swapped", &|| fs::write(&other, "b").and_then(|()| fs::rename(&other, &one))),
            ("shown", &|| fs::set_permissions(&one, fs::Permissions::from_mode(0o600))),
            ("moved away", &|| fs::rename(&one, &other)),
            ("linked", &|| symlink(&other, &one)),
            ("removed", &|| fs::remove_file(&one)),
            ("linked beside, as Kubernetes does", &|| symlink(&other, &data)),
        ];
        for (what, change) in changes {
            change().unwrap();
            stand.changed(what).await;
        }
    }

    #[tokio::test]
    async fn what_is_not_named_does_not_count() {
        let mut stand = Stand::new();
        let log = stand.beside("log");
        fs::write(&log, "a").unwrap();
        stand.unchanged().await;
        stand.follow(&[&log]);
        fs::write(stand.keys.join("one"), "a").unwrap();
        stand.unchanged().await;
        fs::write(&log, "b").unwrap();
        stand.changed("named by then").await;
    }

    #[tokio::test]
    async fn a_folder_is_known_by_each_of_its_names() {
        let mut stand = Stand::new();
        let (keys, other) = (stand.keys.clone(), stand.beside("other"));
        symlink(&keys, &other).unwrap();
        for named in [[&keys, &other.join("one")], [&keys.join("one"), &other]] {
            stand.follow(&[named[0], named[1]]);
            for file in ["one", "two"] {
                fs::write(keys.join(file), "a").unwrap();
                stand.changed(&format!("{file} of {named:?}")).await;
            }
        }
    }

    #[tokio::test]
    async fn what_the_kernel_has_no_room_to_tell_may_be_about_anything() {
        let mut stand = Stand::new();
        let room = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
        // Of what is told twice in a row once is kept.
        let others = [stand.beside("a"), stand.beside("b")].map(|other| fs::File::create(other).unwrap());
        for other in others.iter().cycle().take(room.trim().parse().unwrap()) {
            other.set_permissions(fs::Permissions::from_mode(0o600)).unwrap();
        }
        stand.changed("too much").await;
    }

    #[tokio::test]
    async fn what_is_absent_is_seen_when_it_comes_with_the_folders_around_it() {
        let mut stand = Stand::new();
        let (root, one) = (stand.beside("a"), stand.beside("a/b/c/one"));
        stand.follow(&[&one]);
        fs::create_dir(&root).unwrap();
        stand.changed("the first folder").await;
        stand.follow(&[&one]);
        fs::create_dir_all(one.parent().unwrap()).unwrap();
        stand.changed("the next ones").await;
        stand.follow(&[&one]);
        fs::write(&one, "a").unwrap();
        stand.changed("it itself").await;
        fs::remove_dir_all(&root).unwrap();
        stand.changed("all are gone").await;
        stand.follow(&[&one]);
        fs::create_dir(&root).unwrap();
        stand.changed("the first folder again").await;
    }

    #[tokio::test]
    async fn a_folder_that_stands_where_another_one_was_is_watched() {
        let mut stand = Stand::new();
        let keys = stand.keys.clone();
        fs::remove_dir(&keys).unwrap();
        fs::create_dir(&keys).unwrap();
        stand.changed("replaced").await;
        stand.follow(&[&keys]);
        fs::write(keys.join("one"), "a").unwrap();
        stand.changed("in the new one").await;
    }
}
