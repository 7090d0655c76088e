//! Over a restart decisions are kept and proven again; the store can admit nothing by itself.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use portcullis::demo::client::Client;
use portcullis::demo::{Fault, Package};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use crate::test_proxy::{HOST, STRANGER, TestProxy, refused, served, signed};

fn kept(store: &Path, hex: &str) -> PathBuf {
    store.join("store/blobs/sha256").join(hex)
}

#[tokio::test]
async fn admitted_content_is_served_after_a_restart_without_its_upstream() {
    let image = Package::image("app");
    let mut proxy = TestProxy::new().upstream(signed("app")).start().await;
    served(&proxy.get("app:1").await, image.bytes());
    served(&proxy.blob("app", &image.layer()).await, image.blobs().last().unwrap());
    // The blob's commit follows its last byte.
    tokio::time::sleep(Duration::from_millis(300)).await;
    proxy.stop().await;
    proxy.upstream().fault("", Fault::Drop);
    proxy.start_again().await;
    served(&proxy.get(&format!("app@{}", image.digest())).await, image.bytes());
    served(&proxy.get("app:1").await, image.bytes());
    served(&proxy.blob("app", &image.layer()).await, image.blobs().last().unwrap());
}

/// What is kept is proven anew on its first use, and asks nobody for it.
#[tokio::test]
async fn a_kept_decision_is_proven_again_without_the_sources() {
    let image = Package::image("app");
    let mut proxy = TestProxy::new().upstream(signed("app")).start().await;
    served(&proxy.get("app:1").await, image.bytes());
    let asked = proxy.upstream().count("/referrers/");
    proxy.stop().await;
    proxy.start_again().await;
    served(&proxy.get("app:1").await, image.bytes());
    assert_eq!(proxy.upstream().count("/referrers/"), asked);
    let lines = proxy.audit();
    let allowed: Vec<_> = lines.iter().filter(|line| line["outcome"] == "allow").collect();
    assert_eq!(allowed.iter().map(|line| line["cached"] == true).collect::<Vec<_>>(), [false, true]);
    assert_eq!(allowed[1]["signatures"][0]["result"], "trusted");
}

#[tokio::test]
async fn a_kept_decision_does_not_outlive_its_trust() {
    let image = Package::image("app");
    let mut proxy = TestProxy::new().upstream(signed("app")).start().await;
    served(&proxy.get("app:1").await, image.bytes());
    proxy.stop().await;
    proxy.folder.write("trust/wabbit/wabbit.crt", &STRANGER.certificate_pem()).unwrap();
    proxy.start_again().await;
    refused(&proxy.get("app:1").await, 403, "DENIED", "not in the certificates of signer wabbit");
    refused(&proxy.get(&format!("app@{}", image.digest())).await, 403, "DENIED", "");
    assert_ne!(proxy.blob("app", &image.layer()).await.status, 200);
}

/// A kept Allow whose signature is gone from the store proves nothing.
#[tokio::test]
async fn a_store_without_the_signature_admits_nothing() {
    let image = Package::image("app");
    let mut proxy = TestProxy::new().upstream(signed("app")).start().await;
    served(&proxy.get("app:1").await, image.bytes());
    proxy.stop().await;
    let store = proxy.folder.path().to_owned();
    let keep = image.digest().hex();
    for entry in std::fs::read_dir(store.join("store/blobs/sha256")).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_string_lossy() != keep {
            std::fs::remove_file(path).unwrap();
        }
    }
    proxy.upstream().fault("", Fault::Drop);
    proxy.start_again().await;
    let got = proxy.get(&format!("app@{}", image.digest())).await;
    assert_eq!(got.status, 503, "{:?}", got.error_message());
}

#[tokio::test]
async fn a_rotten_manifest_is_fetched_anew_and_never_served() {
    let image = Package::image("app");
    let mut proxy = TestProxy::new().upstream(signed("app")).start().await;
    served(&proxy.get("app:1").await, image.bytes());
    proxy.stop().await;
    let path = kept(proxy.folder.path(), &image.digest().hex());
    let evil = Package::image("evil");
    std::fs::write(&path, evil.bytes()).unwrap();
    proxy.start_again().await;
    let got = proxy.get(&format!("app@{}", image.digest())).await;
    assert_ne!(got.body, evil.bytes());
    assert!(got.status == 200 || got.status == 503, "{}", got.status);
    proxy.stop().await;
    std::fs::write(&path, evil.bytes()).unwrap();
    proxy.upstream().fault("", Fault::Drop);
    proxy.start_again().await;
    let got = proxy.get(&format!("app@{}", image.digest())).await;
    assert_ne!(got.body, evil.bytes());
    assert_eq!(got.status, 503);
}

/// Content that somebody puts into the store is not in any repository.
#[tokio::test]
async fn planted_content_is_not_served() {
    let mut proxy = TestProxy::new().upstream(signed("app")).start().await;
    assert_eq!(proxy.get("app:1").await.status, 200);
    proxy.stop().await;
    let evil = Package::image("evil");
    std::fs::write(kept(proxy.folder.path(), &evil.digest().hex()), evil.bytes()).unwrap();
    std::fs::write(kept(proxy.folder.path(), &evil.layer().hex()), evil.blobs().last().unwrap()).unwrap();
    proxy.start_again().await;
    let got = proxy.get(&format!("app@{}", evil.digest())).await;
    refused(&got, 404, "MANIFEST_UNKNOWN", "");
    refused(&proxy.blob("app", &evil.layer()).await, 404, "BLOB_UNKNOWN", "");
}

#[tokio::test]
async fn lost_records_cost_asking_again_only() {
    let image = Package::image("app");
    let mut proxy = TestProxy::new().upstream(signed("app")).start().await;
    served(&proxy.get("app:1").await, image.bytes());
    proxy.stop().await;
    for entry in std::fs::read_dir(proxy.folder.path().join("store")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() && path.to_string_lossy().contains("redb") {
            std::fs::remove_file(path).unwrap();
        }
    }
    proxy.start_again().await;
    served(&proxy.get("app:1").await, image.bytes());
    served(&proxy.blob("app", &image.layer()).await, image.blobs().last().unwrap());
}

#[tokio::test]
async fn a_clock_that_goes_back_decides_nothing() {
    let proxy = TestProxy::new().upstream(signed("app")).start().await;
    assert_eq!(proxy.get("app:1").await.status, 200);
    proxy.upstream().push("later", "1", &Package::image("later"));
    let now = proxy.clock.now();
    proxy.clock.set(now - Duration::from_secs(3600));
    let got = proxy.get("later:1").await;
    refused(&got, 503, "UNAVAILABLE", "clock");
}

/// Starts the program in `folder` until it starts: until it has the store, and answers at `url`.
async fn started(folder: &Path, url: &str) -> Child {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let mut program = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        program.args(["serve", "--config", "portcullis.yaml"]).current_dir(folder);
        program.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let mut child = program.spawn().unwrap();
        let id = child.id().unwrap().to_string();
        while child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < end, "it does not come up");
            let holder = std::fs::read_to_string(folder.join("store/lock")).unwrap();
            if holder.split(' ').next() == Some(&id) && Client::new().get(url).await.is_ok() {
                return child;
            }
            sleep(Duration::from_millis(5)).await;
        }
    }
}

/// As an orchestrator does it. Whoever comes while the store is being closed finds it locked, and never damaged.
#[tokio::test]
async fn quick_restarts_of_the_program_lose_no_name() {
    let image = Package::image("app");
    let [port, admin] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    let mut proxy = TestProxy::new()
        .with("listen", &format!("{{ address: \"{port}\" }}"))
        .with("admin", &format!("{{ address: \"{admin}\" }}"))
        .upstream(signed("app"))
        .start()
        .await;
    served(&proxy.get("app:1").await, image.bytes());
    proxy.stop().await;
    proxy.upstream().fault("", Fault::Drop);
    let (folder, base) = (proxy.folder.path(), format!("http://{port}/v2/"));
    let mut former: Option<Child> = None;
    for _ in 0..10 {
        let program = started(folder, &base).await;
        if let Some(mut former) = former.take() {
            assert!(former.wait().await.unwrap().success());
        }
        let got = Client::new().get(&format!("{base}{HOST}/app/manifests/1")).await.unwrap();
        served(&got, image.bytes());
        let id = i32::try_from(program.id().unwrap()).unwrap();
        kill_process(Pid::from_raw(id).unwrap(), Signal::TERM).unwrap();
        former = Some(program);
    }
    assert!(former.unwrap().wait().await.unwrap().success());
    assert!(!folder.join("store/records.damaged.redb").exists());
    assert!(!folder.join("store/open").exists(), "it ended in good order");
}
