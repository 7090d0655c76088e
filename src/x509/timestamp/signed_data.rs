//! The envelope of a token: CMS `SignedData` (RFC 5652, section 5) by exactly one signer. The certificates
//! and the attributes are kept as the bytes that came: they are hashed, and encoding them anew could make
//! other bytes.

use der::{Tag, TagNumber};
use x509_parser::der_parser::asn1_rs::{Oid, oid};

use super::super::{Algorithm, Certificate, Error, Hash};
use super::algorithm::algorithm;
use super::attributes::SignedAttributes;
use super::imprint::hash;
use super::walk::{Walk, malformed, tagged, tagged_value};

const SIGNED_DATA: Oid<'_> = oid!(1.2.840.113549.1.7.2);
const TST_INFO: Oid<'_> = oid!(1.2.840.113549.1.9.16.1.4);

/// The most certificates that are read: a chain, cross-certificates and the clutter of some authorities.
const MAX_CERTIFICATES: usize = 32;

#[derive(Clone, Debug)]
pub(super) struct SignedData {
    pub(super) content: Vec<u8>,
    /// In the token's order; those that could be nobody's proof here (their keys or forms are not
    /// understood) are left out.
    pub(super) certificates: Vec<Certificate>,
    pub(super) signer: SignerInfo,
}

#[derive(Clone, Debug)]
pub(super) struct SignerInfo {
    pub(super) id: SignerId,
    /// What the content is hashed by.
    pub(super) hash: Hash,
    pub(super) attributes: SignedAttributes,
    pub(super) algorithm: Algorithm,
    pub(super) signature: Vec<u8>,
}

/// Which certificate is the signer's.
#[derive(Clone, Debug)]
pub(super) enum SignerId {
    IssuerAndSerial { issuer: Vec<u8>, serial: Vec<u8> },
    Key(Vec<u8>),
}

impl SignedData {
    /// Reads a `ContentInfo` and the signed data in it.
    pub(super) fn parse(der: &[u8]) -> Result<Self, Error> {
        let mut outer = Walk::over(der)?;
        let mut info = outer.enter(Tag::Sequence)?;
        outer.finish()?;
        if info.oid()? != SIGNED_DATA {
            return Err(malformed("it is no CMS signed data"));
        }
        let mut explicit = info.enter(tagged(TagNumber::N0))?;
        info.finish()?;
        let fields = explicit.enter(Tag::Sequence)?;
        explicit.finish()?;
        Self::fields(fields)
    }

    /// Version 3 is for any content but plain data; others are for certificates that are not X.509's.
    /// CRLs are passed over: nobody vouches for their being current.
    fn fields(mut fields: Walk<'_>) -> Result<Self, Error> {
        version(&mut fields, 3)?;
        let mut hashes = fields.enter(Tag::Set)?;
        let content = content(fields.enter(Tag::Sequence)?)?.to_vec();
        let certificates = match fields.optional(tagged(TagNumber::N0))? {
            Some(all) => certificates(Walk::over(all)?)?,
            None => Vec::new(),
        };
        fields.optional(tagged(TagNumber::N1))?;
        let mut signers = fields.enter(Tag::Set)?;
        fields.finish()?;
        let signer = SignerInfo::parse(signers.enter(Tag::Sequence)?)?;
        signers.finish().map_err(|_| malformed("it has more than one signer"))?;
        let listed = hash(hashes.enter(Tag::Sequence)?)?;
        hashes.finish().map_err(|_| malformed("one signer uses one hash, and it lists more"))?;
        if listed != signer.hash {
            return Err(malformed("its signer uses another hash than it lists"));
        }
        Ok(Self { content, certificates, signer })
    }
}

impl SignerInfo {
    /// RFC 5652, section 5.3. Unsigned attributes prove nothing and are passed over.
    fn parse(mut fields: Walk<'_>) -> Result<Self, Error> {
        let stated = fields.take(Tag::Integer)?;
        let id = if fields.is_next(Tag::Sequence) {
            SignerId::issuer_and_serial(fields.enter(Tag::Sequence)?)?
        } else {
            SignerId::Key(fields.take(tagged_value(TagNumber::N0))?.to_vec())
        };
        let expected = if matches!(id, SignerId::Key(_)) { 3 } else { 1 };
        if stated != [expected] {
            return Err(Error::Unsupported { what: "version", found: "of a signer's entry".to_owned() });
        }
        let hash = hash(fields.enter(Tag::Sequence)?)?;
        if !fields.is_next(tagged(TagNumber::N0)) {
            return Err(malformed("it has no signed attributes"));
        }
        let attributes = SignedAttributes::parse(fields.element()?, &TST_INFO)?;
        let algorithm = algorithm(fields.enter(Tag::Sequence)?, hash)?;
        let signature = fields.take(Tag::OctetString)?.to_vec();
        fields.optional(tagged(TagNumber::N1))?;
        fields.finish()?;
        Ok(Self { id, hash, attributes, algorithm, signature })
    }
}

impl SignerId {
    fn issuer_and_serial(mut fields: Walk<'_>) -> Result<Self, Error> {
        let issuer = fields.element()?.to_vec();
        let serial = fields.take(Tag::Integer)?.to_vec();
        fields.finish()?;
        Ok(Self::IssuerAndSerial { issuer, serial })
    }
}

fn version(fields: &mut Walk<'_>, expected: u8) -> Result<(), Error> {
    if fields.take(Tag::Integer)? == [expected] {
        return Ok(());
    }
    Err(Error::Unsupported { what: "version", found: format!("of signed data other than {expected}") })
}

fn content<'a>(mut encapsulated: Walk<'a>) -> Result<&'a [u8], Error> {
    if encapsulated.oid()? != TST_INFO {
        return Err(malformed("its content is no TSTInfo"));
    }
    let mut explicit = encapsulated.enter(tagged(TagNumber::N0))?;
    encapsulated.finish()?;
    let content = explicit.take(Tag::OctetString)?;
    explicit.finish()?;
    Ok(content)
}

fn certificates(mut all: Walk<'_>) -> Result<Vec<Certificate>, Error> {
    let mut out = Vec::new();
    for _ in 0..MAX_CERTIFICATES {
        if all.is_finished() {
            return Ok(out);
        }
        out.extend(Certificate::from_der(all.element()?));
    }
    if all.is_finished() {
        Ok(out)
    } else {
        Err(Error::TooMany { what: "certificates", limit: MAX_CERTIFICATES })
    }
}
