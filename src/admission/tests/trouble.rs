//! Trouble is neither a yes nor a no.

use super::*;
use crate::oci::Tag;

#[tokio::test]
async fn a_source_that_fails_makes_no_unsigned_image_and_spoils_no_signed_one() {
    let (signed, unsigned) = (Package::image("signed"), Package::image("unsigned"));
    for needle in ["/referrers/", ".sig", ".att"] {
        let stand = Stand::new("require: acme").await;
        stand.push("signed", &signed);
        stand.push("unsigned", &unsigned);
        let payload = cosign::payload("reg.test/app", &signed.digest());
        if needle == ".sig" {
            stand.sign(&stand.acme, &signed);
        } else {
            let tag = Tag::about(&signed.digest(), ".sig").to_string();
            stand.push(tag.as_str(), &cosign::image(&stand.acme, &payload).unwrap());
        }
        stand.registry.fault(needle, Fault::Status(403, None));
        stand.pull(":signed").await.unwrap();
        let decision = undecided(stand.pull(":unsigned").await);
        assert_eq!(decision.reasons()[0].code, Code::SourceUnavailable, "{needle}");
    }
}

/// A page that is not there, and a link to one that cannot be read.
#[tokio::test]
async fn a_list_that_is_cut_short_makes_no_unsigned_image() {
    let lost = ("from=", Fault::Status(404, None));
    let unreadable = ("/referrers/", Fault::Header("link", "</v2/app".to_owned()));
    for (needle, fault) in [lost, unreadable] {
        let stand = Stand::new("require: acme").await;
        let image = Package::image("app");
        stand.push("v1", &image);
        stand.sign(&stand.rival, &image);
        stand.sign(&stand.acme, &image);
        stand.registry.page_size(1);
        stand.registry.fault(needle, fault);
        let decision = undecided(stand.pull(":v1").await);
        assert_eq!(decision.reasons()[0].code, Code::SourceUnavailable, "{needle}");
        stand.registry.heal();
        stand.clock.advance(Duration::from_secs(6));
        stand.pull(":v1").await.unwrap();
    }
}

/// Where a tag has moved to is there, or the registry is in trouble.
#[tokio::test]
async fn what_a_tag_names_and_is_not_there_is_not_called_missing() {
    for suffix in [".sig", ""] {
        let stand = Stand::new("require: acme").await;
        let image = Package::image("app");
        stand.push("v1", &image);
        let tag = Tag::about(&image.digest(), suffix).to_string();
        let under_tag = |key: &Key| {
            let payload = cosign::payload("reg.test/app", &image.digest());
            let signature = cosign::image(key, &payload).unwrap();
            if suffix.is_empty() { Package::index([signature]) } else { signature }
        };
        stand.push(tag.as_str(), &under_tag(&stand.rival));
        denial(stand.pull(":v1").await);
        let named = stand.push(tag.as_str(), &under_tag(&stand.acme));
        stand.registry.fault(&format!("manifests/{named}"), Fault::Status(404, None));
        stand.clock.advance(Duration::from_secs(100));
        let decision = undecided(stand.pull(":v1").await);
        assert_eq!(decision.reasons()[0].code, Code::SourceUnavailable, "{suffix}");
        stand.registry.heal();
        stand.clock.advance(Duration::from_secs(100));
        stand.pull(":v1").await.unwrap();
    }
}

#[tokio::test]
async fn a_signature_that_cannot_be_read_is_not_called_missing() {
    let stand = Stand::new("require: acme").await;
    let image = Package::image("app");
    let signature = stand.push_signed("v1", &image);
    stand.registry.fault(&signature.layer().to_string(), Fault::Status(404, None));
    undecided(stand.pull(":v1").await);
    stand.registry.heal();
    stand.clock.advance(Duration::from_secs(6));
    stand.pull(":v1").await.unwrap();
}

/// One source hangs for longer than the whole evaluation may take.
#[tokio::test]
async fn a_source_that_hangs_holds_up_no_proof_that_another_gave() {
    let stand = Stand::new("require: acme").await;
    let image = Package::image("app");
    stand.push("v1", &image);
    let payload = cosign::payload("reg.test/app", &image.digest());
    let tag = Tag::about(&image.digest(), ".sig").to_string();
    stand.push(tag.as_str(), &cosign::image(&stand.acme, &payload).unwrap());
    stand.registry.fault(".att", Fault::Stall);
    stand.registry.fault("/referrers/", Fault::Stall);
    stand.pull(":v1").await.unwrap();
}

/// What stays signed is served, though its signature is gone upstream: it is kept.
#[tokio::test]
async fn kept_signatures_count_beside_what_the_sources_say_now() {
    let mut stand = Stand::new("require: acme").await;
    let image = Package::image("app");
    let signature = stand.push_signed("v1", &image);
    stand.pull(":v1").await.unwrap();
    stand.registry.delete("app", &signature.digest());
    stand.sign(&stand.rival, &image);
    stand.reload(&["require: { all: [acme, rival] }"], "");
    stand.clock.advance(Duration::from_secs(100));
    stand.pull_digest(&image.digest()).await.unwrap();
}

#[tokio::test]
async fn a_manifest_that_may_not_be_judged_is_refused_once_and_not_asked_for_again() {
    let stand = Stand::new("mode: audit, require: acme").await;
    let bad = Package::image("app").edited(|manifest| manifest["manifests"] = serde_json::json!([]));
    let digest = stand.push(None, &bad);
    for _ in 0..5 {
        assert_eq!(denial(stand.pull_digest(&digest).await).reasons()[0].code, Code::ManifestInvalid);
    }
    assert_eq!((stand.decisions(), stand.registry.count(&digest.to_string())), (1, 1));
    stand.clock.advance(Duration::from_secs(31));
    denial(stand.pull_digest(&digest).await);
    assert_eq!(stand.decisions(), 2);
}
