//! Notary Project's JWS envelopes.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use portcullis::oci::media_type::NOTATION_JWS;
use portcullis::signature::{Format, Subject, Verifier, notation};
use portcullis_fuzz::{file, judge, signature, signer, subject};

static SUBJECT: LazyLock<Subject> = LazyLock::new(|| subject("seeds/manifest/image"));
static VERIFIER: LazyLock<Box<dyn Verifier>> = LazyLock::new(|| {
    let mut settings = notation::Settings::default();
    settings.trust_store = Some(notation::OneOrMore::One("ca:acme-rockets.io".to_owned()));
    settings.trust_store_dir = Some(file("trust/truststore"));
    settings.trusted_identities = vec!["*".to_owned()];
    Box::new(notation::verifier(&signer(), &settings).expect("valid settings"))
});

fuzz_target!(|bytes: &[u8]| {
    let signature = signature(Format::Notation, &SUBJECT, NOTATION_JWS, bytes);
    let _ = notation::claims(&signature, &SUBJECT.descriptor);
    judge(VERIFIER.as_ref(), &SUBJECT, &signature);
});
