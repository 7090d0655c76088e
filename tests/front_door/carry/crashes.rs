//! Ends in the middle, and stores without room.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use portcullis::demo::{Package, Registry};
use portcullis::engine::upkeep::Sealed;
use portcullis::oci::Digest;

use super::{blob, export, import, island, large, mainland, run};
use crate::store::admin;
use crate::test_proxy::{HOST, Running, TestProxy, push_signed, served, signed};

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
    let done = import(&island, &[&to], &[]).await.ended(2);
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
