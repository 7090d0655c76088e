//! Certification requests (PKCS #10, RFC 2986): what an authority is sent to certify a key. Written here, signed by
//! whoever has the key.

use super::der::{encode, tag};
use super::{Algorithm, Encoding, Error, Hash, KeyKind, Name, PublicKey};

/// Object identifiers as DER writes them: `extensionRequest` of PKCS #9, and X.509's extensions.
const EXTENSION_REQUEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x0e];
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];

/// A request that waits for its signature.
pub struct Request {
    /// The CertificationRequestInfo: what is signed.
    pub info: Vec<u8>,
    /// By what it has to be signed.
    pub algorithm: Algorithm,
}

impl Request {
    /// For a key that signs, under this name and these DNS names.
    ///
    /// # Errors
    /// A DNS name that is none.
    pub fn new(subject: &Name, names: &[String], key: &PublicKey) -> Result<Self, Error> {
        if let Some(name) = names.iter().find(|name| !is_dns_name(name)) {
            return Err(Error::Malformed { what: "DNS name", why: format!("found {name:?}") });
        }
        // `digitalSignature` alone: the first of nine bits.
        let usage = encode(tag::BIT_STRING, &[7, 0x80]);
        let mut extensions = extension(KEY_USAGE, true, &usage);
        if !names.is_empty() {
            let names: Vec<u8> =
                names.iter().flat_map(|name| encode(tag::context(2), name.as_bytes())).collect();
            extensions.extend(extension(SUBJECT_ALT_NAME, false, &encode(tag::SEQUENCE, &names)));
        }
        let asked = encode(tag::SET, &encode(tag::SEQUENCE, &extensions));
        let attribute = [encode(tag::OBJECT_IDENTIFIER, EXTENSION_REQUEST), asked].concat();
        let attributes = encode(tag::constructed(0), &encode(tag::SEQUENCE, &attribute));
        let version = encode(tag::INTEGER, &[0]);
        let info = [&version, subject.der(), key.spki(), &attributes].concat();
        Ok(Self { info: encode(tag::SEQUENCE, &info), algorithm: algorithm(key.kind()) })
    }

    /// The same, for a key whose keeper signs by that alone: RSA by RSASSA-PSS, with a salt of the hash's length.
    #[must_use]
    pub fn signed_by(self, algorithm: Algorithm) -> Self {
        Self { algorithm, ..self }
    }

    /// The request with its signature, as DER.
    pub fn signed(&self, signature: &[u8]) -> Vec<u8> {
        let identifier = encode(tag::SEQUENCE, &identifier(self.algorithm));
        let signature = encode(tag::BIT_STRING, &[&[0], signature].concat());
        encode(tag::SEQUENCE, &[&self.info[..], &identifier, &signature].concat())
    }
}

fn extension(oid: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
    let mut content = encode(tag::OBJECT_IDENTIFIER, oid);
    if critical {
        content.extend(encode(tag::BOOLEAN, &[0xff]));
    }
    content.extend(encode(tag::OCTET_STRING, value));
    encode(tag::SEQUENCE, &content)
}

/// Labels of letters, digits and hyphens (RFC 1034, section 3.5); the first may be a wildcard.
fn is_dns_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.strip_prefix("*.").unwrap_or(name).split('.').all(label)
}

/// What every authority knows.
fn algorithm(kind: KeyKind) -> Algorithm {
    match kind {
        KeyKind::Rsa { .. } => Algorithm::RsaPkcs1(Hash::Sha256),
        KeyKind::P256 => Algorithm::Ecdsa(Hash::Sha256, Encoding::Asn1),
        KeyKind::P384 => Algorithm::Ecdsa(Hash::Sha384, Encoding::Asn1),
        KeyKind::P521 => Algorithm::Ecdsa(Hash::Sha512, Encoding::Asn1),
        KeyKind::Ed25519 => Algorithm::Ed25519,
    }
}

/// The content of the AlgorithmIdentifier of what [`algorithm`] gives, or RSASSA-PSS.
fn identifier(algorithm: Algorithm) -> Vec<u8> {
    let ecdsa = |last| encode(tag::OBJECT_IDENTIFIER, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, last]);
    match algorithm {
        Algorithm::Ecdsa(Hash::Sha256, _) => ecdsa(2),
        Algorithm::Ecdsa(Hash::Sha384, _) => ecdsa(3),
        Algorithm::Ecdsa(Hash::Sha512, _) => ecdsa(4),
        Algorithm::Ed25519 => encode(tag::OBJECT_IDENTIFIER, &[0x2b, 0x65, 0x70]),
        Algorithm::RsaPss(hash) => pss(hash),
        _ => {
            let rsa = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b];
            [encode(tag::OBJECT_IDENTIFIER, &rsa), encode(tag::NULL, &[])].concat()
        }
    }
}

/// RFC 4055, section 3.1: `id-RSASSA-PSS` with the hash, MGF1 over the same, and a salt of its length.
fn pss(hash: Hash) -> Vec<u8> {
    let (last, length) = match hash {
        Hash::Sha256 => (1, 32),
        Hash::Sha384 => (2, 48),
        Hash::Sha512 => (3, 64),
    };
    let pkcs1 =
        |last| encode(tag::OBJECT_IDENTIFIER, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, last]);
    let sha2 = encode(tag::OBJECT_IDENTIFIER, &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, last]);
    let hash = encode(tag::SEQUENCE, &[sha2, encode(tag::NULL, &[])].concat());
    let mask = encode(tag::SEQUENCE, &[pkcs1(8), hash.clone()].concat());
    let parts = [hash, mask, encode(tag::INTEGER, &[length])];
    let parts = (0..).zip(parts).flat_map(|(number, part)| encode(tag::constructed(number), &part));
    [pkcs1(10), encode(tag::SEQUENCE, &parts.collect::<Vec<u8>>())].concat()
}

#[cfg(test)]
mod tests {
    use x509_parser::certification_request::X509CertificationRequest;
    use x509_parser::extensions::{GeneralName, ParsedExtension};
    use x509_parser::prelude::FromDer as _;

    use super::*;
    use crate::signing::Key;

    const KINDS: [KeyKind; 5] =
        [KeyKind::P256, KeyKind::P384, KeyKind::P521, KeyKind::Ed25519, KeyKind::Rsa { bits: 2048 }];

    #[test]
    fn another_reader_finds_what_was_asked_for() {
        for kind in KINDS {
            let (key, _) = Key::generate(kind, None).unwrap();
            let subject = Name::from_text("CN=acme,O=ACME").unwrap();
            let names = ["acme.example".to_owned(), "*.acme.example".to_owned()];
            let request = Request::new(&subject, &names, key.public()).unwrap();
            let signature = key.sign(request.algorithm, &request.info).unwrap();
            let der = request.signed(&signature);
            let (rest, read) = X509CertificationRequest::from_der(&der).unwrap();
            assert!(rest.is_empty());
            assert_eq!(read.certification_request_info.subject.to_string(), "O=ACME, CN=acme");
            assert_eq!(read.certification_request_info.subject_pki.raw, key.public().spki());
            let by = Algorithm::read(&read.signature_algorithm).unwrap();
            assert_eq!(by, request.algorithm);
            let info = read.certification_request_info.raw;
            key.public().verify(by, info, &read.signature_value.data).unwrap();
            let extensions: Vec<_> = read.requested_extensions().unwrap().collect();
            let [ParsedExtension::KeyUsage(usage), ParsedExtension::SubjectAlternativeName(found)] =
                &extensions[..]
            else {
                panic!("{extensions:?}")
            };
            assert_eq!(usage.flags, 1);
            assert_eq!(found.general_names, names.each_ref().map(|name| GeneralName::DNSName(name)));
        }
    }

    #[test]
    fn rsa_may_sign_by_pss() {
        let (key, _) = Key::generate(KeyKind::Rsa { bits: 2048 }, None).unwrap();
        let subject = Name::from_text("CN=acme").unwrap();
        for (hash, salt) in [(Hash::Sha256, 32), (Hash::Sha384, 48), (Hash::Sha512, 64)] {
            let request = Request::new(&subject, &[], key.public()).unwrap();
            let request = request.signed_by(Algorithm::RsaPss(hash));
            let der = request.signed(&key.sign(request.algorithm, &request.info).unwrap());
            let (_, read) = X509CertificationRequest::from_der(&der).unwrap();
            let by = Algorithm::read(&read.signature_algorithm).unwrap();
            assert_eq!(by, Algorithm::RsaPssSalt(hash, salt));
            let info = read.certification_request_info.raw;
            key.public().verify(by, info, &read.signature_value.data).unwrap();
        }
    }

    #[test]
    fn what_is_no_dns_name_is_refused() {
        let (key, _) = Key::generate(KeyKind::P256, None).unwrap();
        let subject = Name::from_text("CN=acme").unwrap();
        let takes = |name: &str| Request::new(&subject, &[name.to_owned()], key.public()).is_ok();
        for name in ["", "a..b", "-a.b", "a b", "a.*.b", "a,b", &"a".repeat(64)] {
            assert!(!takes(name), "{name}");
        }
        assert!(takes("registry-1.acme.example") && takes("localhost"));
    }
}
