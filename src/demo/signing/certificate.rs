//! Certificates for signing content: self-signed, or issued by an authority made on the spot.

use std::ops::Range;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CrlDistributionPoint,
    DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyUsagePurpose,
    RevocationReason, RevokedCertParams, SerialNumber,
};
use rustls_pki_types::CertificateDer;

use super::{Error, Key, KeyKind, YEAR};
use crate::x509::Certificate;

/// What a certificate says.
#[derive(Clone, Debug)]
pub struct Profile {
    /// `CN`.
    pub common_name: String,
    /// `O`; with it come `C=US` and `ST=WA`, which the Notary Project asks of identities.
    pub organization: Option<String>,
    /// The dNSNames of the subject's alternative names; none, and there is no such extension.
    pub dns_names: Vec<String>,
    /// When it is valid.
    pub valid: Range<SystemTime>,
    /// The key it is made for.
    pub key: KeyKind,
    /// What the key is for.
    pub usages: Vec<KeyUsagePurpose>,
    /// What the certificate is for; empty, and there is no such extension.
    pub purposes: Vec<ExtendedKeyUsagePurpose>,
    /// Where the CRLs are that cover it; empty, and there is no such extension.
    pub crls: Vec<String>,
}

impl Default for Profile {
    fn default() -> Self {
        let now = SystemTime::now();
        Self {
            common_name: "demo".to_owned(),
            organization: None,
            dns_names: Vec::new(),
            valid: now - Duration::from_secs(3600)..now + 10 * YEAR,
            key: KeyKind::default(),
            usages: vec![KeyUsagePurpose::DigitalSignature],
            purposes: Vec::new(),
            crls: Vec::new(),
        }
    }
}

impl Profile {
    /// A registry's certificate, as nv2 signs with: named by its host.
    pub fn of_host(host: &str) -> Self {
        Self { common_name: host.to_owned(), dns_names: vec![host.to_owned()], ..Self::default() }
    }

    /// An organization's certificate, as the Notary Project signs with.
    pub fn of_organization(name: &str) -> Self {
        Self {
            common_name: name.to_owned(),
            organization: Some(name.to_owned()),
            purposes: vec![ExtendedKeyUsagePurpose::CodeSigning],
            ..Self::default()
        }
    }

    fn parameters(&self) -> CertificateParams {
        let mut parameters = CertificateParams::default();
        let mut name = DistinguishedName::new();
        if let Some(organization) = &self.organization {
            name.push(DnType::CountryName, "US");
            name.push(DnType::StateOrProvinceName, "WA");
            name.push(DnType::OrganizationName, organization);
        }
        name.push(DnType::CommonName, &self.common_name);
        parameters.distinguished_name = name;
        let host = |name: &String| name.as_str().try_into().ok().map(rcgen::SanType::DnsName);
        parameters.subject_alt_names = self.dns_names.iter().filter_map(host).collect();
        parameters.not_before = self.valid.start.into();
        parameters.not_after = self.valid.end.into();
        parameters.is_ca = IsCa::ExplicitNoCa;
        parameters.key_usages.clone_from(&self.usages);
        parameters.extended_key_usages.clone_from(&self.purposes);
        if !self.crls.is_empty() {
            parameters.crl_distribution_points = vec![CrlDistributionPoint { uris: self.crls.clone() }];
        }
        parameters
    }
}

/// A key with the certificates that name its owner.
#[derive(Debug)]
pub struct Identity {
    key: Key,
    chain: Vec<CertificateDer<'static>>,
}

impl Identity {
    /// One that vouches for itself.
    ///
    /// # Errors
    /// The key or the certificate could not be made.
    pub fn self_signed(profile: &Profile) -> Result<Self, Error> {
        let key = Key::generate(profile.key)?;
        let certificate = profile.parameters().self_signed(&key.pair)?;
        Ok(Self { key, chain: vec![certificate.der().clone()] })
    }

    /// The private key.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Its own certificate first, its authority's last.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// Its own certificate in PEM: what somebody acquires who wants to trust it.
    pub fn certificate_pem(&self) -> String {
        certificate_pem(self.chain.first())
    }

    /// The last certificate of its chain in PEM.
    pub fn root_pem(&self) -> String {
        certificate_pem(self.chain.last())
    }
}

/// Somebody who issues certificates.
pub struct Authority {
    issuer: Issuer<'static, rcgen::KeyPair>,
    certificate: CertificateDer<'static>,
}

impl Authority {
    /// A root.
    ///
    /// # Errors
    /// The key or the certificate could not be made.
    pub fn new(organization: &str) -> Result<Self, Error> {
        let mut parameters = Profile::of_organization(organization).parameters();
        parameters.distinguished_name.push(DnType::CommonName, format!("{organization} root"));
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        parameters.extended_key_usages.clear();
        let key = Key::generate(KeyKind::P256)?;
        let certificate = parameters.self_signed(&key.pair)?.der().clone();
        Ok(Self { issuer: Issuer::new(parameters, key.pair), certificate })
    }

    /// Issues a certificate for a fresh key.
    ///
    /// # Errors
    /// The key or the certificate could not be made.
    pub fn issue(&self, profile: &Profile) -> Result<Identity, Error> {
        let key = Key::generate(profile.key)?;
        let certificate = profile.parameters().signed_by(&key.pair, &self.issuer)?;
        Ok(Identity { key, chain: vec![certificate.der().clone(), self.certificate.clone()] })
    }

    /// Its certificate in PEM.
    pub fn certificate_pem(&self) -> String {
        certificate_pem(Some(&self.certificate))
    }

    /// Its list of revoked certificates, in DER.
    ///
    /// # Errors
    /// The list could not be made.
    pub fn crl(&self, list: &RevocationList<'_>) -> Result<Vec<u8>, Error> {
        let revoked = |identity: &&Identity| {
            let certificate = identity.chain.first().and_then(|der| Certificate::from_der(der).ok());
            certificate.map(|certificate| RevokedCertParams {
                serial_number: SerialNumber::from_slice(certificate.serial()),
                revocation_time: list.valid.start.into(),
                reason_code: Some(RevocationReason::KeyCompromise),
                invalidity_date: None,
            })
        };
        let parameters = CertificateRevocationListParams {
            this_update: list.valid.start.into(),
            next_update: list.valid.end.into(),
            crl_number: SerialNumber::from(list.number),
            issuing_distribution_point: None,
            revoked_certs: list.revoked.iter().filter_map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        Ok(parameters.signed_by(&self.issuer)?.der().to_vec())
    }

    /// The same in PEM.
    ///
    /// # Errors
    /// As [`Self::crl`].
    pub fn crl_pem(&self, list: &RevocationList<'_>) -> Result<String, Error> {
        Ok(pem("X509 CRL", &self.crl(list)?))
    }
}

/// Who of an authority's was revoked, for stolen keys.
pub struct RevocationList<'a> {
    /// Higher than the list's before.
    pub number: u64,
    /// From its making to the next one's.
    pub valid: Range<SystemTime>,
    /// Whose certificates.
    pub revoked: &'a [&'a Identity],
}

/// RFC 7468.
fn pem(label: &str, der: &[u8]) -> String {
    let body = super::base64(der);
    let lines: Vec<_> = body.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

fn certificate_pem(certificate: Option<&CertificateDer<'_>>) -> String {
    pem("CERTIFICATE", certificate.map_or(&[], |c| c.as_ref()))
}
