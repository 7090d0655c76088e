//! Content carried from one network to another: what leaves is what is admitted, what comes in is what this side
//! admits, and everything comes as it left.

#[path = "carry/attached.rs"]
mod attached;
#[path = "carry/bounds.rs"]
mod bounds;
#[path = "carry/changed.rs"]
mod changed;
#[path = "carry/crashes.rs"]
mod crashes;
#[path = "carry/damaged.rs"]
mod damaged;
#[path = "carry/odd.rs"]
mod odd;
#[path = "carry/older.rs"]
mod older;
#[path = "carry/pieces.rs"]
mod pieces;
#[path = "carry/revoked.rs"]
mod revoked;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use portcullis::demo::{Fault, Package, Registry};
use portcullis::oci::Digest;
use serde_json::Value;

use crate::store::admin;
use crate::test_proxy::{HOST, Running, TestProxy, push_signed, served, signed, unsigned};

/// What a command came to.
pub struct Done {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Done {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("{}{}", self.out, self.err))
    }

    /// What was said of a reference.
    #[track_caller]
    fn line(&self, name: &str) -> &str {
        let lines = || self.out.lines();
        lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{}{}", self.out, self.err))
    }

    #[track_caller]
    fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        self
    }
}

/// Runs `portcullis …` beside a proxy, with its configuration.
async fn run(proxy: &Running, arguments: &[&str]) -> Done {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.args(arguments).arg("--config").arg(proxy.folder.path().join("portcullis.yaml"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let output = tokio::time::timeout(Duration::from_secs(60), command.output()).await.unwrap().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Done { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

async fn export(proxy: &Running, to: &Path, more: &[&str]) -> Done {
    run(proxy, &[&["export", "-o", to.to_str().unwrap()], more].concat()).await
}

async fn import(proxy: &Running, from: &[impl AsRef<Path>], more: &[&str]) -> Done {
    let from = from.iter().map(|path| path.as_ref().to_str().unwrap());
    run(proxy, &[&["import"], more, &from.collect::<Vec<_>>()].concat()).await
}

/// A network with registries.
async fn mainland(content: impl FnOnce(&Registry) + 'static) -> Running {
    TestProxy::new().with("admin", &admin()).upstream(content).start().await
}

/// One without.
async fn island() -> Running {
    let registry = Registry::start().await.unwrap();
    TestProxy::new().with("admin", &admin()).upstream_settings(HOST, registry, "offline: true").start().await
}

#[tokio::test]
async fn an_island_serves_what_was_carried_to_it() {
    let (app, multi) = (Package::image("app"), Package::multi_arch("multi"));
    let carried = multi.clone();
    let mainland = mainland(move |registry| {
        signed("app")(registry);
        push_signed(registry, "multi", "1", &carried);
        unsigned("bad")(registry);
    })
    .await;
    let island = island().await;
    let to = mainland.folder.path().join("out");
    let references = ["registry.test/app:1", "registry.test/multi:1", "registry.test/bad:1"];
    let done = export(&mainland, &to, &references).await.ended(1);
    assert!(done.line("registry.test/app:1: exported, ").contains("manifests"));
    assert!(done.line("registry.test/bad:1: refused").contains("no trusted signature"));
    assert!(!to.join("blobs/sha256").join(Package::image("bad").layer().hex()).exists());

    assert_ne!(island.get("app:1").await.status, 200);
    let done = import(&island, &[to], &[]).await.ended(0);
    assert!(done.out.contains("2 references, contents that nobody signed"), "{}", done.out);
    served(&island.get("app:1").await, app.bytes());
    served(&island.blob("app", &app.layer()).await, app.blobs().last().unwrap());
    served(&island.get("multi:1").await, multi.bytes());
    for child in multi.children() {
        served(&island.get(&format!("multi@{}", child.descriptor().digest)).await, child.bytes());
        served(&island.blob("multi", &child.layer()).await, child.blobs().last().unwrap());
    }
    assert_eq!(island.get("bad:1").await.status, 503);
    // Nobody is asked, and nothing more is there than was carried.
    assert_eq!(island.upstream().seen().len(), 0);
}

/// Bytes that stand in for a layer of some size.
fn large(name: &'static str, bytes: usize) -> Package {
    let layer: Vec<u8> = (0..bytes).map(|at| (at * 31 % 251) as u8 ^ name.as_bytes()[0]).collect();
    Package::artifact("application/vnd.acme.model", [("application/octet-stream", layer.into())])
}

/// Flips a bit of a file.
fn damage(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

/// The first manifest that the layout lists as attached to another.
fn attached(layout: &Path, name: &str, subject: &Digest) -> Digest {
    let read = |path: PathBuf| serde_json::from_slice::<Value>(&std::fs::read(path).unwrap()).unwrap();
    let index = read(layout.join("index.json"));
    let name = format!("{HOST}/{name}:sha256-{}", subject.hex());
    let mut entries = index["manifests"].as_array().unwrap().iter();
    let list = entries.find(|e| e["annotations"]["org.opencontainers.image.ref.name"] == *name).unwrap();
    let digest = |entry: &Value| Digest::parse(entry["digest"].as_str().unwrap()).unwrap();
    digest(&read(blob(layout, &digest(list)))["manifests"][0])
}

fn blob(layout: &Path, digest: &Digest) -> PathBuf {
    layout.join("blobs/sha256").join(digest.hex())
}

#[tokio::test]
async fn a_folder_is_gone_on_with_and_healed() {
    let mainland = mainland(signed("app")).await;
    let to = mainland.folder.path().join("out");
    export(&mainland, &to, &["registry.test/app:1"]).await.ended(0);
    let layer = blob(&to, &Package::image("app").layer());
    let was = std::fs::read(&layer).unwrap();
    damage(&layer);
    let done = export(&mainland, &to, &["registry.test/app:1", "--output", "json"]).await.ended(0);
    assert_eq!(done.json()["written_bytes"], was.len());
    assert!(std::fs::read(&layer).unwrap() == was);
    let done = export(&mainland, &to, &["registry.test/app:1", "--output", "json"]).await.ended(0);
    assert_eq!(done.json()["written_bytes"], 0);
}

/// Yesterday's export is worth more than none, and an island is told where there is none.
#[tokio::test]
async fn an_export_of_nothing_leaves_what_was_there() {
    let mainland = mainland(|registry| {
        signed("app")(registry);
        unsigned("bad")(registry);
    })
    .await;
    let out = |name: &str| mainland.folder.path().join(name);
    let indexes =
        || ["index.json", "contents.json"].map(|name| std::fs::read(out("out").join(name)).unwrap());
    export(&mainland, &out("out"), &["registry.test/app:1"]).await.ended(0);
    let were = indexes();
    let done = export(&mainland, &out("out"), &["registry.test/bad:1"]).await.ended(1);
    assert!(done.line("nothing is exported").contains("out named before stays named"), "{}", done.out);
    mainland.upstream().fault("", Fault::Drop);
    let other = ["registry.test/other:1", "--output", "json"];
    let done = export(&mainland, &out("out"), &other).await.ended(2).json();
    assert_eq!((&done["paths"], &done["contents"]), (&serde_json::json!([]), &Value::Null));
    assert!(indexes() == were);
    for to in ["other", "other.tar"] {
        export(&mainland, &out(to), &other).await.ended(2);
        assert!(!out(to).join("index.json").exists() && !out(to).is_file());
    }
    mainland.folder.write("none", "# nothing\n").unwrap();
    let none =
        run(&mainland, &["export", "-o", "x", "--from", out("none").to_str().unwrap()]).await.ended(64);
    assert!(none.err.contains("no reference is in it"), "{}", none.err);

    let island = island().await;
    import(&island, &[out("out")], &[]).await.ended(0);
    std::fs::write(out("out").join("index.json"), r#"{"schemaVersion":2,"manifests":[]}"#).unwrap();
    std::fs::remove_file(out("out").join("contents.json")).unwrap();
    let done = import(&island, &[out("out")], &[]).await.ended(2);
    assert!(done.line(out("out").to_str().unwrap()).contains("0 references"), "{}", done.out);
    assert!(done.err.contains("nothing that was given names an image"), "{}", done.err);
}

/// What rotted on the disk after it was admitted does not leave under the digest of what was admitted.
#[tokio::test]
async fn content_that_rotted_in_the_store_does_not_leave() {
    // What is smaller is hashed whenever it is opened.
    let package = large("app", 300_000);
    let (layer, pushed) = (package.layer(), package.clone());
    let mainland = mainland(move |registry| push_signed(registry, "app", "1", &pushed)).await;
    let out = |name: &str| mainland.folder.path().join(name);
    export(&mainland, &out("first"), &["registry.test/app:1"]).await.ended(0);
    damage(&mainland.folder.path().join("store/blobs/sha256").join(layer.hex()));
    for to in ["second", "second.tar"] {
        let done = export(&mainland, &out(to), &["registry.test/app:1"]).await.ended(2);
        let why = format!("{layer} in the store is something else: see `portcullis store verify`");
        assert!(done.err.contains(&why), "{}", done.err);
    }
    assert!(!blob(&out("second"), &layer).exists() && !out("second").join("index.json").exists());
    assert!(!out("second.tar").exists() && !out("second.tar.partial").exists());
}

/// A folder that was on its way may hold links to what its next reader owns.
#[tokio::test]
async fn links_in_a_folder_are_not_written_through() {
    let mainland = mainland(signed("app")).await;
    let path = |name: &str| mainland.folder.path().join(name);
    let to = path("out");
    let references = ["registry.test/app:1"];
    export(&mainland, &to, &references).await.ended(0);
    mainland.folder.write("victim", "precious").unwrap();
    let layer = blob(&to, &Package::image("app").layer());
    let content = std::fs::read(&layer).unwrap();
    std::fs::rename(&layer, path("moved")).unwrap();
    std::os::unix::fs::symlink(path("moved"), &layer).unwrap();
    std::os::unix::fs::symlink(path("victim"), to.join(".partial")).unwrap();
    export(&mainland, &to, &references).await.ended(0);
    assert_eq!(std::fs::read_to_string(path("victim")).unwrap(), "precious");
    assert!(!layer.is_symlink() && std::fs::read(&layer).unwrap() == content);

    std::fs::rename(to.join("blobs"), path("blobs")).unwrap();
    std::os::unix::fs::symlink(path("blobs"), to.join("blobs")).unwrap();
    let done = export(&mainland, &to, &references).await.ended(2);
    assert!(done.err.contains("blobs"), "{}", done.err);
}

/// Where one was stopped at its first file, and nowhere else, an export goes on.
#[tokio::test]
async fn an_export_that_had_only_begun_is_gone_on_with() {
    let mainland = mainland(signed("app")).await;
    let references = ["registry.test/app:1"];
    let begun = |name: &str, files: &[&str]| {
        let to = mainland.folder.path().join(name);
        std::fs::create_dir(&to).unwrap();
        files.iter().for_each(|file| std::fs::write(to.join(file), "{\"im").unwrap());
        to
    };
    let to = begun("begun", &[".partial"]);
    export(&mainland, &to, &references).await.ended(0);
    assert!(to.join("index.json").exists() && !to.join(".partial").exists());
    let done = export(&mainland, &begun("others", &[".partial", "letter"]), &references).await.ended(64);
    assert!(done.err.contains("no earlier export"), "{}", done.err);
}

/// Other tools name an image by its tag alone, and leave out the registry.
#[tokio::test]
async fn a_layout_of_another_tool_stands_for_the_repository_that_is_named() {
    let mainland = mainland(signed("app")).await;
    let to = mainland.folder.path().join("out");
    export(&mainland, &to, &["registry.test/app:1"]).await.ended(0);
    std::fs::remove_file(to.join("contents.json")).unwrap();
    let index = std::fs::read_to_string(to.join("index.json")).unwrap();
    std::fs::write(to.join("index.json"), index.replace("registry.test/app:", "")).unwrap();
    let island = island().await;
    let done = import(&island, &[&to], &[]).await.ended(2);
    assert!(done.out.contains("0 references, no index of contents"), "{}", done.out);
    assert!(done.err.contains("needs its repository"), "{}", done.err);
    assert!(done.out.contains("passed over: an entry called \"1\""), "{}", done.out);
    assert_ne!(island.get("app:1").await.status, 200);
    let done = import(&island, &[&to], &["--as", "registry.test/app"]).await.ended(0);
    assert!(done.line("registry.test/app:1: taken in").contains("2 manifests"), "{}", done.out);
    served(&island.get("app:1").await, Package::image("app").bytes());
    import(&island, &[to], &["--as", "no name"]).await.ended(64);
}

#[tokio::test]
async fn one_platform_can_be_carried_alone() {
    let multi = Package::multi_arch("multi");
    let pushed = multi.clone();
    let mainland = mainland(move |registry| push_signed(registry, "multi", "1", &pushed)).await;
    let to = mainland.folder.path().join("out");
    export(&mainland, &to, &["registry.test/multi:1", "--platform", "linux/arm64"]).await.ended(0);
    let island = island().await;
    import(&island, &[&to], &[]).await.ended(0);
    served(&island.get("multi:1").await, multi.bytes());
    let mut there = 0;
    for child in multi.children() {
        let status = island.get(&format!("multi@{}", child.digest())).await.status;
        assert_eq!(status == 200, blob(&to, &child.digest()).exists());
        there += usize::from(status == 200);
    }
    assert_eq!(there, 1);
}

#[tokio::test]
async fn a_folder_with_something_else_in_it_is_not_written_into() {
    let mainland = mainland(signed("app")).await;
    let path = |name: &str| mainland.folder.path().join(name);
    for (name, file, why) in
        [("notes", "notes.txt", "no earlier export"), ("others", "index.json", "another tool's layout")]
    {
        mainland.folder.write(&format!("{name}/{file}"), "{}").unwrap();
        let done = export(&mainland, &path(name), &["registry.test/app:1"]).await.ended(64);
        assert!(done.err.contains(why), "{}", done.err);
    }
    let done = export(&mainland, &path("out"), &["registry.test/app:1", "--split", "4MiB"]).await.ended(64);
    assert!(done.err.contains("a name that ends in .tar"), "{}", done.err);
    for from in ["notes", "nothing"] {
        let done = run(&mainland, &["import", path(from).to_str().unwrap()]).await;
        assert!(
            done.code != 0 && [&*done.out, &*done.err].concat().contains(from),
            "{}{}",
            done.out,
            done.err
        );
    }
}
