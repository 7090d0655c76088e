//! One certificate: RFC 5280, section 4. What is read here is all that any check asks for; critical
//! extensions that none asks for are listed, and chains refuse them.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use der::{Decode as _, Header, Reader as _, SliceReader, Tag};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension, X509Extension};
use x509_parser::pem::Pem;
use x509_parser::prelude::FromDer;
use x509_parser::signature_algorithm::SignatureAlgorithm;
use x509_parser::time::ASN1Time;
use x509_parser::x509::{AlgorithmIdentifier, X509Version};

use super::key::sha256;
use super::{Algorithm, Encoding, Error, Hash, Name, PublicKey};

/// The longest certificate that is read.
const MAX_DER: usize = 64 * 1024;
/// The most certificates that are read from one text: more than any system's bundle of roots.
const MAX_CERTIFICATES: usize = 1000;

/// A certificate. Cheap to clone; equal when the DER is.
#[derive(Clone)]
pub struct Certificate(Arc<Inner>);

struct Inner {
    der: Vec<u8>,
    signed: std::ops::Range<usize>,
    signature: Vec<u8>,
    algorithm: Option<Algorithm>,
    algorithm_oid: String,
    version: u32,
    serial: Vec<u8>,
    subject: Name,
    issuer: Name,
    not_before: SystemTime,
    not_after: SystemTime,
    key: PublicKey,
    extensions: Extensions,
}

#[derive(Default)]
struct Extensions {
    basic_constraints: Option<BasicConstraints>,
    key_usage: Option<KeyUsage>,
    extended_key_usage: Option<ExtendedKeyUsage>,
    subject_key_id: Option<Vec<u8>>,
    has_san: bool,
    dns_names: Vec<String>,
    unhandled_critical: Vec<String>,
    name_constraints: bool,
    present: Vec<(String, bool)>,
}

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

impl Certificate {
    /// Reads one DER certificate.
    ///
    /// # Errors
    /// Not a certificate, bytes after it, an extension twice, or a key that is not verified.
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        const WHAT: &str = "certificate";
        if der.len() > MAX_DER {
            return Err(Error::TooMany { what: "bytes in a certificate", limit: MAX_DER });
        }
        let (rest, parsed) = X509Certificate::from_der(der).map_err(|e| Error::malformed(WHAT, e))?;
        if !rest.is_empty() {
            return Err(Error::malformed(WHAT, "bytes follow it"));
        }
        let signed = parsed.tbs_certificate.as_ref();
        check_unsigned(der, signed, parsed.signature_value.unused_bits)?;
        let start = (signed.as_ptr() as usize).wrapping_sub(der.as_ptr() as usize);
        Ok(Self(Arc::new(Inner {
            signed: start..start + signed.len(),
            signature: parsed.signature_value.data.to_vec(),
            algorithm: algorithm(&parsed.signature_algorithm),
            algorithm_oid: parsed.signature_algorithm.algorithm.to_id_string(),
            version: match parsed.version() {
                X509Version(v) => v + 1,
            },
            serial: parsed.raw_serial().to_vec(),
            subject: Name::read(parsed.subject()),
            issuer: Name::read(parsed.issuer()),
            not_before: system_time(parsed.validity().not_before),
            not_after: system_time(parsed.validity().not_after),
            key: PublicKey::from_spki_der(parsed.public_key().raw)?,
            extensions: extensions(parsed.extensions())?,
            der: der.to_vec(),
        })))
    }

    /// Reads all certificates of a PEM text, or one DER certificate.
    ///
    /// # Errors
    /// As [`Self::from_der`]; also where there is none, too many, or something else among them.
    pub fn all_from(pem_or_der: &[u8]) -> Result<Vec<Self>, Error> {
        if pem_or_der.first() == Some(&0x30) {
            return Ok(vec![Self::from_der(pem_or_der)?]);
        }
        let mut all = Vec::new();
        for block in Pem::iter_from_buffer(pem_or_der) {
            let block = block.map_err(|e| Error::malformed("PEM certificate", e))?;
            if block.label != "CERTIFICATE" {
                return Err(Error::Unsupported { what: "PEM block", found: block.label });
            }
            if all.len() == MAX_CERTIFICATES {
                return Err(Error::TooMany { what: "certificates", limit: MAX_CERTIFICATES });
            }
            all.push(Self::from_der(&block.contents)?);
        }
        if all.is_empty() {
            return Err(Error::malformed("certificate", "neither DER nor PEM"));
        }
        Ok(all)
    }

    /// The bytes.
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// SHA-256 over the bytes.
    pub fn fingerprint(&self) -> [u8; 32] {
        sha256(&self.0.der)
    }

    /// 1, 2 or 3.
    pub fn version(&self) -> u32 {
        self.0.version
    }

    /// The serial number's octets, most significant first.
    pub fn serial(&self) -> &[u8] {
        &self.0.serial
    }

    /// Whose key it is.
    pub fn subject(&self) -> &Name {
        &self.0.subject
    }

    /// Who issued it.
    pub fn issuer(&self) -> &Name {
        &self.0.issuer
    }

    /// The subject's common name.
    pub fn common_name(&self) -> Option<&str> {
        self.0.subject.common_name()
    }

    /// The `dNSName` entries among its subject alternative names.
    pub fn dns_names(&self) -> &[String] {
        &self.0.extensions.dns_names
    }

    /// Whether it has subject alternative names of any kind.
    pub fn has_san(&self) -> bool {
        self.0.extensions.has_san
    }

    /// The first moment of its validity.
    pub fn not_before(&self) -> SystemTime {
        self.0.not_before
    }

    /// The last moment of its validity.
    pub fn not_after(&self) -> SystemTime {
        self.0.not_after
    }

    /// The certified key.
    pub fn public_key(&self) -> &PublicKey {
        &self.0.key
    }

    /// What the key may be used for, where it says so.
    pub fn key_usage(&self) -> Option<KeyUsage> {
        self.0.extensions.key_usage
    }

    /// For which purposes, where it says so.
    pub fn extended_key_usage(&self) -> Option<&ExtendedKeyUsage> {
        self.0.extensions.extended_key_usage.as_ref()
    }

    /// Whether it may issue, where it says so.
    pub fn basic_constraints(&self) -> Option<BasicConstraints> {
        self.0.extensions.basic_constraints
    }

    /// What it calls its key, where it says so (RFC 5280, section 4.2.1.2).
    pub fn subject_key_id(&self) -> Option<&[u8]> {
        self.0.extensions.subject_key_id.as_deref()
    }

    /// Whether it limits the names of what it issues.
    pub fn has_name_constraints(&self) -> bool {
        self.0.extensions.name_constraints
    }

    /// Its extensions: object identifier, and whether it is critical.
    pub fn extensions(&self) -> &[(String, bool)] {
        &self.0.extensions.present
    }

    /// The critical extensions that nothing here understands.
    pub fn unhandled_critical(&self) -> &[String] {
        &self.0.extensions.unhandled_critical
    }

    /// The algorithm of its own signature; `None` where it is one that is not verified.
    pub fn signature_algorithm(&self) -> Option<Algorithm> {
        self.0.algorithm
    }

    /// Whether its own key signed it under its own name.
    pub fn is_self_signed(&self) -> bool {
        self.issued(self).is_ok()
    }

    /// Whether this certificate's key signed `child` under this certificate's name. Says nothing about
    /// whether it may: [`super::chain`] does.
    ///
    /// # Errors
    /// Another issuer, an algorithm that is not verified, or a signature of another key.
    pub fn issued(&self, child: &Self) -> Result<(), Error> {
        if child.issuer() != self.subject() {
            return Err(Error::WrongIssuer {
                named: child.issuer().to_string(),
                found: self.subject().to_string(),
            });
        }
        let algorithm = child.0.algorithm.ok_or_else(|| Error::Unsupported {
            what: "certificate signature algorithm",
            found: child.0.algorithm_oid.clone(),
        })?;
        let signed = child.0.der.get(child.0.signed.clone()).unwrap_or_default();
        self.public_key()
            .verify(algorithm, signed, &child.0.signature)
            .map_err(|_| Error::BadSignature { issuer: self.subject().to_string() })
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.0.der == other.0.der
    }
}

impl Eq for Certificate {}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({:?})", self.subject().to_string())
    }
}

/// What stands outside the signed part must be its only encoding, or one signed content would have many,
/// each with a fingerprint of its own: the algorithm repeats the signed one byte for byte (RFC 5280,
/// section 4.1.1.2), and the signature is whole octets.
fn check_unsigned(der: &[u8], signed: &[u8], unused_bits: u8) -> Result<(), Error> {
    let malformed = |why: &str| Error::malformed("certificate", why);
    if unused_bits != 0 {
        return Err(malformed("its signature is no whole number of octets"));
    }
    let parts = elements(der).ok_or_else(|| malformed("it is no sequence"))?;
    let of_signed = elements(signed).ok_or_else(|| malformed("its signed part is no sequence"))?;
    // The version is optional; where it stands, it is tagged and the algorithm is one further.
    let at = if of_signed.first().is_some_and(|first| first.first() == Some(&0xa0)) { 2 } else { 1 };
    match (&parts[..], of_signed.get(at)) {
        ([_, algorithm, signature], Some(inner))
            if algorithm == inner && signature.first() == Some(&0x03) =>
        {
            Ok(())
        }
        _ => Err(malformed("its two signature algorithms differ, or its signature is no bit string")),
    }
}

/// The elements of a sequence, each as its whole encoding; read by `der`, since the certificates' own parser
/// takes other tags and longer lengths for the same.
fn elements(sequence: &[u8]) -> Option<Vec<&[u8]>> {
    let mut outer = SliceReader::new(sequence).ok()?;
    let header = Header::decode(&mut outer).ok().filter(|header| header.tag == Tag::Sequence)?;
    let mut rest = SliceReader::new(outer.read_slice(header.length).ok()?).ok()?;
    let mut all = Vec::new();
    while !rest.is_finished() {
        all.push(rest.tlv_bytes().ok()?);
    }
    Some(all)
}

fn system_time(at: ASN1Time) -> SystemTime {
    let seconds = Duration::from_secs(at.timestamp().unsigned_abs());
    let shifted = if at.timestamp() < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(seconds)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(seconds)
    };
    shifted.unwrap_or(SystemTime::UNIX_EPOCH)
}

fn extensions(all: &[X509Extension<'_>]) -> Result<Extensions, Error> {
    let mut out = Extensions::default();
    let mut seen = HashSet::new();
    for extension in all {
        let oid = extension.oid.to_id_string();
        if !seen.insert(oid.clone()) {
            return Err(Error::malformed("certificate", format_args!("extension {oid} stands there twice")));
        }
        out.present.push((oid.clone(), extension.critical));
        out.read(&oid, extension)?;
    }
    Ok(out)
}

impl Extensions {
    fn read(&mut self, oid: &str, extension: &X509Extension<'_>) -> Result<(), Error> {
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
            ParsedExtension::SubjectAlternativeName(names) => {
                self.has_san = true;
                self.dns_names = names.general_names.iter().filter_map(dns_name).collect();
            }
            // Without required policies (policyConstraints, which is unhandled) any policy will do.
            ParsedExtension::CertificatePolicies(_) => {}
            ParsedExtension::SubjectKeyIdentifier(id) if !critical => {
                self.subject_key_id = Some(id.0.to_vec())
            }
            ParsedExtension::NameConstraints(_) => self.name_constraints = true,
            ParsedExtension::ParseError { error } => {
                return Err(Error::malformed("certificate", format_args!("extension {oid}: {error}")));
            }
            _ if critical => self.unhandled_critical.push(oid.to_owned()),
            _ => {}
        }
        Ok(())
    }
}

fn dns_name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
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

/// The algorithm of a certificate's signature: RFC 3279, 4055, 5758 and 8410. SHA-1 and older are not
/// verified.
fn algorithm(identifier: &AlgorithmIdentifier<'_>) -> Option<Algorithm> {
    match identifier.algorithm.to_id_string().as_str() {
        "1.2.840.113549.1.1.11" => Some(Algorithm::RsaPkcs1(Hash::Sha256)),
        "1.2.840.113549.1.1.12" => Some(Algorithm::RsaPkcs1(Hash::Sha384)),
        "1.2.840.113549.1.1.13" => Some(Algorithm::RsaPkcs1(Hash::Sha512)),
        "1.2.840.113549.1.1.10" => pss(identifier),
        "1.2.840.10045.4.3.2" => Some(Algorithm::Ecdsa(Hash::Sha256, Encoding::Asn1)),
        "1.2.840.10045.4.3.3" => Some(Algorithm::Ecdsa(Hash::Sha384, Encoding::Asn1)),
        "1.2.840.10045.4.3.4" => Some(Algorithm::Ecdsa(Hash::Sha512, Encoding::Asn1)),
        "1.3.101.112" => Some(Algorithm::Ed25519),
        _ => None,
    }
}

/// RFC 4055, section 3.1: MGF1 over the same hash, trailer 1, a salt that the parameters give.
fn pss(identifier: &AlgorithmIdentifier<'_>) -> Option<Algorithm> {
    let Ok(SignatureAlgorithm::RSASSA_PSS(parameters)) = SignatureAlgorithm::try_from(identifier) else {
        return None;
    };
    let hash = parameters.hash_algorithm_oid().to_id_string();
    let mask = parameters.mask_gen_algorithm().ok()?;
    let fits = mask.mgf.to_id_string() == "1.2.840.113549.1.1.8"
        && mask.hash.to_id_string() == hash
        && parameters.trailer_field() == 1;
    let hash = match hash.as_str() {
        "2.16.840.1.101.3.4.2.1" => Hash::Sha256,
        "2.16.840.1.101.3.4.2.2" => Hash::Sha384,
        "2.16.840.1.101.3.4.2.3" => Hash::Sha512,
        _ => return None,
    };
    let salt = u16::try_from(parameters.salt_length()).ok()?;
    fits.then_some(Algorithm::RsaPssSalt(hash, salt))
}
