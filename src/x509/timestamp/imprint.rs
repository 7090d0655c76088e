//! Hashes: which identifiers are known, and hashing by them.

use aws_lc_rs::digest as lc;
use der::Tag;
use x509_parser::der_parser::asn1_rs::{Oid, oid};

use super::super::{Error, Hash};
use super::walk::{Walk, malformed};

const SHA256: Oid<'_> = oid!(2.16.840.1.101.3.4.2.1);
const SHA384: Oid<'_> = oid!(2.16.840.1.101.3.4.2.2);
const SHA512: Oid<'_> = oid!(2.16.840.1.101.3.4.2.3);

/// A message's hash (`MessageImprint`).
#[derive(Clone, Debug)]
pub(super) struct Imprint {
    pub(super) hash: Hash,
    pub(super) digest: Vec<u8>,
}

impl Imprint {
    /// Reads the contents of a `MessageImprint`.
    pub(super) fn parse(mut fields: Walk<'_>) -> Result<Self, Error> {
        let hash = hash(fields.enter(Tag::Sequence)?)?;
        let digest = fields.take(Tag::OctetString)?.to_vec();
        fields.finish()?;
        Ok(Self { hash, digest })
    }
}

/// Reads the contents of an `AlgorithmIdentifier` of a hash. Parameters are absent or NULL
/// (RFC 5754, section 2). SHA-1 is not among those that are known.
pub(super) fn hash(mut identifier: Walk<'_>) -> Result<Hash, Error> {
    let oid = identifier.oid()?;
    no_parameters(identifier)?;
    let known = [(SHA256, Hash::Sha256), (SHA384, Hash::Sha384), (SHA512, Hash::Sha512)];
    known
        .into_iter()
        .find(|(known, _)| *known == oid)
        .map(|(_, hash)| hash)
        .ok_or_else(|| Error::Unsupported { what: "hash of a timestamp token", found: oid.to_id_string() })
}

/// What may follow an algorithm's identifier that has no parameters: nothing, or NULL.
pub(super) fn no_parameters(mut rest: Walk<'_>) -> Result<(), Error> {
    if !rest.is_finished() && !rest.take(Tag::Null)?.is_empty() {
        return Err(malformed("a NULL has contents"));
    }
    rest.finish()
}

pub(super) fn digest(hash: Hash, content: &[u8]) -> Vec<u8> {
    lc::digest(hash.algorithm(), content).as_ref().to_vec()
}

/// SHA-1, for the one thing that it still has to name: a certificate in the older attribute.
pub(super) fn sha1(content: &[u8]) -> Vec<u8> {
    lc::digest(&lc::SHA1_FOR_LEGACY_USE_ONLY, content).as_ref().to_vec()
}
