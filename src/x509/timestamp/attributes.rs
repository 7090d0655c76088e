//! The attributes that the authority's key really signed (RFC 5652, sections 5.3, 5.4 and 11), and what
//! they bind: the content, and the signer's certificate (RFC 2634, section 5.4; RFC 5035).

use der::{Tag, TagNumber};
use x509_parser::der_parser::asn1_rs::{Oid, oid};

use super::super::{Certificate, Error, Hash};
use super::imprint::{digest, hash, sha1};
use super::walk::{Walk, malformed, tagged};

const CONTENT_TYPE: Oid<'_> = oid!(1.2.840.113549.1.9.3);
const MESSAGE_DIGEST: Oid<'_> = oid!(1.2.840.113549.1.9.4);
const SIGNING_CERTIFICATE: Oid<'_> = oid!(1.2.840.113549.1.9.16.2.12);
const SIGNING_CERTIFICATE_V2: Oid<'_> = oid!(1.2.840.113549.1.9.16.2.47);

/// The most attributes that are read.
const MAX_ATTRIBUTES: usize = 32;

#[derive(Clone, Debug)]
pub(super) struct SignedAttributes {
    /// What is signed: the attributes as a SET OF, not under their tag in the token.
    pub(super) der: Vec<u8>,
    pub(super) message_digest: Vec<u8>,
    /// `signing-certificate`
    pub(super) v1: Option<Ess>,
    /// `signing-certificate-v2`
    pub(super) v2: Option<Ess>,
}

impl SignedAttributes {
    /// Reads the element `[0] SignedAttributes`. Others than these four are passed over.
    pub(super) fn parse(element: &[u8], content_type: &Oid<'_>) -> Result<Self, Error> {
        let mut within = Walk::over(element)?.enter(tagged(TagNumber::N0))?;
        let mut all = Vec::new();
        let mut last: &[u8] = &[];
        while !within.is_finished() {
            let attribute = within.element()?;
            // DER alone is signed (section 5.3), and in DER the elements of a set ascend.
            if attribute <= last {
                return Err(malformed("its signed attributes are not in order"));
            }
            if all.len() == MAX_ATTRIBUTES {
                return Err(Error::TooMany { what: "signed attributes", limit: MAX_ATTRIBUTES });
            }
            all.push(Attribute::parse(attribute)?);
            last = attribute;
        }
        let missing = |what| move || malformed(format_args!("its signed attributes lack the {what}"));
        let mut stated = only(&all, &CONTENT_TYPE)?.ok_or_else(missing("content type"))?;
        if stated.oid()? != *content_type {
            return Err(malformed("its signed attributes give another content type"));
        }
        stated.finish()?;
        let mut imprint = only(&all, &MESSAGE_DIGEST)?.ok_or_else(missing("message digest"))?;
        let message_digest = imprint.take(Tag::OctetString)?.to_vec();
        imprint.finish()?;
        let mut der = element.to_vec();
        if let Some(tag) = der.first_mut() {
            *tag = Tag::Set.octet();
        }
        let v1 = only(&all, &SIGNING_CERTIFICATE)?.map(Ess::parse_v1).transpose()?;
        let v2 = only(&all, &SIGNING_CERTIFICATE_V2)?.map(Ess::parse_v2).transpose()?;
        Ok(Self { der, message_digest, v1, v2 })
    }
}

struct Attribute<'a> {
    kind: Oid<'a>,
    /// The values, one after another.
    values: &'a [u8],
}

impl<'a> Attribute<'a> {
    fn parse(element: &'a [u8]) -> Result<Self, Error> {
        let mut fields = Walk::over(element)?.enter(Tag::Sequence)?;
        let (kind, values) = (fields.oid()?, fields.take(Tag::Set)?);
        fields.finish()?;
        Ok(Self { kind, values })
    }
}

/// The value of the attribute of this kind, which may stand there once; the walk's end is its end.
fn only<'a>(all: &[Attribute<'a>], kind: &Oid<'_>) -> Result<Option<Walk<'a>>, Error> {
    let mut found = all.iter().filter(|attribute| attribute.kind == *kind);
    let first = found.next();
    if found.next().is_some() {
        return Err(malformed(format_args!("the signed attribute {kind} stands there twice")));
    }
    first.map(|attribute| Walk::over(attribute.values)).transpose()
}

/// How the older and the newer attribute name a certificate: `ESSCertID`, `ESSCertIDv2`.
#[derive(Clone, Debug)]
pub(super) struct Ess {
    /// `None`: SHA-1, of the older attribute.
    hash: Option<Hash>,
    digest: Vec<u8>,
    /// The issuer's name and the serial number, where they stand there.
    issuer_serial: Option<(Vec<u8>, Vec<u8>)>,
}

impl Ess {
    fn parse_v1(value: Walk<'_>) -> Result<Self, Error> {
        first_of(value, |_| Ok(None))
    }

    fn parse_v2(value: Walk<'_>) -> Result<Self, Error> {
        first_of(value, |fields| {
            let stated = fields.is_next(Tag::Sequence);
            Ok(Some(if stated { hash(fields.enter(Tag::Sequence)?)? } else { Hash::Sha256 }))
        })
    }

    /// Whether it means this certificate.
    pub(super) fn names(&self, certificate: &Certificate) -> bool {
        let digest = match self.hash {
            Some(hash) => digest(hash, certificate.der()),
            None => sha1(certificate.der()),
        };
        let same = |(issuer, serial): &(Vec<u8>, Vec<u8>)| {
            certificate.issuer().der() == issuer && certificate.serial() == serial
        };
        digest == self.digest && self.issuer_serial.as_ref().is_none_or(same)
    }
}

/// Reads `SigningCertificate` or its second version. The first entry is the signer's certificate; those
/// after it and the policies limit who may authorise the signer, which nothing asks for here.
fn first_of(
    mut value: Walk<'_>,
    hash: impl Fn(&mut Walk<'_>) -> Result<Option<Hash>, Error>,
) -> Result<Ess, Error> {
    let mut attribute = value.enter(Tag::Sequence)?;
    value.finish()?;
    let mut fields = attribute.enter(Tag::Sequence)?.enter(Tag::Sequence)?;
    attribute.optional(Tag::Sequence)?;
    attribute.finish()?;
    let hash = hash(&mut fields)?;
    let digest = fields.take(Tag::OctetString)?.to_vec();
    let stated = fields.is_next(Tag::Sequence);
    let issuer_serial = if stated { Some(issuer_serial(fields.enter(Tag::Sequence)?)?) } else { None };
    fields.finish()?;
    Ok(Ess { hash, digest, issuer_serial })
}

/// `IssuerSerial`, whose only name must be the issuer's distinguished name.
fn issuer_serial(mut fields: Walk<'_>) -> Result<(Vec<u8>, Vec<u8>), Error> {
    let mut names = fields.enter(Tag::Sequence)?;
    let mut directory = names.enter(tagged(TagNumber::N4))?;
    let issuer = directory.element()?.to_vec();
    directory.finish()?;
    names.finish()?;
    let serial = fields.take(Tag::Integer)?.to_vec();
    fields.finish()?;
    Ok((issuer, serial))
}
