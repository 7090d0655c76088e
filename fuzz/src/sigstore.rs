//! A genuine bundle with an entry in Rekor v2 and a timestamp, by an identity, and what believes it.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use portcullis::oci::media_type::SIGSTORE_BUNDLE;
use portcullis::signature::{Format, Subject, Verifier, cosign};
use portcullis::trust::RevocationData;
use serde_json::{Value, json};

use crate::{file, signature, signer, subject};

/// The bundle.
pub static GENUINE: LazyLock<Value> = LazyLock::new(|| {
    let bytes = std::fs::read(file("seeds/sigstore_bundle/rekor2")).expect("it is in the repository");
    serde_json::from_slice(&bytes).expect("JSON")
});

static SUBJECT: LazyLock<Subject> = LazyLock::new(|| subject("trust/sigstore/image"));
static VERIFIER: LazyLock<cosign::Cosign> = LazyLock::new(|| {
    let keyless = json!({ "issuer": "https://issuer.example.test", "identity": "dev@example.test" });
    verifier(json!({ "keyless": keyless, "trusted_root": file("trust/sigstore/trusted_root.json") }))
});

/// A verifier of these settings.
pub fn verifier(settings: Value) -> cosign::Cosign {
    let settings: cosign::Settings = serde_json::from_value(settings).expect("valid settings");
    cosign::verifier(&signer(), &settings).expect("valid trust")
}

/// Whether the bytes are a bundle that is believed.
pub fn is_believed(bundle: &[u8]) -> bool {
    let claim = signature(Format::Cosign, &SUBJECT, SIGSTORE_BUNDLE, bundle);
    let _ = cosign::claims(&claim, &SUBJECT.descriptor);
    // A day after it was signed.
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_744_800);
    match VERIFIER.verify(&SUBJECT, &claim, &RevocationData::default(), now) {
        Ok(evidence) => {
            assert_eq!(evidence.subject(), &SUBJECT.descriptor.digest);
            true
        }
        Err(rejection) => {
            let _ = rejection.to_string();
            false
        }
    }
}

/// The genuine bundle with another value there.
pub fn with(pointer: &str, value: Value) -> Vec<u8> {
    let mut bundle = GENUINE.clone();
    *bundle.pointer_mut(pointer).expect("it is in the bundle") = value;
    bundle.to_string().into_bytes()
}

/// What stands there in the genuine bundle.
pub fn text(pointer: &str) -> &'static str {
    GENUINE.pointer(pointer).and_then(Value::as_str).expect("it is in the bundle")
}
