//! How much belongs to one reference, and how long is waited for it.

use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use portcullis::demo::folder::Folder;
use portcullis::demo::signing::{Key, KeyKind};
use portcullis::demo::{Fault, Package};
use portcullis::oci::Digest;
use portcullis::signing::Key as SigningKey;
use portcullis::x509::{Algorithm, Encoding, Hash};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{export, mainland};
use crate::store::admin;
use crate::test_proxy::{TestProxy, WABBIT, push_signed, signature, signed};

fn nested(depth: usize) -> Package {
    (0..depth).fold(Package::image("app"), |below, _| Package::index([below]))
}

#[tokio::test]
async fn indexes_lie_only_so_deep_in_each_other() {
    let mainland = mainland(|registry| {
        for (name, depth) in [("deep", 3), ("deeper", 4)] {
            push_signed(registry, name, "1", &nested(depth));
        }
    })
    .await;
    let to = mainland.folder.path().join("out");
    let done = export(&mainland, &to, &["registry.test/deep:1", "registry.test/deeper:1"]).await.ended(1);
    assert!(done.line("registry.test/deep:1: exported").contains("manifests"), "{}", done.out);
    assert!(done.line("registry.test/deeper:1: refused").contains("deeper than 4"), "{}", done.out);
}

/// None of them is there: one of too many is not even looked for.
#[tokio::test]
async fn an_index_has_only_so_many_manifests() {
    let many = |count: usize| {
        let kind = |n: usize| format!("application/vnd.acme.part.{n}");
        let index = Package::index((0..count).map(|n| Package::artifact(&kind(n), [])));
        Package::made(index.bytes().clone(), Vec::new(), Vec::new()).unwrap()
    };
    let mainland = mainland(move |registry| {
        push_signed(registry, "most", "1", &many(1023));
        push_signed(registry, "more", "1", &many(1024));
    })
    .await;
    let to = mainland.folder.path().join("out");
    let done = export(&mainland, &to, &["registry.test/more:1", "registry.test/most:1"]).await.ended(1);
    assert!(done.line("registry.test/more:1: refused").contains("more than 1024 manifests"));
    assert!(done.line("registry.test/most:1: refused").contains("1023 of the 1023 manifests that it lists"));
}

/// Trouble is met with two more attempts, and no third.
#[tokio::test]
async fn an_upstream_in_trouble_is_tried_again_only_so_often() {
    let mainland = mainland(|registry| {
        for name in ["first", "second", "third"] {
            signed(name)(registry);
        }
    })
    .await;
    let trouble = || Fault::Status(500, None);
    let blob = |name: &str| format!("/blobs/{}", Package::image(name).layer());
    assert_eq!(mainland.get("first:1").await.status, 200);
    mainland.upstream().fault(&blob("first"), trouble());
    assert_ne!(mainland.blob("first", &Package::image("first").layer()).await.status, 200);
    let once = u32::try_from(mainland.upstream().count(&blob("first"))).unwrap();
    for (name, attempts, code) in [("second", 2, 0), ("third", 3, 2)] {
        mainland.upstream().fault_times(&blob(name), attempts * once, trouble());
        let to = mainland.folder.path().join(name);
        export(&mainland, &to, &[&format!("registry.test/{name}:1")]).await.ended(code);
    }
}

#[tokio::test]
async fn a_platform_that_an_index_does_not_have_is_told() {
    let mainland =
        mainland(|registry| push_signed(registry, "multi", "1", &Package::multi_arch("multi"))).await;
    let to = mainland.folder.path().join("out");
    let done = export(&mainland, &to, &["registry.test/multi:1", "--platform", "plan9/mips"]).await.ended(1);
    let told = done.line("registry.test/multi:1: refused");
    assert!(told.contains("nothing that it lists runs on plan9/mips"), "{told}");
}

/// What a plug-in signs before anything is asked of it.
const PROBE: &[u8] = b"portcullis asks which key signs this; it vouches for nothing";

/// The name of a key whose plug-in gives one signature for whatever it is to sign.
fn stuck(folder: &Folder) -> String {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let certificate =
        rcgen::CertificateParams::new(vec!["acme".to_owned()]).unwrap().self_signed(&pair).unwrap();
    let key = SigningKey::from_pkcs8(pair.serialized_der()).unwrap();
    let signature = key.sign(Algorithm::Ecdsa(Hash::Sha256, Encoding::Fixed), PROBE).unwrap();
    let put = |name: &str, answer: Value| folder.write(name, &answer.to_string()).unwrap();
    put(
        "get-plugin-metadata",
        json!({ "name": "stuck", "supportedContractVersions": ["1.0"], "capabilities": ["SIGNATURE_GENERATOR.RAW"] }),
    );
    put("describe-key", json!({ "keyId": "k", "keySpec": "EC-256" }));
    put(
        "generate-signature",
        json!({
            "keyId": "k", "signature": STANDARD.encode(signature), "signingAlgorithm": "ECDSA-SHA-256",
            "certificateChain": [STANDARD.encode(certificate.der())],
        }),
    );
    let program = folder.path().join("notation-stuck");
    let script = format!("#!/bin/sh\ncat > /dev/null\ncat '{}'/$1\n", folder.path().display());
    // Written by a child: what others fork meanwhile would hold it open for writing, and it could not be run.
    let write = "printf %s \"$1\" > \"$2\" && chmod 700 \"$2\"";
    let written = Command::new("sh").args(["-c", write, "sh", &script]).arg(&program).status().unwrap();
    assert!(written.success());
    format!("plugin:{}?id=k", program.display())
}

/// A reference without it has no name in the layout, and whoever exports learns why.
#[tokio::test]
async fn a_counter_signature_is_waited_for_only_so_long() {
    let plugin = Folder::new().unwrap();
    let counter_sign = format!("{{ key: \"{}\", formats: [cosign] }}", stuck(&plugin));
    let mainland = TestProxy::new()
        .with("admin", &admin())
        .policy(&format!("require: wabbit, counter_sign: {counter_sign}"))
        .upstream(signed("app"))
        .start()
        .await;
    let (to, begun) = (mainland.folder.path().join("out"), Instant::now());
    let done = export(&mainland, &to, &["registry.test/app:1"]).await.ended(2);
    let told = done.line("registry.test/app:1: trouble");
    assert!(told.contains(&format!("the counter-signature of {}", Package::image("app").digest())), "{told}");
    assert!((Duration::from_secs(9)..Duration::from_secs(30)).contains(&begun.elapsed()));
    assert!(!to.join("index.json").exists(), "it would name nothing");
}

#[tokio::test]
async fn what_was_fetched_meanwhile_takes_nothing_from_the_wait_for_a_counter_signature() {
    let layer = Bytes::from_static(b"eleven byte");
    let parts = ["first", "slow", "last"].map(|name| {
        let text = if name == "slow" { layer.clone() } else { name.into() };
        Package::artifact(&format!("application/vnd.acme.{name}"), [("text/plain", text)])
    });
    let mainland = TestProxy::new()
        .with("admin", &admin())
        .with("freshness", "{ negative_ttl: 0s }")
        .file("acme.key", Key::generate(KeyKind::P256).unwrap().private_pem())
        .policy("require: wabbit, index: both, counter_sign: { key: acme.key, formats: [cosign] }")
        .upstream(move |registry| {
            push_signed(registry, "app", "1", &Package::index(parts.clone()));
            for part in &parts {
                registry.push("app", None, &signature(&WABBIT, part.descriptor()));
            }
            // Who signs under a tag has to know first what stands there.
            let tag = format!("sha256-{}.sig", parts[2].digest().hex());
            registry.fault_times(&tag, 2, Fault::Delay(Duration::from_secs(14)));
            let fetched = format!("/blobs/{}", Digest::sha256(&layer));
            registry.fault(&fetched, Fault::Drip(1, Duration::from_secs(1)));
        })
        .start()
        .await;
    let (to, begun) = (mainland.folder.path().join("out"), Instant::now());
    export(&mainland, &to, &["registry.test/app:1"]).await.ended(0);
    assert!(begun.elapsed() > Duration::from_secs(10));
}
