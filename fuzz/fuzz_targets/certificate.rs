//! Certificates, as files and as signatures carry them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::x509::{Certificate, PublicKey, chain};

fuzz_target!(|bytes: &[u8]| {
    let _ = PublicKey::from_spki_der(bytes);
    let _ = PublicKey::from_pem(bytes);
    let _ = Certificate::from_der(bytes);
    let Ok(certificates) = Certificate::all_from(bytes) else { return };
    for certificate in &certificates {
        let _ = (certificate.subject().to_string(), certificate.issuer().to_string());
        let _ = certificate.is_self_signed();
    }
    let _ = chain::ordered(&certificates, &certificates, portcullis_fuzz::now());
});
