//! What happens on the way, and what this side thinks of it.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis::demo::signing::nv2;
use portcullis::demo::{Package, Registry};
use portcullis::oci::Digest;
use portcullis::signing::Key;
use portcullis::x509::KeyKind;
use serde_json::Value;

use super::{attached, blob, damage, export, import, island, mainland};
use crate::revocation::{Acme, HOUR};
use crate::store::admin;
use crate::test_proxy::{HOST, TestProxy, WABBIT, push_signed, served, signature_with, signed, unsigned};

/// A layout's folder, packed by another tool's hand: the standard one.
fn tar(folder: &Path) -> PathBuf {
    let archive = folder.with_extension("packed.tar");
    let status =
        std::process::Command::new("tar").arg("-cf").arg(&archive).arg("-C").arg(folder).arg(".").status();
    assert!(status.unwrap().success());
    archive
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
        assert!(done.line("registry.test/layer:1: trouble").contains("something else"), "{}", done.out);
        assert!(done.line("registry.test/top:1: trouble").contains("something else"), "{}", done.out);
        assert!(done.line("registry.test/sig:1: trouble").contains("something else"), "{}", done.out);
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
                .metric("portcullis_carried_references_total{direction=\"import\",outcome=\"trouble\"}")
                .await,
            3.0
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
    let done = import(&island, &[out("first"), out("second")], &[]).await.ended(1);
    assert!(done.line("registry.test/app:1: refused").contains("stands for two manifests"), "{}", done.out);
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
    let done = import(&island, &[&to], &["--trusted-key", &key("other.pub")]).await.ended(1);
    assert!(done.out.contains("contents that no trusted key signed"), "{}", done.out);
    assert!(done.line("registry.test/app:1: refused").contains("no trusted key signed"));
    assert_ne!(island.get("app:1").await.status, 200);
    let done = import(&island, &[&to], &[]).await.ended(0);
    assert!(done.out.contains("signed contents, not verified"), "{}", done.out);

    // The configuration's keys go before those that are named.
    let exporter = std::fs::read_to_string(key("contents.pub")).unwrap();
    let mut strict = self::island().await;
    assert!(!strict.change("trust", "{ import_keys: [trust/exporter.pub] }"), "the key is not there");
    strict.folder.write("trust/exporter.pub", &exporter).unwrap();
    assert!(strict.change("trust", "{ import_keys: [trust/exporter.pub] }"));
    let done = import(&strict, &[&to], &["--trusted-key", &key("other.pub")]).await.ended(0);
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
    // Nor by another's list, though it says that it is the newest.
    let forged = Acme::new().await.list(9, &[], 12 * HOUR);
    let digest = Digest::sha256(&forged);
    std::fs::write(blob(&out("first"), &digest), forged).unwrap();
    let mut envelope: Value = serde_json::from_slice(&contents).unwrap();
    let payload = STANDARD.decode(envelope["payload"].as_str().unwrap()).unwrap();
    let mut payload: Value = serde_json::from_slice(&payload).unwrap();
    payload["revocation"][0]["digest"] = digest.to_string().into();
    envelope["payload"] = STANDARD.encode(payload.to_string()).into();
    std::fs::write(out("first").join("contents.json"), envelope.to_string()).unwrap();
    let done = import(&island, &[out("first")], &[]).await.ended(2);
    assert!(done.line("registry.test/app:1: trouble").contains("its answer does not hold"), "{}", done.out);
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
    let done = import(&island, &[&to], &[]).await.ended(2);
    assert!(done.line("registry.test/app:1: trouble").contains("set it right first"), "{}", done.out);
    assert_ne!(island.get("app:1").await.status, 200);
    island.clock.set(SystemTime::now());
    import(&island, &[to], &[]).await.ended(0);
}

/// An index that is signed vouches for what it lists, by digest; a name needs more than that.
#[tokio::test]
async fn a_name_does_not_move_to_what_only_an_index_vouches_for() {
    let multi = Package::multi_arch("multi");
    let pushed = multi.clone();
    let mainland = mainland(move |registry| {
        push_signed(registry, "app", "1", &Package::image("app"));
        push_signed(registry, "app", "multi", &pushed);
    })
    .await;
    let to = mainland.folder.path().join("out");
    export(&mainland, &to, &["registry.test/app:1", "registry.test/app:multi"]).await.ended(0);
    let island = island().await;
    import(&island, &[&to], &[]).await.ended(0);

    let mut index: Value = serde_json::from_slice(&std::fs::read(to.join("index.json")).unwrap()).unwrap();
    let entries = index["manifests"].as_array_mut().unwrap();
    let name = "org.opencontainers.image.ref.name";
    let entry = entries.iter_mut().find(|e| e["annotations"][name] == "registry.test/app:1").unwrap();
    entry["digest"] = multi.children()[0].digest().to_string().into();
    entry["size"] = multi.children()[0].bytes().len().into();
    std::fs::write(to.join("index.json"), index.to_string()).unwrap();
    std::fs::remove_file(to.join("contents.json")).unwrap();
    let done = import(&island, &[to], &[]).await.ended(1);
    assert!(done.line("registry.test/app:1: refused").contains("no trusted signature"), "{}", done.out);
    assert!(done.line("registry.test/app:multi: taken in").contains("manifests"), "{}", done.out);
    served(&island.get("app:1").await, Package::image("app").bytes());
}

/// What is signed anew before its first signature ends goes on being served when that has ended.
#[tokio::test]
async fn a_newer_signature_comes_in_beside_the_one_that_suffices() {
    let app = Package::image("app");
    let now = SystemTime::now();
    let signed_until = |end: SystemTime| {
        let claim = nv2::Claim { expires: end, ..nv2::Claim::new(&["registry.test/app:1"]) };
        signature_with(&WABBIT, &claim, Package::image("app").descriptor())
    };
    let first = signed_until(now + 2 * HOUR);
    let mainland = mainland(move |registry| {
        registry.push("app", "1", &Package::image("app"));
        registry.push("app", None, &first);
    })
    .await;
    let out = |name: &str| mainland.folder.path().join(name);
    export(&mainland, &out("first"), &["registry.test/app:1"]).await.ended(0);
    let island = island().await;
    import(&island, &[out("first")], &[]).await.ended(0);
    served(&island.get("app:1").await, app.bytes());
    mainland.upstream().push("app", None, &signed_until(now + 9 * HOUR));
    mainland.pass(HOUR);
    island.pass(HOUR);
    export(&mainland, &out("second"), &["registry.test/app:1"]).await.ended(0);
    import(&island, &[out("second")], &[]).await.ended(0);
    island.pass(2 * HOUR);
    served(&island.get("app:1").await, app.bytes());
}
