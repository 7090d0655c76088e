//! What the real tools made under `tests/fixtures/notation/made`: a verdict of ours on each.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::json;

use crate::oci::media_type::{NOTATION_COSE, NOTATION_JWS};
use crate::oci::{Algorithm, Manifest, Repository};
use crate::signature::notation::from_config_dir;
use crate::signature::{Evidence, Rejected, Signature, SignerName, Subject, Verifier};
use crate::trust::RevocationData;

/// Long after all was made, and long before it ends.
pub(super) const NOW: &str = "2030-01-01T00:00:00Z";

pub(super) fn time(text: &str) -> SystemTime {
    humantime::parse_rfc3339(text).unwrap()
}

/// The bytes of a file of the folder.
pub(super) fn file(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/notation/made");
    fs::read(folder.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// The image that all of it is about.
pub(super) fn subject() -> Subject {
    let manifest = Manifest::parse(file("manifest.json").into(), Algorithm::Sha256).unwrap();
    let repository = Repository::parse("acme.example/image").unwrap();
    Subject { repository, descriptor: manifest.descriptor().clone() }
}

/// An envelope, of the kind that its name ends with.
pub(super) fn signature(name: &str, envelope: Vec<u8>) -> Signature {
    let media_type = if name.ends_with(".jws") { NOTATION_JWS } else { NOTATION_COSE };
    super::signer::signature(media_type, envelope)
}

/// A folder of notation's configuration with one statement for all repositories.
pub(super) struct Configuration {
    dir: tempfile::TempDir,
}

impl Configuration {
    /// All identities, in the stores `ca:acme` and `tsa:acme` (and `:other`, which signed nothing) that are named.
    pub(super) fn new(verification: &serde_json::Value, stores: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let policy = json!({ "version": "1.0", "trustPolicies": [{
            "name": "p", "registryScopes": ["*"], "signatureVerification": verification,
            "trustStores": stores, "trustedIdentities": ["*"],
        }] });
        fs::write(dir.path().join("trustpolicy.json"), policy.to_string()).unwrap();
        for (store, root) in [
            ("ca/acme", "root"),
            ("ca/other", "other-root"),
            ("tsa/acme", "tsa-root"),
            ("tsa/other", "other-root"),
        ] {
            let folder: PathBuf = dir.path().join("truststore/x509").join(store);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("root.pem"), file(&format!("pki/{root}.pem"))).unwrap();
        }
        Self { dir }
    }

    pub(super) fn verifier(&self) -> impl Verifier + use<> {
        from_config_dir(&SignerName("acme".into()), self.dir.path()).unwrap()
    }
}

/// Judges an envelope without any revocation data.
pub(super) fn verify(
    verifier: &impl Verifier,
    signature: &Signature,
    now: SystemTime,
) -> Result<Evidence, Rejected> {
    verifier.verify(&subject(), signature, &RevocationData::default(), now)
}

#[test]
fn signatures_of_all_algorithms_verify() {
    let strict = Configuration::new(&json!({ "level": "strict" }), &["ca:acme"]).verifier();
    for format in ["jws", "cose"] {
        for name in ["rsa2048", "rsa3072", "rsa4096", "p256", "p384", "p521", "expiring", "annotated"] {
            let name = format!("{name}.{format}");
            let signature = signature(&name, file(&format!("envelopes/{name}")));
            let evidence = verify(&strict, &signature, time(NOW)).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert!(evidence.not_after().is_some_and(|end| end > time(NOW)), "{name}");
        }
    }
}
