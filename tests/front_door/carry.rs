//! Content carried from one network to another: what leaves is what is admitted, what comes in is what this side
//! admits, and everything comes as it left.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use portcullis::demo::{Package, Registry};
use portcullis::engine::upkeep::Sealed;
use portcullis::oci::Digest;
use portcullis::signing::Key;
use portcullis::x509::KeyKind;
use serde_json::Value;

use crate::revocation::{Acme, HOUR};
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

async fn import(proxy: &Running, from: &[PathBuf], more: &[&str]) -> Done {
    let from = from.iter().map(|path| path.to_str().unwrap());
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

/// A layout's folder, packed by another tool's hand: the standard one.
fn tar(folder: &Path) -> PathBuf {
    let archive = folder.with_extension("packed.tar");
    let status =
        std::process::Command::new("tar").arg("-cf").arg(&archive).arg("-C").arg(folder).arg(".").status();
    assert!(status.unwrap().success());
    archive
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
async fn what_was_changed_on_the_way_stays_out_and_the_rest_comes_in() {
    let names = ["app", "layer", "sig", "top"];
    let mainland = mainland(move |registry| names.into_iter().for_each(|name| signed(name)(registry))).await;
    let to = mainland.folder.path().join("out");
    let references = names.map(|name| format!("{HOST}/{name}:1"));
    export(&mainland, &to, &references.each_ref().map(String::as_str)).await.ended(0);
    damage(&blob(&to, &Package::image("layer").layer()));
    damage(&blob(&to, &Package::image("top").digest()));
    damage(&blob(&to, &attached(&to, "sig", &Package::image("sig").digest())));
    for from in [tar(&to), to] {
        let island = island().await;
        let done = import(&island, &[from], &[]).await;
        assert!(done.line("registry.test/app:1: taken in").contains("2 manifests"), "{}", done.out);
        assert!(done.line("registry.test/layer:1: refused").contains("something else"), "{}", done.out);
        assert!(done.line("registry.test/top:1: refused").contains("something else"), "{}", done.out);
        assert!(done.line("registry.test/sig:1: ").contains("something else"), "{}", done.out);
        assert_eq!(done.code, 2, "{}", done.out);
        served(&island.get("app:1").await, Package::image("app").bytes());
        for name in ["layer:1", "top:1", "sig:1"] {
            assert_ne!(island.get(name).await.status, 200, "{name}");
        }
        assert_eq!(
            island.metric("portcullis_carried_references_total{direction=\"import\",outcome=\"kept\"}").await,
            1.0
        );
        assert_eq!(
            island
                .metric("portcullis_carried_references_total{direction=\"import\",outcome=\"refused\"}")
                .await,
            2.0
        );
    }
}

/// The island's own policy decides, and a name that stands there already does not move to what it refuses.
#[tokio::test]
async fn this_side_s_policy_alone_decides() {
    let mainland = TestProxy::new()
        .with("admin", &admin())
        .policy("mode: audit, require: wabbit")
        .upstream(|registry| {
            signed("app")(registry);
            unsigned("bad")(registry);
        })
        .start()
        .await;
    let out = |name: &str| mainland.folder.path().join(name);
    export(&mainland, &out("first"), &["registry.test/app:1", "registry.test/bad:1"]).await.ended(0);
    let island = island().await;
    let done = import(&island, &[out("first")], &[]).await.ended(1);
    assert!(done.line("registry.test/app:1: taken in").contains("manifests"));
    assert!(done.line("registry.test/bad:1: refused").contains("no trusted signature"), "{}", done.out);
    assert_ne!(island.get("bad:1").await.status, 200);

    mainland.upstream().push("app", "1", &Package::image("newer"));
    mainland.pass(Duration::from_secs(600));
    export(&mainland, &out("second"), &["registry.test/app:1"]).await.ended(0);
    let done = import(&island, &[out("second")], &[]).await.ended(1);
    assert!(done.line("registry.test/app:1: refused").contains("no trusted signature"), "{}", done.out);
    served(&island.get("app:1").await, Package::image("app").bytes());
}

#[tokio::test]
async fn whoever_holds_the_trusted_key_made_the_contents() {
    let mainland = mainland(|registry| {
        signed("app")(registry);
        signed("old")(registry);
    })
    .await;
    let (to, key) = (mainland.folder.path().join("out"), mainland.folder.path().join("contents.pem"));
    for name in ["contents", "other"] {
        let key = mainland.folder.path().join(format!("{name}.pem"));
        let made = Key::generate(KeyKind::P256, None).unwrap();
        std::fs::write(&key, &*made.1).unwrap();
        std::fs::write(key.with_extension("pub"), made.0.public().to_pem()).unwrap();
    }
    let key = |name: &str| key.with_file_name(name).to_str().unwrap().to_owned();
    let references = ["registry.test/app:1", "registry.test/old:1", "--key", &key("contents.pem")];
    export(&mainland, &to, &references).await.ended(0);

    let island = island().await;
    let done = import(&island, &[to.clone()], &["--trusted-key", &key("other.pub")]).await.ended(1);
    assert!(done.out.contains("contents that no trusted key signed"), "{}", done.out);
    assert!(done.line("registry.test/app:1: refused").contains("no trusted key signed"));
    assert_ne!(island.get("app:1").await.status, 200);
    let done = import(&island, &[to.clone()], &[]).await.ended(0);
    assert!(done.out.contains("signed contents, not verified"), "{}", done.out);

    // The configuration's keys go before those that are named.
    let exporter = std::fs::read_to_string(key("contents.pub")).unwrap();
    let mut strict = self::island().await;
    assert!(!strict.change("trust", "{ import_keys: [trust/exporter.pub] }"), "the key is not there");
    strict.folder.write("trust/exporter.pub", &exporter).unwrap();
    assert!(strict.change("trust", "{ import_keys: [trust/exporter.pub] }"));
    let done = import(&strict, &[to.clone()], &["--trusted-key", &key("other.pub")]).await.ended(0);
    assert!(done.out.contains("signed by the trusted key sha256:"), "{}", done.out);

    // An older image under the newer one's name: every signature holds, and the contents do not name it so.
    let index = std::fs::read_to_string(to.join("index.json")).unwrap();
    let swapped = index.replace(&Package::image("app").digest().hex(), &Package::image("old").digest().hex());
    assert_ne!(index, swapped);
    std::fs::write(to.join("index.json"), swapped).unwrap();
    let done =
        import(&island, &[to], &["--trusted-key", &key("contents.pub"), "--output", "json"]).await.ended(1);
    let json = done.json();
    assert_eq!(json["layouts"][0]["standing"], "trusted");
    let of = |name: &str| {
        json["references"].as_array().unwrap().iter().find(|r| r["reference"] == name).unwrap().clone()
    };
    assert!(of("registry.test/app:1")["reason"].as_str().unwrap().contains("as another manifest"));
    assert_eq!(of("registry.test/old:1")["outcome"], "kept");
    served(&island.get("app:1").await, Package::image("app").bytes());
}

#[tokio::test]
async fn a_second_export_leaves_out_what_the_first_has() {
    let (first, second) = (large("first", 300_000), large("second", 400_000));
    let (one, two) = (first.clone(), second.clone());
    let mainland = mainland(move |registry| {
        push_signed(registry, "first", "1", &one);
        push_signed(registry, "second", "1", &two);
    })
    .await;
    let out = |name: &str| mainland.folder.path().join(name);
    export(&mainland, &out("a"), &["registry.test/first:1"]).await.ended(0);
    let since = out("a").to_str().unwrap().to_owned();
    let references =
        ["registry.test/first:1", "registry.test/second:1", "--since", &since, "--output", "json"];
    let done = export(&mainland, &out("b"), &references).await.ended(0);
    assert!(done.json()["left_out_bytes"].as_u64().unwrap() >= 300_000);
    assert!(!blob(&out("b"), &first.layer()).exists() && blob(&out("b"), &second.layer()).exists());

    let fresh = island().await;
    let done = import(&fresh, &[out("b")], &[]).await.ended(1);
    assert!(done.line("registry.test/first:1: refused").contains("import that one first"), "{}", done.out);
    assert!(done.line("registry.test/second:1: taken in").contains("manifests"));
    import(&fresh, &[out("a")], &[]).await.ended(0);
    let done = import(&fresh, &[out("b")], &[]).await.ended(0);
    assert!(done.out.contains("builds on the export whose contents are sha256:"), "{}", done.out);
    served(&fresh.blob("first", &first.layer()).await, first.blobs().last().unwrap());
    served(&fresh.blob("second", &second.layer()).await, second.blobs().last().unwrap());
    // Both at once do as well.
    let other = island().await;
    import(&other, &[out("b"), out("a")], &[]).await.ended(0);
}

#[tokio::test]
async fn pieces_come_in_any_order_and_a_missing_one_is_named() {
    let (a, b, c) = (large("a", 700_000), large("b", 700_000), large("c", 700_000));
    let all = [("a", a.clone()), ("b", b), ("c", c)];
    let packages = all.clone();
    let mainland = mainland(move |registry| {
        for (name, package) in packages {
            push_signed(registry, name, "1", &package);
        }
    })
    .await;
    let to = mainland.folder.path().join("out.tar");
    let references =
        ["registry.test/a:1", "registry.test/b:1", "registry.test/c:1", "--jobs", "1", "--split", "1MiB"];
    let done = export(&mainland, &to, &references).await.ended(0);
    let piece = |n: u32| mainland.folder.path().join(format!("out.{n}.tar"));
    for n in 1..=3 {
        assert!(done.out.contains(piece(n).to_str().unwrap()), "{}", done.out);
        assert!(std::fs::metadata(piece(n)).unwrap().len() <= 1 << 20);
        let listed = std::process::Command::new("tar").arg("-tf").arg(piece(n)).output().unwrap();
        assert!(listed.status.success() && listed.stderr.is_empty(), "a piece is a whole archive");
    }
    assert!(!piece(4).exists() && !to.exists());
    let again = export(&mainland, &to, &references).await.ended(64);
    assert!(again.err.contains("it is there already"), "{}", again.err);
    let large = mainland.folder.path().join("small.tar");
    let done = export(&mainland, &large, &["registry.test/a:1", "--split", "0"]).await.ended(64);
    assert!(done.err.contains("at least 1MiB"), "{}", done.err);

    let island = island().await;
    let done = import(&island, &[piece(1), piece(3)], &[]).await.ended(1);
    assert!(done.out.contains("content is missing: of piece 2"), "{}", done.out);
    assert!(done.line("registry.test/a:1: taken in").contains("manifests"), "{}", done.out);
    assert!(done.line("registry.test/b:1: refused").contains("in none of the pieces"), "{}", done.out);
    assert!(done.line("registry.test/c:1: taken in").contains("manifests"), "{}", done.out);
    import(&island, &[piece(3), piece(2), piece(1)], &[]).await.ended(0);
    for (name, package) in &all {
        served(&island.blob(name, &package.layer()).await, package.blobs().last().unwrap());
    }
    let done = import(&island, &[piece(2)], &[]).await.ended(2);
    assert!(done.err.contains("none of what was given has an index.json"), "{}", done.err);
}

/// What decisions knew of revocations goes along, ends when it ends, is renewed by what is carried next, and closes
/// what was signed by somebody who is revoked meanwhile.
#[tokio::test]
async fn an_island_learns_of_revocations_by_what_is_carried_to_it() {
    let acme = Acme::new().await;
    let mainland = acme.start(acme.proxy("strict", "").with("admin", &admin()), &["app", "other"]).await;
    let out = |name: &str| mainland.folder.path().join(name);
    let references = ["registry.test/app:1", "registry.test/other:1"];
    export(&mainland, &out("first"), &references).await.ended(0);
    let registry = Registry::start().await.unwrap();
    let island = acme.proxy("strict", ", revocation: local").with("admin", &admin());
    let island = acme.start(island.upstream_settings(HOST, registry, "offline: true"), &[]).await;

    // Without the list nothing can be decided.
    let contents = std::fs::read(out("first").join("contents.json")).unwrap();
    std::fs::remove_file(out("first").join("contents.json")).unwrap();
    let done = import(&island, &[out("first")], &[]).await.ended(2);
    assert!(
        done.line("registry.test/app:1: trouble").contains("no answer of it was brought"),
        "{}",
        done.out
    );
    std::fs::write(out("first").join("contents.json"), contents).unwrap();
    import(&island, &[out("first")], &[]).await.ended(0);
    served(&island.get("app:1").await, Package::image("app").bytes());

    acme.publish(2, &[], 6 * HOUR);
    for proxy in [&mainland, &island] {
        proxy.pass(3 * HOUR);
    }
    assert_eq!(island.get("app:1").await.status, 503);
    export(&mainland, &out("second"), &references).await.ended(0);
    import(&island, &[out("second")], &[]).await.ended(0);
    served(&island.get("app:1").await, Package::image("app").bytes());
    // An older list is not taken for the newer one.
    import(&island, &[out("first")], &[]).await.ended(0);

    acme.publish(3, &[&acme.signer], 6 * HOUR);
    for proxy in [&mainland, &island] {
        proxy.pass(2 * HOUR);
    }
    let done = export(&mainland, &out("third"), &references).await.ended(1);
    assert!(done.line("registry.test/app:1: refused").contains("was revoked at"), "{}", done.out);
    let asked = acme.lists.asked();
    import(&island, &[out("third")], &[]).await.ended(0);
    assert_eq!(island.get("app:1").await.status, 403);
    assert_eq!(acme.lists.asked(), asked, "an island asks nobody");
}

#[tokio::test]
async fn a_clock_that_is_behind_what_was_made_takes_nothing_in() {
    let mainland = mainland(signed("app")).await;
    let to = mainland.folder.path().join("out");
    export(&mainland, &to, &["registry.test/app:1"]).await.ended(0);
    let island = island().await;
    island.clock.set(SystemTime::now() - HOUR);
    let done = import(&island, &[to.clone()], &[]).await.ended(2);
    assert!(done.err.contains("set it right first"), "{}", done.err);
    assert_ne!(island.get("app:1").await.status, 200);
    island.clock.set(SystemTime::now());
    import(&island, &[to], &[]).await.ended(0);
}

/// Starts a command and kills it after a while; whether it had ended by then.
async fn killed(proxy: &Running, arguments: &[&str], after: Duration) -> bool {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.args(arguments).arg("--config").arg(proxy.folder.path().join("portcullis.yaml"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let ended = tokio::time::timeout(after, child.wait()).await.is_ok();
    // SIGKILL.
    child.kill().await.unwrap();
    ended
}

/// What has a name in the layout is what the name says.
fn is_sound(layout: &Path) {
    let Ok(blobs) = std::fs::read_dir(layout.join("blobs/sha256")) else { return };
    for blob in blobs {
        let path = blob.unwrap().path();
        let hex = path.file_name().unwrap().to_str().unwrap().to_owned();
        assert_eq!(Digest::sha256(&std::fs::read(&path).unwrap()).hex(), hex);
    }
}

#[tokio::test]
async fn commands_that_are_killed_leave_nothing_half_and_are_gone_on_with() {
    const NAMES: [&str; 4] = ["a", "b", "c", "d"];
    let packages = NAMES.map(|name| large(name, 4 << 20));
    let pushed = packages.clone();
    let mut mainland = mainland(move |registry| {
        for (name, package) in NAMES.iter().zip(&pushed) {
            push_signed(registry, name, "1", package);
        }
    })
    .await;
    let references = NAMES.map(|name| format!("{HOST}/{name}:1"));
    let to = mainland.folder.path().join("out");
    let to_text = to.to_str().unwrap().to_owned();
    let words = ["export", "-o", &to_text].into_iter().chain(references.iter().map(String::as_str));
    let words: Vec<&str> = words.collect();
    mainland.stop().await;
    for turn in 1..=8u64 {
        let ended = killed(&mainland, &words, Duration::from_millis(turn * 60)).await;
        is_sound(&to);
        if to.join("index.json").exists() {
            let contents = Sealed::read(&std::fs::read(to.join("contents.json")).unwrap()).unwrap().contents;
            assert!(contents.blobs.iter().all(|listed| blob(&to, &listed.digest).exists()));
        }
        if ended {
            break;
        }
    }
    let done = run(&mainland, &[&words[..], &["--output", "json"]].concat()).await.ended(0);
    assert!(done.json()["present_bytes"].as_u64().unwrap() > 0, "{}", done.out);
    is_sound(&to);

    let mut island = island().await;
    island.stop().await;
    for turn in 1..=8u64 {
        if killed(&island, &["import", &to_text], Duration::from_millis(turn * 60)).await {
            break;
        }
        island.start_again().await;
        for (name, package) in NAMES.iter().zip(&packages) {
            // What has its name is whole.
            if island.get(&format!("{name}:1")).await.status == 200 {
                served(&island.blob(name, &package.layer()).await, package.blobs().last().unwrap());
            }
        }
        island.stop().await;
    }
    import(&island, &[to], &[]).await.ended(0);
    let done = run(&island, &["store", "verify"]).await.ended(0);
    assert!(done.out.contains("0 rotten"), "{}", done.out);
    island.start_again().await;
    for (name, package) in NAMES.iter().zip(&packages) {
        served(&island.get(&format!("{name}:1")).await, package.bytes());
        served(&island.blob(name, &package.layer()).await, package.blobs().last().unwrap());
    }
}

/// What the store has no room for is told, and comes in when there is room.
#[tokio::test]
async fn a_store_without_room_takes_in_what_fits() {
    let (small, big) = (Package::image("small"), large("big", 6 << 20));
    let pushed = big.clone();
    let mainland = mainland(move |registry| {
        signed("small")(registry);
        push_signed(registry, "big", "1", &pushed);
    })
    .await;
    let to = mainland.folder.path().join("out");
    export(&mainland, &to, &["registry.test/small:1", "registry.test/big:1"]).await.ended(0);
    let registry = Registry::start().await.unwrap();
    let island = TestProxy::new().with("admin", &admin()).with("store", "{ path: store, max_size: 4MiB }");
    let mut island = island.upstream_settings(HOST, registry, "offline: true").start().await;
    let done = import(&island, &[to.clone()], &[]).await.ended(2);
    assert!(done.line("registry.test/small:1: taken in").contains("manifests"), "{}", done.out);
    assert!(done.line("registry.test/big:1: trouble").contains("store.max_size"), "{}", done.out);
    served(&island.get("small:1").await, small.bytes());
    assert_ne!(island.get("big:1").await.status, 200);
    assert!(island.change("store", "{ path: store, max_size: 64MiB }"));
    island.stop().await;
    import(&island, &[to], &[]).await.ended(0);
    island.start_again().await;
    served(&island.blob("big", &big.layer()).await, big.blobs().last().unwrap());
}

#[tokio::test]
async fn one_platform_can_be_carried_alone() {
    let multi = Package::multi_arch("multi");
    let pushed = multi.clone();
    let mainland = mainland(move |registry| push_signed(registry, "multi", "1", &pushed)).await;
    let to = mainland.folder.path().join("out");
    export(&mainland, &to, &["registry.test/multi:1", "--platform", "linux/arm64"]).await.ended(0);
    let island = island().await;
    import(&island, &[to.clone()], &[]).await.ended(0);
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
        assert!(done.code != 0 && done.err.contains(from), "{}", done.err);
    }
}
