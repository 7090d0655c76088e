//! A certificate's extensions: RFC 5280, section 4.2, as far as a check asks for them.

use std::collections::HashSet;
use std::ops::Range;

use x509_parser::extensions::{ParsedExtension, X509Extension};

use super::alternative::{AlternativeName, alternative_names};
use crate::x509::Error;
use crate::x509::der::{self, Reader, range, tag};

const SUBJECT_ALTERNATIVE_NAME: &str = "2.5.29.17";
const CRL_DISTRIBUTION_POINTS: &str = "2.5.29.31";
const FRESHEST_CRL: &str = "2.5.29.46";
const AUTHORITY_INFO_ACCESS: &str = "1.3.6.1.5.5.7.1.1";
const OCSP_NO_CHECK: &str = "1.3.6.1.5.5.7.48.1.5";
/// The object identifier 1.3.6.1.5.5.7.48.1, encoded.
const ID_AD_OCSP: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01];

/// RFC 5280, section 4.2.1.9.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BasicConstraints {
    /// Whether it may issue certificates.
    pub ca: bool,
    /// How many CA certificates may stand between it and the leaf.
    pub path_length: Option<u32>,
    /// Whether the extension is critical.
    pub critical: bool,
}

/// RFC 5280, section 4.2.1.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyUsage {
    /// The nine bits, bit 0 (`digitalSignature`) lowest.
    pub bits: u16,
    /// Whether the extension is critical.
    pub critical: bool,
}

impl KeyUsage {
    /// The key may sign things other than certificates and CRLs.
    pub fn digital_signature(self) -> bool {
        self.bits & 1 != 0
    }

    /// The key may sign certificates.
    pub fn key_cert_sign(self) -> bool {
        self.bits & (1 << 5) != 0
    }

    /// The key may sign CRLs.
    pub fn crl_sign(self) -> bool {
        self.bits & (1 << 6) != 0
    }

    /// The bits in words, for messages.
    pub fn names(self) -> Vec<&'static str> {
        const NAMES: [&str; 9] = [
            "digitalSignature",
            "contentCommitment",
            "keyEncipherment",
            "dataEncipherment",
            "keyAgreement",
            "keyCertSign",
            "cRLSign",
            "encipherOnly",
            "decipherOnly",
        ];
        NAMES.into_iter().enumerate().filter(|(bit, _)| self.bits & (1 << bit) != 0).map(|(_, n)| n).collect()
    }
}

/// RFC 5280, section 4.2.1.12.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtendedKeyUsage {
    /// The purposes as dotted object identifiers, in no particular order.
    pub purposes: Vec<String>,
    /// Whether the extension is critical.
    pub critical: bool,
}

impl ExtendedKeyUsage {
    /// `anyExtendedKeyUsage`
    pub const ANY: &str = "2.5.29.37.0";
    /// `id-kp-serverAuth`
    pub const SERVER_AUTH: &str = "1.3.6.1.5.5.7.3.1";
    /// `id-kp-clientAuth`
    pub const CLIENT_AUTH: &str = "1.3.6.1.5.5.7.3.2";
    /// `id-kp-codeSigning`
    pub const CODE_SIGNING: &str = "1.3.6.1.5.5.7.3.3";
    /// `id-kp-emailProtection`
    pub const EMAIL_PROTECTION: &str = "1.3.6.1.5.5.7.3.4";
    /// `id-kp-timeStamping`
    pub const TIME_STAMPING: &str = "1.3.6.1.5.5.7.3.8";
    /// `id-kp-OCSPSigning`
    pub const OCSP_SIGNING: &str = "1.3.6.1.5.5.7.3.9";

    /// Whether it names the purpose.
    pub fn has(&self, purpose: &str) -> bool {
        self.purposes.iter().any(|p| p == purpose)
    }
}

#[derive(Default)]
pub(super) struct Extensions {
    pub(super) basic_constraints: Option<BasicConstraints>,
    pub(super) key_usage: Option<KeyUsage>,
    pub(super) extended_key_usage: Option<ExtendedKeyUsage>,
    pub(super) subject_key_id: Option<Vec<u8>>,
    pub(super) has_san: bool,
    pub(super) alternative_names: Vec<AlternativeName>,
    pub(super) dns_names: Vec<String>,
    pub(super) unhandled_critical: Vec<String>,
    pub(super) name_constraints: bool,
    pub(super) present: Vec<(String, bool)>,
    /// Where their values lie in the certificate, in the same order.
    pub(super) values: Vec<Range<usize>>,
    pub(super) ocsp_urls: Vec<String>,
    pub(super) crl_urls: Vec<String>,
    pub(super) distribution_points: Vec<Vec<u8>>,
    pub(super) freshest_crl_urls: Vec<String>,
    pub(super) freshest_crl: bool,
    pub(super) revocable: bool,
    pub(super) ocsp_no_check: bool,
}

impl Extensions {
    /// Reads those of this certificate, each kind at most once.
    pub(super) fn read(all: &[X509Extension<'_>], certificate: &[u8]) -> Result<Self, Error> {
        let mut out = Self::default();
        let mut seen = HashSet::new();
        for extension in all {
            let oid = extension.oid.to_id_string();
            if !seen.insert(oid.clone()) {
                return Err(Error::malformed(
                    "certificate",
                    format_args!("extension {oid} stands there twice"),
                ));
            }
            out.present.push((oid.clone(), extension.critical));
            out.values.push(range(extension.value, certificate));
            out.add(&oid, extension)?;
            let within = |e| Error::malformed("certificate", format_args!("extension {oid}: {e}"));
            out.add_names(&oid, extension.value).map_err(within)?;
            out.add_revocation(&oid, extension.value).map_err(within)?;
        }
        Ok(out)
    }

    fn add(&mut self, oid: &str, extension: &X509Extension<'_>) -> Result<(), Error> {
        let critical = extension.critical;
        match extension.parsed_extension() {
            ParsedExtension::BasicConstraints(b) => {
                let path_length = b.path_len_constraint;
                self.basic_constraints = Some(BasicConstraints { ca: b.ca, path_length, critical });
            }
            ParsedExtension::KeyUsage(usage) => {
                self.key_usage = Some(KeyUsage { bits: usage.flags, critical });
            }
            ParsedExtension::ExtendedKeyUsage(usage) => {
                self.extended_key_usage = Some(ExtendedKeyUsage { purposes: purposes(usage), critical });
            }
            // Critical where the subject has no other name (RFC 5280, section 4.2.1.6).
            ParsedExtension::SubjectAlternativeName(_) => {}
            // Without required policies (policyConstraints, which is unhandled) any policy will do.
            ParsedExtension::CertificatePolicies(_) => {}
            ParsedExtension::SubjectKeyIdentifier(id) if !critical => {
                self.subject_key_id = Some(id.0.to_vec())
            }
            ParsedExtension::NameConstraints(_) => self.name_constraints = true,
            ParsedExtension::ParseError { error } => {
                return Err(Error::malformed("certificate", format_args!("extension {oid}: {error}")));
            }
            // It restricts nothing: its holder's answers need no check of their own.
            ParsedExtension::UnsupportedExtension { .. } if oid == OCSP_NO_CHECK => {}
            _ if critical => self.unhandled_critical.push(oid.to_owned()),
            _ => {}
        }
        Ok(())
    }

    fn add_names(&mut self, oid: &str, value: &[u8]) -> der::Result<()> {
        if oid == SUBJECT_ALTERNATIVE_NAME {
            self.has_san = true;
            self.alternative_names = alternative_names(value)?;
            self.dns_names = self.alternative_names.iter().filter_map(dns_name).collect();
        }
        Ok(())
    }

    /// Where answers about its revocation are. Such an extension that is critical stays unhandled: chains are
    /// checked for signers too whose revocation nobody asks for.
    fn add_revocation(&mut self, oid: &str, value: &[u8]) -> der::Result<()> {
        match oid {
            AUTHORITY_INFO_ACCESS => self.ocsp_urls = self.ocsp_locations(value)?,
            CRL_DISTRIBUTION_POINTS => {
                self.revocable = true;
                self.crl_urls = self.points(value)?;
            }
            FRESHEST_CRL => {
                self.freshest_crl = true;
                self.freshest_crl_urls = distribution_point_uris(value)?;
            }
            OCSP_NO_CHECK => self.ocsp_no_check = true,
            _ => {}
        }
        Ok(())
    }

    /// `AuthorityInfoAccessSyntax`, of which only OCSP counts.
    fn ocsp_locations(&mut self, value: &[u8]) -> der::Result<Vec<String>> {
        let mut urls = Vec::new();
        let mut descriptions = der::sequence(value)?;
        while !descriptions.is_empty() {
            let mut description = descriptions.expect(tag::SEQUENCE)?.reader();
            let is_ocsp = description.object_identifier()? == ID_AD_OCSP;
            if is_ocsp {
                self.revocable = true;
                urls.extend(der::uris(description)?);
            }
        }
        Ok(urls)
    }

    fn points(&mut self, value: &[u8]) -> der::Result<Vec<String>> {
        for mut names in full_names(value)? {
            while !names.is_empty() {
                self.distribution_points.push(names.next()?.whole.to_vec());
            }
        }
        distribution_point_uris(value)
    }
}

/// The URIs among the full names of `CRLDistributionPoints`, in order.
pub(in crate::x509) fn distribution_point_uris(value: &[u8]) -> der::Result<Vec<String>> {
    let mut urls = Vec::new();
    for names in full_names(value)? {
        urls.extend(der::uris(names)?);
    }
    Ok(urls)
}

/// The full names of `CRLDistributionPoints` (RFC 5280, section 4.2.1.13), a reader of `GeneralNames` each.
fn full_names(value: &[u8]) -> der::Result<Vec<Reader<'_>>> {
    let mut all = Vec::new();
    let mut points = der::sequence(value)?;
    while !points.is_empty() {
        let mut point = points.expect(tag::SEQUENCE)?.reader();
        if let Some(name) = point.optional(tag::constructed(0))? {
            all.extend(name.reader().optional(tag::constructed(0))?.map(|names| names.reader()));
        }
    }
    Ok(all)
}

fn dns_name(name: &AlternativeName) -> Option<String> {
    match name {
        AlternativeName::Dns(name) => Some(name.clone()),
        _ => None,
    }
}

fn purposes(usage: &x509_parser::extensions::ExtendedKeyUsage<'_>) -> Vec<String> {
    let named = [
        (usage.any, ExtendedKeyUsage::ANY),
        (usage.server_auth, ExtendedKeyUsage::SERVER_AUTH),
        (usage.client_auth, ExtendedKeyUsage::CLIENT_AUTH),
        (usage.code_signing, ExtendedKeyUsage::CODE_SIGNING),
        (usage.email_protection, ExtendedKeyUsage::EMAIL_PROTECTION),
        (usage.time_stamping, ExtendedKeyUsage::TIME_STAMPING),
        (usage.ocsp_signing, ExtendedKeyUsage::OCSP_SIGNING),
    ];
    let mut all: Vec<String> =
        named.into_iter().filter(|(set, _)| *set).map(|(_, oid)| oid.to_owned()).collect();
    all.extend(usage.other.iter().map(|oid| oid.to_id_string()));
    all
}
