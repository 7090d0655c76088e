//! OCSP responses, as any server may give them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::x509::ocsp::{CertStatus, Response};
use portcullis::x509::revocation::{self, Known, Status};

fuzz_target!(|bytes: &[u8]| {
    let Ok(response) = Response::parse(bytes) else { return };
    let Some([certificate, issuer]) = portcullis_fuzz::revocable() else { return };
    let single = response.verify(&certificate, &issuer, portcullis_fuzz::now());
    let known = Known { ocsp: vec![response], ..Known::default() };
    let question = portcullis_fuzz::question(&certificate, &issuer);
    match (revocation::status(&question, &known), single) {
        (Status::Good { .. }, Ok(single)) => assert_eq!(single.status, CertStatus::Good),
        (Status::Revoked { .. }, Ok(single)) => assert!(matches!(single.status, CertStatus::Revoked(_))),
        (Status::Unknown { .. }, _) => {}
        (status, single) => panic!("{status:?} by {single:?}"),
    }
});
