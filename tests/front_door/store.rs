//! The store as an operator looks after it: rot is found and healed, commands do their work here and through a
//! running server, and no page in a browser can do it instead.

#[path = "store/refusing.rs"]
mod refusing;
#[path = "store/room.rs"]
mod room;

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::time::Duration;

use http::Method;
use http::header::{CONTENT_TYPE, HOST};
use portcullis::demo::client::{Answer, Client};
use portcullis::demo::package::descriptor_of;
use portcullis::demo::{Fault, Package};
use serde_json::Value;

use crate::test_proxy::{Running, TestProxy, WABBIT, push_signed, served, signature, signed, unsigned};

const JSON: (http::header::HeaderName, &str) = (CONTENT_TYPE, "application/json");
const OPENING: http::header::HeaderName = http::header::HeaderName::from_static("portcullis-store-opening");

impl Running {
    /// Work on the store, as who may read its lock asks for it.
    async fn work(&self, work: &str, headers: &[(http::header::HeaderName, &str)]) -> Answer {
        let lock = std::fs::read_to_string(self.folder.path().join("store/lock")).unwrap();
        let opening = (OPENING, lock.split(' ').nth(1).unwrap());
        self.admin(Method::POST, &format!("/store/{work}"), &[headers, &[opening]].concat()).await
    }

    async fn admin(
        &self,
        method: Method,
        path: &str,
        headers: &[(http::header::HeaderName, &str)],
    ) -> Answer {
        let url = format!("{}{path}", self.proxy().admin_url());
        Client::new().send(method, &url, headers).await.unwrap()
    }

    /// Waits until what was served is in the store.
    async fn kept(&self, package: &Package) -> std::path::PathBuf {
        let path = self.folder.path().join("store/blobs/sha256").join(package.layer().hex());
        for _ in 0..200 {
            if path.exists() {
                return path;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{} is not kept", path.display());
    }
}

/// Runs `portcullis store …` beside the test, with `input` on standard input.
async fn store(proxy: &Running, arguments: &[&str], input: &str) -> (i32, String, String) {
    use tokio::io::AsyncWriteExt as _;
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.arg("store").args(arguments).arg("--config").arg(proxy.folder.path().join("portcullis.yaml"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).await.unwrap();
    drop(stdin);
    let output =
        tokio::time::timeout(Duration::from_secs(60), child.wait_with_output()).await.unwrap().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// An address for the admin listener that the command finds in the configuration.
pub fn admin() -> String {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    format!("{{ address: \"{free}\" }}")
}

#[tokio::test]
async fn a_rotten_layer_is_found_and_had_anew() {
    let image = Package::image("app");
    let proxy = TestProxy::new().upstream(signed("app")).start().await;
    served(&proxy.get("app:1").await, image.bytes());
    let layer = image.blobs().last().unwrap();
    served(&proxy.blob("app", &image.layer()).await, layer);
    let path = proxy.kept(&image).await;
    let mut rotten = std::fs::read(&path).unwrap();
    rotten[0] ^= 1;
    std::fs::write(&path, &rotten).unwrap();
    let fetched = || proxy.upstream().count(&format!("GET /v2/app/blobs/{}", image.layer()));
    let before = fetched();

    let told = proxy.work("verify", &[JSON]).await;
    let told = String::from_utf8(told.body.to_vec()).unwrap();
    let steps: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(steps[0]["event"], "rotten");
    assert_eq!(steps[0]["digest"], image.layer().to_string());
    assert_eq!(steps.last().unwrap()["event"], "done");
    let aside = proxy.folder.path().join("store/quarantine").join(format!("sha256-{}", image.layer().hex()));
    assert_eq!(std::fs::read(aside).unwrap(), rotten);
    assert_eq!(proxy.metric("portcullis_store_corrupt_total").await, 1.0);
    assert!(proxy.metric("portcullis_store_scrub_bytes_total").await > 0.0);
    assert!(proxy.metric("portcullis_store_scrub_timestamp_seconds").await > 0.0);

    served(&proxy.blob("app", &image.layer()).await, layer);
    proxy.kept(&image).await;
    served(&proxy.blob("app", &image.layer()).await, layer);
    assert_eq!(fetched(), before + 1);
}

#[tokio::test]
async fn no_page_in_a_browser_looks_after_the_store() {
    let proxy = TestProxy::new().upstream(signed("app")).start().await;
    let foreign = (HOST, "rebound.example:9090");
    for work in ["verify", "gc", "prefetch", "export", "import"] {
        let path = format!("/store/{work}");
        assert_eq!(proxy.admin(Method::GET, &path, &[JSON]).await.status, 405);
        assert_eq!(proxy.work(work, &[]).await.status, 415);
        assert_eq!(proxy.work(work, &[(CONTENT_TYPE, "text/plain")]).await.status, 415);
        assert_eq!(proxy.work(work, &[JSON, foreign.clone()]).await.status, 403);
    }
    for (path, status) in
        [("/store", 403), ("/decisions/01ARZ3NDEKTSV4RRFFQ69G5FAV", 403), ("/metrics", 200), ("/readyz", 200)]
    {
        let got = proxy.admin(Method::GET, path, std::slice::from_ref(&foreign)).await;
        assert_eq!(got.status, status, "{path}");
    }
    assert_eq!(proxy.work("gc", &[JSON]).await.status, 200);
    assert_eq!(proxy.work("else", &[JSON]).await.status, 404);
    assert_eq!(proxy.work("prefetch", &[JSON]).await.status, 400);
}

/// Whoever reaches the listener learns nothing of the server's files.
#[tokio::test]
async fn only_who_may_read_the_lock_has_work_done() {
    let proxy = TestProxy::new().upstream(signed("app")).start().await;
    let lock = proxy.folder.path().join("store/lock");
    assert_eq!(std::fs::metadata(&lock).unwrap().permissions().mode() & 0o777, 0o600);
    for work in ["verify", "gc", "prefetch", "export", "import"] {
        let path = format!("/store/{work}");
        let unnamed = proxy.admin(Method::POST, &path, &[JSON]).await;
        assert_eq!(unnamed.status, 403);
        let why = String::from_utf8(unnamed.body.to_vec()).unwrap();
        assert!(why.contains(lock.to_str().unwrap()) && why.contains(OPENING.as_str()), "{why}");
        let other = (OPENING, "01ARZ3NDEKTSV4RRFFQ69G5FAV");
        assert_eq!(proxy.admin(Method::POST, &path, &[JSON, other]).await.status, 409);
    }
}

const LIST: &str = "# what is wanted\n\nregistry.test/app:1\nregistry.test/multi:1   # with platforms\n\
                    registry.test/bad:1\nregistry.test/none:1\nno reference\n";

fn with_content() -> TestProxy {
    TestProxy::new().with("admin", &admin()).upstream(|registry| {
        signed("app")(registry);
        unsigned("bad")(registry);
        push_signed(registry, "multi", "1", &Package::multi_arch("multi"));
    })
}

/// What was prefetched is served without the upstream; what was refused is told and stops nothing.
async fn prefetched(proxy: &mut Running) {
    let (code, out, err) = store(proxy, &["prefetch", "-"], LIST).await;
    assert_eq!(code, 1, "{out}{err}");
    let line =
        |name: &str| out.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{out}{err}"));
    assert!(line("registry.test/app:1: kept, 2 manifests").ends_with("fetched"));
    assert!(line("registry.test/multi:1: kept").contains("manifests"));
    assert!(line("registry.test/bad:1: refused").contains("no trusted signature"));
    assert!(line("registry.test/none:1: refused").contains("no such manifest"));
    assert!(line("no reference: refused").contains("no reference"));
    let (code, out, _) = store(proxy, &["stats", "--output", "json"], "").await;
    let stats: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(code, 0);
    assert!(stats["manifests"].as_u64() > Some(3) && stats["held"].as_u64() > Some(0), "{stats}");
    assert!(stats["records"]["links"].as_u64() > Some(3) && stats["kept"].as_u64() > stats["held"].as_u64());
}

async fn all_is_there(proxy: &Running) {
    proxy.upstream().fault("", Fault::Drop);
    let (app, multi) = (Package::image("app"), Package::multi_arch("multi"));
    served(&proxy.get("app:1").await, app.bytes());
    served(&proxy.blob("app", &app.layer()).await, app.blobs().last().unwrap());
    served(&proxy.get("multi:1").await, multi.bytes());
    for child in multi.children() {
        served(&proxy.get(&format!("multi@{}", child.digest())).await, child.bytes());
        served(&proxy.blob("multi", &child.layer()).await, child.blobs().last().unwrap());
    }
}

#[tokio::test]
async fn commands_work_where_no_server_runs() {
    let mut proxy = with_content().start().await;
    proxy.stop().await;
    prefetched(&mut proxy).await;
    let app = Package::image("app");
    let (code, out, _) = store(&proxy, &["verify"], "").await;
    assert_eq!((code, out.ends_with(", 0 rotten\n")), (0, true), "{out}");
    let path = proxy.kept(&app).await;
    std::fs::write(&path, "something else").unwrap();
    let (code, out, _) = store(&proxy, &["verify", "--output", "json"], "").await;
    let found: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &found["rotten"][0]["digest"]), (1, &app.layer().to_string().into()));
    let (code, out, _) =
        store(&proxy, &["prefetch", "--platform", "linux/amd64", "-"], "registry.test/app:1").await;
    assert_eq!(code, 0, "{out}");
    let (code, out, err) = store(&proxy, &["gc"], "").await;
    assert_eq!((code, out.contains("unused pages of the records")), (0, true), "{out}{err}");
    proxy.start_again().await;
    all_is_there(&proxy).await;
}

#[tokio::test]
async fn commands_ask_the_server_that_has_the_store() {
    let mut proxy = with_content().start().await;
    prefetched(&mut proxy).await;
    for action in ["verify", "gc"] {
        let (code, out, err) = store(&proxy, &[action], "").await;
        assert_eq!(code, 0, "{action}: {out}{err}");
    }
    all_is_there(&proxy).await;
    // Another configuration finds the store locked and nobody at its address.
    proxy
        .folder
        .write("portcullis.yaml", "store: { path: store }\nadmin: { address: \"127.0.0.1:1\" }\n")
        .unwrap();
    let (code, out, err) = store(&proxy, &["stats"], "").await;
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.contains("admin.address 127.0.0.1:1") && err.contains("running server"), "{err}");
}

/// Each step is done whatever became of the others, and the trouble is told behind them.
#[tokio::test]
async fn a_store_that_holds_too_much_is_cleared_of_all_else() {
    let image = annotated("app0", 100 << 10);
    let pushed = image.clone();
    let mut proxy = TestProxy::new().upstream(move |r| push_signed(r, "app0", "1", &pushed)).start().await;
    served(&proxy.get("app0:1").await, image.bytes());
    served(&proxy.blob("app0", &image.layer()).await, image.blobs().last().unwrap());
    let path = proxy.kept(&image).await;
    proxy.stop().await;
    std::fs::remove_file(path).unwrap();
    configure(&proxy, "64MiB", "64KiB");
    let (code, out, err) = store(&proxy, &["gc"], "").await;
    assert_eq!(code, 2, "{out}{err}");
    for step in
        ["books of content that is gone: 1", "records that lead nowhere: ", "unused pages of the records: "]
    {
        assert!(out.contains(step), "{step}: {out}");
    }
    assert!(err.contains("over its limit") && err.contains("store.max_size allows 65536"), "{err}");
}

/// Another server answers at the address that the command finds in its configuration.
#[tokio::test]
async fn commands_do_nothing_on_another_store_than_was_meant() {
    let meant = TestProxy::new().upstream(signed("app")).start().await;
    let other = TestProxy::new().upstream(signed("app")).start().await;
    let address = other.proxy().admin_url().trim_start_matches("http://").to_owned();
    let text = format!("store: {{ path: store }}\nadmin: {{ address: \"{address}\" }}\n");
    meant.folder.write("portcullis.yaml", &text).unwrap();
    for action in [&["stats"][..], &["verify"], &["gc"], &["prefetch", "-"]] {
        let (code, out, err) = store(&meant, action, "registry.test/app:1").await;
        assert_eq!((code, out.as_str()), (2, ""), "{err}");
        let (path, others) = (meant.folder.path().join("store"), other.folder.path().join("store"));
        assert!(!err.contains(path.to_str().unwrap()), "{err}");
        let why = format!("409 Conflict this server has the store {}, and another", others.display());
        assert!(err.contains(&why), "{err}");
    }
    assert_eq!(other.upstream().count("GET /v2/app"), 0);
    assert_eq!(other.metric("portcullis_store_scrub_bytes_total").await, 0.0);
    assert_eq!(other.admin(Method::GET, "/store", &[]).await.status, 200, "who means none gets it");
}

#[tokio::test]
async fn commands_that_look_at_a_store_make_none() {
    let mut proxy = with_content().start().await;
    configure(&proxy, "path: store", "path: stoer");
    let path = proxy.folder.path().join("stoer");
    for is_there in [false, true] {
        for action in ["stats", "verify", "gc"] {
            let (code, out, err) = store(&proxy, &[action], "").await;
            assert_eq!((code, out.as_str()), (64, ""), "{action}: {err}");
            let why = format!("store.path: there is no store at {}", path.display());
            assert!(err.contains(&why), "{action}: {err}");
            assert_eq!(path.exists(), is_there);
        }
        std::fs::create_dir_all(&path).unwrap();
    }
    proxy.stop().await;
    let (code, out, err) = store(&proxy, &["prefetch", "-"], "registry.test/app:1").await;
    assert_eq!((code, path.join("blobs").exists()), (0, true), "{out}{err}");
    assert_eq!(store(&proxy, &["verify"], "").await.0, 0);
}

/// The children that are signed are there, and those that are not are told, one by one.
#[tokio::test]
async fn a_refused_child_stops_none_of_the_others() {
    let index = Package::multi_arch("multi");
    let (good, bad) = (index.children()[1].clone(), index.children()[0].digest());
    let mut proxy = TestProxy::new()
        .with("admin", &admin())
        .policy("require: wabbit, index: both")
        .upstream(move |registry| {
            push_signed(registry, "multi", "1", &index);
            registry.push("multi", None, &signature(&WABBIT, index.children()[1].descriptor()));
        })
        .start()
        .await;
    proxy.stop().await;
    let (code, out, err) = store(&proxy, &["prefetch", "-"], "registry.test/multi:1").await;
    assert_eq!(code, 1, "{out}{err}");
    let mut lines = out.lines();
    assert_eq!(
        lines.next(),
        Some("registry.test/multi:1: refused: 1 of the 2 manifests that it lists"),
        "{out}"
    );
    let told = lines.next().unwrap();
    assert!(told.starts_with(&format!("  {bad} (linux/amd64): refused: ")), "{out}");
    assert!(told.contains("no trusted signature"), "{out}");
    assert_eq!(lines.next(), None, "{out}");
    assert!(proxy.folder.path().join("store/blobs/sha256").join(good.layer().hex()).exists());
}

#[tokio::test]
async fn a_platform_is_one_or_is_refused() {
    let proxy = with_content().start().await;
    let (code, _, err) =
        store(&proxy, &["prefetch", "--platform", "amd64", "-"], "registry.test/app:1").await;
    assert_eq!(code, 64);
    assert!(
        err.contains("expected OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT, such as linux/amd64"),
        "{err}"
    );
}

/// A store that is full of images goes on, and what it gave up is judged again.
#[tokio::test]
async fn a_small_store_goes_on_for_ever() {
    let proxy = TestProxy::new()
        .with("store", "{ path: store, max_size: 400KiB }")
        .upstream(|registry| {
            for at in 0..60 {
                push_signed(registry, &format!("app{at}"), "1", &heavy(at));
            }
        })
        .start()
        .await;
    for at in 0..60 {
        let image = heavy(at);
        served(&proxy.get(&format!("app{at}:1")).await, image.bytes());
        served(&proxy.blob(&format!("app{at}"), &image.layer()).await, image.blobs().last().unwrap());
        proxy.pass(Duration::from_secs(20 * 60));
        assert_eq!(proxy.work("gc", &[JSON]).await.status, 200);
        assert!(proxy.metric("portcullis_store_bytes").await <= f64::from(400 << 10));
    }
    assert!(proxy.metric("portcullis_store_held_bytes").await <= f64::from(100 << 10));
    assert!(proxy.metric("portcullis_store_retired_total").await > 30.0);
    assert_eq!(proxy.metric("portcullis_store_full_total").await, 0.0);
    served(&proxy.get("app0:1").await, heavy(0).bytes());
    served(&proxy.blob("app0", &heavy(0).layer()).await, heavy(0).blobs().last().unwrap());
}

/// An image whose layer has so many bytes.
fn image_with(name: &str, length: usize) -> Package {
    let layer = bytes::Bytes::from(vec![7; length]);
    let descriptor = descriptor_of("application/vnd.oci.image.layer.v1.tar", &layer);
    Package::image(name)
        .edited(|manifest| manifest["layers"] = serde_json::json!([descriptor]))
        .with_blob(layer)
}

/// Writes something else into the configuration.
fn configure(proxy: &Running, old: &str, new: &str) {
    let text = std::fs::read_to_string(proxy.folder.path().join("portcullis.yaml")).unwrap();
    assert!(text.contains(old), "{text}");
    proxy.folder.write("portcullis.yaml", &text.replace(old, new)).unwrap();
}

fn heavy(at: usize) -> Package {
    annotated(&format!("app{at}"), 20 << 10)
}

/// An image whose manifest is longer by so many bytes.
fn annotated(name: &str, bytes: usize) -> Package {
    let text = "x".repeat(bytes);
    Package::image(name).edited(|manifest| manifest["annotations"] = serde_json::json!({ "x": text }))
}
