//! Prefetching more than the store has room for.

use std::time::SystemTime;

use portcullis::demo::signing::nv2;

use super::*;
use crate::test_proxy::signature_with;

/// What passes through a store without room is not there afterwards.
#[tokio::test]
async fn what_a_store_has_no_room_for_is_not_told_as_kept() {
    let large = image_with("large", 100 << 10);
    let digest = large.layer();
    let mut proxy = TestProxy::new()
        .with("store", "{ path: store, max_size: 64KiB }")
        .with("admin", &admin())
        .upstream(move |registry| {
            signed("app")(registry);
            push_signed(registry, "large", "1", &large);
        })
        .start()
        .await;
    proxy.stop().await;
    let list = "registry.test/app:1\nregistry.test/large:1\n";
    let (code, out, err) = store(&proxy, &["prefetch", "-"], list).await;
    assert_eq!(code, 2, "{out}{err}");
    assert!(out.contains("registry.test/app:1: kept"), "{out}{err}");
    let why = format!(
        "registry.test/large:1: trouble: the store has no room for blob {digest}: see store.max_size"
    );
    assert!(out.contains(&why), "{out}{err}");
}

/// No server's jobs retire what was used longest ago when nothing else is left to give up, so the command does.
#[tokio::test]
async fn a_prefetch_without_a_server_finds_room_as_one_does() {
    let long_ago = SystemTime::now() - Duration::from_secs(55 * 60);
    let large = image_with("large", 80 << 10);
    let layer = large.layer();
    let mut proxy = TestProxy::new()
        .with("store", "{ path: store, max_size: 128KiB }")
        .with("admin", &admin())
        .upstream(move |registry| {
            push_signed(registry, "large", "1", &large);
            let mut claim = nv2::Claim::new(&["registry.test/app:1"]);
            claim.issued = long_ago;
            for at in 0..4 {
                registry.push(&format!("app{at}"), "1", &heavy(at));
                let signature = signature_with(&WABBIT, &claim, heavy(at).descriptor());
                registry.push(&format!("app{at}"), None, &signature);
            }
        })
        .start_at(long_ago)
        .await;
    for at in 0..4 {
        served(&proxy.get(&format!("app{at}:1")).await, heavy(at).bytes());
    }
    assert!(proxy.metric("portcullis_store_held_bytes").await > f64::from(80 << 10));
    proxy.stop().await;
    let (code, out, err) = store(&proxy, &["prefetch", "-"], "registry.test/large:1").await;
    assert_eq!(code, 0, "{out}{err}");
    assert!(proxy.folder.path().join("store/blobs/sha256").join(layer.hex()).exists());
}

/// The end of a list takes the room of its beginning: what was told as kept is told again.
#[tokio::test]
async fn a_list_that_is_larger_than_the_store_is_not_told_as_kept() {
    let images: Vec<Package> = (0..4).map(|at| image_with(&format!("app{at}"), (40 << 10) + at)).collect();
    let pushed = images.clone();
    let mut proxy = TestProxy::new()
        .with("store", "{ path: store, max_size: 128KiB }")
        .with("admin", &admin())
        .upstream(move |registry| {
            for (at, image) in pushed.iter().enumerate() {
                push_signed(registry, &format!("app{at}"), "1", image);
            }
        })
        .start()
        .await;
    proxy.stop().await;
    let list = |range: std::ops::Range<usize>| range.map(|at| format!("registry.test/app{at}:1\n")).collect();
    let list: [String; 2] = [list(0..4), list(2..4)];
    let (code, out, err) = store(&proxy, &["prefetch", "--jobs", "1", "-"], &list[0]).await;
    assert_eq!((code, out.lines().count()), (2, 4), "{out}{err}");
    let line = |at: usize| out.lines().nth(at).unwrap();
    for (at, image) in images.iter().enumerate() {
        let name = format!("registry.test/app{at}:1: ");
        let is_there = proxy.folder.path().join("store/blobs/sha256").join(image.layer().hex()).exists();
        let is_kept = line(at).starts_with(&format!("{name}kept, 2 manifests"));
        assert!(is_there || !is_kept, "{out}{err}");
        assert!(is_kept || line(at).starts_with(&format!("{name}trouble: ")), "{out}{err}");
        assert!(
            is_kept || line(at).contains("of its 5 manifests and blobs were evicted again"),
            "{out}{err}"
        );
        assert!(is_kept || line(at).contains("raise store.max_size (131072 bytes)"), "{out}{err}");
    }
    assert!(line(0).contains("trouble") && line(3).contains("kept"), "{out}{err}");
    let (code, out, err) = store(&proxy, &["prefetch", "-"], &list[1]).await;
    assert_eq!(code, 0, "{out}{err}");
}
