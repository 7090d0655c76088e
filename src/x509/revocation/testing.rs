//! An issuer for tests that makes lists and answers as genuine ones do and, by a changed draft, as they never
//! would. Not in any build but the tests'.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use der::Encode as _;
use der::asn1::{GeneralizedTime, ObjectIdentifier};
use rcgen::{
    BasicConstraints, CertificateParams, CrlDistributionPoint, CustomExtension, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SigningKey as _,
};

use crate::x509::der::{encode, tag};
use crate::x509::{Certificate, Crl, ocsp};

/// ecdsa-with-SHA256.
const ALGORITHM: &str = "1.2.840.10045.4.3.2";

/// The moment around which everything is made: 2027-01-15.
pub(crate) fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

/// So many hours after [`now`], or before.
pub(crate) fn hours(count: i64) -> SystemTime {
    let span = Duration::from_secs(count.unsigned_abs() * 3600);
    if count < 0 { now() - span } else { now() + span }
}

/// A certificate with its key.
pub(crate) struct Party {
    pub(crate) certificate: Certificate,
    params: CertificateParams,
    key: KeyPair,
}

impl Party {
    /// A root that may sign certificates and lists.
    pub(crate) fn root(name: &str) -> Self {
        Self::make(name, None, |_| {})
    }

    /// A certificate by this one, of a CA until it is changed.
    pub(crate) fn issue(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        Self::make(name, Some(self), change)
    }

    /// An end entity's certificate that names a list.
    pub(crate) fn leaf(&self, name: &str) -> Self {
        self.issue(name, |params| {
            leaf(params);
            params.crl_distribution_points = vec![point("http://pki.example/crl")];
        })
    }

    /// A responder's certificate: `no_check`: which need not be asked about.
    pub(crate) fn responder(&self, no_check: bool, change: impl FnOnce(&mut CertificateParams)) -> Self {
        self.issue("responder", |params| {
            leaf(params);
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::OcspSigning];
            if no_check {
                params.custom_extensions.push(custom("1.3.6.1.5.5.7.48.1.5", &[5, 0]));
            }
            change(params);
        })
    }

    /// Another certificate for the same name with another key.
    pub(crate) fn impostor(&self, name: &str) -> Self {
        let made = Self::root(name);
        assert_eq!(made.certificate.subject(), self.certificate.subject());
        made
    }

    fn make(name: &str, by: Option<&Self>, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages =
            vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        change(&mut params);
        let made = match by {
            Some(by) => params.signed_by(&key, &Issuer::from_params(&by.params, &by.key)),
            None => params.self_signed(&key),
        };
        let certificate = Certificate::from_der(made.unwrap().der()).unwrap();
        Self { certificate, params, key }
    }

    /// The content, the algorithm, the signature and what follows, as one sequence.
    fn sign(&self, content: &[u8], after: &[u8]) -> Vec<u8> {
        let signature = [&[0], self.key.sign(content).unwrap().as_slice()].concat();
        let all = [content, &algorithm(), &encode(tag::BIT_STRING, &signature), after].concat();
        encode(tag::SEQUENCE, &all)
    }
}

/// Makes it no CA.
pub(crate) fn leaf(params: &mut CertificateParams) {
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
}

pub(crate) fn point(url: &str) -> CrlDistributionPoint {
    CrlDistributionPoint { uris: vec![url.to_owned()] }
}

pub(crate) fn custom(oid: &str, value: &[u8]) -> CustomExtension {
    let arcs: Vec<u64> = oid.split('.').map(|arc| arc.parse().unwrap()).collect();
    CustomExtension::from_oid_content(&arcs, value.to_vec())
}

/// `AuthorityInfoAccess` with one OCSP responder.
pub(crate) fn ocsp_at(url: &str) -> CustomExtension {
    let description = [oid("1.3.6.1.5.5.7.48.1"), encode(tag::context(6), url.as_bytes())].concat();
    custom("1.3.6.1.5.5.7.1.1", &encode(tag::SEQUENCE, &encode(tag::SEQUENCE, &description)))
}

/// `CRLDistributionPoints` or `FreshestCRL` with one URL.
pub(crate) fn points(url: &str) -> Vec<u8> {
    let name = encode(tag::constructed(0), &encode(tag::context(6), url.as_bytes()));
    encode(tag::SEQUENCE, &encode(tag::SEQUENCE, &encode(tag::constructed(0), &name)))
}

pub(crate) fn extension(kind: &str, critical: bool, value: &[u8]) -> Vec<u8> {
    let critical = if critical { encode(tag::BOOLEAN, &[0xff]) } else { Vec::new() };
    encode(tag::SEQUENCE, &[oid(kind), critical, encode(tag::OCTET_STRING, value)].concat())
}

pub(crate) fn time(at: SystemTime) -> Vec<u8> {
    let since = at.duration_since(UNIX_EPOCH).unwrap();
    GeneralizedTime::from_unix_duration(since).unwrap().to_der().unwrap()
}

fn oid(dotted: &str) -> Vec<u8> {
    ObjectIdentifier::new(dotted).unwrap().to_der().unwrap()
}

fn algorithm() -> Vec<u8> {
    encode(tag::SEQUENCE, &oid(ALGORITHM))
}

/// A list that is not signed yet: number 1, from an hour ago until in an hour.
pub(crate) struct List<'a> {
    by: &'a Party,
    pub(crate) version: Vec<u8>,
    pub(crate) issuer: Vec<u8>,
    pub(crate) this_update: SystemTime,
    pub(crate) next_update: Option<SystemTime>,
    entries: Vec<u8>,
    extensions: Vec<Vec<u8>>,
}

impl<'a> List<'a> {
    pub(crate) fn new(by: &'a Party, number: u8) -> Self {
        Self {
            by,
            version: encode(tag::INTEGER, &[1]),
            issuer: by.certificate.subject().der().to_vec(),
            this_update: hours(-1),
            next_update: Some(hours(1)),
            entries: Vec::new(),
            extensions: vec![extension("2.5.29.20", false, &encode(tag::INTEGER, &[number]))],
        }
    }

    pub(crate) fn delta(by: &'a Party, number: u8, base: u8) -> Self {
        Self::new(by, number).with("2.5.29.27", true, &encode(tag::INTEGER, &[base]))
    }

    pub(crate) fn lasting(mut self, this_update: i64, next_update: i64) -> Self {
        (self.this_update, self.next_update) = (hours(this_update), Some(hours(next_update)));
        self
    }

    pub(crate) fn with(mut self, kind: &str, critical: bool, value: &[u8]) -> Self {
        self.extensions.push(extension(kind, critical, value));
        self
    }

    /// With an issuing distribution point of these parts.
    pub(crate) fn scoped(self, parts: &[u8]) -> Self {
        self.with("2.5.29.28", true, &encode(tag::SEQUENCE, parts))
    }

    pub(crate) fn freshest(self) -> Self {
        self.with("2.5.29.46", false, &points("http://pki.example/delta"))
    }

    /// Listing a certificate with a reason, revoked so many hours after [`now`].
    pub(crate) fn listing(self, who: &Certificate, reason: u8, at: i64) -> Self {
        let reason = extension("2.5.29.21", false, &encode(tag::ENUMERATED, &[reason]));
        self.entry(who.serial(), at, &reason)
    }

    /// The same of a key that is invalid since another moment.
    pub(crate) fn invalid(self, who: &Certificate, at: i64, invalid_since: i64) -> Self {
        let date = extension("2.5.29.24", false, &time(hours(invalid_since)));
        self.entry(who.serial(), at, &date)
    }

    pub(crate) fn entry(mut self, serial: &[u8], at: i64, extensions: &[u8]) -> Self {
        let extensions = if extensions.is_empty() { Vec::new() } else { encode(tag::SEQUENCE, extensions) };
        let parts = [encode(tag::INTEGER, serial), time(hours(at)), extensions].concat();
        self.entries.extend(encode(tag::SEQUENCE, &parts));
        self
    }

    pub(crate) fn der(&self) -> Vec<u8> {
        let entries = if self.entries.is_empty() { Vec::new() } else { encode(tag::SEQUENCE, &self.entries) };
        let extensions = encode(tag::SEQUENCE, &self.extensions.concat());
        let parts = [
            self.version.clone(),
            algorithm(),
            self.issuer.clone(),
            time(self.this_update),
            self.next_update.map(time).unwrap_or_default(),
            entries,
            encode(tag::constructed(0), &extensions),
        ];
        self.by.sign(&encode(tag::SEQUENCE, &parts.concat()), &[])
    }

    pub(crate) fn crl(&self) -> Crl {
        Crl::parse(&self.der()).unwrap()
    }
}

/// An answer that is not signed yet: good, from an hour ago until in an hour, by name.
pub(crate) struct Answer<'a> {
    by: &'a Party,
    /// The certificate's name; of the question, to begin with.
    pub(crate) id: Vec<u8>,
    pub(crate) status: Vec<u8>,
    pub(crate) this_update: SystemTime,
    pub(crate) next_update: Option<SystemTime>,
    pub(crate) by_key: bool,
    pub(crate) certificates: Vec<Certificate>,
    single_extensions: Vec<u8>,
    pub(crate) extensions: Vec<u8>,
    /// Further answers.
    pub(crate) more: Vec<u8>,
}

impl<'a> Answer<'a> {
    pub(crate) fn new(by: &'a Party, about: &Party, issuer: &Party) -> Self {
        Self {
            by,
            id: ocsp::cert_id::of(&about.certificate, &issuer.certificate),
            status: encode(tag::context(0), &[]),
            this_update: hours(-1),
            next_update: Some(hours(1)),
            by_key: false,
            certificates: Vec::new(),
            single_extensions: Vec::new(),
            extensions: Vec::new(),
            more: Vec::new(),
        }
    }

    /// By a responder whose certificate comes with it.
    pub(crate) fn delegated(by: &'a Party, about: &Party, issuer: &Party) -> Self {
        Self { certificates: vec![by.certificate.clone()], ..Self::new(by, about, issuer) }
    }

    pub(crate) fn revoked(mut self, reason: u8, at: i64) -> Self {
        let reason = encode(tag::constructed(0), &encode(tag::ENUMERATED, &[reason]));
        self.status = encode(tag::constructed(1), &[time(hours(at)), reason].concat());
        self
    }

    pub(crate) fn unknown(mut self) -> Self {
        self.status = encode(tag::context(2), &[]);
        self
    }

    pub(crate) fn lasting(mut self, this_update: i64, next_update: i64) -> Self {
        (self.this_update, self.next_update) = (hours(this_update), Some(hours(next_update)));
        self
    }

    pub(crate) fn with(mut self, kind: &str, critical: bool, value: &[u8]) -> Self {
        self.single_extensions.extend(extension(kind, critical, value));
        self
    }

    pub(crate) fn invalid_since(self, at: i64) -> Self {
        self.with("2.5.29.24", false, &time(hours(at)))
    }

    /// What is said of the one certificate.
    pub(crate) fn single(&self) -> Vec<u8> {
        let next = self.next_update.map(|at| encode(tag::constructed(0), &time(at))).unwrap_or_default();
        let extensions = wrapped(1, &self.single_extensions);
        let parts = [self.id.clone(), self.status.clone(), time(self.this_update), next, extensions];
        encode(tag::SEQUENCE, &parts.concat())
    }

    pub(crate) fn der(&self) -> Vec<u8> {
        let certificate = &self.by.certificate;
        let responder = if self.by_key {
            let hash = ocsp::cert_id::sha1(certificate.public_key().bits());
            encode(tag::constructed(2), &encode(tag::OCTET_STRING, &hash))
        } else {
            encode(tag::constructed(1), certificate.subject().der())
        };
        let singles = encode(tag::SEQUENCE, &[self.single(), self.more.clone()].concat());
        let data = [responder, time(self.this_update), singles, wrapped(1, &self.extensions)].concat();
        let certificates: Vec<u8> = self.certificates.iter().flat_map(|c| c.der().to_vec()).collect();
        let certificates = wrapped(0, &certificates);
        successful(&self.by.sign(&encode(tag::SEQUENCE, &data), &certificates))
    }

    pub(crate) fn response(&self) -> ocsp::Response {
        ocsp::Response::parse(&self.der()).unwrap()
    }
}

/// `OCSPResponse` with a basic one.
pub(crate) fn successful(basic: &[u8]) -> Vec<u8> {
    let typed = [oid("1.3.6.1.5.5.7.48.1.1"), encode(tag::OCTET_STRING, basic)].concat();
    let typed = encode(tag::constructed(0), &encode(tag::SEQUENCE, &typed));
    encode(tag::SEQUENCE, &[encode(tag::ENUMERATED, &[0]), typed].concat())
}

/// A sequence under a context-specific tag, or nothing.
fn wrapped(number: u8, elements: &[u8]) -> Vec<u8> {
    if elements.is_empty() {
        return Vec::new();
    }
    encode(tag::constructed(number), &encode(tag::SEQUENCE, elements))
}
