//! An authority that issues certificates, CRLs and OCSP answers.

use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CrlDistributionPoint,
    CustomExtension, DnType, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevocationReason,
    RevokedCertParams, SerialNumber, SigningKey as _,
};
use x509_parser::prelude::FromDer as _;

use super::NOW;
use crate::trust::Need;
use crate::x509::{Certificate, ocsp};

const HOUR: Duration = Duration::from_secs(3600);

pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(super) certificate: Certificate,
}

/// What an OCSP answer says.
#[derive(Clone, Copy)]
pub(super) enum Says {
    Good,
    Revoked,
    /// Revoked for the reason of this number (RFC 5280, section 5.3.1).
    RevokedFor(u8),
    Unknown,
}

/// Who signs an answer.
pub(super) struct Signer<'a> {
    key: &'a KeyPair,
    certificate: &'a Certificate,
    delegated: bool,
}

/// A CRL to be.
pub(super) struct List {
    pub(super) number: u64,
    pub(super) from: SystemTime,
    pub(super) to: SystemTime,
    pub(super) revoked: Vec<(Certificate, SystemTime, Option<RevocationReason>)>,
}

impl List {
    /// One that lists nothing, made now and good for a day.
    pub(super) fn new(number: u64) -> Self {
        Self { number, from: *NOW, to: *NOW + 24 * HOUR, revoked: Vec::new() }
    }

    pub(super) fn made(self, from: SystemTime, to: SystemTime) -> Self {
        Self { from, to, ..self }
    }

    pub(super) fn with(mut self, need: &Need, at: SystemTime, reason: Option<RevocationReason>) -> Self {
        self.revoked.push((need.certificate.clone(), at, reason));
        self
    }
}

impl Authority {
    pub(super) fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).unwrap();
        Self {
            certificate: Certificate::from_der(certificate.der()).unwrap(),
            issuer: Issuer::new(params, key),
        }
    }

    /// A certificate with these servers.
    pub(super) fn issue(&self, ocsp: &[String], crls: &[String]) -> Need {
        let certificate = self.sign(CertificateParams::default(), &KeyPair::generate().unwrap(), ocsp, crls);
        Need { certificate, issuer: self.certificate.clone() }
    }

    fn sign(
        &self,
        mut params: CertificateParams,
        key: &KeyPair,
        ocsp: &[String],
        crls: &[String],
    ) -> Certificate {
        params.distinguished_name.push(DnType::CommonName, "signer");
        params.crl_distribution_points =
            crls.iter().map(|url| CrlDistributionPoint { uris: vec![url.clone()] }).collect();
        if !ocsp.is_empty() {
            // AuthorityInfoAccessSyntax (RFC 5280, section 4.2.2.1).
            let id_ad_ocsp = [0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01];
            let entry = |url: &String| der(0x30, &[&id_ad_ocsp[..], &der(0x86, url.as_bytes())].concat());
            let content = der(0x30, &ocsp.iter().flat_map(entry).collect::<Vec<u8>>());
            let oid = [1, 3, 6, 1, 5, 5, 7, 1, 1];
            params.custom_extensions.push(CustomExtension::from_oid_content(&oid, content));
        }
        Certificate::from_der(params.signed_by(key, &self.issuer).unwrap().der()).unwrap()
    }

    pub(super) fn crl(&self, list: List) -> Vec<u8> {
        let entry = |(certificate, at, reason): (Certificate, SystemTime, Option<RevocationReason>)| {
            let serial_number = SerialNumber::from_slice(certificate.serial());
            RevokedCertParams {
                serial_number,
                revocation_time: at.into(),
                reason_code: reason,
                invalidity_date: None,
            }
        };
        let params = CertificateRevocationListParams {
            this_update: list.from.into(),
            next_update: list.to.into(),
            crl_number: SerialNumber::from(list.number),
            issuing_distribution_point: None,
            revoked_certs: list.revoked.into_iter().map(entry).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().der().to_vec()
    }

    /// A delta list over the base of that number (RFC 5280, section 5.2.4).
    pub(super) fn delta(&self, base: u8, list: List) -> Vec<u8> {
        let indicator = extension(&[0x55, 0x1d, 0x1b], true, &der(0x02, &[base]));
        self.amended(&self.crl(list), &indicator)
    }

    /// A base list that says where its delta lists are (RFC 5280, section 5.2.6).
    pub(super) fn base(&self, list: List, delta_url: &str) -> Vec<u8> {
        let name = der(0xa0, &der(0xa0, &der(0x86, delta_url.as_bytes())));
        let freshest = extension(&[0x55, 0x1d, 0x2e], false, &der(0x30, &der(0x30, &name)));
        self.amended(&self.crl(list), &freshest)
    }

    /// A list about CAs alone (RFC 5280, section 5.2.5).
    pub(super) fn of_authorities(&self, list: List) -> Vec<u8> {
        self.amended(&self.crl(list), &extension(&[0x55, 0x1d, 0x1c], true, &der(0x30, &[0x82, 1, 0xff])))
    }

    /// A list about the certificates that name it at this place alone.
    pub(super) fn of_place(&self, list: List, url: &str) -> Vec<u8> {
        let point = der(0x30, &der(0xa0, &der(0xa0, &der(0x86, url.as_bytes()))));
        self.amended(&self.crl(list), &extension(&[0x55, 0x1d, 0x1c], true, &point))
    }

    /// The list with one extension more, signed anew.
    fn amended(&self, crl: &[u8], extension: &[u8]) -> Vec<u8> {
        let (outer, _) = split(crl);
        let (tbs, rest) = split(outer);
        let (algorithm, _) = whole(rest);
        let mut parts = parts(tbs);
        let extensions = parts.pop().unwrap();
        let (inner, _) = split(split(extensions).0);
        let amended = der(0xa0, &der(0x30, &[inner, extension].concat()));
        let tbs = der(0x30, &[parts.concat(), amended].concat());
        let signature = self.issuer.key().sign(&tbs).unwrap();
        der(0x30, &[&tbs[..], algorithm, &der(0x03, &[&[0][..], &signature].concat())].concat())
    }

    /// An OCSP answer of the authority itself, made then.
    pub(super) fn ocsp(&self, need: &Need, says: Says, from: SystemTime, to: Option<SystemTime>) -> Vec<u8> {
        let signer = Signer { key: self.issuer.key(), certificate: &self.certificate, delegated: false };
        answer(&signer, need, says, from, to)
    }

    /// An OCSP answer of a delegate who may be revoked at that list.
    pub(super) fn delegated(&self, need: &Need, says: Says, crls: &[String]) -> (Vec<u8>, Certificate) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::OcspSigning];
        params.distinguished_name.push(DnType::OrganizationName, "delegate");
        let certificate = self.sign(params, &key, &[], crls);
        let signer = Signer { key: &key, certificate: &certificate, delegated: true };
        (answer(&signer, need, says, *NOW, Some(*NOW + 24 * HOUR)), certificate)
    }
}

/// RFC 6960, section 4.2.1.
fn answer(signer: &Signer<'_>, need: &Need, says: Says, from: SystemTime, to: Option<SystemTime>) -> Vec<u8> {
    let request = ocsp::request(&need.certificate, &need.issuer);
    // OCSPRequest, TBSRequest, requestList, Request: what they hold in the end is the CertID.
    let id = split(split(split(split(&request).0).0).0).0;
    let status = match says {
        Says::Good => vec![0x80, 0],
        Says::Revoked => der(0xa1, &time(from)),
        Says::RevokedFor(reason) => der(0xa1, &[time(from), der(0xa0, &[0x0a, 1, reason])].concat()),
        Says::Unknown => vec![0x82, 0],
    };
    let next = to.map(|to| der(0xa0, &time(to))).unwrap_or_default();
    let single = der(0x30, &[id, &status, &time(from), &next].concat());
    let (_, parsed) = x509_parser::certificate::X509Certificate::from_der(signer.certificate.der()).unwrap();
    let name = der(0xa1, parsed.subject().as_raw());
    let data = der(0x30, &[name, time(from), der(0x30, &single)].concat());
    let signature = der(0x03, &[&[0][..], &signer.key.sign(&data).unwrap()].concat());
    let ecdsa_with_sha256 = der(0x30, &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02]);
    let certificates =
        if signer.delegated { der(0xa0, &der(0x30, signer.certificate.der())) } else { Vec::new() };
    let basic = der(0x30, &[data, ecdsa_with_sha256, signature, certificates].concat());
    let id_pkix_ocsp_basic = [0x06, 0x09, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x01];
    let typed = der(0x30, &[&id_pkix_ocsp_basic[..], &der(0x04, &basic)].concat());
    der(0x30, &[vec![0x0a, 1, 0], der(0xa0, &typed)].concat())
}

fn extension(oid: &[u8], critical: bool, content: &[u8]) -> Vec<u8> {
    let critical: &[u8] = if critical { &[0x01, 0x01, 0xff] } else { &[] };
    der(0x30, &[&der(0x06, oid)[..], critical, &der(0x04, content)].concat())
}

fn time(at: SystemTime) -> Vec<u8> {
    let text = humantime::format_rfc3339_seconds(at).to_string().replace(['-', ':', 'T'], "");
    der(0x18, text.as_bytes())
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let head = match u16::try_from(length).unwrap().to_be_bytes() {
        [0, low] if low < 0x80 => vec![tag, low],
        [0, low] => vec![tag, 0x81, low],
        [high, low] => vec![tag, 0x82, high, low],
    };
    [&head[..], content].concat()
}

/// The first element's content, and what follows it.
fn split(bytes: &[u8]) -> (&[u8], &[u8]) {
    let (head, length) = match bytes[1] {
        short @ 0..=0x7f => (2, usize::from(short)),
        0x81 => (3, usize::from(bytes[2])),
        0x82 => (4, usize::from(u16::from_be_bytes([bytes[2], bytes[3]]))),
        other => panic!("a length of {other}"),
    };
    bytes[head..].split_at(length)
}

/// The first element as it stands, and what follows it.
fn whole(bytes: &[u8]) -> (&[u8], &[u8]) {
    let (_, rest) = split(bytes);
    bytes.split_at(bytes.len() - rest.len())
}

fn parts(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let (part, rest) = whole(bytes);
        all.push(part);
        bytes = rest;
    }
    all
}
