//! cosign's simple-signing payloads, and its signatures.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use portcullis::oci::media_type::COSIGN_SIMPLE_SIGNING;
use portcullis::signature::{Format, Subject, Verifier, cosign};
use portcullis_fuzz::{file, judge, signature, signer, subject};

const ANNOTATION: &str = "dev.cosignproject.cosign/signature";

static SUBJECT: LazyLock<Subject> = LazyLock::new(|| subject("seeds/manifest/image"));
static SIGNATURE: LazyLock<String> =
    LazyLock::new(|| std::fs::read_to_string(file("trust/cosign.sig")).expect("it is in the repository"));
static VERIFIER: LazyLock<Box<dyn Verifier>> = LazyLock::new(|| {
    let settings = serde_json::json!({ "key": file("trust/cosign.pub"), "transparency_log": "ignore" });
    let settings: cosign::Settings = serde_json::from_value(settings).expect("valid settings");
    Box::new(cosign::verifier(&signer(), &settings).expect("a valid key"))
});

fuzz_target!(|bytes: &[u8]| {
    // Any payload under the genuine signature: only the genuine one is believed.
    let mut claim = signature(Format::Cosign, &SUBJECT, COSIGN_SIMPLE_SIGNING, bytes);
    claim.annotations.insert(ANNOTATION.to_owned(), SIGNATURE.trim().to_owned());
    let _ = cosign::claims(&claim, &SUBJECT.descriptor);
    let genuine = include_bytes!("../seeds/simple_signing/cosign");
    assert_eq!(judge(VERIFIER.as_ref(), &SUBJECT, &claim), bytes == genuine);

    // The genuine payload under any signature.
    let mut claim = signature(Format::Cosign, &SUBJECT, COSIGN_SIMPLE_SIGNING, genuine);
    claim.annotations.insert(ANNOTATION.to_owned(), String::from_utf8_lossy(bytes).into_owned());
    judge(VERIFIER.as_ref(), &SUBJECT, &claim);
});
