//! Private keys, as files hold them: what is read signs, and its public half verifies that. The seeds' keys are nobody's.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::signing::{Key, Password};
use portcullis::x509::{Algorithm, Encoding, Hash, KeyKind};

fuzz_target!(|bytes: &[u8]| {
    for key in
        [Key::from_pem(bytes, &|| Ok(Password::kept("password".to_owned().into()))), Key::from_pkcs8(bytes)]
            .into_iter()
            .flatten()
    {
        let algorithm = match key.public().kind() {
            KeyKind::Rsa { .. } => Algorithm::RsaPss(Hash::Sha256),
            KeyKind::P256 => Algorithm::Ecdsa(Hash::Sha256, Encoding::Fixed),
            KeyKind::P384 => Algorithm::Ecdsa(Hash::Sha384, Encoding::Fixed),
            KeyKind::P521 => Algorithm::Ecdsa(Hash::Sha512, Encoding::Fixed),
            KeyKind::Ed25519 => Algorithm::Ed25519,
        };
        // A key whose halves do not belong together may fail to sign, and signs nothing that its public half believes.
        if let Ok(signature) = key.sign(algorithm, b"message") {
            key.public().verify(algorithm, b"message", &signature).expect("its own signature");
        }
    }
});
