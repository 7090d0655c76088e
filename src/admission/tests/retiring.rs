use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::admission::links::{Place, Role};
use crate::oci::Descriptor;

/// Every table that something is written to in the name of a manifest.
const TABLES: [&str; 10] = [
    "manifests",
    "manifests_by_use",
    "links",
    "signatures",
    "seen",
    "tags",
    "tags_by_digest",
    "referrers",
    "blob_holds",
    "blob_holdings",
];

impl Stand {
    async fn rows(&self) -> Vec<(&'static str, usize)> {
        let mut rows = Vec::new();
        for table in TABLES {
            let all = self.memory().store.records().table(table).scan(&[], usize::MAX).await.unwrap();
            rows.push((table, all.len()));
        }
        rows
    }

    /// One turn cools what is hot, the next retires it.
    async fn retire(&self) {
        for _ in 0..2 {
            self.memory().retire().await.unwrap();
        }
    }

    fn held(&self) -> u64 {
        self.memory().store.sizes().held
    }
}

/// A signed image with so much text in its manifest that few of them fit into a store.
fn heavy(name: &str) -> Package {
    let text = name.repeat((64 << 10) / name.len());
    Package::image(name).edited(|manifest| manifest["annotations"] = serde_json::json!({ "text": text }))
}

#[tokio::test]
async fn the_longest_unused_goes_with_all_that_was_kept_of_it_and_is_judged_again() {
    let stand = Stand::new("require: acme").await;
    let (old, new) = (heavy("old"), heavy("new"));
    for (tag, image) in [("old", &old), ("new", &new)] {
        stand.push_signed(tag, image);
        stand.pull(&format!(":{tag}")).await.unwrap();
        stand.retire().await;
        stand.clock.advance(HOUR);
    }
    let both = stand.rows().await;
    stand.memory().store.set_max_size(stand.held() * 4 - 1);
    stand.retire().await;
    for ((table, before), (_, after)) in both.into_iter().zip(stand.rows().await) {
        assert_eq!(after * 2, before, "{table}");
    }
    let decisions = stand.decisions();
    stand.pull(":new").await.unwrap();
    assert_eq!(stand.decisions(), decisions, "what was kept is not judged again");
    stand.memory().store.set_max_size(u64::MAX);
    for image in [&new, &old] {
        stand.pull_digest(&image.digest()).await.unwrap();
        stand.blob(&image.layer()).await.unwrap();
    }
    stand.pull(":old").await.unwrap();
    assert_eq!(stand.decisions(), decisions + 1, "what was retired is");
}

/// Nothing is left behind that would pile up: refused content too, indexes, lists, signatures' tags.
#[tokio::test]
async fn nothing_is_left_of_what_is_retired() {
    let stand = Stand::with(&["require: acme, referrers: all"], "").await;
    let image = heavy("image");
    let index = Package::index([image.clone()]);
    stand.push_signed("1", &index);
    stand.push("bad", &Package::image("unsigned"));
    stand.pull(":1").await.unwrap();
    stand.pull_digest(&image.digest()).await.unwrap();
    stand.blob(&image.layer()).await.unwrap();
    stand.referrers(&index.digest()).await.unwrap();
    denial(stand.pull(":bad").await);
    stand.memory().retire().await.unwrap();
    assert!(stand.rows().await.iter().all(|(table, rows)| *rows > 0 || panic!("{table} is empty")));
    stand.clock.advance(HOUR);
    stand.memory().store.set_max_size(4);
    stand.retire().await;
    assert_eq!(stand.rows().await, TABLES.map(|table| (table, 0)));
    assert_eq!(stand.held(), 0);
    stand.memory().store.set_max_size(u64::MAX);
    stand.pull(":1").await.unwrap();
    stand.pull_digest(&image.digest()).await.unwrap();
    stand.blob(&image.layer()).await.unwrap();
}

#[tokio::test]
async fn what_is_in_use_stays_though_it_is_answered_from_memory() {
    let stand = Stand::new("require: acme").await;
    let image = heavy("image");
    let index = Package::index([image.clone()]);
    stand.push_signed("1", &index);
    stand.pull(":1").await.unwrap();
    stand.pull_digest(&image.digest()).await.unwrap();
    stand.clock.advance(HOUR);
    // A layer alone is pulled: its manifest is used, and what vouches for that.
    stand.memory().store.set_max_size(4);
    let before = stand.rows().await;
    stand.gate().blob_descriptor(&repository(), &image.layer(), &Principal::Anonymous).await.unwrap();
    stand.retire().await;
    assert_eq!(stand.rows().await[0], before[0]);
    stand.clock.advance(HOUR);
    stand.retire().await;
    assert_eq!(stand.rows().await[0], ("manifests", 0));
}

/// Who takes a layer for longer than anything counts as in use finds the next one still.
#[tokio::test]
async fn what_a_layer_is_on_its_way_through_is_in_use() {
    let stand = Stand::new("require: acme").await;
    let layer = vec![7; 100_000].into();
    let image = Package::artifact("application/x-test", [("application/x-test", layer)]);
    let index = Package::index([image.clone()]);
    stand.push_signed("1", &index);
    stand.pull(":1").await.unwrap();
    stand.pull_digest(&image.digest()).await.unwrap();
    let on_its_way = stand.blob(&image.layer()).await.unwrap().into_content().read(0..100_000, None);
    stand.retire().await;
    stand.memory().store.set_max_size(4);
    let before = stand.rows().await;
    for _ in 0..3 {
        stand.clock.advance(HOUR);
        stand.retire().await;
    }
    assert_eq!(stand.rows().await[..3], before[..3]);
    drop(on_its_way);
    stand.clock.advance(HOUR);
    stand.retire().await;
    assert_eq!(stand.rows().await[0], ("manifests", 0));
}

/// What a crash left is taken away, and nothing that is kept or was just asked for.
#[tokio::test]
async fn rows_that_lead_nowhere_are_swept_and_no_others() {
    let stand = Stand::new("require: acme").await;
    let [kept, lost] = ["kept", "lost"].map(Package::image);
    for (tag, image) in [("kept", &kept), ("lost", &lost)] {
        stand.push_signed(tag, image);
        stand.pull(&format!(":{tag}")).await.unwrap();
    }
    stand.memory().retire().await.unwrap();
    // Its use is noted, and has no row yet.
    stand.push("noted", &Package::image("unsigned"));
    denial(stand.pull(":noted").await);
    let before = stand.rows().await;
    assert_eq!(stand.memory().sweep().await.unwrap(), 0);
    assert_eq!(stand.rows().await, before);
    let key = crate::store::key::within(&repository(), &lost.digest());
    stand.memory().store.records().table("manifests").delete(key);
    // Three links, its kept signature, its list of referrers, and its tag by two keys.
    assert_eq!(stand.memory().sweep().await.unwrap(), 7);
    stand.pull(":kept").await.unwrap();
    assert_eq!(stand.rows().await[2], ("links", 3));
}

/// The bound is on rows too, whatever they hold.
#[tokio::test]
async fn there_are_no_more_manifests_than_the_store_has_room_for() {
    let stand = Stand::new("require: acme").await;
    for name in ["a", "b", "c", "d"] {
        stand.push(name, &Package::image(name));
        denial(stand.pull(&format!(":{name}")).await);
        stand.clock.advance(HOUR);
    }
    stand.memory().store.set_max_size(2 * (16 << 10));
    stand.retire().await;
    assert_eq!(stand.rows().await[0], ("manifests", 2));
}

/// Lists of revoked certificates are large and no manifest's: none goes for them.
#[tokio::test]
async fn revocation_answers_take_no_manifests_room() {
    let stand = Stand::new("require: acme").await;
    stand.push_signed("1", &Package::image("image"));
    stand.pull(":1").await.unwrap();
    stand.retire().await;
    let (store, manifests) = (&stand.memory().store, stand.held());
    let crl = vec![7; 1 << 20];
    let digest = Digest::sha256(&crl);
    store.records().table("revocation").put(*b"key", *b"a record");
    store.hold(&[digest], &format!("revocation:{}", hex::encode("key"))).await.unwrap();
    store.write(&digest, crl.into()).await.unwrap();
    assert_eq!(stand.held(), manifests + (1 << 20));
    stand.clock.advance(HOUR);
    store.set_max_size((16 << 10) + 4 * manifests);
    let before = stand.rows().await;
    stand.retire().await;
    assert_eq!(stand.rows().await[0], before[0]);
    store.set_max_size((16 << 10) + 4 * manifests - (16 << 10) - 1);
    stand.retire().await;
    assert_eq!(stand.rows().await[0], ("manifests", 0));
}

/// On an island nobody else could show it: what was there when it was linked to is not forgotten afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn a_layer_that_is_linked_to_while_its_last_manifest_goes_is_not_lost() {
    let stand = Stand::new("require: acme").await;
    // To look for links to all of them takes a while.
    let many = (0..4000_u32).map(|n| {
        let digest = Digest::sha256(&n.to_be_bytes());
        serde_json::json!({ "mediaType": "a/b", "digest": digest, "size": 1 })
    });
    let image = Package::image("image").edited(|manifest| {
        manifest["layers"].as_array_mut().unwrap().extend(many);
    });
    stand.push_signed(None, &image);
    let admitted = stand.pull_digest(&image.digest()).await.unwrap().into_content();
    let [layer, .., last] = admitted.blobs() else { panic!("layers") };
    let (memory, layer, last) = (Arc::clone(stand.memory()), layer.clone(), last.digest);
    let is_shown =
        |memory: &Memory, layer: &Descriptor| memory.cache.blob_at_hand(&repository(), layer).is_some();
    stand.until(async |stand| stand.blob(&layer.digest).await.is_ok() && is_shown(&memory, &layer)).await;
    stand.retire().await;
    stand.clock.advance(HOUR);
    memory.store.set_max_size(4);
    let other = Digest::sha256(b"another manifest");
    let (linking, linked) = (Arc::clone(&memory), layer.clone());
    let linking = tokio::task::spawn_blocking(move || {
        let end = Instant::now() + Duration::from_secs(30);
        while linking.links.latest(&repository(), &last, Place::Blobs).is_some() {
            assert!(Instant::now() < end, "it is not retired");
        }
        std::thread::sleep(Duration::from_millis(1));
        linking.links.write(&repository(), &other, Role::Layer, &linked);
        is_shown(&linking, &linked)
    });
    stand.retire().await;
    let was_shown = linking.await.unwrap();
    assert_eq!(stand.rows().await[0], ("manifests", 0));
    assert!(memory.links.lead_to(&repository(), &layer.digest).unwrap());
    assert_eq!(is_shown(&memory, &layer), was_shown, "what was there when it was linked to is gone");
}

/// The empty config comes with many a signature, and is some artifact's own.
#[tokio::test]
async fn what_is_held_with_a_retired_manifest_and_linked_to_by_another_is_not_lost() {
    let stand = Stand::new("require: acme").await;
    let artifact = Package::artifact("a/b", [("a/c", Bytes::from_static(b"content"))]);
    let mut config = None;
    for (tag, package) in [("old", &heavy("old")), ("new", &artifact)] {
        stand.push_signed(tag, package);
        let admitted = stand.pull(&format!(":{tag}")).await.unwrap().into_content();
        config = admitted.config().cloned();
        stand.retire().await;
        stand.clock.advance(HOUR);
    }
    let (memory, config) = (stand.memory(), config.unwrap());
    memory.store.hold(&[config.digest], &kept::owner(&repository(), &heavy("old").digest())).await.unwrap();
    let is_shown = || memory.cache.blob_at_hand(&repository(), &config).is_some();
    stand.until(async |stand| stand.blob(&config.digest).await.is_ok() && is_shown()).await;
    memory.store.set_max_size(stand.held() * 4 - 1);
    stand.retire().await;
    assert_eq!(stand.rows().await[0], ("manifests", 1));
    assert!(is_shown(), "the artifact's config is forgotten");
}

/// Who pulls an image while it is being retired gets all of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn requests_and_retiring_do_not_break_each_other() {
    let stand = Arc::new(Stand::new("require: acme").await);
    let images: Vec<Package> = (0..24).map(|at| Package::image(&format!("image{at}"))).collect();
    for image in &images {
        stand.push_signed(None, image);
        stand.pull_digest(&image.digest()).await.unwrap();
    }
    stand.memory().store.set_max_size(1 << 20);
    stand.memory().retire().await.unwrap();
    for round in 0..6 {
        stand.clock.advance(HOUR);
        stand.memory().store.set_max_size(1);
        let (retiring, turns) = (Arc::clone(stand.memory()), Arc::new(AtomicUsize::new(0)));
        let (done, taken) = (CancellationToken::new(), Arc::clone(&turns));
        let ended = done.clone();
        let retires = tokio::spawn(async move {
            while !ended.is_cancelled() {
                retiring.retire().await.unwrap();
                retiring.sweep().await.unwrap();
                taken.fetch_add(1, Ordering::SeqCst);
            }
        });
        let pulls =
            images.iter().cycle().skip(round * 5).take(images.len()).enumerate().map(|(at, image)| {
                let (stand, image, turns) = (Arc::clone(&stand), image.clone(), Arc::clone(&turns));
                tokio::spawn(async move {
                    // Some while it is cooled, some while it is retired, some after.
                    while turns.load(Ordering::SeqCst) < at / 6 {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                    stand.pull_digest(&image.digest()).await.unwrap();
                    stand.pull_digest(&image.digest()).await.unwrap();
                    tokio::task::yield_now().await;
                    stand.gate().blob(&repository(), &image.layer(), &Principal::Anonymous).await.unwrap();
                })
            });
        for pull in pulls.collect::<Vec<_>>() {
            pull.await.unwrap();
        }
        done.cancel();
        retires.await.unwrap();
    }
    assert!(stand.state.metrics().store_retired.get() > 0);
    for image in images.iter() {
        stand.pull_digest(&image.digest()).await.unwrap();
    }
    let links = stand.rows().await[2].1;
    assert_eq!(links, images.len() * 3, "a config, a layer and a signature each");
}
