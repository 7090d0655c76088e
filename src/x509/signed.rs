//! What X.509 signs: a sequence that begins with the signed part, the algorithm and the signature
//! (RFC 5280, section 5.1.1; RFC 6960, section 4.2.1).

use std::ops::Range;

use x509_parser::prelude::FromDer;
use x509_parser::x509::AlgorithmIdentifier;

use super::der::{self, Reader, tag};
use super::{Algorithm, Certificate, Error};

/// A signature and what it is made over, as places in the DER that holds both.
#[derive(Debug)]
pub(super) struct Signed {
    content: Range<usize>,
    signature: Range<usize>,
    algorithm: Option<Algorithm>,
    algorithm_oid: String,
}

impl Signed {
    /// Reads the three elements, which are parts of `whole`. Also gives the signed part and the algorithm's DER,
    /// which some of them repeat within.
    pub(super) fn read<'a>(whole: &[u8], from: &mut Reader<'a>) -> der::Result<(Self, Reader<'a>, &'a [u8])> {
        let content = from.expect(tag::SEQUENCE)?;
        let identifier = from.expect(tag::SEQUENCE)?;
        // Its own parser takes other forms for the same.
        identifier.reader().object_identifier()?;
        let signature = match from.expect(tag::BIT_STRING)?.content {
            [0, signature @ ..] => signature,
            _ => return Err("a signature that is no whole number of octets".to_owned()),
        };
        let (_, parsed) = AlgorithmIdentifier::from_der(identifier.whole).map_err(|e| e.to_string())?;
        let signed = Self {
            content: der::range(content.whole, whole),
            signature: der::range(signature, whole),
            algorithm: Algorithm::read(&parsed),
            algorithm_oid: parsed.algorithm.to_id_string(),
        };
        Ok((signed, content.reader(), identifier.whole))
    }

    /// Whether the certificate's key signed it.
    pub(super) fn verify(&self, whole: &[u8], signer: &Certificate) -> Result<(), Error> {
        let part = |range: &Range<usize>| whole.get(range.clone()).unwrap_or_default();
        let algorithm = self.algorithm.ok_or_else(|| Error::Unsupported {
            what: "signature algorithm",
            found: self.algorithm_oid.clone(),
        })?;
        signer
            .public_key()
            .verify(algorithm, part(&self.content), part(&self.signature))
            .map_err(|_| Error::BadSignature { issuer: signer.subject().to_string() })
    }
}
