//! Certificates, as files and as signatures carry them, with what certificate transparency logs say about them. The
//! log of the seeds is genuine; it has seen no certificate that issued itself.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use portcullis::x509::{AlternativeName, Certificate, PublicKey, chain, sct};
use portcullis_fuzz::file;

static LOG: LazyLock<PublicKey> = LazyLock::new(|| {
    let key =
        std::fs::read(file("../tests/fixtures/x509/sct/made-log.der")).expect("it is in the repository");
    PublicKey::from_spki_der(&key).expect("a key")
});

fuzz_target!(|bytes: &[u8]| {
    let _ = PublicKey::from_spki_der(bytes);
    let _ = PublicKey::from_pkcs1_der(bytes);
    let _ = PublicKey::from_pem(bytes);
    let _ = Certificate::from_der(bytes);
    let Ok(certificates) = Certificate::all_from(bytes) else { return };
    for certificate in &certificates {
        let _ = (certificate.subject().to_string(), certificate.issuer().to_string());
        let _ = certificate.is_self_signed();
        let _ = certificate.alternative_names().iter().filter_map(AlternativeName::text).count();
        for sct in sct::embedded(certificate).unwrap_or_default() {
            let _ = sct.verify(certificate, certificate, &LOG).expect_err("a log's word about the issuer");
        }
    }
    let _ = chain::ordered(&certificates, &certificates, portcullis_fuzz::now());
});
