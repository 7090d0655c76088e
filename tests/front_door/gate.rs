//! What is refused, and what the refusal says. Each test breaks one thing in an honest set-up.

use std::time::{Duration, SystemTime};

use http::Method;
use portcullis::demo::signing::{Key, KeyKind, cosign, nv2};
use portcullis::demo::{Fault, Package, Registry};

use crate::test_proxy::{
    HOST, STRANGER, TestProxy, WABBIT, push_signed, refused, served, signature, signature_with, signed,
    unsigned,
};

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn signed_content_is_served() {
    let image = Package::image("app");
    let proxy = TestProxy::new().upstream(signed("app")).start().await;
    served(&proxy.get("app:1").await, image.bytes());
    served(&proxy.blob("app", &image.layer()).await, image.blobs().last().unwrap());
}

#[tokio::test]
async fn unsigned_content_is_refused_by_get_and_head() {
    let image = Package::image("app");
    let proxy = TestProxy::new().upstream(unsigned("app")).start().await;
    for reference in ["app:1".to_owned(), format!("app@{}", image.digest())] {
        assert_eq!(proxy.head(&reference).await.status, 403);
        let got = proxy.get(&reference).await;
        refused(&got, 403, "DENIED", "no trusted signature: none found");
        refused(&got, 403, "DENIED", "https://wabbit.test/keys");
        refused(&got, 403, "DENIED", "policy strict: registry.test/app@sha256:");
    }
    refused(&proxy.blob("app", &image.layer()).await, 404, "BLOB_UNKNOWN", "");
    assert_eq!(proxy.upstream().count("/blobs/"), 0, "a refused image's layers are not even fetched");
}

#[tokio::test]
async fn the_first_head_is_judged_like_a_get() {
    let proxy = TestProxy::new().upstream(unsigned("app")).upstream(signed("good")).start().await;
    assert_eq!(proxy.head("app:1").await.status, 403);
    assert_eq!(proxy.head("good:1").await.status, 200);
}

#[tokio::test]
async fn a_strangers_signature_is_refused_with_its_fingerprint() {
    let image = Package::image("app");
    let proxy = TestProxy::new()
        .upstream(move |registry| {
            registry.push("app", "1", &image);
            registry.push("app", None, &signature(&STRANGER, image.descriptor()));
        })
        .start()
        .await;
    let fingerprint = portcullis::oci::Digest::sha256(&STRANGER.chain()[0]).hex();
    refused(&proxy.get("app:1").await, 403, "DENIED", &fingerprint);
}

#[tokio::test]
async fn a_signature_moved_to_another_image_is_refused() {
    let (honest, other) = (Package::image("honest"), Package::image("app"));
    let proxy = TestProxy::new()
        .upstream(move |registry| {
            registry.push("app", "1", &other);
            let moved = signature(&WABBIT, honest.descriptor()).about(other.descriptor());
            registry.push("app", None, &moved);
        })
        .start()
        .await;
    refused(&proxy.get("app:1").await, 403, "DENIED", "the claim's digest is");
}

#[tokio::test]
async fn a_signature_that_lies_about_size_or_type_is_refused() {
    for (field, lie) in [("size", "the claim's size is"), ("mediaType", "the claim's media type is")] {
        let image = Package::image("app");
        let proxy = TestProxy::new()
            .upstream(move |registry| {
                let mut described = image.descriptor().clone();
                match field {
                    "size" => described.size += 1,
                    _ => described.media_type = "application/vnd.oci.image.index.v1+json".into(),
                }
                registry.push("app", "1", &image);
                let claim = nv2::Claim::new(&["registry.test/app:1"]);
                let token = nv2::jwt(&WABBIT, &claim, &described).unwrap();
                registry.push("app", None, &nv2::jwt_artifact(token).about(image.descriptor()));
            })
            .start()
            .await;
        refused(&proxy.get("app:1").await, 403, "DENIED", lie);
    }
}

#[tokio::test]
async fn an_expired_signature_is_refused() {
    let proxy = TestProxy::new()
        .upstream(|registry| {
            let (image, now) = (Package::image("app"), SystemTime::now());
            let claim = nv2::Claim {
                expires: now - HOUR,
                issued: now - 2 * HOUR,
                ..nv2::Claim::new(&["registry.test/app:1"])
            };
            registry.push("app", "1", &image);
            registry.push("app", None, &signature_with(&WABBIT, &claim, image.descriptor()));
        })
        .start()
        .await;
    refused(&proxy.get("app:1").await, 403, "DENIED", "the signature's validity ended at");
}

/// The decision ends with the signature: a manifest that is hot in memory is refused as well, and so
/// are the layers that it unlocked.
#[tokio::test]
async fn a_signature_that_expires_takes_its_content_along() {
    let image = Package::image("app");
    let layer = image.layer();
    let proxy = TestProxy::new()
        .upstream(move |registry| {
            let claim =
                nv2::Claim { expires: SystemTime::now() + HOUR, ..nv2::Claim::new(&["registry.test/app:1"]) };
            registry.push("app", "1", &image);
            registry.push("app", None, &signature_with(&WABBIT, &claim, image.descriptor()));
        })
        .start()
        .await;
    for _ in 0..3 {
        assert_eq!(proxy.get("app:1").await.status, 200);
    }
    assert_eq!(proxy.blob("app", &layer).await.status, 200);
    proxy.pass(HOUR + Duration::from_secs(1));
    refused(&proxy.get("app:1").await, 403, "DENIED", "the signature's validity ended at");
    assert_ne!(proxy.blob("app", &layer).await.status, 200);
    assert_eq!(proxy.head("app:1").await.status, 403);
}

#[tokio::test]
async fn other_bytes_than_the_digest_are_never_served() {
    let image = Package::image("app");
    let digest = image.digest();
    let proxy = TestProxy::new().upstream(signed("app")).start().await;
    proxy
        .upstream()
        .fault(&format!("manifests/{digest}"), Fault::Bytes(Package::image("evil").bytes().clone()));
    let got = proxy.get(&format!("app@{digest}")).await;
    refused(&got, 503, "UNAVAILABLE", "something else");
}

/// What a registry says about digests is not believed: only bytes are.
#[tokio::test]
async fn a_lying_digest_header_is_not_believed() {
    let (evil, honest) = (Package::image("evil"), Package::image("app"));
    let (bytes, digest) = (evil.bytes().clone(), honest.digest());
    let proxy = TestProxy::new().upstream(signed("app")).start().await;
    proxy.upstream().fault("GET /v2/app/manifests/1", Fault::Bytes(bytes.clone()));
    let got = proxy.get("app:1").await;
    assert_ne!(got.body, bytes);
    assert_ne!(got.status, 200, "the tag's bytes were not those of {digest}");
}

#[tokio::test]
async fn the_type_comes_from_the_bytes_not_from_the_registry() {
    let image = Package::image("app");
    let proxy = TestProxy::new().upstream(signed("app")).start().await;
    let index = "application/vnd.oci.image.index.v1+json".to_owned();
    proxy.upstream().fault("manifests/", Fault::Header("content-type", index));
    let got = proxy.get("app:1").await;
    served(&got, image.bytes());
    assert_eq!(got.header("content-type"), &*image.descriptor().media_type);
}

/// Bytes are passed on as they come, but for the last one: a client that trusts the end of a body is
/// not deceived.
#[tokio::test]
async fn a_tampered_layer_never_comes_to_its_end() {
    let image = Package::image("app");
    let (layer, digest) = (image.blobs().last().unwrap().clone(), image.layer());
    let proxy = TestProxy::new().upstream(signed("app")).start().await;
    proxy.get("app:1").await;
    let mut evil = layer.to_vec();
    evil[100] ^= 1;
    proxy.upstream().forge_blob("app", &digest, &evil);
    proxy.upstream().fault("/blobs/", Fault::Drip(128, Duration::from_millis(60)));
    let got = proxy.blob("app", &digest).await;
    assert_eq!(got.status, 200);
    assert!(!got.complete, "the last byte waits for the digest");
    assert!(!got.body.is_empty() && got.body.len() < layer.len());
    let path = format!("/v2/{HOST}/app/blobs/{digest}");
    let range = [(http::header::RANGE, "bytes=0-299")];
    let part = proxy.send(Method::GET, &path, &range).await;
    assert!(!part.complete || part.status == 503, "ranges of it neither: {}", part.status);
    assert_ne!(part.body, evil[..300]);
    proxy.upstream().heal();
    proxy.upstream().push_blob("app", &layer);
    served(&proxy.blob("app", &digest).await, &layer);
}

#[tokio::test]
async fn a_layer_of_another_length_ends_before_its_first_byte() {
    let image = Package::image("app");
    let digest = image.layer();
    let proxy = TestProxy::new().upstream(signed("app")).start().await;
    proxy.get("app:1").await;
    proxy.upstream().fault("/blobs/", Fault::Bytes(vec![0; 100_000].into()));
    let got = proxy.blob("app", &digest).await;
    assert!(got.status != 200 || got.body.is_empty(), "{} {}", got.status, got.body.len());
}

#[tokio::test]
async fn ambiguous_manifests_are_refused_even_when_they_are_signed() {
    let image = Package::image("app");
    let both = image.clone().edited(|m| m["manifests"] = serde_json::json!([]));
    let lying = image.clone().edited(|m| m["layers"][0]["data"] = "aGk=".into());
    let old = image.edited(|m| m["schemaVersion"] = 1.into());
    let cases = [
        ("both", both.digest(), "more than one of 'layers'"),
        ("lying", lying.digest(), "data embedded"),
        ("old", old.digest(), "schema 1"),
    ];
    let proxy = TestProxy::new()
        .upstream(move |registry| {
            push_signed(registry, "both", "1", &both);
            push_signed(registry, "lying", "1", &lying);
            push_signed(registry, "old", "1", &old);
        })
        .start()
        .await;
    for (name, digest, why) in cases {
        let by_digest = proxy.get(&format!("{name}@{digest}")).await;
        refused(&by_digest, 403, "DENIED", why);
        let by_tag = proxy.get(&format!("{name}:1")).await;
        refused(&by_tag, 403, "DENIED", why);
    }
}

#[tokio::test]
async fn every_place_where_signatures_live_is_looked_into() {
    type Fill = fn(&Registry);
    let places: [(&str, Fill); 5] = [
        ("referrers", |registry| push_signed(registry, "app", "1", &Package::image("app"))),
        ("tag schema", |registry| {
            registry.referrers_api(false);
            push_signed(registry, "app", "1", &Package::image("app"));
        }),
        ("nv2 tag", |registry| {
            let image = registry.push("app", "1", &Package::image("app"));
            let token = nv2::jwt(&WABBIT, &nv2::Claim::new(&["registry.test/app:1"]), &image).unwrap();
            registry.push("app", nv2::tag(&image.digest).as_str(), &nv2::jwt_artifact(token));
        }),
        ("nv2 index", |registry| {
            let image = registry.push("app", "1", &Package::image("app"));
            let token = nv2::jwt(&WABBIT, &nv2::Claim::new(&["registry.test/app:1"]), &image).unwrap();
            registry.push("app", nv2::tag(&image.digest).as_str(), &nv2::index(token, &image));
        }),
        ("paged referrers", |registry| {
            registry.page_size(1);
            let image = registry.push("app", "1", &Package::image("app"));
            registry.push("app", None, &Package::sbom(&image));
            registry.push("app", None, &signature(&STRANGER, &image));
            registry.push("app", None, &signature(&WABBIT, &image));
        }),
    ];
    for (place, fill) in places {
        let proxy = TestProxy::new().upstream(fill).start().await;
        let got = proxy.get("app:1").await;
        assert_eq!(got.status, 200, "{place}: {:?}", got.error_message());
    }
}

/// A signature is what its digest says, or nothing: here the registry gives a good one for another's
/// digest.
#[tokio::test]
async fn a_signatures_bytes_are_those_of_its_digest() {
    let image = Package::image("app");
    let claim = nv2::Claim::new(&["registry.test/app:1"]);
    let good = nv2::jwt(&WABBIT, &claim, image.descriptor()).unwrap();
    let proxy = TestProxy::new()
        .upstream(move |registry| {
            let garbage = vec![b'x'; good.len()];
            let artifact = nv2::jwt_artifact(garbage.clone().into()).about(image.descriptor());
            registry.push("app", "1", &image);
            registry.push("app", None, &artifact);
            registry.forge_blob("app", &portcullis::oci::Digest::sha256(&garbage), &good);
        })
        .start()
        .await;
    refused(&proxy.get("app:1").await, 503, "UNAVAILABLE", "cannot be judged now");
}

#[tokio::test]
async fn cosign_tags_are_looked_into() {
    let key = Key::generate(KeyKind::P256).unwrap();
    let pem = key.public_pem();
    let inline = serde_json::to_string(&pem).unwrap();
    let signers = format!("{{ acme: {{ cosign: {{ key: {inline}, transparency_log: ignore }} }} }}");
    let proxy = TestProxy::new()
        .with("signers", &signers)
        .policy("require: acme")
        .upstream(move |registry| {
            let image = registry.push("app", "1", &Package::image("app"));
            let payload = cosign::payload("registry.test/app", &image.digest);
            registry.push(
                "app",
                cosign::tag(&image.digest).as_str(),
                &cosign::image(&key, &payload).unwrap(),
            );
        })
        .start()
        .await;
    let got = proxy.get("app:1").await;
    assert_eq!(got.status, 200, "{:?}", got.error_message());
}

/// A registry that calls everything by the wrong artifact type hides nothing: artifacts are read.
#[tokio::test]
async fn a_misreported_artifact_type_hides_no_signature() {
    let proxy = TestProxy::new()
        .upstream(|registry| {
            let image = registry.push("app", "1", &Package::image("app"));
            let wrong = signature(&WABBIT, &image)
                .edited(|m| m["artifactType"] = "application/vnd.oci.empty.v1+json".into());
            registry.push("app", None, &wrong);
        })
        .start()
        .await;
    assert_eq!(proxy.get("app:1").await.status, 200);
}

#[tokio::test]
async fn a_signature_that_comes_later_counts_soon() {
    let image = Package::image("app");
    let proxy = TestProxy::new().upstream(unsigned("app")).start().await;
    assert_eq!(proxy.get("app:1").await.status, 403);
    proxy.upstream().push("app", None, &signature(&WABBIT, image.descriptor()));
    proxy.pass(Duration::from_secs(61));
    assert_eq!(proxy.get("app:1").await.status, 200);
}

#[tokio::test]
async fn a_tag_that_moves_to_unsigned_content_is_refused() {
    let proxy = TestProxy::new().upstream(signed("app")).start().await;
    assert_eq!(proxy.get("app:1").await.status, 200);
    proxy.upstream().push("app", "1", &Package::image("evil"));
    assert_eq!(proxy.get("app:1").await.status, 200, "fresh for tag_ttl");
    proxy.pass(Duration::from_secs(600));
    let mut last = proxy.get("app:1").await;
    // Within stale_while_revalidate the old answer may still come while the new one is judged.
    for _ in 0..50 {
        if last.status == 403 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        last = proxy.get("app:1").await;
    }
    refused(&last, 403, "DENIED", "none found");
}
