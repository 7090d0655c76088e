//! How much is copied, each bound at its edge.

use portcullis::demo::Package;
use portcullis::oci::{Digest, MAX_MANIFEST_BYTES};
use serde_json::json;

use super::Site;
use crate::test_proxy::*;

/// An index of so many manifests, of which none is there.
fn listing_absent(number: usize) -> Package {
    let entry = |i: usize| {
        let digest = Digest::sha256(i.to_string().as_bytes()).to_string();
        json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 9, "digest": digest})
    };
    Package::index([]).edited(|index| index["manifests"] = (0..number).map(entry).collect())
}

/// Whoever can attach artifacts at the source holds nobody up.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_attached_beyond_the_bounds_is_passed_over() {
    let image = Package::image("app");
    let site = Site::new("require: wabbit").await;
    push_signed(&site.source, "app", "1", &image);
    let mut chain = vec![Package::sbom(image.descriptor())];
    for at in 0..5 {
        chain.push(Package::sbom(chain[at].descriptor()));
    }
    for sbom in &chain {
        site.source.push("app", None, sbom);
    }
    let (code, text) = site.promote("app:1", "prod/app").await;
    assert!(code == 0 && text.contains("the last of 4 artifacts, one upon the other"), "{text}");
    for sbom in &chain[..4] {
        site.holds("prod/app", sbom).await;
    }
    assert_eq!(site.there(&format!("prod/app/manifests/{}", chain[4].digest())).await.status, 404);

    // A list of any number of artifacts; the proven one goes along all the same.
    let site = Site::new("require: wabbit, signatures: [{ repository: registry.corp/sigs }]").await;
    let own = signature(&WABBIT, image.descriptor());
    site.source.referrers_api(false);
    site.source.push("app", "1", &image);
    site.target.push("sigs", None, &own);
    // Nor does it hide the proven one that it names, which the source does not have.
    let list =
        listing_absent(4098).edited(|list| list["manifests"][0]["digest"] = own.digest().to_string().into());
    site.source.push("app", format!("sha256-{}", image.digest().hex()).as_str(), &list);
    let (code, text) = site.promote("app:1", "prod/app").await;
    assert!(code == 0 && text.contains("more than 4096 artifacts"), "{text}");
    assert!(text.contains("passed_over=1"), "{text}");
    site.holds("prod/app", &own).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_deeper_in_attached_indexes_is_passed_over() {
    let site = Site::new("require: wabbit").await;
    let image = Package::image("app");
    push_signed(&site.source, "app", "1", &image);
    let deep = Package::index([Package::multi_arch("deep")]);
    let deeper = Package::index([Package::index([Package::multi_arch("deeper")])]);
    let [deep, deeper] = [deep, deeper].map(|index| index.about(image.descriptor()));
    for index in [&deep, &deeper] {
        site.source.push("app", None, index);
    }
    let (code, text) = site.promote("app:1", "prod/app").await;
    assert!(code == 0 && text.contains("too deep in indexes"), "{text}");
    site.holds("prod/app", &deep).await;
    assert_eq!(site.there(&format!("prod/app/manifests/{}", deeper.digest())).await.status, 404);
}

/// Nobody reads more of a manifest, and nobody is held up by more.
#[tokio::test(flavor = "multi_thread")]
async fn an_attached_manifest_that_is_too_large_is_passed_over() {
    let site = Site::new("require: wabbit").await;
    let image = Package::image("app");
    push_signed(&site.source, "app", "1", &image);
    let padded = |length: usize| {
        let sbom = |pad: usize| {
            let pad = "x".repeat(pad);
            Package::sbom(image.descriptor()).edited(|sbom| sbom["annotations"] = json!({"pad": pad}))
        };
        sbom(length - sbom(0).bytes().len())
    };
    let most = usize::try_from(MAX_MANIFEST_BYTES).unwrap();
    let (large, larger) = (padded(most), padded(most + 1));
    for sbom in [&large, &larger] {
        site.source.push("app", None, sbom);
    }
    let (code, text) = site.promote("app:1", "prod/app").await;
    assert!(code == 0 && text.contains("what is attached there is passed over"), "{text}");
    site.holds("prod/app", &large).await;
    assert_eq!(site.there(&format!("prod/app/manifests/{}", larger.digest())).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn content_in_deeper_indexes_is_refused() {
    let site = Site::new("require: wabbit").await;
    let in_indexes = |depth| (0..depth).fold(Package::image("app"), |inner, _| Package::index([inner]));
    let (deep, deeper) = (in_indexes(4), in_indexes(5));
    push_signed(&site.source, "app", "deep", &deep);
    push_signed(&site.source, "app", "deeper", &deeper);
    let (code, text) = site.promote("app:deeper", "prod/app").await;
    assert!(code == 1 && text.contains("its indexes lie deeper than 4 in each other"), "{text}");
    assert_eq!(site.writes(), 0);
    let (code, text) = site.promote("app:deep", "prod/app").await;
    assert_eq!(code, 0, "{text}");
    site.holds("prod/app", &deep).await;
}

/// A registry takes no index without what it lists.
#[tokio::test(flavor = "multi_thread")]
async fn what_lies_at_several_depths_goes_before_all_that_list_it() {
    let site = Site::new("require: wabbit").await;
    let image = Package::image("app");
    let deep = Package::index([Package::index([image.clone()])]);
    let index = Package::index([deep, image]);
    push_signed(&site.source, "app", "1", &index);
    let (code, text) = site.promote("app:1", "prod/app").await;
    assert_eq!(code, 0, "{text}");
    site.holds("prod/app", &index).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn content_of_more_manifests_is_refused() {
    let site = Site::new("require: wabbit").await;
    // None of them is there, which shows once they are asked for.
    push_signed(&site.source, "app", "many", &listing_absent(1023));
    push_signed(&site.source, "app", "more", &listing_absent(1024));
    let (code, text) = site.promote("app:more", "prod/app").await;
    assert!(code == 1 && text.contains("it lists more than 1024 manifests"), "{text}");
    let (code, text) = site.promote("app:many", "prod/app").await;
    assert!(code == 1 && !text.contains("it lists more"), "{text}");
    assert_eq!(site.writes(), 0);
}
