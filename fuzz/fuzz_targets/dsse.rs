//! DSSE envelopes: as layers of their own, and in a bundle.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use portcullis::oci::media_type::DSSE_ENVELOPE;
use portcullis::signature::{Format, Subject, cosign};
use portcullis_fuzz::sigstore::{is_believed, verifier, with};
use portcullis_fuzz::{file, judge, signature, subject};
use serde_json::{Value, json};

static SUBJECT: LazyLock<Subject> = LazyLock::new(|| subject("trust/sigstore/attested"));
static VERIFIER: LazyLock<cosign::Cosign> = LazyLock::new(|| {
    verifier(json!({ "key": file("trust/sigstore/key.pub"), "transparency_log": "ignore" }))
});

fuzz_target!(|bytes: &[u8]| {
    let claim = signature(Format::Cosign, &SUBJECT, DSSE_ENVELOPE, bytes);
    let _ = cosign::claims(&claim, &SUBJECT.descriptor);
    judge(&*VERIFIER, &SUBJECT, &claim);
    if let Ok(envelope) = serde_json::from_slice::<Value>(bytes) {
        is_believed(&with("/dsseEnvelope", envelope));
    }
});
