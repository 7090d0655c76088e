//! Signatures that name no subject go along, and are missed where they were damaged.

use portcullis::demo::signing::{Key, KeyKind, cosign, nv2};
use portcullis::demo::{Package, Registry};

use super::{blob, damage, export, import, island, mainland};
use crate::store::admin;
use crate::test_proxy::{HOST, TestProxy, WABBIT, push_signed, served};

fn token(image: &Package) -> bytes::Bytes {
    nv2::jwt(&WABBIT, &nv2::Claim::new(&["registry.test/app:1"]), image.descriptor()).unwrap()
}

#[tokio::test]
async fn nv2_s_signatures_without_a_subject_go_along() {
    let app = Package::image("app");
    let hex = app.digest().hex();
    for (tag, signature) in [
        (nv2::tag(&app.digest()), nv2::jwt_artifact(token(&app))),
        (format!("sha256-{hex}"), nv2::index(token(&app), app.descriptor())),
    ] {
        let (image, pushed) = (app.clone(), tag.clone());
        let mainland = mainland(move |registry| {
            registry.push("app", "1", &image);
            registry.push("app", pushed.as_str(), &signature);
        })
        .await;
        let to = mainland.folder.path().join("out");
        export(&mainland, &to, &["registry.test/app:1"]).await.ended(0);
        let island = island().await;
        let done = import(&island, &[&to], &[]).await.ended(0);
        assert!(done.line("registry.test/app:1: taken in").contains("manifests"), "{tag}: {}", done.out);
        served(&island.get("app:1").await, app.bytes());
    }
}

/// The other signature suffices; that this one cannot be read is told all the same.
#[tokio::test]
async fn a_damaged_signature_is_no_absent_one() {
    let (app, key) = (Package::image("app"), Key::generate(KeyKind::P256).unwrap());
    let pem = key.public_pem().replace('\n', "\\n");
    let signers = format!(
        "{{ wabbit: {{ nv2: {{ certificates: [trust/wabbit] }} }}, \
         vendor: {{ cosign: {{ key: \"{pem}\", transparency_log: ignore }} }} }}"
    );
    let signature = cosign::image(&key, &cosign::payload("registry.test/app", &app.digest())).unwrap();
    let (tag, pushed) = (cosign::tag(&app.digest()).to_string(), signature.clone());
    let proxy = || {
        let proxy = TestProxy::new().with("admin", &admin()).with("signers", &signers);
        proxy.policy("require: { any: [wabbit, vendor] }")
    };
    let mainland = proxy().upstream(move |registry| {
        push_signed(registry, "app", "1", &Package::image("app"));
        registry.push("app", tag.as_str(), &pushed);
    });
    let mainland = mainland.start().await;
    let to = mainland.folder.path().join("out");
    export(&mainland, &to, &["registry.test/app:1"]).await.ended(0);
    damage(&blob(&to, &signature.digest()));
    let registry = Registry::start().await.unwrap();
    let island = proxy().upstream_settings(HOST, registry, "offline: true").start().await;
    let done = import(&island, &[&to], &[]).await.ended(2);
    assert!(done.line("registry.test/app:1: trouble").contains("something else"), "{}", done.out);
}
