use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

use super::*;
use crate::signing::{Key, KeyError, SigningKey};
use crate::x509::Hash;

const P256: Algorithm = Algorithm::Ecdsa(Hash::Sha256, Encoding::Fixed);

/// A plug-in that prints what a file of its request's name holds.
struct Shelf(TempDir);

impl Shelf {
    fn new() -> Self {
        let shelf = Self(tempfile::tempdir().unwrap());
        let program = shelf.0.path().join("notation-x");
        // Written by a child: what others fork meanwhile would hold it open for writing, and it could not be run.
        let mut shell = std::process::Command::new("sh");
        let text = format!("#!/bin/sh\ncat > /dev/null\ncat {}/$1\n", shelf.0.path().display());
        let written = shell.args(["-c", "printf %s \"$1\" > \"$2\"", "sh", &text]).arg(&program).status();
        assert!(written.unwrap().success());
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
        let metadata = json!({
            "name": "x", "supportedContractVersions": ["1.0"], "capabilities": ["SIGNATURE_GENERATOR.RAW"],
        });
        shelf.put("get-plugin-metadata", &metadata);
        shelf.put("describe-key", &json!({ "keyId": "k", "keySpec": "EC-256" }));
        shelf
    }

    fn put(&self, command: &str, answer: &serde_json::Value) {
        fs::write(self.0.path().join(command), answer.to_string()).unwrap();
    }

    /// What it signs from now on, whatever it is asked to.
    fn signs(&self, key: &rcgen::KeyPair, message: &[u8]) {
        let made = rcgen::CertificateParams::new(vec!["x".to_owned()]).unwrap().self_signed(key).unwrap();
        let pair = Key::from_pkcs8(key.serialized_der()).unwrap();
        let answer = json!({
            "keyId": "k",
            "signature": STANDARD.encode(pair.sign(P256, message).unwrap()),
            "signingAlgorithm": "ECDSA-SHA-256",
            "certificateChain": [STANDARD.encode(made.der())],
        });
        self.put("generate-signature", &answer);
    }

    fn open(&self) -> Result<SigningKey, KeyError> {
        let name = format!("plugin:{}/notation-x?id=k", self.0.path().display());
        SigningKey::open(&name, &|| panic!("nobody is asked"))
    }
}

fn pair() -> rcgen::KeyPair {
    rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap()
}

#[tokio::test]
async fn a_plugin_signs_with_the_key_that_it_opened_with() {
    let (shelf, key) = (Shelf::new(), pair());
    shelf.signs(&key, PROBE);
    let opened = shelf.open().unwrap();
    assert_eq!(opened.public().to_pem(), key.public_key_pem().replace("\r\n", "\n"));
    assert_eq!(opened.chain().len(), 1);
    shelf.signs(&key, b"message");
    let signature = opened.sign(P256, b"message").await.unwrap();
    opened.public().verify(P256, b"message", &signature).unwrap();
    let asn1 = Algorithm::Ecdsa(Hash::Sha256, Encoding::Asn1);
    let signature = opened.sign(asn1, b"message").await.unwrap();
    opened.public().verify(asn1, b"message", &signature).unwrap();
    let other = opened.sign(P256, b"other message").await;
    assert!(matches!(other, Err(KeyError::Plugin(Error::Foreign))));
    shelf.signs(&pair(), b"message");
    let other = opened.sign(P256, b"message").await;
    assert!(matches!(other, Err(KeyError::Plugin(Error::Changed))));
}

#[test]
fn a_plugin_that_cannot_prove_its_key_is_not_opened() {
    let shelf = Shelf::new();
    shelf.signs(&pair(), b"message");
    assert!(matches!(shelf.open(), Err(KeyError::Plugin(Error::Foreign))));
    shelf.put("generate-signature", &json!({}));
    assert!(matches!(shelf.open(), Err(KeyError::Plugin(Error::Answer(_)))));
    shelf.put(
        "get-plugin-metadata",
        &json!({ "name": "x", "supportedContractVersions": [], "capabilities": [] }),
    );
    assert!(shelf.open().unwrap_err().to_string().contains("version 1.0 of the contract expected"));
}

#[tokio::test]
async fn rsa_keys_sign_by_the_contracts_one_algorithm() {
    let spec = serde_json::from_value::<Description>(json!({ "keyId": "k", "keySpec": "RSA-3072" })).unwrap();
    let (key, _) = Key::generate(crate::x509::KeyKind::P256, None).unwrap();
    let plugin = Plugin {
        name: Name::parse("plugin:x?id=k").unwrap(),
        program: "/absent".into(),
        spec: spec.spec("k").unwrap(),
        public: key.public().clone(),
        chain: Vec::new(),
    };
    for algorithm in [Algorithm::RsaPkcs1(Hash::Sha384), Algorithm::RsaPss(Hash::Sha256)] {
        assert!(matches!(plugin.sign(algorithm, b"m").await, Err(Error::Algorithm { .. })), "{algorithm:?}");
    }
    assert!(matches!(plugin.sign(Algorithm::RsaPss(Hash::Sha384), b"m").await, Err(Error::Program { .. })));
}
