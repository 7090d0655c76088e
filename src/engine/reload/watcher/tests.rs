use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};

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
    stand.unchanged().await;
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
async fn a_copy_counts_when_it_is_whole() {
    let mut stand = Stand::new();
    let mut copy = fs::File::create(stand.keys.join("one")).unwrap();
    copy.write_all(b"half").unwrap();
    let told = async {
        stand.changes.next().await.unwrap();
        fs::read(stand.keys.join("one")).unwrap()
    };
    let copied = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        copy.write_all(b" and half").unwrap();
        drop(copy);
    };
    assert_eq!(tokio::join!(told, copied).0, b"half and half");
}

/// Nobody is told that it is whole, since it was before it was there.
#[tokio::test]
async fn a_link_to_what_was_written_elsewhere_counts() {
    let mut stand = Stand::new();
    let (one, other) = (stand.keys.join("one"), stand.beside("other"));
    fs::write(&other, "a").unwrap();
    fs::hard_link(&other, &one).unwrap();
    assert!(timeout(LONGEST / 2, stand.changes.next()).await.is_ok(), "it has two names");
    fs::remove_file(&one).unwrap();
    stand.changed("removed").await;
    fs::hard_link(&other, &one).unwrap();
    fs::remove_file(&other).unwrap();
    stand.changed("linked and alone").await;
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
