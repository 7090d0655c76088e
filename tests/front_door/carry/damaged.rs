//! Damage to what nobody has reason to read: it is told while it can be carried again.

use std::fs::{self, File};
use std::path::Path;

use portcullis::demo::Package;
use portcullis::oci::Digest;
use serde_json::json;

use super::odd::edit_contents;
use super::{blob, damage, export, import, island, mainland};
use crate::store::admin;
use crate::test_proxy::{TestProxy, push_signed, served, signed};

/// The day somebody trusts its signer is too late to find out.
#[tokio::test]
async fn what_was_damaged_of_a_refused_image_is_told() {
    let multi = Package::multi_arch("multi");
    let bill = Package::sbom(multi.descriptor());
    let (pushed, attached_to_it) = (multi.clone(), bill.clone());
    let mainland = TestProxy::new()
        .with("admin", &admin())
        .policy("mode: audit, require: wabbit, referrers: all")
        .upstream(move |registry| {
            signed("app")(registry);
            registry.push("bad", "1", &pushed);
            registry.push("bad", "2", &pushed);
            registry.push("bad", None, &attached_to_it);
        })
        .start()
        .await;
    let to = mainland.folder.path().join("out");
    let references = ["registry.test/app:1", "registry.test/bad:1", "registry.test/bad:2"];
    export(&mainland, &to, &references).await.ended(0);
    let island = island().await;
    let done = import(&island, &[&to], &[]).await.ended(1);
    assert!(!done.out.contains("damaged"), "{}", done.out);

    let damaged = [multi.children()[1].layer(), bill.layer(), multi.children()[0].digest()];
    damaged.iter().for_each(|digest| damage(&blob(&to, digest)));
    let done = import(&island, &[&to], &[]).await.ended(2);
    for digest in damaged {
        let told = format!("\n  damaged: the content under {digest} is something else");
        assert_eq!(done.out.matches(&told).count(), 1, "{}", done.out);
    }
    assert_eq!(done.out.matches("damaged").count(), damaged.len(), "{}", done.out);
    for name in ["registry.test/bad:1", "registry.test/bad:2"] {
        assert!(done.line(name).contains(": refused: "), "{}", done.out);
    }
    served(&island.get("app:1").await, Package::image("app").bytes());
    let done = import(&island, &[&to], &["--output", "json", "--jobs", "1"]).await.ended(2);
    let told = |at: usize| done.json()["references"][at]["damaged"].as_array().map_or(0, Vec::len);
    assert_eq!((0..3).map(told).sum::<usize>(), damaged.len());
}

/// What is missing of an image that nobody trusts yet is as lost as what is damaged, and what is in trouble for one thing
/// may lack another.
#[tokio::test]
async fn what_is_missing_is_told_of_all_that_is_not_taken_in() {
    let multi = Package::multi_arch("multi");
    let (good, pushed) = (multi.clone(), Package::image("bad"));
    let mainland = TestProxy::new()
        .with("admin", &admin())
        .policy("mode: audit, require: wabbit")
        .upstream(move |registry| {
            push_signed(registry, "multi", "1", &good);
            registry.push("bad", "1", &pushed);
        })
        .start()
        .await;
    let to = mainland.folder.path().join("out");
    export(&mainland, &to, &["registry.test/multi:1", "registry.test/bad:1"]).await.ended(0);
    let missing = Package::image("bad").layer();
    let [first, second] = [0, 1].map(|at| multi.children()[at].layer());
    fs::remove_file(blob(&to, &missing)).unwrap();
    [first, second].iter().for_each(|digest| damage(&blob(&to, digest)));
    let done = import(&island().await, &[&to], &[]).await.ended(2);
    assert!(done.line("registry.test/bad:1: refused").contains("no trusted signature"), "{}", done.out);
    assert!(done.line("registry.test/multi:1: trouble: ").contains("is something else"), "{}", done.out);
    let lost = format!("\n  damaged: {missing} is listed, and in none of the pieces that were given");
    assert_eq!(done.out.matches(&lost).count(), 1, "{}", done.out);
    for digest in [first, second] {
        let told = format!("the content under {digest} is something else");
        assert_eq!(done.out.matches(&told).count(), 1, "{}", done.out);
    }
}

/// A revocation may be missed, so that it is trouble; what is judged without it comes in.
#[tokio::test]
async fn revocation_data_that_is_of_no_use_holds_nothing_else_up() {
    let mainland = mainland(signed("app")).await;
    let to = mainland.folder.path().join("out");
    export(&mainland, &to, &["registry.test/app:1"]).await.ended(0);
    let [large, gone] = ["large", "gone"].map(|name| Digest::sha256(name.as_bytes()));
    File::create(blob(&to, &large)).unwrap().set_len((512 << 20) + 1).unwrap();
    edit_contents(&to, |payload| {
        payload["revocation"] = [large, gone].map(|digest| json!({ "about": "x", "digest": digest })).into();
    });
    let island = island().await;
    let done = import(&island, &[&to], &[]).await.ended(2);
    assert!(done.line("registry.test/app:1: taken in").contains("manifests"), "{}", done.out);
    assert!(done.out.contains("  revocation data: 2 answers are not taken in"), "{}", done.out);
    let room = format!("  passed over: revocation data: {large} has no room in the 536870912 bytes");
    assert!(done.out.contains(&room), "{}", done.out);
    assert_eq!(done.out.matches("passed over: revocation data: ").count(), 2, "{}", done.out);
    served(&island.get("app:1").await, Package::image("app").bytes());
    let done = import(&island, &[&to], &["--output", "json"]).await.ended(2);
    assert_eq!(done.json()["layouts"][0]["answers_lost"], 2);
    fs::remove_file(blob(&to, &large)).unwrap();
    edit_contents(&to, |payload| payload["revocation"] = json!([]));
    import(&island, &[&to], &[]).await.ended(0);
}

/// It would go on beside whatever is begun next on the store.
#[tokio::test]
async fn reading_for_damage_ends_with_its_import() {
    let mainland = TestProxy::new()
        .with("admin", &admin())
        .policy("mode: audit, require: wabbit")
        .upstream(|registry| _ = registry.push("bad", "1", &Package::image("bad")))
        .start()
        .await;
    let to = mainland.folder.path().join("out");
    export(&mainland, &to, &["registry.test/bad:1"]).await.ended(0);
    let layer = blob(&to, &Package::image("bad").layer());
    File::options().write(true).open(&layer).unwrap().set_len(32 << 30).unwrap();
    let island = island().await;
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.arg("import").arg(&to).arg("--config").arg(island.folder.path().join("portcullis.yaml"));
    let mut importing = command.kill_on_drop(true).spawn().unwrap();
    // The server, which is this process, is asked to do it.
    reads(&layer, true).await;
    importing.kill().await.unwrap();
    reads(&layer, false).await;
}

/// Waits until this process reads a file, or does so no more.
async fn reads(path: &Path, so: bool) {
    let is_path = |entry: std::io::Result<fs::DirEntry>| {
        fs::read_link(entry.unwrap().path()).is_ok_and(|to| to == path)
    };
    for _ in 0..2000 {
        if fs::read_dir("/proc/self/fd").unwrap().any(is_path) == so {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("{} is not {so}", path.display());
}
