//! Artifacts about what is admitted.

use serde_json::json;

use super::*;
use crate::demo::package::descriptor_of;
use crate::oci::Tag;
use crate::oci::media_type::COSIGN_SIMPLE_SIGNING;

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
