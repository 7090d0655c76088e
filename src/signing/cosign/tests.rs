use futures_util::FutureExt as _;

use super::*;
use crate::demo::signing::{Key as Demo, KeyKind as Kind};
use crate::oci::{Algorithm, media_type};
use crate::signing::Key;
use crate::x509::PublicKey;

fn key(kind: Kind) -> SigningKey {
    let pem = Demo::generate(kind).unwrap().private_pem();
    Key::from_pem(pem.as_bytes(), &|| panic!("nobody is asked")).unwrap().into()
}

fn signed(key: &SigningKey, text: &[u8]) -> Layer {
    let (subject, none) = (Digest::sha256(text), BTreeMap::new());
    let signing = sign(key, "registry.example/app", &subject, &none, None);
    signing.now_or_never().expect("a key from a file keeps nobody waiting").unwrap()
}

fn parsed(made: &Amended) -> Manifest {
    Manifest::parse(made.1.bytes().clone(), Algorithm::Sha256).unwrap()
}

/// cosign 3.1.1's own name of the key that `tests/fixtures/sigstore` was signed with.
#[test]
fn a_bundle_names_its_key_as_cosign_does() {
    let pem = include_bytes!("../../../tests/fixtures/sigstore/pki/key-p256.pub");
    let named = STANDARD.encode(PublicKey::from_pem(pem).unwrap().fingerprint());
    assert_eq!(named, "DzgCOnveSpreSTfdQ2U8XCPE6yzzGgfSQGAFmaBGC4c=");
}

#[test]
fn a_signature_stands_beside_others_once() {
    let key = key(Kind::P256);
    let (one, two) = (signed(&key, b"one"), signed(&key, b"two"));
    let first = one.missing_in(None).unwrap().unwrap();
    let first = parsed(&first);
    assert!(one.missing_in(Some(&first)).unwrap().is_none());
    let both = two.missing_in(Some(&first)).unwrap().unwrap();
    // The payload that is there already is not among what has to be sent.
    assert_eq!(both.0.len(), 2, "the config and one payload");
    let both = parsed(&both);
    assert_eq!(both.blobs().len(), 2);
    assert_eq!(both.blobs()[0], first.blobs()[0]);
    assert!(one.missing_in(Some(&both)).unwrap().is_none() && two.missing_in(Some(&both)).unwrap().is_none());
    // The same payload by another key is another signature.
    let other = signed(&self::key(Kind::P256), b"one");
    assert_eq!(parsed(&other.missing_in(Some(&both)).unwrap().unwrap()).blobs().len(), 3);
}

#[test]
fn images_of_signatures_are_united_without_loss() {
    let key = key(Kind::Ed25519);
    let image = |layers: &[&Layer]| {
        layers.iter().fold(None, |present: Option<Manifest>, layer| {
            Some(layer.beside(present.as_ref()).unwrap().manifest)
        })
    };
    let (a, b, c) = (signed(&key, b"a"), signed(&key, b"b"), signed(&key, b"c"));
    let (ab, bc, abc) = (image(&[&a, &b]).unwrap(), image(&[&b, &c]).unwrap(), image(&[&a, &b, &c]).unwrap());
    assert!(united(Some(&ab), &ab).unwrap().is_none());
    assert!(united(Some(&abc), &bc).unwrap().is_none(), "all of it is there");
    assert_eq!(united(None, &ab).unwrap().unwrap().1.digest(), ab.digest(), "nothing is there");
    assert_eq!(
        united(Some(&ab), &abc).unwrap().unwrap().1.digest(),
        abc.digest(),
        "it brings all that is there"
    );
    let made = parsed(&united(Some(&ab), &bc).unwrap().unwrap());
    assert_eq!(made.blobs().len(), 3);
}

#[test]
fn a_key_that_cosign_does_not_verify_does_not_sign() {
    assert!(may_sign(&key(Kind::P521)).is_ok() && may_sign(&key(Kind::Rsa2048)).is_ok());
    let refused = may_sign(&key(Kind::P384)).unwrap_err();
    assert!(refused.to_string().contains("P-384"), "{refused}");
}

#[test]
fn a_bundle_is_a_referrer_with_one_statement() {
    let subject = Descriptor::new(media_type::OCI_MANIFEST, Digest::sha256(b"manifest"), 8);
    let annotations = BTreeMap::from([("stage".to_owned(), "prod".to_owned())]);
    let key = key(Kind::P256);
    let made = bundle(&key, &subject, &annotations, None, SystemTime::UNIX_EPOCH);
    let made = made.now_or_never().expect("a key from a file keeps nobody waiting").unwrap();
    assert_eq!(made.manifest.subject().unwrap().digest, subject.digest);
    assert_eq!(made.manifest.descriptor().artifact_type.as_deref(), Some(SIGSTORE_BUNDLE));
    let bundle: Value = serde_json::from_slice(&made.blobs[1]).unwrap();
    let payload = STANDARD.decode(bundle["dsseEnvelope"]["payload"].as_str().unwrap()).unwrap();
    let statement: Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!(
        statement,
        json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"digest": {"sha256": subject.digest.hex()}, "annotations": {"stage": "prod"}}],
            "predicateType": "https://sigstore.dev/cosign/sign/v1",
            "predicate": {},
        })
    );
}
