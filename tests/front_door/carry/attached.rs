//! Signatures that name no subject go along, and are missed where they were damaged.

use std::time::Duration;

use portcullis::demo::signing::{Key, KeyKind, cosign, nv2};
use portcullis::demo::{Fault, Package, Registry};

use super::{blob, damage, export, import, island, mainland};
use crate::store::admin;
use crate::test_proxy::{HOST, TestProxy, WABBIT, push_signed, served, signed};

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

/// The first answer does not wait for it, and what is carried away would never get it.
#[tokio::test]
async fn what_is_signed_behind_the_answer_goes_along_with_the_first_export() {
    let key = Key::generate(KeyKind::P256).unwrap();
    let mainland = TestProxy::new()
        .with("admin", &admin())
        .with("freshness", "{ negative_ttl: 0s }")
        .file("acme.key", key.private_pem())
        .policy("require: wabbit, counter_sign: { key: acme.key, formats: [cosign] }")
        .upstream(|registry| {
            signed("app")(registry);
            // Who signs under a tag has to know first what stands there.
            registry.fault(".sig", Fault::Delay(Duration::from_secs(1)));
        })
        .start()
        .await;
    let to = mainland.folder.path().join("out");
    export(&mainland, &to, &["registry.test/app:1"]).await.ended(0);

    let acme = "{ acme: { cosign: { key: acme.pub, transparency_log: ignore } } }";
    let registry = Registry::start().await.unwrap();
    let island = TestProxy::new().with("admin", &admin()).with("signers", acme).policy("require: acme");
    let island = island.file("acme.pub", key.public_pem());
    let island = island.upstream_settings(HOST, registry, "offline: true").start().await;
    import(&island, &[to], &[]).await.ended(0);
    served(&island.get("app:1").await, Package::image("app").bytes());
}

/// What of an image was followed on the way out is far enough away from it.
#[tokio::test]
async fn what_is_attached_to_what_is_attached_goes_along_three_times() {
    let note = |name: &'static str, subject: &Package| {
        Package::artifact("application/vnd.acme.note", [("text/plain", name.into())])
            .about(subject.descriptor())
    };
    let app = Package::image("app");
    let first = note("first", &app);
    let second = note("second", &first);
    let third = note("third", &second);
    let fourth = note("fourth", &third);
    let chain = [first, second, third, fourth];
    let pushed = chain.clone();
    let mainland = TestProxy::new().with("admin", &admin()).policy("require: wabbit, referrers: all");
    let mainland = mainland.upstream(move |registry| {
        push_signed(registry, "app", "1", &app);
        for note in &pushed {
            registry.push("app", None, note);
        }
    });
    let mainland = mainland.start().await;
    let to = mainland.folder.path().join("out");
    export(&mainland, &to, &["registry.test/app:1"]).await.ended(0);
    let is_there = chain.map(|note| blob(&to, &note.digest()).exists());
    assert_eq!(is_there, [true, true, true, false]);
}
