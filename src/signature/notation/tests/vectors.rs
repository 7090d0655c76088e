//! Signatures made by notation, with notation's verdicts.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Deserialize;

use crate::oci::{Algorithm, Digest, Manifest, Repository};
use crate::signature::notation::from_config_dir;
use crate::signature::{Code, Rejected, Signature, SignerName, Subject, Verifier, layout};
use crate::trust::RevocationData;

/// After all signatures were made, and before any certificate ends.
const NOW: &str = "2026-11-22T00:00:00Z";

#[derive(Deserialize)]
struct Case {
    digest: Digest,
    verify: Vec<Verdict>,
}

#[derive(Deserialize)]
struct Verdict {
    policy: serde_json::Value,
    ca: String,
    tsa: Option<String>,
    rc: i32,
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/notation")
}

fn now() -> SystemTime {
    humantime::parse_rfc3339(NOW).unwrap()
}

/// A folder of notation's configuration as the verdict's was.
fn configuration(verdict: &Verdict) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("trustpolicy.json"), verdict.policy.to_string()).unwrap();
    for (kind, file) in [("ca", Some(&verdict.ca)), ("tsa", verdict.tsa.as_ref())] {
        let Some(file) = file else { continue };
        let store = dir.path().join("truststore/x509").join(kind).join("t");
        fs::create_dir_all(&store).unwrap();
        let name = Path::new(file).file_name().unwrap();
        fs::copy(fixtures().join("pki").join(name), store.join(name)).unwrap();
    }
    dir
}

/// The subject and all signatures about it in an OCI layout.
fn load(case: &Path, digest: &Digest) -> (Subject, Vec<Signature>) {
    let blobs = case.join("oci/blobs/sha256");
    let blob = |digest: &Digest| fs::read(blobs.join(digest.hex())).unwrap();
    let image = Manifest::parse(blob(digest).into(), Algorithm::Sha256).unwrap();
    let repository = Repository::parse("acme.io/net-monitor").unwrap();
    let subject = Subject { repository, descriptor: image.descriptor().clone() };
    let mut signatures = Vec::new();
    for entry in fs::read_dir(&blobs).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        let Ok(manifest) = Manifest::parse(bytes.into(), Algorithm::Sha256) else { continue };
        let Some(carrier) = layout::carrier(&manifest, digest) else { continue };
        assert!(carrier.pure);
        for part in &carrier.parts {
            signatures.push(layout::signature(&carrier, *manifest.digest(), part, blob(&part.digest).into()));
        }
    }
    (subject, signatures)
}

fn judge(case: &Path, digest: &Digest, verdict: &Verdict) -> Vec<Result<(), Rejected>> {
    let dir = configuration(verdict);
    let verifier = from_config_dir(&SignerName("acme".into()), dir.path()).unwrap();
    let (subject, signatures) = load(case, digest);
    let verify = |s: &Signature| {
        layout::claims(s, &subject.descriptor).unwrap();
        verifier.verify(&subject, s, &RevocationData::default(), now()).map(|_| ())
    };
    signatures.iter().map(verify).collect()
}

#[test]
fn verdicts_are_notations_own() {
    let mut judged = 0;
    for case in fs::read_dir(fixtures()).unwrap().map(|e| e.unwrap().path()) {
        let Ok(text) = fs::read(case.join("case.json")) else { continue };
        let Case { digest, verify } = serde_json::from_slice(&text).unwrap();
        for (at, verdict) in verify.iter().enumerate() {
            let results = judge(&case, &digest, verdict);
            let trusted = results.iter().any(Result::is_ok);
            assert_eq!(trusted, verdict.rc == 0, "{} {at}: {results:?}", case.display());
            judged += 1;
        }
    }
    assert_eq!(judged, 34);
}

#[test]
fn refusals_have_the_reason_that_notation_printed() {
    let root = fixtures();
    let codes = |case: &str| -> Vec<Option<Code>> {
        let text = fs::read(root.join(case).join("case.json")).unwrap();
        let Case { digest, verify } = serde_json::from_slice(&text).unwrap();
        let one = |v| judge(&root.join(case), &digest, v).remove(0).err().map(|e| e.code());
        verify.iter().map(one).collect()
    };
    let expected = [None, Some(Code::UntrustedKey), None, Some(Code::IdentityMismatch), None];
    for case in ["alg-p256-cose", "alg-p256-jws", "alg-p521-jws", "alg-rsa2048-cose", "alg-rsa3072-jws"] {
        assert_eq!(codes(case), expected, "{case}");
    }
    assert_eq!(codes("expired-sig-cose"), [Some(Code::SignatureExpired), None, None]);
}
