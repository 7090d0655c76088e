//! Revocation lists, as issuers publish them and operators carry them in.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::x509::Crl;
use portcullis::x509::revocation::{self, Known, Status};

fuzz_target!(|bytes: &[u8]| {
    let Ok(crl) = Crl::parse(bytes) else { return };
    let _ = (crl.issuer().to_string(), crl.number().map(ToString::to_string), crl.freshest_urls());
    let Some([certificate, issuer]) = portcullis_fuzz::revocable() else { return };
    let entry = crl.entry(certificate.serial());
    let proven = crl.verify(&issuer).is_ok() && crl.covers(&certificate).is_ok();
    let known = Known { crls: vec![crl], ..Known::default() };
    let question = portcullis_fuzz::question(&certificate, &issuer);
    match revocation::status(&question, &known) {
        // Only what the issuer signed changes anything.
        Status::Good { .. } => assert!(proven && entry.is_none_or(|entry| !entry.is_permanent())),
        Status::Revoked { .. } => assert!(proven && entry.is_some()),
        Status::Unknown { .. } | Status::NotRevocable => {}
    }
});
