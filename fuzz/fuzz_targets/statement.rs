//! in-toto statements, in an envelope that nobody signed: what is taken for one about an image names it.
#![no_main]

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use libfuzzer_sys::fuzz_target;
use portcullis::oci::media_type::DSSE_ENVELOPE;
use portcullis::signature::{Format, Subject, cosign};
use portcullis_fuzz::{signature, subject};
use serde_json::{Value, json};

static SUBJECT: LazyLock<Subject> = LazyLock::new(|| subject("trust/sigstore/attested"));

fuzz_target!(|bytes: &[u8]| {
    let envelope = json!({
        "payload": STANDARD.encode(bytes),
        "payloadType": "application/vnd.in-toto+json",
        "signatures": [{ "sig": "AAAA" }],
    });
    let claim = signature(Format::Cosign, &SUBJECT, DSSE_ENVELOPE, envelope.to_string().as_bytes());
    if cosign::claims(&claim, &SUBJECT.descriptor).is_ok() {
        let statement: Value = serde_json::from_slice(bytes).expect("it was read");
        let subjects = statement["subject"].as_array().expect("it has subjects");
        assert!(subjects.iter().any(|s| s["digest"]["sha256"] == SUBJECT.descriptor.digest.hex()));
    }
});
