//! Walks DER one element after another. `der` reads the headers, and with them refuses indefinite
//! and overlong lengths; what the elements mean is the caller's.

use der::{Decode, Header, Reader, SliceReader, Tag, TagNumber};
use x509_parser::der_parser::asn1_rs::Oid;

use super::super::Error;

const WHAT: &str = "timestamp token";

/// What is left of a run of elements.
pub(super) struct Walk<'a>(SliceReader<'a>);

impl<'a> Walk<'a> {
    pub(super) fn over(der: &'a [u8]) -> Result<Self, Error> {
        SliceReader::new(der).map(Self).map_err(malformed)
    }

    /// The next element's contents, which must have this tag.
    pub(super) fn take(&mut self, tag: Tag) -> Result<&'a [u8], Error> {
        let header = Header::decode(&mut self.0).map_err(malformed)?;
        header.tag.assert_eq(tag).map_err(malformed)?;
        self.0.read_slice(header.length).map_err(malformed)
    }

    /// The next element's contents if it has this tag.
    pub(super) fn optional(&mut self, tag: Tag) -> Result<Option<&'a [u8]>, Error> {
        if self.is_next(tag) { self.take(tag).map(Some) } else { Ok(None) }
    }

    /// Walks within the next element, which must have this tag.
    pub(super) fn enter(&mut self, tag: Tag) -> Result<Self, Error> {
        Self::over(self.take(tag)?)
    }

    /// The next element whole, whatever it is.
    pub(super) fn element(&mut self) -> Result<&'a [u8], Error> {
        self.0.tlv_bytes().map_err(malformed)
    }

    /// An object identifier, of any length: those made of UUIDs have arcs that `der` has no room for.
    pub(super) fn oid(&mut self) -> Result<Oid<'a>, Error> {
        match self.take(Tag::ObjectIdentifier)? {
            content @ [.., last] if last & 0x80 == 0 => Ok(Oid::new(content.into())),
            _ => Err(malformed("an object identifier ends early")),
        }
    }

    /// An integer; `None` where it is negative or does not fit.
    pub(super) fn unsigned(&mut self) -> Result<Option<u32>, Error> {
        self.take(Tag::Integer).map(unsigned)
    }

    pub(super) fn is_next(&self, tag: Tag) -> bool {
        !self.is_finished() && self.0.peek_tag() == Ok(tag)
    }

    pub(super) fn is_finished(&self) -> bool {
        self.0.is_finished()
    }

    /// Nothing may be left.
    pub(super) fn finish(self) -> Result<(), Error> {
        self.0.finish(()).map_err(malformed)
    }
}

/// The tag `[number]` of an element that has elements in it.
pub(super) const fn tagged(number: TagNumber) -> Tag {
    Tag::ContextSpecific { constructed: true, number }
}

/// The tag `[number]` of a value, by implicit tagging.
pub(super) const fn tagged_value(number: TagNumber) -> Tag {
    Tag::ContextSpecific { constructed: false, number }
}

/// The value of a DER integer that is not negative and fits.
pub(super) fn unsigned(content: &[u8]) -> Option<u32> {
    let magnitude = match content {
        [0] => &[][..],
        [0, next, ..] if next & 0x80 == 0 => return None,
        [0, magnitude @ ..] => magnitude,
        [first, ..] if first & 0x80 == 0 => content,
        _ => return None,
    };
    (magnitude.len() <= 4).then(|| magnitude.iter().fold(0, |n, byte| (n << 8) | u32::from(*byte)))
}

pub(super) fn malformed(why: impl std::fmt::Display) -> Error {
    Error::malformed(WHAT, why)
}
