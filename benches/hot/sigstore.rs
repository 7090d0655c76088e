//! One signature of each kind that sigstore's clients make, by the real cosign: parsing, the log's word, timestamps,
//! the certificate's chain, its transparency and the identity. The goal is a millisecond at most.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use criterion::Criterion;
use portcullis::oci::{Algorithm, Digest, Manifest, Repository};
use portcullis::signature::{Subject, layout};
use serde_json::{Value, json};

use super::{Case, REPOSITORY};

/// A day after the fixtures were signed.
const NOW: Duration = Duration::from_secs(1_795_743_600);

pub fn sigstore(c: &mut Criterion) {
    let keyless = json!({
        "issuer": "https://token.actions.githubusercontent.com",
        "identity": "https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main",
    });
    let identity = json!({ "keyless": keyless, "trusted_root": fixture("pki/trusted_root.json") });
    let key = json!({ "key": fixture("pki/key-p256.pub"), "transparency_log": "ignore" });
    let mut group = c.benchmark_group("sigstore");
    for (name, case, settings) in [
        ("layer, key", "key-p256-legacy", &key),
        ("bundle, key", "key-p256-bundle-none", &key),
        ("layer, keyless, Rekor v1", "keyless-workflow-legacy", &identity),
        ("bundle, keyless, Rekor v1", "keyless-workflow-bundle-rekor1", &identity),
        ("bundle, keyless, Rekor v2, timestamp", "keyless-workflow-bundle-rekor2", &identity),
    ] {
        let case = read(name, case, settings);
        group.bench_function(name, |b| b.iter(|| black_box(case.verify())));
    }
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sigstore").join(name)
}

/// The image in a case's layout and the one claim about it.
fn read(name: &'static str, case: &str, settings: &Value) -> Case {
    let folder = fixture(case).join("oci");
    let blob = |digest: &Digest| {
        let path = folder.join("blobs").join(digest.to_string().replace(':', "/"));
        Bytes::from(std::fs::read(path).unwrap())
    };
    let index: Value = serde_json::from_slice(&std::fs::read(folder.join("index.json")).unwrap()).unwrap();
    let digests = index["manifests"].as_array().unwrap().iter().map(|m| m["digest"].as_str().unwrap());
    let manifests: Vec<Manifest> = digests
        .map(|digest| Manifest::parse(blob(&Digest::parse(digest).unwrap()), Algorithm::Sha256).unwrap())
        .collect();
    // The image is listed first.
    let (image, others) = manifests.split_first().unwrap();
    let found = others.iter().find_map(|m| Some((m, layout::carrier(m, image.digest())?)));
    let (artifact, carrier) = found.unwrap();
    let part = &carrier.parts[0];
    let claim = layout::signature(&carrier, *artifact.digest(), part, blob(&part.digest));
    let repository = Repository::parse(REPOSITORY).unwrap();
    let subject = Subject { repository, descriptor: image.descriptor().clone() };
    let settings = json!({ "cosign": settings });
    let mut case =
        Case::new(name, &subject, settings, (claim.format, &claim.media_type, claim.payload.clone()));
    case.signature = claim;
    case.now = SystemTime::UNIX_EPOCH + NOW;
    case
}
