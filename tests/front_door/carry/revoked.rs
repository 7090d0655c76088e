//! Revocation answers on their way: of several ages, in one export and in several.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis::demo::signing::Profile;
use portcullis::demo::{Package, Registry};
use portcullis::oci::Digest;
use serde_json::Value;

use super::{blob, export, import};
use crate::revocation::{Acme, HOUR, signature};
use crate::store::admin;
use crate::test_proxy::{HOST, Running, served};

async fn island(acme: &Acme) -> Running {
    let registry = Registry::start().await.unwrap();
    let island = acme.proxy("strict", ", revocation: local").with("admin", &admin());
    acme.start(island.upstream_settings(HOST, registry, "offline: true"), &[]).await
}

/// A stale list beside the newest hides no revocation, whichever of them is read last.
#[tokio::test]
async fn of_several_answers_about_one_thing_the_newest_counts() {
    let acme = Acme::new().await;
    let mainland = acme.start(acme.proxy("strict", "").with("admin", &admin()), &["app"]).await;
    let out = |name: &str| mainland.folder.path().join(name);
    export(&mainland, &out("old"), &["registry.test/app:1"]).await.ended(0);
    let islands = [island(&acme).await, island(&acme).await];
    for island in &islands {
        import(island, &[out("old")], &[]).await.ended(0);
        served(&island.get("app:1").await, Package::image("app").bytes());
    }
    acme.publish(3, &[&acme.signer], 6 * HOUR);
    mainland.pass(3 * HOUR / 2);
    export(&mainland, &out("new"), &["registry.test/app:1"]).await.ended(1);
    for (island, order) in islands.iter().zip([["new", "old"], ["old", "new"]]) {
        import(island, &order.map(out), &[]).await;
        assert_eq!(island.get("app:1").await.status, 403, "{order:?}");
    }
    // Revocation data alone does not take the place of names.
    let contents = || std::fs::read(out("old").join("contents.json")).unwrap();
    let named = contents();
    let done = export(&mainland, &out("old"), &["registry.test/app:1"]).await.ended(1);
    assert!(done.out.contains("to carry revocation data alone, name another folder"), "{}", done.out);
    assert!(contents() == named);
    // Newer data takes the place of older.
    let done = export(&mainland, &out("new"), &["registry.test/app:1"]).await.ended(1);
    assert!(!done.out.contains("nothing is exported"), "{}", done.out);
}

/// Of a list that two signers share the process knows two ages; what leaves is the one that is kept.
#[tokio::test]
async fn an_export_has_one_answer_about_each_thing() {
    let acme = Acme::new().await;
    let profile = Profile { crls: vec![acme.lists.url.clone()], ..Profile::of_organization("second") };
    let second = acme.authority.issue(&profile).unwrap();
    let mainland = acme.start(acme.proxy("strict", "").with("admin", &admin()), &["app"]).await;
    let other = Package::image("other");
    mainland.upstream().push("other", "1", &other);
    mainland.upstream().push("other", None, &signature(&second, other.descriptor()));
    let out = |name: &str| mainland.folder.path().join(name);
    export(&mainland, &out("first"), &["registry.test/app:1", "registry.test/other:1"]).await.ended(0);
    acme.publish(2, &[], 6 * HOUR);
    mainland.pass(3 * HOUR / 2);
    export(&mainland, &out("next"), &["registry.test/app:1"]).await.ended(0);
    let answers = revocation(&out("next"));
    assert_eq!(answers.len(), 1, "{answers:?}");
}

/// An older answer that has not ended yet tells nothing then of what was revoked since. A decision that was made by it stands.
#[tokio::test]
async fn what_a_lost_answer_is_about_cannot_be_judged() {
    let acme = Acme::new().await;
    let mainland = acme.start(acme.proxy("strict", "").with("admin", &admin()), &["app", "other"]).await;
    let out = |name: &str| mainland.folder.path().join(name);
    let names = ["registry.test/app:1", "registry.test/other:1"];
    export(&mainland, &out("old"), &names[..1]).await.ended(0);
    let island = island(&acme).await;
    import(&island, &[out("old")], &[]).await.ended(0);
    acme.publish(2, &[], 6 * HOUR);
    mainland.pass(3 * HOUR / 2);
    export(&mainland, &out("new"), &names).await.ended(0);

    let listed = revocation(&out("new"));
    let lost = blob(&out("new"), &Digest::parse(listed[0]["digest"].as_str().unwrap()).unwrap());
    let content = std::fs::read(&lost).unwrap();
    std::fs::remove_file(&lost).unwrap();
    let done = import(&island, &[out("new")], &[]).await.ended(2);
    let told = done.line("registry.test/other:1: trouble: ");
    assert!(told.contains("an answer about it was brought and cannot be taken in: carry it again"), "{told}");
    assert_ne!(island.get("other:1").await.status, 200);
    std::fs::write(&lost, content).unwrap();
    import(&island, &[out("new")], &[]).await.ended(0);
    served(&island.get("other:1").await, Package::image("other").bytes());
}

/// What the contents of a layout list of it.
fn revocation(layout: &Path) -> Vec<Value> {
    let contents = std::fs::read(layout.join("contents.json")).unwrap();
    let envelope: Value = serde_json::from_slice(&contents).unwrap();
    let payload = STANDARD.decode(envelope["payload"].as_str().unwrap()).unwrap();
    let payload: Value = serde_json::from_slice(&payload).unwrap();
    payload["revocation"].as_array().unwrap().clone()
}
