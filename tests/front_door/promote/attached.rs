//! What is attached to the content: what goes along, in which order, and what does not.

use portcullis::demo::signing::{Key, KeyKind, cosign, nv2};
use portcullis::demo::{Fault, Package};
use serde_json::Value;

use super::Site;
use crate::test_proxy::*;

/// What others write to as well is written and settles beside the layers, all of it at the same time.
#[tokio::test(flavor = "multi_thread")]
async fn what_has_to_settle_does_so_at_once_and_beside_the_layers() {
    let site = Site::new("require: wabbit").await;
    site.target.referrers_api(false);
    let image = Package::index((0..6).map(|i| Package::image(&format!("app {i}"))));
    push_signed(&site.source, "app", "1", &image);
    let key = Key::generate(KeyKind::P256).unwrap();
    let mut shared = vec![format!("sha256-{}", image.digest().hex())];
    for child in image.children() {
        site.source.push("app", None, &Package::sbom(child.descriptor()));
        let tag = cosign::tag(&child.digest());
        let signed = cosign::image(&key, &cosign::payload("x", &child.digest())).unwrap();
        site.source.push("app", tag.as_str(), &signed);
        shared.extend([tag.to_string(), format!("sha256-{}", child.digest().hex())]);
    }
    let (code, text) = site.promote("app:1", "prod/app").await;
    assert_eq!(code, 0, "{text}");
    let seen = site.target.seen();
    let lines = |line: String| {
        let found = seen.iter().enumerate().filter(move |(_, request)| request.line == line);
        found.map(|(at, _)| at).collect::<Vec<_>>()
    };
    let under = |method: &str, tag: &String| lines(format!("{method} /v2/prod/app/manifests/{tag}"));
    let writes: Vec<_> = shared.iter().map(|tag| under("PUT", tag)).collect();
    // Whether signatures are there still is looked at once more behind the content. Before it is written, a list that was
    // read too long ago is read anew.
    let after = |tag: &String| if tag.ends_with(".sig") { 2 } else { 1 };
    let looks = shared.iter().map(|tag| (under("GET", tag), after(tag)));
    let looks: Vec<_> =
        looks.filter(|(at, after)| at.len() > *after).map(|(at, after)| at[at.len() - after]).collect();
    assert_eq!(looks.len(), shared.len(), "each is looked at before it is written, and again");
    assert!(writes.iter().all(|at| at.len() == 1), "{writes:?}");
    let last_write = writes.iter().flatten().max().unwrap();
    assert!(looks.iter().all(|at| at > last_write), "all are written before one has settled");
    let layer = format!("HEAD /v2/prod/app/blobs/{}", image.children()[0].layer());
    assert!(lines(layer)[0] > *last_write, "the layers come while they settle");
    let of_image = lines(format!("PUT /v2/prod/app/manifests/{}", image.digest()))[0];
    assert!(looks.iter().all(|at| *at > of_image), "nor do they wait for that");
    let tag = lines("PUT /v2/prod/app/manifests/1".to_owned())[0];
    assert!(looks.iter().all(|at| *at < tag), "the tag waits");
}

/// Whoever attaches something may name what is not there, or no longer; what is proven goes along all the same.
#[tokio::test(flavor = "multi_thread")]
async fn an_artifact_that_lacks_a_blob_is_passed_over() {
    let image = Package::image("app");
    let site = Site::new("require: wabbit, signatures: [{ repository: registry.corp/sigs }]").await;
    let (own, sbom) = (signature(&WABBIT, image.descriptor()), Package::sbom(image.descriptor()));
    let note = |text: &'static str| Package::artifact("text/plain", [("text/plain", text.into())]);
    let (gone, listed, tagged) = (note("gone"), note("listed"), note("tagged"));
    let index = Package::index([listed.clone(), note("whole")]).about(image.descriptor());
    let gone = gone.about(image.descriptor());
    let longer = note("longer").edited(|manifest| manifest["layers"][0]["size"] = 7.into());
    let longer = longer.about(image.descriptor());
    let bill = format!("sha256-{}.sbom", image.digest().hex());
    site.source.push("app", "1", &image);
    // What is proven is had from where it is, whoever else names a part of it.
    let copy = Package::artifact("text/plain", [("text/plain", own.blobs().last().unwrap().clone())]);
    let copy = copy.about(image.descriptor());
    for referrer in [&own, &sbom, &gone, &index, &longer, &copy] {
        site.source.push("app", None, referrer);
    }
    site.source.push("app", bill.as_str(), &tagged);
    site.target.push("sigs", None, &own);
    // The signature's are whole elsewhere.
    for lost in [&own, &gone, &listed, &tagged] {
        site.source.fault(&format!("/blobs/{}", lost.layer()), Fault::Status(404, None));
    }
    let (code, text) = site.promote("app:1", "prod/app").await;
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("attached: 4 referrers, 0 tags"), "{text}");
    assert_eq!(text.matches("is passed over: the source lacks a part of it").count(), 5, "{text}");
    for package in [&image, &own, &sbom, &copy, &note("whole")] {
        site.holds("prod/app", package).await;
    }
    for lacking in [&gone, &listed, &tagged, &index, &longer] {
        let manifest = site.there(&format!("prod/app/manifests/{}", lacking.digest())).await;
        assert_eq!(manifest.status, 404);
    }
    assert_eq!(site.there(&format!("prod/app/manifests/{bill}")).await.status, 404);

    // The content's own are no artifact's.
    site.source.push("other", "1", &Package::image("other"));
    site.target.push("sigs", None, &signature(&WABBIT, Package::image("other").descriptor()));
    let layer = Package::image("other").layer();
    site.source.fault(&format!("/blobs/{layer}"), Fault::Status(404, None));
    let (code, text) = site.promote("other:1", "prod/other").await;
    assert!(code == 2 && text.contains(&format!("blob {layer}")), "{text}");
    assert_eq!(site.there("prod/other/manifests/1").await.status, 404);
}

/// An attached index may list the content, which comes behind what is attached.
#[tokio::test(flavor = "multi_thread")]
async fn an_attached_index_of_the_content_itself_goes_along() {
    let site = Site::new("require: wabbit").await;
    let image = Package::multi_arch("app");
    push_signed(&site.source, "app", "1", &image);
    let index = Package::index(image.children().to_vec()).about(image.descriptor());
    site.source.push("app", None, &index);
    let (code, text) = site.promote("app:1", "prod/app").await;
    assert_eq!(code, 0, "{text}");
    site.holds("prod/app", &index).await;
    let seen = site.target.seen();
    let last = seen.iter().rfind(|request| request.line.starts_with("PUT ")).unwrap();
    assert_eq!(last.line, "PUT /v2/prod/app/manifests/1");
}

/// A registry must take a referrer before its subject (distribution-spec 1.1, "Pushing Manifests with Subject"). Where it
/// does not, the referrer comes behind it.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_registry_refuses_before_its_subject_comes_after_it() {
    for has_api in [true, false] {
        let site = Site::new("require: wabbit").await;
        site.target.referrers_api(has_api);
        site.target.subjects_first(true);
        let image = Package::image("app");
        let own = signature(&WABBIT, image.descriptor());
        let index = Package::index([Package::sbom(image.descriptor())]).about(image.descriptor());
        let of_index = Package::sbom(index.descriptor());
        let bill = Package::sbom(image.descriptor()).edited(|bill| bill["annotations"]["as"] = "tag".into());
        let tag = format!("sha256-{}.sbom", image.digest().hex());
        site.source.push("app", "1", &image);
        for referrer in [&own, &index, &of_index] {
            site.source.push("app", None, referrer);
        }
        site.source.push("app", tag.as_str(), &bill);
        let (code, text) = site.promote("app:1", "prod/app").await;
        assert_eq!(code, 0, "{text}");
        for package in [&image, &own, &index, &of_index, &bill] {
            site.holds("prod/app", package).await;
        }
        assert_eq!(site.there(&format!("prod/app/manifests/{tag}")).await.body, bill.bytes());
        let (code, text) = site.run(&["verify", "registry.corp/prod/app:1"]).await;
        assert_eq!(code, 0, "{text}");
        let seen = site.target.seen();
        let last = seen.iter().rfind(|request| request.line.starts_with("PUT ")).unwrap();
        assert_eq!(last.line, "PUT /v2/prod/app/manifests/1");
    }
    // What is refused then, too, is not passed over.
    let site = Site::new("require: wabbit").await;
    let image = Package::image("app");
    let own = signature(&WABBIT, image.descriptor());
    site.source.push("app", "1", &image);
    site.source.push("app", None, &own);
    let put = format!("PUT /v2/prod/app/manifests/{}", own.digest());
    site.target.fault(&put, Fault::Status(400, None));
    let (code, text) = site.promote("app:1", "prod/app").await;
    assert!(code == 2 && text.contains(&own.digest().to_string()) && text.contains("400"), "{text}");
    assert_eq!(site.target.count(&put), 2);
    assert_eq!(site.there("prod/app/manifests/1").await.status, 404);
    // Nor does it do that it is there: it may not be listed.
    site.target.heal();
    site.target.push("prod/app", None, &own);
    site.target.referrers_api(false);
    site.target.fault_times(&put, 1, Fault::Status(400, None));
    let (code, text) = site.promote("app:1", "prod/app").await;
    assert_eq!(code, 0, "{text}");
    let (code, text) = site.run(&["verify", "registry.corp/prod/app:1"]).await;
    assert_eq!(code, 0, "{text}");
}

/// What refers to nothing that is there may be collected before the content is. A registry may not have noticed it itself.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_collected_meanwhile_is_written_again() {
    for notices in [true, false] {
        let site = Site::new("require: wabbit").await;
        let image = Package::image("app");
        let own = signature(&WABBIT, image.descriptor());
        let key = Key::generate(KeyKind::P256).unwrap();
        let tagged = cosign::image(&key, &cosign::payload("x", &image.digest())).unwrap();
        let (tag, bill) = (cosign::tag(&image.digest()), format!("sha256-{}.sbom", image.digest().hex()));
        site.source.push("app", "1", &image);
        site.source.push("app", None, &own);
        site.source.push("app", tag.as_str(), &tagged);
        site.source.push("app", bill.as_str(), &Package::image("bill"));
        if !notices {
            site.target.fault("HEAD /v2/prod/app/manifests/", Fault::Status(200, None));
        }
        // Longer than the tag takes to settle.
        let layer = format!("HEAD /v2/prod/app/blobs/{}", image.layer());
        site.target.fault(&layer, Fault::Delay(std::time::Duration::from_secs(3)));
        let settled = format!("GET /v2/prod/app/manifests/{tag}");
        let collected = async {
            while site.target.count(&settled) < 2 || site.target.count(&layer) == 0 {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            for package in [&own, &tagged, &Package::image("bill")] {
                site.target.delete("prod/app", &package.digest());
            }
        };
        let ((code, text), ()) = tokio::join!(site.promote("app:1", "prod/app"), collected);
        assert_eq!(code, 0, "{text}");
        assert!(text.contains("1 referrers, 2 tags"), "{text}");
        for package in [&image, &own, &tagged, &Package::image("bill")] {
            site.holds("prod/app", package).await;
        }
        assert_eq!(site.there(&format!("prod/app/manifests/{tag}")).await.body, tagged.bytes());
        assert_eq!(
            site.there(&format!("prod/app/manifests/{bill}")).await.body,
            Package::image("bill").bytes()
        );
        let seen = site.target.seen();
        let last = seen.iter().rfind(|request| request.line.starts_with("PUT ")).unwrap();
        assert_eq!(last.line, "PUT /v2/prod/app/manifests/1");
    }
}

/// Something under the tag is not the signatures: others may have written there what they had read before.
#[tokio::test(flavor = "multi_thread")]
async fn what_others_put_in_the_place_of_signatures_meanwhile_is_united_with_them() {
    let site = Site::new("require: wabbit").await;
    let image = Package::image("app");
    push_signed(&site.source, "app", "1", &image);
    let [ours, theirs] = [(); 2].map(|()| {
        let key = Key::generate(KeyKind::P256).unwrap();
        cosign::image(&key, &cosign::payload("x", &image.digest())).unwrap()
    });
    let tag = cosign::tag(&image.digest());
    site.source.push("app", tag.as_str(), &ours);
    // Longer than the tag takes to settle.
    let layer = format!("HEAD /v2/prod/app/blobs/{}", image.layer());
    site.target.fault(&layer, Fault::Delay(std::time::Duration::from_secs(3)));
    let settled = format!("GET /v2/prod/app/manifests/{tag}");
    let overwritten = async {
        while site.target.count(&settled) < 2 || site.target.count(&layer) == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        site.target.push("prod/app", tag.as_str(), &theirs);
    };
    let ((code, text), ()) = tokio::join!(site.promote("app:1", "prod/app"), overwritten);
    assert_eq!(code, 0, "{text}");
    let there: Value =
        serde_json::from_slice(&site.there(&format!("prod/app/manifests/{tag}")).await.body).unwrap();
    assert_eq!(there["layers"].as_array().unwrap().len(), 2);
}

/// What a registry gives counts, not what it was asked for.
#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_gives_something_else_for_a_referrer_does_not_have_it() {
    let site = Site::new("require: wabbit").await;
    let image = Package::image("app");
    let own = signature(&WABBIT, image.descriptor());
    site.source.push("app", "1", &image);
    site.source.push("app", None, &own);
    let get = format!("GET /v2/prod/app/manifests/{}", own.digest());
    site.target.fault(&get, Fault::Bytes(image.bytes().clone()));
    let (code, text) = site.promote("app:1", "prod/app").await;
    assert_eq!(code, 2, "{text}");
    assert!(text.contains(&format!("the manifest under {} is something else", own.digest())), "{text}");
    assert_eq!(site.there("prod/app/manifests/1").await.status, 404);
}

/// Where only one artifact can have a tag, it is the proven one, whatever somebody put there in the source.
#[tokio::test(flavor = "multi_thread")]
async fn under_one_tag_goes_what_is_proven() {
    let image = Package::image("app");
    let token = |who| nv2::jwt(who, &nv2::Claim::new(&["registry.test/app:1"]), image.descriptor()).unwrap();
    let (good, bad) = (nv2::jwt_artifact(token(&WABBIT)), nv2::jwt_artifact(token(&STRANGER)));
    let tag = nv2::tag(&image.digest());
    let site = Site::new("require: wabbit, signatures: [{ repository: registry.corp/sigs }]").await;
    site.source.push("app", "1", &image);
    site.source.push("app", tag.as_str(), &bad);
    site.target.push("sigs", tag.as_str(), &good);
    for to in ["a", "b", "c", "d"] {
        let (code, text) = site.promote("app:1", to).await;
        assert_eq!(code, 0, "{text}");
        assert!(text.contains("0 referrers, 1 tags"), "{text}");
        assert!(text.contains(&format!("left out: {} under {tag}", bad.digest())), "{text}");
        assert_eq!(site.there(&format!("{to}/manifests/{tag}")).await.body, good.bytes());
        assert_eq!(site.target.count(&format!("PUT /v2/{to}/manifests/{tag}")), 1);
    }
    // What the destination has there of its own stays, and it is said what is not there therefore.
    let site = Site::new("require: wabbit").await;
    site.source.push("app", "1", &image);
    site.source.push("app", tag.as_str(), &good);
    site.target.push("prod/app", tag.as_str(), &bad);
    let (code, text) = site.promote("app:1", "prod/app").await;
    assert!(code == 0 && text.contains("0 tags"), "{text}");
    assert!(text.contains(&format!("WITHOUT {}, which the policy admits", good.digest())), "{text}");
    assert!(text.contains("does not go along"), "{text}");
    assert_eq!(site.there(&format!("prod/app/manifests/{tag}")).await.body, bad.bytes());
}

/// Both the publisher's signatures in the source and those that are proven elsewhere come under one tag.
#[tokio::test(flavor = "multi_thread")]
async fn under_a_tag_of_signatures_go_both() {
    let image = Package::image("app");
    let (ours, theirs) = (Key::generate(KeyKind::P256).unwrap(), Key::generate(KeyKind::P256).unwrap());
    let signed = |key| cosign::image(key, &cosign::payload("x", &image.digest())).unwrap();
    let tag = cosign::tag(&image.digest());
    let site =
        Site::new("require: { any: [wabbit, corp] }, signatures: [{ repository: registry.corp/sigs }]").await;
    let pem = ours.public_pem().replace('\n', "\\n");
    let settings = site.folder.path().join("portcullis.yaml");
    let corp = format!("signers: {{ corp: {{ cosign: {{ key: \"{pem}\", transparency_log: ignore }} }},");
    let text = std::fs::read_to_string(&settings).unwrap().replace("signers: {", &corp);
    std::fs::write(settings, text).unwrap();
    site.source.push("app", "1", &image);
    site.source.push("app", tag.as_str(), &signed(&theirs));
    site.target.push("sigs", tag.as_str(), &signed(&ours));
    for to in ["a", "b", "c", "d"] {
        let (code, text) = site.promote("app:1", to).await;
        assert_eq!(code, 0, "{text}");
        let there = site.there(&format!("{to}/manifests/{tag}")).await;
        let there: Value = serde_json::from_slice(&there.body).unwrap();
        assert_eq!(there["layers"].as_array().unwrap().len(), 2);
        assert_eq!(site.target.count(&format!("PUT /v2/{to}/manifests/{tag}")), 1);
    }
}

/// Registries take no index without what it lists.
#[tokio::test(flavor = "multi_thread")]
async fn an_attached_index_goes_along_with_all_that_it_lists_or_not_at_all() {
    let image = Package::image("app");
    let tag = |suffix: &str| format!("sha256-{}{suffix}", image.digest().hex());
    let site = Site::new("require: wabbit").await;
    push_signed(&site.source, "app", "1", &image);
    let (bill, nested) = (Package::multi_arch("bill"), Package::index([Package::multi_arch("nested")]));
    let nested = nested.about(image.descriptor());
    site.source.push("app", tag(".sbom").as_str(), &bill);
    site.source.push("app", None, &nested);
    let gone = Package::multi_arch("gone");
    site.source.push("app", tag(".nv2").as_str(), &gone);
    site.source.delete("app", &gone.children()[1].digest());
    let (code, text) = site.promote("app:1", "prod/app").await;
    assert!(code == 0 && text.contains("an attached index is passed over"), "{text}");
    site.holds("prod/app", &bill).await;
    site.holds("prod/app", &nested).await;
    assert_eq!(site.there(&format!("prod/app/manifests/{}", tag(".sbom"))).await.body, bill.bytes());
    assert_eq!(site.there(&format!("prod/app/manifests/{}", tag(".nv2"))).await.status, 404);
}
