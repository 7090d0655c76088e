//! One certificate: RFC 5280, section 4. What is read here is all that any check asks for; critical
//! extensions that none asks for are listed, and chains refuse them.

mod alternative;
mod extensions;

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use x509_parser::certificate::X509Certificate;
use x509_parser::pem::Pem;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;
use x509_parser::x509::X509Version;

use super::der::{Element, elements, range, tag};
use super::key::sha256;
use super::{Algorithm, Error, Name, PublicKey, pem};
pub use alternative::AlternativeName;
use extensions::Extensions;
pub(super) use extensions::distribution_point_uris;
pub use extensions::{BasicConstraints, ExtendedKeyUsage, KeyUsage};

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
    /// The key that is known to have signed it: authorities' certificates are asked again with every signature.
    signer: OnceLock<PublicKey>,
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
        Ok(Self(Arc::new(Inner {
            signed: range(signed, der),
            signature: parsed.signature_value.data.to_vec(),
            algorithm: Algorithm::read(&parsed.signature_algorithm),
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
            extensions: Extensions::read(parsed.extensions(), der)?,
            signer: OnceLock::new(),
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
                let found = format!("expected CERTIFICATE, found {:?}", block.label);
                return Err(Error::malformed("PEM certificate", found));
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

    /// As PEM (RFC 7468, section 5).
    pub fn to_pem(&self) -> String {
        pem::write("CERTIFICATE", &self.0.der)
    }

    /// The part of them that the issuer signed, the TBSCertificate.
    pub(super) fn signed(&self) -> &[u8] {
        self.0.der.get(self.0.signed.clone()).unwrap_or_default()
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

    /// Its subject alternative names, in order.
    pub fn alternative_names(&self) -> &[AlternativeName] {
        &self.0.extensions.alternative_names
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

    /// Where OCSP answers about it are, as it says (RFC 5280, section 4.2.2.1), in order.
    pub fn ocsp_urls(&self) -> &[String] {
        &self.0.extensions.ocsp_urls
    }

    /// Where CRLs that cover it are, as it says (RFC 5280, section 4.2.1.13), in order.
    pub fn crl_urls(&self) -> &[String] {
        &self.0.extensions.crl_urls
    }

    /// Where delta CRLs that cover it are, as it says (RFC 5280, section 4.2.1.15), in order.
    pub fn freshest_crl_urls(&self) -> &[String] {
        &self.0.extensions.freshest_crl_urls
    }

    /// Whether it says that delta CRLs cover it.
    pub fn has_freshest_crl(&self) -> bool {
        self.0.extensions.freshest_crl
    }

    /// Whether it says that it can be revoked: by OCSP or CRL, at a URL or elsewhere.
    pub fn is_revocable(&self) -> bool {
        self.0.extensions.revocable
    }

    /// Whether it is an OCSP responder's that need not be asked about (RFC 6960, section 4.2.2.2.1).
    pub fn has_ocsp_no_check(&self) -> bool {
        self.0.extensions.ocsp_no_check
    }

    /// The names of its CRL distribution points, each a whole `GeneralName`.
    pub(super) fn distribution_points(&self) -> &[Vec<u8>] {
        &self.0.extensions.distribution_points
    }

    /// Its extensions: object identifier, and whether it is critical.
    pub fn extensions(&self) -> &[(String, bool)] {
        &self.0.extensions.present
    }

    /// What the octet string of an extension holds, by its dotted object identifier; `None` where it has none such.
    pub fn extension(&self, oid: &str) -> Option<&[u8]> {
        let Extensions { present, values, .. } = &self.0.extensions;
        let at = present.iter().position(|(other, _)| other == oid)?;
        self.0.der.get(values.get(at)?.clone())
    }

    /// The text of an extension whose value is a UTF8String; `None` where it is absent or something else.
    pub fn text_extension(&self, oid: &str) -> Option<&str> {
        let text = Element::only(self.extension(oid)?).ok().filter(|text| text.tag == tag::UTF8_STRING)?;
        std::str::from_utf8(text.content).ok()
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
        if child.0.signer.get() == Some(self.public_key()) {
            return Ok(());
        }
        let algorithm = child.0.algorithm.ok_or_else(|| Error::Unsupported {
            what: "certificate signature algorithm",
            found: child.0.algorithm_oid.clone(),
        })?;
        self.public_key()
            .verify(algorithm, child.signed(), &child.0.signature)
            .map_err(|_| Error::BadSignature { issuer: self.subject().to_string() })?;
        // Where another key is known already, so it stays.
        let _ = child.0.signer.set(self.public_key().clone());
        Ok(())
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

fn system_time(at: ASN1Time) -> SystemTime {
    let seconds = Duration::from_secs(at.timestamp().unsigned_abs());
    let shifted = if at.timestamp() < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(seconds)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(seconds)
    };
    shifted.unwrap_or(SystemTime::UNIX_EPOCH)
}
