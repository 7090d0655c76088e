//! nv2's signatures, in both of the prototype's forms.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use portcullis::oci::media_type::{NV2_CONFIG_JSON, NV2_CONFIG_JWT};
use portcullis::signature::{Format, Subject, Verifier, nv2};
use portcullis_fuzz::{file, judge, signature, signer, subject};

static SUBJECT: LazyLock<Subject> = LazyLock::new(|| subject("../tests/fixtures/nv2/manifest.json"));
static VERIFIER: LazyLock<Box<dyn Verifier>> = LazyLock::new(|| {
    let certificates = ["nv2/pki", "nv2-json/pki"].map(|folder| file("../tests/fixtures").join(folder));
    let settings = nv2::Settings { certificates: certificates.to_vec(), ..nv2::Settings::default() };
    Box::new(nv2::verifier(&signer(), &settings).expect("valid settings"))
});

fuzz_target!(|bytes: &[u8]| {
    for media_type in [NV2_CONFIG_JWT, NV2_CONFIG_JSON] {
        let signature = signature(Format::Nv2, &SUBJECT, media_type, bytes);
        let _ = nv2::claims(&signature, &SUBJECT.descriptor);
        judge(VERIFIER.as_ref(), &SUBJECT, &signature);
    }
});
