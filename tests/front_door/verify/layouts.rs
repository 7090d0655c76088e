//! Layouts that somebody has been at.

use std::fs;
use std::path::Path;

use super::run::{Folder, case, fixtures, layout};

/// A copy of a fixture's layout that a test may change.
fn copy(name: &str) -> tempfile::TempDir {
    let (from, to) = (fixtures().join(name).join("oci"), tempfile::tempdir().unwrap());
    fs::create_dir_all(to.path().join("blobs/sha256")).unwrap();
    for file in ["oci-layout", "index.json"] {
        fs::copy(from.join(file), to.path().join(file)).unwrap();
    }
    for blob in fs::read_dir(from.join("blobs/sha256")).unwrap().map(|e| e.unwrap().path()) {
        fs::copy(&blob, to.path().join("blobs/sha256").join(blob.file_name().unwrap())).unwrap();
    }
    to
}

fn reference(layout: &Path, target: &str) -> String {
    format!("{}{target}", layout.display())
}

#[test]
fn tags_are_read_from_the_index() {
    let folder = Folder::with(|_| {});
    let oci = fixtures().join("alg-p256-jws/oci");
    let outcome = folder.verify(&reference(&oci, ":v1"), &[]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(outcome.out.contains(&case("alg-p256-jws").digest), "{outcome:?}");
    assert_eq!(folder.verify(&reference(&oci, ":v2"), &[]).code, Some(1));
}

#[test]
fn signatures_are_found_without_the_referrers_tag() {
    let oci = copy("alg-p256-cose");
    let index = fs::read(oci.path().join("index.json")).unwrap();
    let mut index: serde_json::Value = serde_json::from_slice(&index).unwrap();
    let tagged = |entry: &serde_json::Value| {
        let name = entry["annotations"]["org.opencontainers.image.ref.name"].as_str();
        name.is_some_and(|name| name.starts_with("sha256-"))
    };
    index["manifests"].as_array_mut().unwrap().retain(|entry| !tagged(entry));
    fs::write(oci.path().join("index.json"), index.to_string()).unwrap();
    let outcome = Folder::with(|_| {}).verify(&reference(oci.path(), ":v1"), &[]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
}

/// The signature's manifest in the layout of `alg-p256-cose`.
const SIGNATURE: &str = "a3271f957ea5862849a7135d0aa1ae0ae7cb72660ece8365bd782dcdc24da5f6";

/// What a verdict rests on: the image's manifest, the signature's, and the envelope.
fn essential() -> Vec<String> {
    let manifest = fs::read(fixtures().join("alg-p256-cose/oci/blobs/sha256").join(SIGNATURE)).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    let envelope = manifest["layers"][0]["digest"].as_str().unwrap();
    let hex = |digest: &str| digest.trim_start_matches("sha256:").to_owned();
    vec![hex(&case("alg-p256-cose").digest), SIGNATURE.to_owned(), hex(envelope)]
}

#[test]
fn a_changed_image_or_signature_is_not_verified() {
    let target = format!("@{}", case("alg-p256-cose").digest);
    for blob in essential() {
        let oci = copy("alg-p256-cose");
        let path = oci.path().join("blobs/sha256").join(&blob);
        let mut content = fs::read(&path).unwrap();
        *content.last_mut().unwrap() ^= 1;
        fs::write(&path, content).unwrap();
        let outcome = Folder::with(|_| {}).verify(&reference(oci.path(), &target), &[]);
        assert_eq!(outcome.code, Some(1), "{blob}: {outcome:?}");
    }
}

#[test]
fn what_is_no_layout_exits_1_and_is_named() {
    let folder = Folder::with(|_| {});
    let oci = copy("unsigned");
    fs::remove_file(oci.path().join("oci-layout")).unwrap();
    for (reference, why) in [
        (reference(oci.path(), ":v1"), "oci-layout"),
        ("/nowhere:v1".to_owned(), "/nowhere"),
        ("/nowhere".to_owned(), "path:tag"),
    ] {
        let outcome = folder.verify(&reference, &[]);
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        assert!(outcome.err.contains(why), "{why}: {outcome:?}");
    }
}

#[test]
fn a_blob_that_is_gone_is_named() {
    let oci = copy("alg-p256-cose");
    fs::remove_file(oci.path().join("blobs/sha256").join(SIGNATURE)).unwrap();
    let outcome = Folder::with(|_| {}).verify(&reference(oci.path(), ":v1"), &[]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.err.contains(SIGNATURE) && outcome.err.contains("is not there"), "{outcome:?}");
}

#[test]
fn a_signature_is_not_verified_by_what_it_signs() {
    let oci = fixtures().join("alg-p256-cose/oci");
    let folder = Folder::with(|_| {});
    assert_eq!(folder.verify(&layout(&case("alg-p256-cose")), &[]).code, Some(0));
    let outcome = folder.verify(&reference(&oci, &format!("@sha256:{SIGNATURE}")), &[]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
}

/// A layout with the one image and the signatures of these fixtures, in order.
fn joined(cases: &[&str]) -> tempfile::TempDir {
    let to = copy(cases[0]);
    let mut manifests = Vec::new();
    for name in cases {
        let from = copy(name);
        for blob in fs::read_dir(from.path().join("blobs/sha256")).unwrap().map(|e| e.unwrap().path()) {
            fs::copy(&blob, to.path().join("blobs/sha256").join(blob.file_name().unwrap())).unwrap();
        }
        let index = fs::read(from.path().join("index.json")).unwrap();
        let index: serde_json::Value = serde_json::from_slice(&index).unwrap();
        let untagged = index["manifests"].as_array().unwrap().iter().filter(|m| m["annotations"].is_null());
        manifests.extend(untagged.cloned());
    }
    let index = serde_json::json!({"schemaVersion": 2, "manifests": manifests});
    fs::write(to.path().join("index.json"), index.to_string()).unwrap();
    to
}

#[test]
fn one_trusted_signature_of_several_suffices_within_the_bound() {
    let oci = joined(&["alg-p256-jws", "alg-p521-jws"]);
    let folder = Folder::with(|s| {
        s["trustedIdentities"] = serde_json::json!(["x509.subject: C=US, ST=WA, O=acme, CN=p521"]);
    });
    let target = reference(oci.path(), &format!("@{}", case("alg-p521-jws").digest));
    for (most, code) in [("2", 0), ("1", 1)] {
        let outcome = folder.verify(&target, &["--max-signatures", most]);
        assert_eq!(outcome.code, Some(code), "{most}: {outcome:?}");
    }
    let outcome = folder.verify(&target, &["--max-signatures", "1"]);
    assert!(outcome.err.contains("2 signatures refer to it; 1 were read"), "{outcome:?}");
}
