//! The algorithm of a token's signature. Nothing signs its identifier, so it is read to the last byte:
//! what is not understood there is refused. SHA-1 is not known, and Ed25519 is not what tokens use.

use der::{Tag, TagNumber};
use x509_parser::der_parser::asn1_rs::{Oid, oid};

use super::super::{Algorithm, Encoding, Error, Hash};
use super::imprint::{hash, no_parameters};
use super::walk::{Walk, malformed, tagged};

const RSA_ENCRYPTION: Oid<'_> = oid!(1.2.840.113549.1.1.1);
const RSA_PSS: Oid<'_> = oid!(1.2.840.113549.1.1.10);
const MGF1: Oid<'_> = oid!(1.2.840.113549.1.1.8);

const WITHOUT_PARAMETERS: [(Oid<'_>, Algorithm); 6] = [
    (oid!(1.2.840.113549.1.1.11), Algorithm::RsaPkcs1(Hash::Sha256)),
    (oid!(1.2.840.113549.1.1.12), Algorithm::RsaPkcs1(Hash::Sha384)),
    (oid!(1.2.840.113549.1.1.13), Algorithm::RsaPkcs1(Hash::Sha512)),
    (oid!(1.2.840.10045.4.3.2), Algorithm::Ecdsa(Hash::Sha256, Encoding::Asn1)),
    (oid!(1.2.840.10045.4.3.3), Algorithm::Ecdsa(Hash::Sha384, Encoding::Asn1)),
    (oid!(1.2.840.10045.4.3.4), Algorithm::Ecdsa(Hash::Sha512, Encoding::Asn1)),
];

/// Reads the contents of an `AlgorithmIdentifier`. One that names the kind of key alone goes with the hash
/// that the content is hashed by (RFC 5754, section 3.2).
pub(super) fn algorithm(mut identifier: Walk<'_>, content_hash: Hash) -> Result<Algorithm, Error> {
    let oid = identifier.oid()?;
    if oid == RSA_PSS {
        return pss(identifier);
    }
    no_parameters(identifier)?;
    if oid == RSA_ENCRYPTION {
        return Ok(Algorithm::RsaPkcs1(content_hash));
    }
    let known = WITHOUT_PARAMETERS.into_iter().find(|(known, _)| *known == oid);
    known.map(|(_, algorithm)| algorithm).ok_or_else(|| Error::Unsupported {
        what: "signature algorithm of a timestamp token",
        found: oid.to_id_string(),
    })
}

/// `RSASSA-PSS-params` (RFC 4055, section 3.1): the defaults are SHA-1's, so both hashes must stand there,
/// and be one. The trailer is the default and does not stand there, as DER has it.
fn pss(mut identifier: Walk<'_>) -> Result<Algorithm, Error> {
    let mut parameters = identifier.enter(Tag::Sequence)?;
    identifier.finish()?;
    let mut stated = parameters.enter(tagged(TagNumber::N0))?;
    let hashed_by = hash(stated.enter(Tag::Sequence)?)?;
    stated.finish()?;
    let mut mask = parameters.enter(tagged(TagNumber::N1))?;
    let mut generator = mask.enter(Tag::Sequence)?;
    mask.finish()?;
    let is_mgf1 = generator.oid()? == MGF1;
    if !is_mgf1 || hash(generator.enter(Tag::Sequence)?)? != hashed_by {
        return Err(malformed("its mask is not made by MGF1 over the signature's hash"));
    }
    generator.finish()?;
    let salt = match parameters.optional(tagged(TagNumber::N2))? {
        Some(explicit) => salt(Walk::over(explicit)?)?,
        None => 20,
    };
    parameters.finish()?;
    Ok(Algorithm::RsaPssSalt(hashed_by, salt))
}

fn salt(mut explicit: Walk<'_>) -> Result<u16, Error> {
    let length = explicit.unsigned()?.and_then(|length| u16::try_from(length).ok());
    explicit.finish()?;
    length.ok_or_else(|| malformed("its salt's length is out of range"))
}
