//! A Sigstore in memory, which signs and logs what a real one does and, when it is asked to, what none would.

mod log;
mod work;

use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData as _, SanType, SigningKey as _,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

pub(super) use log::Log;
pub(super) use work::{By, Work, bundle, claim, entry_with, legacy, pem};

use super::super::*;
use super::{built, subject};
use crate::oci::{Digest, media_type};
use crate::signature::Subject;
use crate::trust::TrustedRoot;
use crate::x509::Certificate;
use crate::x509::timestamp::testing::{self, Authority};

/// When everything is signed, in Unix seconds.
pub(super) const AT: u64 = 1_790_000_000;
pub(super) const IDENTITY: &str = "https://ci.example.test/acme/app@main";
pub(super) const ISSUER: &str = "https://issuer.example.test";

/// The kinds of entry that are mostly made.
pub(super) const HASHED: (&str, &str) = ("hashedrekord", "0.0.1");
pub(super) const HASHED_2: (&str, &str) = ("hashedrekord", "0.0.2");

/// What is signed.
pub(super) fn image() -> Subject {
    subject(Descriptor::new(media_type::OCI_MANIFEST, Digest::sha256(b"{}"), 2))
}

/// The moment that is so many seconds after everything is signed.
pub(super) fn after(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(AT + seconds)
}

pub(super) fn before(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(AT - seconds)
}

/// A day after everything is signed.
pub(super) fn later() -> SystemTime {
    after(86_400)
}

pub(super) fn encoded(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

pub(super) fn sha256(bytes: &[u8]) -> Vec<u8> {
    Sha256::digest(bytes).to_vec()
}

pub(super) struct Stand {
    fulcio: Issuer<'static, KeyPair>,
    pub(super) root: Certificate,
    pub(super) ct: [KeyPair; 2],
    pub(super) rekor: [Log; 2],
    pub(super) rekor2: [Log; 2],
    pub(super) tsa: [Authority; 2],
}

/// A certificate and its key.
pub(super) struct Leaf {
    pub(super) certificate: Certificate,
    pub(super) key: Rc<KeyPair>,
}

impl Stand {
    pub(super) fn new() -> Self {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "fulcio");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let root = Certificate::from_der(params.self_signed(&key).unwrap().der()).unwrap();
        let ecdsa = || KeyPair::generate().unwrap();
        Self {
            fulcio: Issuer::new(params, key),
            root,
            ct: [ecdsa(), ecdsa()],
            rekor: ["rekor.example.test", "rekor.other.test"].map(Log::first),
            rekor2: ["rekor2.example.test", "rekor2.other.test"].map(Log::second),
            tsa: [Authority::new(), Authority::new()],
        }
    }

    /// One whose Fulcio this one's certified, as `change` makes the certificate.
    pub(super) fn below(&self, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        let mut made = CertificateParams::default();
        let root = self.certified(&key, &[], |params| {
            params.distinguished_name.push(DnType::CommonName, "fulcio below");
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
            params.extended_key_usages = Vec::new();
            params.subject_alt_names = Vec::new();
            params.custom_extensions = Vec::new();
            change(params);
            made = params.clone();
        });
        Self { fulcio: Issuer::new(made, key), root, ..Self::new() }
    }

    /// A certificate for ten minutes, a minute old, as `change` makes it.
    pub(super) fn certificate(&self, change: impl FnOnce(&mut CertificateParams)) -> Leaf {
        self.certificate_seen_by(&[&self.ct[0]], change)
    }

    /// As [`Self::certificate`], seen by these logs.
    pub(super) fn certificate_seen_by(
        &self,
        logs: &[&KeyPair],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Leaf {
        let key = Rc::new(KeyPair::generate().unwrap());
        Leaf { certificate: self.certified(&key, logs, change), key }
    }

    /// A certificate for this key.
    pub(super) fn certified(
        &self,
        key: &KeyPair,
        logs: &[&KeyPair],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Certificate {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.serial_number = Some(7_u64.into());
        params.not_before = OffsetDateTime::from(before(60));
        params.not_after = OffsetDateTime::from(after(540));
        params.is_ca = IsCa::ExplicitNoCa;
        params.subject_alt_names = vec![SanType::URI(IDENTITY.try_into().unwrap())];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        params.custom_extensions = vec![extension(8, &text(ISSUER))];
        change(&mut params);
        let make = |params: &CertificateParams| {
            Certificate::from_der(params.signed_by(key, &self.fulcio).unwrap().der()).unwrap()
        };
        let precertificate = make(&params);
        let scts: Vec<Vec<u8>> = logs.iter().map(|log| self.seen(log, &precertificate)).collect();
        if !scts.is_empty() {
            let list = vector(&scts.iter().flat_map(|sct| vector(sct)).collect::<Vec<_>>());
            let oid = [1, 3, 6, 1, 4, 1, 11129, 2, 4, 2];
            params.custom_extensions.push(CustomExtension::from_oid_content(&oid, testing::tlv(4, &[list])));
        }
        make(&params)
    }

    /// A log's word that it has seen a certificate (RFC 6962, section 3.2).
    fn seen(&self, log: &KeyPair, precertificate: &Certificate) -> Vec<u8> {
        use x509_parser::prelude::{FromDer as _, X509Certificate};
        let (_, certificate) = X509Certificate::from_der(precertificate.der()).unwrap();
        let tbs = certificate.tbs_certificate.as_ref();
        let millis = (AT * 1000).to_be_bytes();
        let length = &(tbs.len() as u32).to_be_bytes()[1..];
        let issuer = self.root.public_key().fingerprint();
        let signed = [&[0, 0], &millis[..], &[0, 1], &issuer, length, tbs, &[0, 0]].concat();
        let id = sha256(&log.subject_public_key_info());
        [&[0], &id[..], &millis, &[0, 0], &[4, 3], &vector(&log.sign(&signed).unwrap())].concat()
    }

    /// The response of an authority that stamped it.
    pub(super) fn stamp(&self, authority: usize, message: &[u8], at: SystemTime) -> Vec<u8> {
        let token = self.tsa[authority].stamp(message, at);
        testing::sequence(&[testing::sequence(&[testing::integer(0)]), token])
    }

    /// A bundle by the certificate's key, logged by the first log.
    pub(super) fn bundle(&self, leaf: &Leaf) -> Value {
        let work = Work::statement(By::Leaf(leaf), &image().descriptor.digest);
        bundle(&work, &[entry_with(&self.rekor[0], &work, HASHED, |_| {})], &[])
    }

    /// What trusts all of it.
    pub(super) fn trusted(&self) -> Value {
        let window = json!({"start": "2026-01-01T00:00:00Z"});
        let authority = |uri: &str, chain: &[&Certificate]| {
            let certificates: Vec<_> = chain.iter().map(|c| json!({"rawBytes": encoded(c.der())})).collect();
            json!({"uri": uri, "certChain": {"certificates": certificates}, "validFor": window})
        };
        let ct = |key: &KeyPair| {
            let spki = key.subject_public_key_info();
            json!({
                "hashAlgorithm": "SHA2_256",
                "publicKey": {"rawBytes": encoded(&spki), "keyDetails": "PKIX_ECDSA_P256_SHA_256", "validFor": window},
                "logId": {"keyId": encoded(sha256(&spki))},
            })
        };
        let stamps = ["https://tsa.example.test", "https://tsa.other.test"].into_iter().zip(&self.tsa);
        let logs = self.rekor.iter().chain(&self.rekor2);
        json!({
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "certificateAuthorities": [authority("https://fulcio.example.test", &[&self.root])],
            "ctlogs": self.ct.iter().map(ct).collect::<Vec<_>>(),
            "tlogs": logs.map(Log::trusted).collect::<Vec<_>>(),
            "timestampAuthorities":
                stamps.map(|(uri, tsa)| authority(uri, &[&tsa.leaf, &tsa.middle, &tsa.root])).collect::<Vec<_>>(),
        })
    }

    /// A verifier of these settings that trusts all of it.
    pub(super) fn verifier(&self, settings: &Settings) -> Cosign {
        trusting(settings, &self.trusted())
    }
}

/// A verifier of these settings that trusts what a document says.
pub(super) fn trusting(settings: &Settings, root: &Value) -> Cosign {
    let mut verifier = built(settings);
    verifier.root = TrustedRoot::parse(root.to_string().as_bytes()).unwrap();
    verifier
}

/// Settings that believe the identity.
pub(super) fn keyless() -> Settings {
    let keyless = Keyless {
        issuer: Some(ISSUER.to_owned()),
        identity: Some(IDENTITY.to_owned()),
        ..Keyless::default()
    };
    Settings { keyless: Some(keyless), ..Settings::default() }
}

/// Settings that believe the key.
pub(super) fn key(key: &KeyPair) -> Settings {
    Settings { key: Some(Pem(key.public_key_pem())), ..Settings::default() }
}

/// One of Fulcio's extensions.
pub(super) fn extension(arc: u64, content: &[u8]) -> CustomExtension {
    CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 57264, 1, arc], content.to_vec())
}

/// A DER UTF8String.
pub(super) fn text(text: &str) -> Vec<u8> {
    testing::tlv(0x0c, &[text.as_bytes().to_vec()])
}

fn vector(content: &[u8]) -> Vec<u8> {
    [&(content.len() as u16).to_be_bytes(), content].concat()
}
