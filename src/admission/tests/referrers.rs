//! Artifacts about what is admitted.

use serde_json::{Value, json};

use super::*;
use crate::demo::package::descriptor_of;
use crate::oci::Tag;
use crate::oci::media_type::{COSIGN_SIMPLE_SIGNING, OCI_INDEX};

#[tokio::test]
async fn under_proven_believed_signatures_are_listed_and_served_and_nothing_else() {
    let stand = Stand::new("require: acme").await;
    let image = Package::image("app");
    let good = stand.push_signed("v1", &image);
    let rival = stand.sign(&stand.rival, &image);
    let sbom = Package::sbom(image.descriptor());
    stand.push(None, &sbom);
    assert_eq!(stand.referrers(&image.digest()).await.unwrap(), [good.digest()]);
    stand.pull_digest(&good.digest()).await.unwrap();
    stand.blob(&good.layer()).await.unwrap();
    denial(stand.pull_digest(&rival.digest()).await);
    denial(stand.pull_digest(&sbom.digest()).await);
}

#[tokio::test]
async fn under_all_every_artifact_about_it_is_listed_and_served() {
    let stand = Stand::new("require: acme, referrers: all").await;
    let image = Package::image("app");
    stand.push_signed("v1", &image);
    let sbom = Package::sbom(image.descriptor());
    stand.push(None, &sbom);
    assert_eq!(stand.referrers(&image.digest()).await.unwrap().len(), 2);
    stand.pull_digest(&sbom.digest()).await.unwrap();
    stand.blob(&sbom.layer()).await.unwrap();
    let other = Package::image("other");
    stand.push(None, &other);
    denial(stand.pull_digest(&other.digest()).await);
}

/// A believed claim and, in a layer of the same type, something else.
fn smuggler(key: &Key, image: &Package, freight: &[u8]) -> Package {
    signature(key, image, "reg.test/app")
        .edited(|manifest| {
            let layers = manifest["layers"].as_array_mut().unwrap();
            layers.push(descriptor_of(COSIGN_SIMPLE_SIGNING, freight));
        })
        .with_blob(freight.to_vec())
}

#[tokio::test]
async fn an_artifact_that_carries_more_than_claims_is_not_served_for_its_claim() {
    let stand = Stand::new("require: acme").await;
    let image = Package::image("app");
    stand.push_signed("v1", &image);
    let freight = b"not a claim about anything";
    let smuggler = smuggler(&stand.acme, &image, freight);
    stand.push(None, &smuggler);
    stand.push(Tag::about(&image.digest(), ".sig").to_string().as_str(), &smuggler);
    stand.pull(":v1").await.unwrap();
    assert!(!stand.referrers(&image.digest()).await.unwrap().contains(&smuggler.digest()));
    denial(stand.pull_digest(&smuggler.digest()).await);
    denial(stand.pull(&format!(":{}", Tag::about(&image.digest(), ".sig"))).await);
    assert!(is_unknown(stand.blob(&Digest::sha256(freight)).await));
}

const IMAGE_CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// A believed signature, with another config than the one that its signer wrote.
fn disguised(key: &Key, image: &Package, config_type: &str, config: &[u8]) -> Package {
    signature(key, image, "reg.test/app")
        .edited(|manifest| manifest["config"] = descriptor_of(config_type, config))
        .with_blob(config.to_vec())
}

#[tokio::test]
async fn a_config_that_says_something_is_not_served_for_a_claim_beside_it() {
    let stand = Stand::new("require: acme").await;
    let image = Package::image("app");
    stand.push_signed("v1", &image);
    let tag = Tag::about(&image.digest(), ".sig").to_string();
    let long = vec![b'x'; 100_000];
    for config in [&b"an executable"[..], br#"{"architecture":"amd64","os":"linux"}"#, &long] {
        for config_type in [IMAGE_CONFIG, "application/vnd.oci.empty.v1+json"] {
            let disguised = disguised(&stand.acme, &image, config_type, config);
            stand.push(None, &disguised);
            stand.push(tag.as_str(), &disguised);
            stand.clock.advance(Duration::from_secs(200));
            stand.pull(":v1").await.unwrap();
            assert!(!stand.referrers(&image.digest()).await.unwrap().contains(&disguised.digest()));
            denial(stand.pull_digest(&disguised.digest()).await);
            denial(stand.pull(&format!(":{tag}")).await);
            assert!(is_unknown(stand.blob(&Digest::sha256(config)).await));
        }
    }
}

#[tokio::test]
async fn a_config_that_describes_the_layers_alone_is_served_with_its_claim() {
    let stand = Stand::new("require: acme").await;
    let image = Package::image("app");
    stand.push_signed("v1", &image);
    let layer = signature(&stand.acme, &image, "reg.test/app").layer();
    let config = format!(
        r#"{{"architecture":"","created":"2026-11-27T10:00:00Z","os":"","rootfs":{{"type":"layers","diff_ids":["{layer}"]}},"config":{{}}}}"#
    );
    let recorded = disguised(&stand.acme, &image, IMAGE_CONFIG, config.as_bytes());
    stand.push(None, &recorded);
    // Where it cannot be read, nobody knows; that is no denial.
    let place = format!("blobs/{}", Digest::sha256(config.as_bytes()));
    stand.registry.fault(&place, Fault::Status(403, None));
    assert!(stand.pull_digest(&recorded.digest()).await.unwrap_err().is_trouble());
    stand.registry.heal();
    stand.pull_digest(&recorded.digest()).await.unwrap();
    assert!(stand.referrers(&image.digest()).await.unwrap().contains(&recorded.digest()));
    stand.blob(&Digest::sha256(config.as_bytes())).await.unwrap();
}

/// A believed signature and, beside it, another's claim about the image, as `change` makes its layer.
fn accompanied(
    [by, other]: [&Key; 2],
    image: &Package,
    name: &str,
    change: impl FnOnce(&mut Value),
) -> (Package, Digest) {
    let beside = cosign::image(other, &cosign::payload(name, &image.digest())).unwrap();
    let mut layer = serde_json::from_slice::<Value>(beside.bytes()).unwrap()["layers"][0].take();
    change(&mut layer);
    let both = signature(by, image, "reg.test/app")
        .edited(|manifest| manifest["layers"].as_array_mut().unwrap().push(layer))
        .with_blob(beside.blobs()[1].clone());
    (both, beside.layer())
}

#[tokio::test]
async fn claims_that_nobody_made_do_not_ride_along_with_one_that_somebody_did() {
    let stand = Stand::new("require: { any: [acme, rival] }").await;
    let image = Package::image("app");
    stand.push_signed("v1", &image);
    let keys = [&stand.acme, &stand.rival];
    let (both, second) = accompanied(keys, &image, "both", |_| {});
    let (forged, freight) = accompanied(keys, &image, "freight", |layer| {
        layer["annotations"] = json!({"dev.cosignproject.cosign/signature": "AAAA"});
    });
    for artifact in [&forged, &both] {
        stand.push(None, artifact);
    }
    stand.pull(":v1").await.unwrap();
    let listed = stand.referrers(&image.digest()).await.unwrap();
    assert!(listed.contains(&both.digest()) && !listed.contains(&forged.digest()));
    stand.pull_digest(&both.digest()).await.unwrap();
    stand.blob(&second).await.unwrap();
    denial(stand.pull_digest(&forged.digest()).await);
    assert!(is_unknown(stand.blob(&freight).await));
}

#[tokio::test]
async fn an_image_under_a_signatures_tag_is_judged_on_its_own() {
    let stand = Stand::new("require: acme").await;
    let (image, evil) = (Package::image("app"), Package::image("evil"));
    stand.push_signed("v1", &image);
    let tag = Tag::about(&image.digest(), ".sig").to_string();
    stand.push(tag.as_str(), &evil);
    denial(stand.pull(&format!(":{tag}")).await);
    let honest = cosign::image(&stand.acme, &cosign::payload("reg.test/app", &image.digest())).unwrap();
    stand.push(tag.as_str(), &honest);
    stand.clock.advance(Duration::from_secs(200));
    stand.until(async |stand| stand.pull(&format!(":{tag}")).await.is_ok()).await;
    stand.pull_digest(&honest.digest()).await.unwrap();
}

/// The subject decides: where it cannot be judged, the artifact is not called unsigned.
#[tokio::test]
async fn an_artifact_whose_subject_cannot_be_judged_is_not_denied() {
    let stand = Stand::new("require: acme").await;
    let image = Package::image("app");
    let good = stand.push_signed("v1", &image);
    stand.registry.fault(&format!("referrers/{}", image.digest()), Fault::Status(403, None));
    undecided(stand.pull_digest(&good.digest()).await);
    undecided(stand.referrers(&image.digest()).await);
}

#[tokio::test]
async fn a_signature_of_a_child_is_served_for_a_child_that_its_index_admits() {
    let stand = Stand::new("require: { all: [acme, rival] }").await;
    let index = Package::multi_arch("app");
    let child = index.children()[0].clone();
    stand.push_signed("v1", &index);
    stand.sign(&stand.rival, &index);
    let about_child = stand.sign(&stand.rival, &child);
    stand.pull(":v1").await.unwrap();
    stand.pull_digest(&child.digest()).await.unwrap();
    assert_eq!(stand.referrers(&child.digest()).await.unwrap(), [about_child.digest()]);
    stand.pull_digest(&about_child.digest()).await.unwrap();
    stand.pull_digest(&child.digest()).await.unwrap();
}

#[tokio::test]
async fn a_list_grows_no_longer_than_a_manifest_may_be() {
    let stand = Stand::new("require: acme, referrers: all").await;
    let image = Package::image("app");
    stand.push_signed("v1", &image);
    for n in 0..12 {
        let sbom = Package::sbom(image.descriptor()).edited(|manifest| {
            manifest["annotations"] = json!({"n": format!("{n}"), "long": "x".repeat(400_000)});
        });
        stand.push(None, &sbom);
    }
    assert_eq!(stand.referrers(&image.digest()).await.unwrap().len(), 13);
    stand.pull(&format!(":{}", Tag::about(&image.digest(), ""))).await.unwrap();
}

/// Each level is judged once at most, and only so many levels are.
#[tokio::test]
async fn a_chain_of_subjects_is_followed_no_further_than_the_bound() {
    let stand = Stand::new("require: acme").await;
    let mut last = Package::image("app");
    stand.push_signed(None, &last);
    for _ in 0..12 {
        last = Package::sbom(last.descriptor());
        stand.push(None, &last);
    }
    denial(stand.pull_digest(&last.digest()).await);
    assert!(stand.decisions() <= 5, "{}", stand.decisions());
}

fn junk(n: usize, image: &Package) -> Package {
    Package::artifact("application/junk", [("text/plain", format!("{n}").into())]).about(image.descriptor())
}

/// Whoever attaches a great many artifacts hides none of the others.
#[tokio::test]
async fn under_all_a_crowd_hides_nothing_from_the_list() {
    let stand = Stand::new("require: acme, referrers: all").await;
    let image = Package::image("app");
    stand.push_signed("v1", &image);
    for n in 0..70 {
        stand.push(None, &junk(n, &image));
    }
    let sbom = Package::sbom(image.descriptor());
    stand.push(None, &sbom);
    assert_eq!(stand.referrers(&image.digest()).await.unwrap().len(), 72);
    let kind = Some("application/spdx+json");
    assert_eq!(stand.referrers_of(&image.digest(), kind).await.unwrap(), [sbom.digest()]);
    stand.pull(&format!(":{}", Tag::about(&image.digest(), ""))).await.unwrap();
}

/// A list that would be short is none; one type of many may have room.
#[tokio::test]
async fn a_list_that_more_belong_in_than_it_holds_is_refused() {
    let stand = Stand::new("require: acme, referrers: all").await;
    let image = Package::image("app");
    stand.push_signed("v1", &image);
    let sbom = Package::sbom(image.descriptor());
    stand.push(None, &sbom);
    let absent = |n: usize| {
        json!({ "mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 9,
            "digest": Digest::sha256(&n.to_be_bytes()), "artifactType": "application/junk" })
    };
    stand.pull(":v1").await.unwrap();
    let mut entries: Vec<_> = (0..1024).map(absent).collect();
    entries.push(json!(sbom.descriptor()));
    let list = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries });
    stand.registry.fault("/referrers/", Fault::Bytes(list.to_string().into()));
    stand.clock.advance(Duration::from_secs(100));
    let refused = |outcome: Result<Vec<Digest>, Refusal>| {
        let why = outcome.unwrap_err().to_string();
        assert!(why.contains("may hold 1024"), "{why}");
    };
    refused(stand.referrers(&image.digest()).await);
    let junk = Some("application/junk");
    assert_eq!(stand.referrers_of(&image.digest(), junk).await.unwrap(), []);
    let kind = Some("application/spdx+json");
    assert_eq!(stand.referrers_of(&image.digest(), kind).await.unwrap(), [sbom.digest()]);
    for entry in &mut entries {
        entry.as_object_mut().unwrap().remove("artifactType");
    }
    let list = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries });
    stand.registry.fault("/referrers/", Fault::Bytes(list.to_string().into()));
    stand.clock.advance(Duration::from_secs(100));
    refused(stand.referrers_of(&image.digest(), kind).await);
}

/// Under a crowd it is not known which are proven, and the first of them may be none of those.
#[tokio::test]
async fn under_proven_a_crowd_about_a_child_leaves_its_list_undecided() {
    let stand = Stand::new("require: acme").await;
    let index = Package::multi_arch("app");
    let child = index.children()[0].clone();
    stand.push_signed("v1", &index);
    for n in 0..70 {
        stand.push(None, &junk(n, &child));
    }
    stand.sign(&stand.acme, &child);
    stand.pull(":v1").await.unwrap();
    stand.pull_digest(&child.digest()).await.unwrap();
    undecided(stand.referrers(&child.digest()).await);
}

#[tokio::test]
async fn a_list_that_could_not_be_confirmed_says_so() {
    let stand = Stand::new("require: acme").await;
    let image = Package::image("app");
    let good = stand.push_signed("v1", &image);
    let asked = async || {
        let (repository, subject) = (repository(), image.digest());
        let list = stand.gate().referrers(&repository, &subject, None, &Principal::Anonymous).await;
        let list = list.unwrap().unwrap();
        assert!(String::from_utf8_lossy(list.content().bytes()).contains(&good.digest().hex()));
        let by_tag = stand.pull(&format!(":{}", Tag::about(&image.digest(), ""))).await.unwrap();
        (list.stale(), by_tag.stale())
    };
    assert_eq!(asked().await, (false, false));
    stand.registry.fault("/referrers/", Fault::Status(500, None));
    stand.clock.advance(Duration::from_secs(100));
    assert_eq!(asked().await, (true, true));
    stand.registry.heal();
    assert_eq!(asked().await, (false, false));
}
