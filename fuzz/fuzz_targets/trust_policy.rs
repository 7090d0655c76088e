//! Notary Project's trust policies: statements, or the rule that is broken. Their trust stores are empty here,
//! so that no statement that enforces authenticity believes the genuine signature.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use portcullis::oci::media_type::NOTATION_JWS;
use portcullis::signature::{Format, Signature, Strength, Subject, Verifier, notation};
use portcullis_fuzz::{file, judge, signature, signer, subject};

static SUBJECT: LazyLock<Subject> = LazyLock::new(|| subject("seeds/manifest/image"));
static GENUINE: LazyLock<Signature> = LazyLock::new(|| {
    let envelope = std::fs::read(file("seeds/jws/notation")).expect("the seed is in the repository");
    signature(Format::Notation, &SUBJECT, NOTATION_JWS, &envelope)
});

fuzz_target!(|bytes: &[u8]| {
    match notation::from_text(&signer(), bytes) {
        Ok(verifier) => {
            let (revision, repository) = (verifier.revision(), &SUBJECT.repository);
            assert_eq!(revision, verifier.revision());
            let applies = verifier.basis(repository).is_some_and(|basis| basis.applying.is_some());
            let believed = judge(&verifier, &SUBJECT, &GENUINE);
            assert!(!believed || (applies && verifier.strength(repository) == Strength::Logged));
        }
        Err(rule) => assert!(!rule.is_empty()),
    }
});
