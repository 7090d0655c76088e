//! What is signed here is judged by `signature::notation`, which notation's own verdicts hold.

use bytes::Bytes;
use futures_util::FutureExt as _;
use serde_json::{Value, json};

use super::*;
use crate::demo::signing::{Authority, Identity, KeyKind as Kind, Profile};
use crate::oci::{Repository, media_type};
use crate::signature::notation::{Settings, verifier};
use crate::signature::{Evidence, Format, Rejected, Signature, SignerName, Subject, Verifier as _};
use crate::signing::Key;
use crate::trust::RevocationData;

struct Stand {
    key: SigningKey,
    chain: Vec<Certificate>,
    folder: tempfile::TempDir,
}

impl Stand {
    fn of(identity: &Identity) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("x509/ca/acme");
        std::fs::create_dir_all(&store).unwrap();
        std::fs::write(store.join("root.crt"), identity.root_pem()).unwrap();
        let pem = identity.key().private_pem();
        let key = Key::from_pem(pem.as_bytes(), &|| panic!("nobody is asked")).unwrap().into();
        let chain = identity.chain().iter().map(|der| Certificate::from_der(der).unwrap()).collect();
        Self { key, chain, folder }
    }

    fn issued(kind: Kind) -> Self {
        let profile = Profile { key: kind, ..Profile::of_organization("acme") };
        Self::of(&Authority::new("acme").unwrap().issue(&profile).unwrap())
    }

    fn sign(&self, chain: &[Certificate], annotations: &[(&str, &str)], form: Form) -> Result<Bytes, Error> {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let annotations = annotations.iter().map(own).collect();
        let now = SystemTime::now();
        let claim = Claim { subject: &subject(), annotations: &annotations, signed: now, expires: None };
        sign(&self.key, chain, &claim, form, None)
            .now_or_never()
            .expect("a key from a file keeps nobody waiting")
    }

    fn verify(&self, envelope: Bytes, form: Form, annotation: Option<&str>) -> Result<Evidence, Rejected> {
        let settings = json!({
            "trust_store": "ca:acme", "trust_store_dir": self.folder.path(), "trusted_identities": ["*"],
        });
        let mut settings: Settings = serde_json::from_value(settings).unwrap();
        settings.annotations.extend(annotation.map(|stage| ("stage".to_owned(), stage.to_owned())));
        let media_type = if form == Form::Jws { media_type::NOTATION_JWS } else { media_type::NOTATION_COSE };
        let signature = Signature {
            format: Format::Notation,
            digest: Digest::sha256(&envelope),
            media_type: media_type.into(),
            payload: envelope,
            annotations: Default::default(),
        };
        let repository = Repository::parse("docker.io/library/app").unwrap();
        let subject = Subject { repository, descriptor: subject() };
        let verifier = verifier(&SignerName("acme".into()), &settings).unwrap();
        verifier.verify(&subject, &signature, &RevocationData::default(), SystemTime::now())
    }
}

fn subject() -> Descriptor {
    Descriptor::new(media_type::OCI_MANIFEST, Digest::sha256(b"manifest"), 8)
}

#[test]
fn each_key_and_envelope_verifies_and_no_changed_byte_does() {
    for kind in [Kind::P256, Kind::P384, Kind::P521, Kind::Rsa2048, Kind::Rsa3072, Kind::Rsa4096] {
        let stand = Stand::issued(kind);
        for form in [Form::Jws, Form::Cose] {
            let envelope = stand.sign(&stand.chain, &[], form).unwrap();
            let evidence = stand.verify(envelope.clone(), form, None).unwrap();
            assert_eq!(evidence.subject(), &subject().digest, "{kind:?} {form:?}");
            let mut changed = envelope.to_vec();
            // The end of a JWS envelope is its JSON's; of a COSE envelope the signature's.
            let at = changed.len() - if form == Form::Jws { 8 } else { 1 };
            changed[at] ^= 1;
            assert!(stand.verify(changed.into(), form, None).is_err(), "{kind:?} {form:?}");
        }
    }
}

#[test]
fn what_is_said_besides_is_signed() {
    let stand = Stand::issued(Kind::P256);
    let envelope = stand.sign(&stand.chain, &[("stage", "prod")], Form::Jws).unwrap();
    assert!(stand.verify(envelope.clone(), Form::Jws, Some("prod")).is_ok());
    assert!(stand.verify(envelope, Form::Jws, Some("test")).is_err());
    let reserved = stand.sign(&stand.chain, &[("io.cncf.notary.expiry", "never")], Form::Jws).unwrap_err();
    assert!(matches!(reserved, Error::Reserved(_)), "{reserved}");
}

#[test]
fn no_chain_that_every_verifier_refuses_signs() {
    let (stand, other) = (Stand::issued(Kind::P256), Stand::issued(Kind::P256));
    let refused = |chain: &[Certificate]| stand.sign(chain, &[], Form::Cose).unwrap_err();
    assert!(matches!(refused(&other.chain), Error::OtherKey { .. }));
    assert!(matches!(refused(&[]), Error::Refused(_)));
    assert!(matches!(refused(&stand.chain[..1]), Error::Refused(_)), "its root is missing");
    let ed25519 = Stand::issued(Kind::Ed25519);
    assert!(ed25519.sign(&ed25519.chain, &[], Form::Cose).is_err());
}

#[test]
fn the_artifact_names_subject_and_certificates() {
    let stand = Stand::issued(Kind::P256);
    let envelope = stand.sign(&stand.chain, &[], Form::Cose).unwrap();
    let ders = stand.chain.iter().map(Certificate::der);
    let made = artifact(envelope.clone(), Form::Cose, ders, &subject(), SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(made.blobs, [Bytes::from_static(b"{}"), envelope]);
    let manifest: Value = serde_json::from_slice(made.manifest.bytes()).unwrap();
    assert_eq!(manifest["config"]["mediaType"], media_type::NOTATION_SIGNATURE);
    assert_eq!(manifest["layers"][0]["mediaType"], media_type::NOTATION_COSE);
    assert_eq!(manifest["subject"]["digest"], subject().digest.to_string());
    let named: Vec<String> =
        serde_json::from_str(manifest["annotations"][THUMBPRINTS].as_str().unwrap()).unwrap();
    let expected: Vec<_> = stand.chain.iter().map(|c| Digest::sha256(c.der()).hex()).collect();
    assert_eq!(named, expected);
    assert_eq!(manifest["annotations"]["org.opencontainers.image.created"], "1970-01-01T00:00:00Z");
}
