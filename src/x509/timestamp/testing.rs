//! An authority for tests, which stamps what genuine ones do and, by a changed draft, what they never
//! would. Not in any build but the tests'.

use std::time::SystemTime;

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SigningKey as _,
};
use time::OffsetDateTime;
use x509_parser::der_parser::asn1_rs;

use super::imprint::{digest, sha1};
use crate::x509::{Certificate, Hash};

pub(crate) const TST_INFO: &str = "1.2.840.113549.1.9.16.1.4";
pub(crate) const CONTENT_TYPE: &str = "1.2.840.113549.1.9.3";
pub(crate) const MESSAGE_DIGEST: &str = "1.2.840.113549.1.9.4";
pub(crate) const SIGNING_CERTIFICATE: &str = "1.2.840.113549.1.9.16.2.12";
pub(crate) const SIGNING_CERTIFICATE_V2: &str = "1.2.840.113549.1.9.16.2.47";
pub(crate) const SHA256: &str = "2.16.840.1.101.3.4.2.1";
pub(crate) const ECDSA_SHA256: &str = "1.2.840.10045.4.3.2";

/// Which certificate of an authority's chain is being made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Root,
    Middle,
    Leaf,
}

/// A chain of root, middle and leaf, and the leaf's key.
pub(crate) struct Authority {
    pub(crate) root: Certificate,
    pub(crate) middle: Certificate,
    pub(crate) leaf: Certificate,
    key: KeyPair,
}

impl Authority {
    /// One by the rules.
    pub(crate) fn new() -> Self {
        Self::with(|_, _| {})
    }

    /// One whose certificates are changed before they are signed.
    pub(crate) fn with(change: impl Fn(Role, &mut CertificateParams)) -> Self {
        let key = || KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let params = |role| {
            let mut params = params(role);
            change(role, &mut params);
            params
        };
        let read = |made: rcgen::Certificate| Certificate::from_der(made.der()).unwrap();
        let (root, root_key) = (params(Role::Root), key());
        let root_made = read(root.self_signed(&root_key).unwrap());
        let root = Issuer::new(root, root_key);
        let (middle, middle_key) = (params(Role::Middle), key());
        let middle_made = read(middle.signed_by(&middle_key, &root).unwrap());
        let middle = Issuer::new(middle, middle_key);
        let key = key();
        let leaf = read(params(Role::Leaf).signed_by(&key, &middle).unwrap());
        Self { root: root_made, middle: middle_made, leaf, key }
    }

    /// A token over the message.
    pub(crate) fn stamp(&self, message: &[u8], at: SystemTime) -> Vec<u8> {
        self.draft(message, at).token()
    }

    /// A token that [`Draft::token`] makes once it is changed.
    pub(crate) fn draft(&self, message: &[u8], at: SystemTime) -> Draft<'_> {
        let at = OffsetDateTime::from(at);
        let (date, time) = (at.date(), at.time());
        let (hour, minute, second) = time.as_hms();
        Draft {
            authority: self,
            data_version: 3,
            content_type: TST_INFO,
            info_version: 1,
            policy: "1.3.6.1.4.1.57264.2",
            imprint: imprint(SHA256, &digest(Hash::Sha256, message)),
            time: format!(
                "{:04}{:02}{:02}{hour:02}{minute:02}{second:02}Z",
                date.year(),
                u8::from(date.month()),
                date.day()
            ),
            rest: Vec::new(),
            certificates: vec![self.leaf.clone(), self.middle.clone()],
            listed: vec![algorithm(SHA256)],
            signer_version: 1,
            signer_id: issuer_and_serial(&self.leaf),
            hash: algorithm(SHA256),
            attributes: vec![
                (CONTENT_TYPE, oid(TST_INFO)),
                (MESSAGE_DIGEST, Vec::new()),
                (SIGNING_CERTIFICATE_V2, ess_v2(&self.leaf)),
            ],
            in_order: true,
            algorithm: algorithm(ECDSA_SHA256),
            signers: 1,
            unsigned: [Vec::new(), Vec::new()],
        }
    }
}

/// The certificate of a role, by the rules.
fn params(role: Role) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, format!("{role:?}"));
    if role == Role::Leaf {
        params.is_ca = IsCa::NoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.custom_extensions.push(extended_key_usage(&["1.3.6.1.5.5.7.3.8"], true));
    } else {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    }
    params
}

/// The extension, which rcgen itself never makes critical.
pub(crate) fn extended_key_usage(purposes: &[&str], critical: bool) -> CustomExtension {
    let contents = sequence(&purposes.iter().map(|purpose| oid(purpose)).collect::<Vec<_>>());
    let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, 37], contents);
    extension.set_criticality(critical);
    extension
}

/// A token's parts, as an authority by the rules fills them in.
pub(crate) struct Draft<'a> {
    authority: &'a Authority,
    pub(crate) data_version: u8,
    pub(crate) content_type: &'static str,
    pub(crate) info_version: u8,
    pub(crate) policy: &'static str,
    pub(crate) imprint: Vec<u8>,
    pub(crate) time: String,
    /// What follows the time in TSTInfo.
    pub(crate) rest: Vec<u8>,
    pub(crate) certificates: Vec<Certificate>,
    /// The algorithms that the signed data lists.
    pub(crate) listed: Vec<Vec<u8>>,
    pub(crate) signer_version: u8,
    pub(crate) signer_id: Vec<u8>,
    pub(crate) hash: Vec<u8>,
    /// Type and value; an empty message digest is filled in.
    pub(crate) attributes: Vec<(&'static str, Vec<u8>)>,
    /// Whether the attributes stand in DER's order.
    pub(crate) in_order: bool,
    pub(crate) algorithm: Vec<u8>,
    /// How often the signer stands there.
    pub(crate) signers: usize,
    /// What follows the certificates and the signature: CRLs, unsigned attributes.
    pub(crate) unsigned: [Vec<u8>; 2],
}

impl Draft<'_> {
    /// Puts the token together and signs it.
    pub(crate) fn token(&self) -> Vec<u8> {
        let content = self.info();
        let signer = self.signer(&content);
        let certificates: Vec<Vec<u8>> = self.certificates.iter().map(|c| c.der().to_vec()).collect();
        let content = tlv(0xa0, &[tlv(0x04, &[content])]);
        let data = sequence(&[
            integer(self.data_version),
            tlv(0x31, &self.listed),
            sequence(&[oid(self.content_type), content]),
            tlv(0xa0, &certificates),
            self.unsigned[0].clone(),
            tlv(0x31, &vec![signer; self.signers]),
        ]);
        sequence(&[oid("1.2.840.113549.1.7.2"), tlv(0xa0, &[data])])
    }

    fn info(&self) -> Vec<u8> {
        sequence(&[
            integer(self.info_version),
            oid(self.policy),
            self.imprint.clone(),
            integer(7),
            tlv(0x18, &[self.time.clone().into_bytes()]),
            self.rest.clone(),
        ])
    }

    fn signer(&self, content: &[u8]) -> Vec<u8> {
        let mut attributes: Vec<Vec<u8>> = self
            .attributes
            .iter()
            .map(|(kind, value)| {
                let filled = *kind == MESSAGE_DIGEST && value.is_empty();
                let value = if filled { tlv(0x04, &[digest(Hash::Sha256, content)]) } else { value.clone() };
                sequence(&[oid(kind), tlv(0x31, &[value])])
            })
            .collect();
        attributes.sort();
        if !self.in_order {
            attributes.reverse();
        }
        let signature = self.authority.key.sign(&tlv(0x31, &attributes)).unwrap();
        let attributes = if attributes.is_empty() { Vec::new() } else { tlv(0xa0, &attributes) };
        sequence(&[
            integer(self.signer_version),
            self.signer_id.clone(),
            self.hash.clone(),
            attributes,
            self.algorithm.clone(),
            tlv(0x04, &[signature]),
            self.unsigned[1].clone(),
        ])
    }

    /// Leaves an attribute out.
    pub(crate) fn without(&mut self, kind: &str) {
        self.attributes.retain(|(other, _)| *other != kind);
    }

    /// Changes an attribute's value.
    pub(crate) fn stating(&mut self, kind: &'static str, value: Vec<u8>) {
        self.without(kind);
        self.attributes.push((kind, value));
    }
}

pub(crate) fn tlv(tag: u8, contents: &[Vec<u8>]) -> Vec<u8> {
    let contents = contents.concat();
    let length = u16::try_from(contents.len()).unwrap();
    let mut out = vec![tag];
    match length.to_be_bytes() {
        [0, short @ 0..0x80] => out.push(short),
        [0, one] => out.extend([0x81, one]),
        [high, low] => out.extend([0x82, high, low]),
    }
    out.extend(contents);
    out
}

pub(crate) fn sequence(contents: &[Vec<u8>]) -> Vec<u8> {
    tlv(0x30, contents)
}

pub(crate) fn integer(value: u8) -> Vec<u8> {
    tlv(0x02, &[vec![value]])
}

pub(crate) fn oid(dotted: &str) -> Vec<u8> {
    let arcs: Vec<u64> = dotted.split('.').map(|arc| arc.parse().unwrap()).collect();
    tlv(0x06, &[asn1_rs::Oid::from(&arcs).unwrap().as_bytes().to_vec()])
}

pub(crate) fn algorithm(dotted: &str) -> Vec<u8> {
    sequence(&[oid(dotted)])
}

pub(crate) fn imprint(hash: &str, digest: &[u8]) -> Vec<u8> {
    sequence(&[algorithm(hash), tlv(0x04, &[digest.to_vec()])])
}

fn serial(certificate: &Certificate) -> Vec<u8> {
    tlv(0x02, &[certificate.serial().to_vec()])
}

pub(crate) fn issuer_and_serial(certificate: &Certificate) -> Vec<u8> {
    sequence(&[certificate.issuer().der().to_vec(), serial(certificate)])
}

/// `IssuerSerial`
pub(crate) fn issuer_serial(certificate: &Certificate) -> Vec<u8> {
    let name = tlv(0xa4, &[certificate.issuer().der().to_vec()]);
    sequence(&[sequence(&[name]), serial(certificate)])
}

/// `SigningCertificate`
pub(crate) fn ess_v1(certificate: &Certificate) -> Vec<u8> {
    let id = sequence(&[tlv(0x04, &[sha1(certificate.der())]), issuer_serial(certificate)]);
    sequence(&[sequence(&[id])])
}

/// `SigningCertificateV2` by SHA-256, which stands there only as the default.
pub(crate) fn ess_v2(certificate: &Certificate) -> Vec<u8> {
    let id = sequence(&[tlv(0x04, &[digest(Hash::Sha256, certificate.der())]), issuer_serial(certificate)]);
    sequence(&[sequence(&[id])])
}
