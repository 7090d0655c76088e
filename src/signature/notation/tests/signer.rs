//! A signer that can be told to break any rule.

use std::time::{Duration, SystemTime};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature as lc;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use coset::cbor::value::Value as Cbor;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, RsaKeySize,
};
use serde_json::{Value, json};

use crate::oci::media_type::{NOTATION_COSE, NOTATION_JWS, OCI_MANIFEST};
use crate::oci::{Descriptor, Digest, Repository};
use crate::signature::notation::{OneOrMore, Settings, verifier};
use crate::signature::validation::{Outcome, Validated};
use crate::signature::{Evidence, Format, Rejected, Signature, SignerName, Subject, Verifier};
use crate::trust::RevocationData;

/// When everything is judged, unless a test says otherwise: 2030-01-01.
pub(super) const NOW: u64 = 1_893_456_000;
/// When everything was signed: the day before.
pub(super) const SIGNED: u64 = NOW - 86_400;

pub(super) fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

/// The parameters of a chain: change them before [`Pki::issue`].
pub(super) struct Pki {
    pub(super) root: CertificateParams,
    pub(super) intermediate: CertificateParams,
    pub(super) leaf: CertificateParams,
}

impl Pki {
    pub(super) fn new() -> Self {
        let mut leaf = params("builder", 2029, 2031);
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        Self { root: ca("root"), intermediate: ca("intermediate"), leaf }
    }

    /// Issues the chain for a key of the algorithm.
    pub(super) fn issue(self, algorithm: &'static str) -> Signer {
        let key = key(algorithm);
        let (root_key, intermediate_key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let root = self.root.self_signed(&root_key).unwrap();
        let root_issuer = Issuer::new(self.root, root_key);
        let intermediate = self.intermediate.signed_by(&intermediate_key, &root_issuer).unwrap();
        let intermediate_issuer = Issuer::new(self.intermediate, intermediate_key);
        let leaf = self.leaf.signed_by(&key, &intermediate_issuer).unwrap();
        let chain = [leaf, intermediate, root].iter().map(|c| c.der().to_vec()).collect();
        Signer { algorithm, key, chain }
    }
}

pub(super) fn params(name: &str, from: i32, to: i32) -> CertificateParams {
    let mut params = CertificateParams::default();
    let mut subject = rcgen::DistinguishedName::new();
    for (kind, value) in [
        (DnType::CountryName, "US"),
        (DnType::StateOrProvinceName, "WA"),
        (DnType::OrganizationName, "acme"),
        (DnType::CommonName, name),
    ] {
        subject.push(kind, value);
    }
    params.distinguished_name = subject;
    params.not_before = rcgen::date_time_ymd(from, 1, 1);
    params.not_after = rcgen::date_time_ymd(to, 1, 1);
    params
}

fn ca(name: &str) -> CertificateParams {
    let mut params = params(name, 2020, 2040);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn key(algorithm: &str) -> KeyPair {
    let rsa = |size| KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size);
    match algorithm {
        "ES256" => KeyPair::generate(),
        "ES384" => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
        "ES512" => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512),
        "PS256" => rsa(RsaKeySize::_2048),
        "PS384" => rsa(RsaKeySize::_3072),
        _ => rsa(RsaKeySize::_4096),
    }
    .unwrap()
}

/// A key with its chain.
pub(super) struct Signer {
    pub(super) algorithm: &'static str,
    pub(super) key: KeyPair,
    /// Leaf, intermediate, root.
    pub(super) chain: Vec<Vec<u8>>,
}

impl Signer {
    pub(super) fn new(algorithm: &'static str) -> Self {
        Pki::new().issue(algorithm)
    }

    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let pkcs8 = self.key.serialize_der();
        let random = SystemRandom::new();
        let ecdsa = |algorithm| {
            let key = lc::EcdsaKeyPair::from_pkcs8(algorithm, &pkcs8).unwrap();
            key.sign(&random, message).unwrap().as_ref().to_vec()
        };
        let pss = |encoding| {
            let key = lc::RsaKeyPair::from_pkcs8(&pkcs8).unwrap();
            let mut signature = vec![0; key.public_modulus_len()];
            key.sign(encoding, &random, message, &mut signature).unwrap();
            signature
        };
        match self.algorithm {
            "ES256" => ecdsa(&lc::ECDSA_P256_SHA256_FIXED_SIGNING),
            "ES384" => ecdsa(&lc::ECDSA_P384_SHA384_FIXED_SIGNING),
            "ES512" => ecdsa(&lc::ECDSA_P521_SHA512_FIXED_SIGNING),
            "PS256" => pss(&lc::RSA_PSS_SHA256),
            "PS384" => pss(&lc::RSA_PSS_SHA384),
            _ => pss(&lc::RSA_PSS_SHA512),
        }
    }

    /// The protected header of a valid JWS envelope.
    pub(super) fn protected(&self) -> Value {
        json!({
            "alg": self.algorithm,
            "cty": "application/vnd.cncf.notary.payload.v1+json",
            "crit": ["io.cncf.notary.signingScheme"],
            "io.cncf.notary.signingScheme": "notary.x509",
            "io.cncf.notary.signingTime": "2029-12-31T00:00:00Z",
        })
    }

    /// The JWS envelope over these bytes.
    pub(super) fn jws(&self, protected: &str, payload: &str) -> Value {
        let (protected, payload) = (URL_SAFE_NO_PAD.encode(protected), URL_SAFE_NO_PAD.encode(payload));
        let signature = self.sign(format!("{protected}.{payload}").as_bytes());
        let x5c: Vec<String> = self.chain.iter().map(|der| STANDARD.encode(der)).collect();
        json!({
            "payload": payload,
            "protected": protected,
            "header": { "x5c": x5c, "io.cncf.notary.signingAgent": "test/1" },
            "signature": URL_SAFE_NO_PAD.encode(signature),
        })
    }

    /// The protected header of a valid COSE envelope.
    pub(super) fn protected_map(&self) -> Vec<(Cbor, Cbor)> {
        let algorithm = match self.algorithm {
            "ES256" => -7,
            "ES384" => -35,
            "ES512" => -36,
            "PS256" => -37,
            "PS384" => -38,
            _ => -39,
        };
        vec![
            (1.into(), algorithm.into()),
            (2.into(), Cbor::Array(vec!["io.cncf.notary.signingScheme".into()])),
            (3.into(), "application/vnd.cncf.notary.payload.v1+json".into()),
            ("io.cncf.notary.signingScheme".into(), "notary.x509".into()),
            ("io.cncf.notary.signingTime".into(), Cbor::Tag(1, Box::new(SIGNED.into()))),
        ]
    }

    /// The unprotected header of a valid COSE envelope.
    pub(super) fn unprotected_map(&self) -> Vec<(Cbor, Cbor)> {
        let x5chain = self.chain.iter().map(|der| Cbor::Bytes(der.clone())).collect();
        vec![(33.into(), Cbor::Array(x5chain)), ("io.cncf.notary.signingAgent".into(), "test/1".into())]
    }

    /// The four parts of a COSE envelope over these bytes.
    pub(super) fn cose(&self, protected: &[u8], payload: &str) -> [Cbor; 4] {
        let to_be_signed = Cbor::Array(vec![
            "Signature1".into(),
            Cbor::Bytes(protected.to_vec()),
            Cbor::Bytes(Vec::new()),
            Cbor::Bytes(payload.into()),
        ]);
        [
            Cbor::Bytes(protected.to_vec()),
            Cbor::Map(self.unprotected_map()),
            Cbor::Bytes(payload.into()),
            Cbor::Bytes(self.sign(&encode(&to_be_signed))),
        ]
    }
}

pub(super) fn encode(value: &Cbor) -> Vec<u8> {
    let mut out = Vec::new();
    coset::cbor::ser::into_writer(value, &mut out).unwrap();
    out
}

pub(super) fn subject() -> Subject {
    Subject {
        repository: Repository::parse("acme.io/net-monitor").unwrap(),
        descriptor: Descriptor::new(OCI_MANIFEST, Digest::sha256(b"manifest"), 418),
    }
}

/// The payload that is about [`subject`].
pub(super) fn payload() -> Value {
    let subject = subject().descriptor;
    json!({ "targetArtifact": {
        "mediaType": &*subject.media_type, "digest": subject.digest.to_string(), "size": subject.size,
    } })
}

pub(super) fn jws_signature(envelope: impl Into<Vec<u8>>) -> Signature {
    signature(NOTATION_JWS, envelope.into())
}

pub(super) fn cose_signature(envelope: Vec<u8>) -> Signature {
    signature(NOTATION_COSE, envelope)
}

pub(super) fn signature(media_type: &str, envelope: Vec<u8>) -> Signature {
    Signature {
        format: Format::Notation,
        digest: Digest::sha256(b"artifact"),
        media_type: media_type.into(),
        payload: envelope.into(),
        annotations: Default::default(),
    }
}

/// A verifier's trust stores and settings.
pub(super) struct Trust {
    dir: tempfile::TempDir,
    pub(super) settings: Settings,
    pub(super) now: SystemTime,
}

impl Trust {
    /// Strict, with this certificate in `ca:acme`, and everybody of it trusted.
    pub(super) fn in_root(der: &[u8]) -> Self {
        let mut settings = Settings {
            trust_store: Some(OneOrMore::One("ca:acme".to_owned())),
            trusted_identities: vec!["*".to_owned()],
            ..Settings::default()
        };
        let dir = tempfile::tempdir().unwrap();
        settings.resolve(dir.path());
        let trust = Self { dir, settings, now: at(NOW) };
        trust.put("ca/acme", der);
        trust
    }

    pub(super) fn put(&self, store: &str, der: &[u8]) {
        let folder = self.dir.path().join("truststore/x509").join(store);
        std::fs::create_dir_all(&folder).unwrap();
        let name = hex::encode(Digest::sha256(der).as_bytes());
        std::fs::write(folder.join(name + ".cer"), der).unwrap();
    }

    pub(super) fn clear(&self) {
        std::fs::remove_dir_all(self.dir.path().join("truststore")).unwrap();
    }

    pub(super) fn verify(&self, signature: &Signature) -> Result<Evidence, Rejected> {
        let verifier = verifier(&SignerName("acme".into()), &self.settings).unwrap();
        verifier.verify(&subject(), signature, &RevocationData::default(), self.now)
    }
}

/// Asserts that the signature is refused for this reason, `why` being part of its text.
#[track_caller]
pub(super) fn refused(
    what: &str,
    result: Result<Evidence, Rejected>,
    code: crate::signature::Code,
    why: &str,
) {
    let rejection = result.expect_err(what);
    assert_eq!(rejection.code(), code, "{what}: {rejection}");
    assert!(rejection.to_string().contains(why), "{what}: {rejection}");
}

/// Whether the check failed, and the evidence says that this was only logged.
pub(super) fn logged(evidence: &Evidence, check: &str) -> bool {
    let failed = |v: &Validated| v.name == check && v.outcome == Outcome::Failed && v.action == "log";
    evidence.validations().checks.iter().any(failed)
}
