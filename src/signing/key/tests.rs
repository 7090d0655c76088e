use super::*;
use crate::demo::signing::{Key as Demo, KeyKind as Kind};

const KINDS: [Kind; 7] =
    [Kind::P256, Kind::P384, Kind::P521, Kind::Ed25519, Kind::Rsa2048, Kind::Rsa3072, Kind::Rsa4096];
/// What needs no password.
fn read(text: impl AsRef<[u8]>) -> Result<Key, KeyError> {
    Key::from_pem(text.as_ref(), &|| panic!("nobody is asked"))
}

const HASHES: [Hash; 3] = [Hash::Sha256, Hash::Sha384, Hash::Sha512];

fn algorithms() -> impl Iterator<Item = Algorithm> {
    let hashed = HASHES.into_iter().flat_map(|hash| {
        let ecdsa = [Encoding::Asn1, Encoding::Fixed].map(|encoding| Algorithm::Ecdsa(hash, encoding));
        ecdsa.into_iter().chain([Algorithm::RsaPkcs1(hash), Algorithm::RsaPss(hash)])
    });
    hashed.chain([Algorithm::Ed25519])
}

/// What a key signs by an algorithm, its public half verifies by that one and by no other.
#[test]
fn what_a_key_signs_its_public_half_verifies() {
    for kind in KINDS {
        let key = read(Demo::generate(kind).unwrap().private_pem()).unwrap();
        let mut signed = 0;
        for by in algorithms() {
            let Ok(signature) = key.sign(by, b"message") else { continue };
            signed += 1;
            for other in algorithms() {
                let verified = key.public().verify(other, b"message", &signature).is_ok();
                assert_eq!(verified, by == other, "{kind:?} {by:?} {other:?}");
            }
            assert!(key.public().verify(by, b"massage", &signature).is_err());
        }
        let expected = match kind {
            Kind::Ed25519 => 1,
            Kind::P256 | Kind::P384 => 2,
            Kind::P521 => 3,
            _ => 6,
        };
        assert_eq!(signed, expected, "{kind:?}");
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// The same key in openssl's older forms, with what openssl writes beside it.
#[test]
fn older_forms_are_the_same_keys() {
    let rsa = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
    let pkcs8 = rsa.serialized_der();
    // PrivateKeyInfo: the version, rsaEncryption and two heads stand before the RSAPrivateKey.
    let old = read(pem("RSA PRIVATE KEY", &pkcs8[26..])).unwrap();
    assert_eq!(old.public(), Key::from_pkcs8(pkcs8).unwrap().public());
    for (_, asn1, _) in CURVES {
        let pair = EcdsaKeyPair::generate(asn1).unwrap();
        let der: aws_lc_rs::encoding::EcPrivateKeyRfc5915Der<'_> = pair.private_key().as_der().unwrap();
        let text = pem("EC PARAMETERS", &[6, 0]) + &pem("EC PRIVATE KEY", der.as_ref());
        let spki = pair.public_key().as_der().unwrap();
        assert_eq!(read(text).unwrap().public().spki(), spki.as_ref());
    }
}

#[test]
fn what_is_no_key_is_refused_and_not_shown() {
    let key = Demo::generate(Kind::P256).unwrap().private_pem();
    let broken = key.replacen("MIG", "MIH", 1);
    let twice = format!("{key}{key}");
    let small = pem("PRIVATE KEY", include_bytes!("../../../tests/fixtures/keys/rsa-1024.der"));
    for (text, why) in [
        ("", "found none"),
        (&twice, "more than one"),
        (&broken, "does not sign here"),
        (&small, "does not sign here"),
        (&pem("PUBLIC KEY", &[0]), "found PUBLIC KEY"),
        ("-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----\n", "a broken PEM block"),
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
    let key = read(key).unwrap();
    assert_eq!(format!("{key:?}"), format!("Key({:?})", key.public()));
}

#[test]
fn a_file_that_is_no_key_is_not_read_for_long() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.pem");
    let read = |path: &Path| Key::read(path, &|| panic!("nobody is asked"));
    assert!(matches!(read(&path), Err(KeyError::Unreadable(_))));
    std::fs::write(&path, vec![b'\n'; 64 * 1024 + 1]).unwrap();
    assert!(read(&path).unwrap_err().to_string().contains("more than 65536 bytes"));
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/keys").join(name)).unwrap()
}

fn open(text: &[u8], password: &str) -> Result<Key, KeyError> {
    Key::from_pem(text, &|| Ok(Password::kept(Zeroizing::new(password.to_owned()))))
}

#[test]
fn encrypted_keys_of_openssl_and_cosign_open_by_their_password_alone() {
    for (name, public) in
        [("p256-pbkdf2.pem", "p256.pub"), ("p256-scrypt.pem", "p256.pub"), ("cosign.pem", "cosign.pub")]
    {
        let text = fixture(name);
        let key = open(&text, "password").unwrap();
        assert_eq!(*key.public(), PublicKey::from_pem(&fixture(public)).unwrap(), "{name}");
        for wrong in ["passwore", "", "password\n"] {
            assert!(matches!(open(&text, wrong), Err(KeyError::Password)), "{name} {wrong:?}");
        }
        let untold = Key::from_pem(&text, &|| Err(io::ErrorKind::NotFound.into()));
        assert!(matches!(untold, Err(KeyError::Unreadable(_))), "{name}");
    }
}

#[test]
fn old_encryption_is_refused_with_what_to_do() {
    for name in ["p256-pbes1.pem", "p256-old.pem"] {
        let error = open(&fixture(name), "password").unwrap_err().to_string();
        assert!(error.contains("openssl pkcs8 -topk8 -v2 aes-256-cbc"), "{name}: {error}");
    }
}

/// Whoever hands us a key must not have us fill the memory, or guess for ever.
#[test]
fn a_sealed_key_that_is_changed_is_refused() {
    let sealed = |change: &dyn Fn(&mut serde_json::Value)| {
        let text = fixture("cosign.pem");
        let block = x509_parser::pem::Pem::iter_from_buffer(&text).next().unwrap().unwrap();
        let mut sealed: serde_json::Value = serde_json::from_slice(&block.contents).unwrap();
        change(&mut sealed);
        open(pem(&block.label, sealed.to_string().as_bytes()).as_bytes(), "password")
    };
    assert!(sealed(&|_| {}).is_ok());
    let number = |at: &'static str, n: u64| sealed(&move |sealed| sealed["kdf"]["params"][at] = n.into());
    for (at, n) in
        [("N", 1 << 40), ("N", 65_535), ("N", 0), ("N", 1), ("r", 1 << 20), ("r", 0), ("p", 17), ("p", 0)]
    {
        assert!(matches!(number(at, n), Err(KeyError::Unsupported(_))), "{at} {n}");
    }
    for (n, r, p) in [(2, 1 << 20, 16), (2, 1, 1 << 22), (1 << 16, 16, 9)] {
        let all = serde_json::json!({ "N": n, "r": r, "p": p });
        let refused = sealed(&|sealed| sealed["kdf"]["params"] = all.clone());
        assert!(matches!(refused, Err(KeyError::Unsupported(_))), "{n} {r} {p}");
    }
    assert!(matches!(number("N", 32_768), Err(KeyError::Password)));
    let text = |path: &'static str, text: &'static str| {
        sealed(&move |sealed| *sealed.pointer_mut(path).unwrap() = text.into())
    };
    assert!(matches!(text("/kdf/name", "bcrypt"), Err(KeyError::Unsupported(_))));
    assert!(matches!(text("/cipher/name", "aes"), Err(KeyError::Unsupported(_))));
    assert!(matches!(text("/cipher/nonce", "AAAA"), Err(KeyError::Malformed(_))));
    assert!(matches!(text("/ciphertext", "!"), Err(KeyError::Malformed(_))));
    assert!(matches!(text("/ciphertext", "AAAA"), Err(KeyError::Password)));
    assert!(matches!(text("/kdf/salt", "AAAA"), Err(KeyError::Password)));
}

#[test]
fn a_new_key_reads_back_from_its_pem_alone_or_with_its_password() {
    let kinds = [KeyKind::P256, KeyKind::P384, KeyKind::P521, KeyKind::Ed25519, KeyKind::Rsa { bits: 2048 }];
    for kind in kinds {
        let (key, pem) = Key::generate(kind, None).unwrap();
        assert_eq!(key.public().kind(), kind);
        assert_eq!(read(pem.as_bytes()).unwrap().public(), key.public());
        assert_eq!(PublicKey::from_pem(key.public().to_pem().as_bytes()).unwrap(), *key.public());
    }
    let (key, pem) = Key::generate(KeyKind::P256, Some("right")).unwrap();
    assert!(pem.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
    assert_eq!(open(pem.as_bytes(), "right").unwrap().public(), key.public());
    assert!(matches!(open(pem.as_bytes(), "wrong"), Err(KeyError::Password)));
    let (_, other) = Key::generate(KeyKind::P256, Some("right")).unwrap();
    assert_ne!(*pem, *other);
    assert!(matches!(Key::generate(KeyKind::Rsa { bits: 1024 }, None), Err(KeyError::Unsupported(_))));
}
