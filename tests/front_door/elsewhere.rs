//! Signatures that lie elsewhere than their subject: in repositories beside it and in layouts on disk.

use std::path::Path;
use std::time::Duration;

use portcullis::demo::folder::Folder;
use portcullis::demo::signing::{Key, KeyKind, cosign, nv2};
use portcullis::demo::{Fault, Package, Registry};
use portcullis::oci::{Descriptor, Digest};
use serde_json::{Value, json};

use super::test_proxy::*;

const SIDE: &str = "sigs.test";

/// A proxy whose upstream has the image, and whose signatures are looked for in `sources` too.
async fn looking_in(sources: &str, image: &Package, side: impl FnOnce(&Registry) + 'static) -> Running {
    let pushed = image.clone();
    TestProxy::new()
        .upstream_settings(HOST, Registry::start().await.unwrap(), &format!("signatures: {sources}"))
        .upstream(move |registry| {
            registry.push("team/app", "1", &pushed);
        })
        .upstream_at(SIDE, side)
        .start()
        .await
}

/// Puts the image's signature into a repository.
fn signed_in(repository: &'static str, image: &Package) -> impl FnOnce(&Registry) + 'static {
    let signature = signature(&WABBIT, image.descriptor());
    move |registry| {
        registry.push(repository, None, &signature);
    }
}

fn write_layout(folder: &Path, package: &Package) {
    let blobs = folder.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    for blob in package.blobs().iter().chain([package.bytes()]) {
        std::fs::write(blobs.join(Digest::sha256(blob).hex()), blob).unwrap();
    }
    let index = json!({"schemaVersion": 2, "manifests": [package.descriptor()]});
    std::fs::write(folder.join("index.json"), index.to_string()).unwrap();
    std::fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
}

async fn listed(proxy: &Running, subject: &Digest) -> Vec<Descriptor> {
    let answer = proxy.path(&format!("/v2/{HOST}/team/app/referrers/{subject}")).await;
    assert_eq!(answer.status, 200, "{:?}", answer.error_message());
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    serde_json::from_value(body["manifests"].clone()).unwrap()
}

#[tokio::test]
async fn a_signature_in_a_repository_beside_it_admits() {
    for (pattern, repository) in [
        ("sigs.test/all", "all"),
        ("sigs.test/sigs/{path}", "sigs/team/app"),
        ("sigs.test/{registry}/{path}", "registry.test/team/app"),
    ] {
        let image = Package::image("app");
        let source = format!("[{{ repository: \"{pattern}\" }}]");
        let proxy = looking_in(&source, &image, signed_in(repository, &image)).await;
        served(&proxy.get("team/app:1").await, image.bytes());
        served(&proxy.blob("team/app", &image.layer()).await, image.blobs().last().unwrap());
    }
    let image = Package::image("app");
    let proxy = looking_in("[]", &image, signed_in("all", &image)).await;
    refused(&proxy.get("team/app:1").await, 403, "DENIED", "");
    let proxy = looking_in("[{ repository: sigs.test/other }]", &image, signed_in("all", &image)).await;
    refused(&proxy.get("team/app:1").await, 403, "DENIED", "");
}

#[tokio::test]
async fn a_policy_names_places_of_its_own() {
    let image = Package::image("app");
    let (pushed, other) = (image.clone(), image.clone());
    let policies = format!(
        "[{{ name: here, scopes: [\"{HOST}/team/*\"], require: wabbit, signatures: [{{ repository: {SIDE}/all }}] }}, \
         {{ name: there, scopes: [\"{HOST}/other/*\"], require: wabbit }}]"
    );
    let proxy = TestProxy::new()
        .with("policies", &policies)
        .upstream(move |registry| {
            registry.push("team/app", "1", &pushed);
            registry.push("other/app", "1", &other);
        })
        .upstream_at(SIDE, signed_in("all", &image))
        .start()
        .await;
    served(&proxy.get("team/app:1").await, image.bytes());
    refused(&proxy.get("other/app:1").await, 403, "DENIED", "");
}

#[tokio::test]
async fn a_place_that_is_down_is_trouble_and_no_lack_of_signatures() {
    let image = Package::image("app");
    let (source, nothing) = ("[{ repository: sigs.test/all }]", |_: &Registry| {});
    let mut proxy = looking_in(source, &image, nothing).await;
    proxy.at(SIDE).fault("", Fault::Status(500, None));
    refused(&proxy.get("team/app:1").await, 503, "UNAVAILABLE", "in sigs.test/all");
    assert!(proxy.metric("portcullis_discovery_failures_total{registry=\"sigs.test\"}").await >= 1.0);
    assert_eq!(proxy.metric("portcullis_discovery_failures_total{registry=\"registry.test\"}").await, 0.0);
    // What the upstream itself has may suffice.
    proxy.upstream().push("team/app", None, &signature(&WABBIT, image.descriptor()));
    proxy.pass(Duration::from_secs(120));
    served(&proxy.get("team/app:1").await, image.bytes());
    // Where everybody answers, it is refused.
    proxy.stop().await;
    let proxy = looking_in(source, &image, nothing).await;
    refused(&proxy.get("team/app:1").await, 403, "DENIED", "");
}

#[tokio::test]
async fn a_signature_of_something_else_admits_nothing() {
    let (image, other) = (Package::image("app"), Package::image("other"));
    let token = nv2::jwt(&WABBIT, &nv2::Claim::new(&["registry.test/app:1"]), other.descriptor()).unwrap();
    let (under, artifact) = (nv2::tag(&image.digest()), nv2::jwt_artifact(token));
    let (about, strange) = (signature(&WABBIT, other.descriptor()), signature(&STRANGER, image.descriptor()));
    let proxy = looking_in("[{ repository: sigs.test/all }]", &image, move |registry| {
        registry.push("all", under.as_str(), &artifact);
        registry.push("all", None, &about);
        registry.push("all", None, &strange);
    })
    .await;
    refused(&proxy.get("team/app:1").await, 403, "DENIED", "");
    let count = proxy.at(SIDE).count(&format!("manifests/{}", nv2::tag(&image.digest())));
    assert!(count >= 1, "its tag was looked at");
}

#[tokio::test]
async fn a_layout_on_disk_admits_and_its_trouble_is_trouble() {
    let image = Package::image("app");
    let layout = Folder::new().unwrap();
    write_layout(layout.path(), &signature(&WABBIT, image.descriptor()));
    let source = format!("[{{ layout: \"{}\" }}]", layout.path().display());
    let proxy = looking_in(&source, &image, |_| {}).await;
    served(&proxy.get("team/app:1").await, image.bytes());

    let unsigned = Package::image("unsigned");
    proxy.upstream().push("team/app", "2", &unsigned);
    refused(&proxy.get("team/app:2").await, 403, "DENIED", "");
    std::fs::rename(layout.path().join("index.json"), layout.path().join("away")).unwrap();
    proxy.pass(Duration::from_secs(120));
    refused(&proxy.get("team/app:2").await, 503, "UNAVAILABLE", "index.json: is not there");
    // It is read anew each time: what is carried in counts at once.
    write_layout(layout.path(), &signature(&WABBIT, unsigned.descriptor()));
    proxy.pass(Duration::from_secs(10));
    served(&proxy.get("team/app:2").await, unsigned.bytes());
}

/// `COSIGN_REPOSITORY`: all signatures in one repository, each under its subject's tag.
#[tokio::test]
async fn cosigns_own_convention_is_followed() {
    let key = Key::generate(KeyKind::P256).unwrap();
    let images = [Package::image("app"), Package::image("other")];
    let pem = key.public_pem().replace('\n', "\\n");
    let signer = format!("{{ wabbit: {{ cosign: {{ key: \"{pem}\", transparency_log: ignore }} }} }}");
    let pushed = images.clone();
    let of_images = images.clone();
    let proxy = TestProxy::new()
        .with("signers", &signer)
        .policy("require: wabbit, signatures: [{ repository: sigs.test/cosign }]")
        .upstream(move |registry| {
            for (image, tag) in pushed.iter().zip(["1", "2"]) {
                registry.push("team/app", tag, image);
            }
            registry.push("team/app", "3", &Package::image("unsigned"));
        })
        .upstream_at(SIDE, move |registry| {
            for image in of_images {
                let payload = cosign::payload("registry.test/team/app", &image.digest());
                let signature = cosign::image(&key, &payload).unwrap();
                registry.push("cosign", cosign::tag(&image.digest()).as_str(), &signature);
            }
        })
        .start()
        .await;
    for (image, tag) in images.iter().zip(["1", "2"]) {
        served(&proxy.get(&format!("team/app:{tag}")).await, image.bytes());
        // A client that verifies for itself finds it where it looks.
        let tag = cosign::tag(&image.digest());
        let own = proxy.get(&format!("team/app:{tag}")).await;
        assert_eq!(own.status, 200, "{:?}", own.error_message());
        let manifest: Value = serde_json::from_slice(&own.body).unwrap();
        for blob in [&manifest["config"], &manifest["layers"][0]] {
            let digest = Digest::parse(blob["digest"].as_str().unwrap()).unwrap();
            assert_eq!(proxy.blob("team/app", &digest).await.status, 200);
        }
    }
    refused(&proxy.get("team/app:3").await, 403, "DENIED", "");
}

/// What `portcullis sign --to` puts into another repository is found there.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_signed_to_another_repository_is_found_there() {
    let (image, key) = (Package::image("app"), Key::generate(KeyKind::P256).unwrap());
    let registry = Registry::start().await.unwrap();
    registry.push("team/app", "1", &image);
    let folder = Folder::new().unwrap();
    let private = folder.write("key.pem", &key.private_pem()).unwrap();
    let mut sign = std::process::Command::new(env!("CARGO_BIN_EXE_portcullis"));
    sign.args(["sign", "--format", "cosign", "--insecure", "--key"]).arg(private);
    sign.arg("--to").arg(format!("{}/sigs/team/app", registry.address()));
    sign.arg(format!("{}/team/app@{}", registry.address(), image.digest()));
    sign.env("DOCKER_CONFIG", folder.path());
    let signed = tokio::task::spawn_blocking(move || sign.output().unwrap()).await.unwrap();
    assert!(signed.status.success(), "{}", String::from_utf8_lossy(&signed.stderr));
    let pem = key.public_pem().replace('\n', "\\n");
    let signer = format!("{{ wabbit: {{ cosign: {{ key: \"{pem}\", transparency_log: ignore }} }} }}");
    let proxy = TestProxy::new()
        .with("signers", &signer)
        .upstream_settings(HOST, registry, "signatures: [{ repository: \"{registry}/sigs/{path}\" }]")
        .start()
        .await;
    served(&proxy.get("team/app:1").await, image.bytes());
}

#[tokio::test]
async fn what_was_proven_elsewhere_is_kept_and_served_like_the_subjects_own() {
    let image = Package::image("app");
    let proven = signature(&WABBIT, image.descriptor());
    let (found, strange) = (proven.clone(), signature(&STRANGER, image.descriptor()));
    let private = Package::image("private");
    let hidden = private.clone();
    let mut proxy = looking_in("[{ repository: sigs.test/all }]", &image, move |registry| {
        registry.push("all", None, &found);
        registry.push("all", None, &strange);
        registry.push("all", "private", &hidden);
        registry.push("all", None, &signature(&WABBIT, hidden.descriptor()));
    })
    .await;
    served(&proxy.get("team/app:1").await, image.bytes());
    for down in [false, true] {
        if down {
            proxy.stop().await;
            proxy.upstream().fault("", Fault::Drop);
            proxy.at(SIDE).fault("", Fault::Drop);
            proxy.start_again().await;
            served(&proxy.get("team/app:1").await, image.bytes());
        } else {
            let listed = listed(&proxy, &image.digest()).await;
            assert_eq!(listed.iter().map(|d| d.digest).collect::<Vec<_>>(), [proven.digest()]);
        }
        served(&proxy.get(&format!("team/app@{}", proven.digest())).await, proven.bytes());
        served(&proxy.blob("team/app", &Digest::sha256(&proven.blobs()[0])).await, &proven.blobs()[0]);
    }
    proxy.upstream().heal();
    proxy.at(SIDE).heal();
    // The place is for signatures: what else is in it is in no repository of the subject's registry.
    let other = proxy.get(&format!("team/app@{}", private.digest())).await;
    refused(&other, 404, "MANIFEST_UNKNOWN", "");
}

#[tokio::test]
async fn what_anybody_attached_does_not_hide_what_the_operator_names() {
    let image = Package::image("app");
    let proxy = looking_in("[{ repository: sigs.test/all }]", &image, signed_in("all", &image)).await;
    for i in 0..70 {
        let artifact = Package::artifact("application/junk", [("text/plain", format!("{i}").into())]);
        proxy.upstream().push("team/app", None, &artifact.about(image.descriptor()));
    }
    served(&proxy.get("team/app:1").await, image.bytes());
    // Nor in the list.
    let listed = listed(&proxy, &image.digest()).await;
    assert_eq!(listed.len(), 1, "{listed:?}");
    // All places together are read within the bounds.
    let read = proxy.upstream().seen().iter().filter(|r| r.line.contains("manifests/sha256:")).count();
    assert!(read <= 64, "{read}");
}

/// Nor does an image of as many signatures as are read for one subject, of a format that is tried first.
#[tokio::test]
async fn signatures_of_anybodys_leave_enough_for_what_the_operator_names() {
    let (image, key) = (Package::image("app"), Key::generate(KeyKind::P256).unwrap());
    let payload = cosign::payload("registry.test/team/app", &image.digest());
    let strange = cosign::image(&Key::generate(KeyKind::P256).unwrap(), &payload).unwrap();
    let many = strange.edited(|m| m["layers"] = vec![m["layers"][0].clone(); 256].into());
    let pem = key.public_pem().replace('\n', "\\n");
    let signers = format!(
        "{{ wabbit: {{ nv2: {{ certificates: [trust/wabbit] }} }}, \
           vendor: {{ cosign: {{ key: \"{pem}\", transparency_log: ignore }} }} }}"
    );
    let pushed = image.clone();
    let proxy = TestProxy::new()
        .with("signers", &signers)
        .policy("require: { any: [vendor, wabbit] }, signatures: [{ repository: sigs.test/all }]")
        .upstream(move |registry| {
            registry.push("team/app", "1", &pushed);
            registry.push("team/app", cosign::tag(&pushed.digest()).as_str(), &many);
        })
        .upstream_at(SIDE, signed_in("all", &image))
        .start()
        .await;
    served(&proxy.get("team/app:1").await, image.bytes());
}

/// A client that verifies for itself must not take an outage for a lack of signatures.
#[tokio::test]
async fn a_tag_whose_place_is_down_is_trouble_and_not_unknown() {
    let (image, key) = (Package::image("app"), Key::generate(KeyKind::P256).unwrap());
    let pem = key.public_pem().replace('\n', "\\n");
    let signer = format!("{{ wabbit: {{ cosign: {{ key: \"{pem}\", transparency_log: ignore }} }} }}");
    let (pushed, tag) = (image.clone(), cosign::tag(&image.digest()));
    let signature = cosign::image(&key, &cosign::payload("registry.test/team/app", &image.digest())).unwrap();
    let (under, made) = (tag.clone(), signature.clone());
    let proxy = TestProxy::new()
        .with("signers", &signer)
        .policy("require: wabbit, signatures: [{ repository: sigs.test/down }, { repository: more.test/up }]")
        .upstream(move |registry| {
            registry.push("team/app", "1", &pushed);
        })
        .upstream_at(SIDE, move |registry| {
            registry.push("down", under.as_str(), &made);
        })
        .upstream_at("more.test", |_| {})
        .start()
        .await;
    served(&proxy.get("team/app:1").await, image.bytes());
    proxy.at(SIDE).fault("", Fault::Status(500, None));
    proxy.pass(3 * Duration::from_secs(86400));
    refused(&proxy.get(&format!("team/app:{tag}")).await, 503, "UNAVAILABLE", "in sigs.test/down");
    // Another place may have it.
    proxy.at("more.test").push("up", tag.as_str(), &signature);
    proxy.pass(Duration::from_secs(120));
    served(&proxy.get(&format!("team/app:{tag}")).await, signature.bytes());
}

#[tokio::test]
async fn a_reload_that_changes_the_places_decides_anew() {
    let image = Package::image("app");
    let pushed = image.clone();
    let mut proxy = TestProxy::new()
        .policy("require: wabbit")
        .upstream(move |registry| {
            registry.push("team/app", "1", &pushed);
        })
        .upstream_at(SIDE, signed_in("all", &image))
        .start()
        .await;
    refused(&proxy.get("team/app:1").await, 403, "DENIED", "");
    let elsewhere = policy("require: wabbit, signatures: [{ repository: unheard.test/all }]");
    assert!(!proxy.change("policies", &elsewhere), "its registry is no upstream");
    let elsewhere = policy("require: wabbit, signatures: [{ layout: no-such-folder }]");
    assert!(!proxy.change("policies", &elsewhere), "there is no such layout");
    let elsewhere = policy("require: wabbit, signatures: [{ repository: sigs.test/all }]");
    assert!(proxy.change("policies", &elsewhere));
    served(&proxy.get("team/app:1").await, image.bytes());
}

/// An upstream's places are part of what decisions depend on, too.
#[tokio::test]
async fn a_reload_that_changes_an_upstreams_places_decides_anew() {
    let image = Package::image("app");
    let mut proxy = looking_in("[]", &image, signed_in("all", &image)).await;
    refused(&proxy.get("team/app:1").await, 403, "DENIED", "");
    let upstreams = format!(
        "{{ \"{HOST}\": {{ url: \"{}\", default: true, signatures: [{{ repository: {SIDE}/all }}] }}, \
         \"{SIDE}\": {{ url: \"{}\" }} }}",
        proxy.upstream().url(),
        proxy.at(SIDE).url()
    );
    assert!(proxy.change("upstreams", &upstreams));
    served(&proxy.get("team/app:1").await, image.bytes());
}
