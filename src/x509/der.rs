//! Walking DER (X.690, section 10): elements one after the other, none copied. Knows lengths and tags, not
//! what they mean.

use std::ops::Range;
use std::time::{Duration, SystemTime};

use der::Decode;
use der::asn1::{GeneralizedTime, UtcTime};
use x509_parser::der_parser::asn1_rs::Oid;

/// Tags of the elements that are read here.
pub(super) mod tag {
    pub(crate) const BOOLEAN: u8 = 0x01;
    pub(crate) const INTEGER: u8 = 0x02;
    pub(crate) const BIT_STRING: u8 = 0x03;
    pub(crate) const OCTET_STRING: u8 = 0x04;
    pub(crate) const NULL: u8 = 0x05;
    pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
    pub(crate) const ENUMERATED: u8 = 0x0a;
    pub(crate) const UTF8_STRING: u8 = 0x0c;
    pub(crate) const PRINTABLE_STRING: u8 = 0x13;
    pub(crate) const IA5_STRING: u8 = 0x16;
    pub(crate) const UTC_TIME: u8 = 0x17;
    pub(crate) const GENERALIZED_TIME: u8 = 0x18;
    pub(crate) const SEQUENCE: u8 = 0x30;
    pub(crate) const SET: u8 = 0x31;

    /// A context-specific tag of primitive encoding.
    pub(crate) const fn context(number: u8) -> u8 {
        0x80 | number
    }

    /// A context-specific tag of constructed encoding.
    pub(crate) const fn constructed(number: u8) -> u8 {
        0xa0 | number
    }
}

/// The longest object identifier: its text is made in time that grows with the square of its length.
const MAX_OBJECT_IDENTIFIER: usize = 64;

/// What is wrong with the DER, in words for an error.
pub(super) type Result<T> = std::result::Result<T, String>;

/// One element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    /// Tag, length and content.
    pub(super) whole: &'a [u8],
    pub(super) content: &'a [u8],
}

impl<'a> Element<'a> {
    /// Reads one element and nothing after it.
    pub(super) fn only(der: &'a [u8]) -> Result<Self> {
        let mut reader = Reader(der);
        let element = reader.next()?;
        reader.end()?;
        Ok(element)
    }

    /// The elements in it.
    pub(super) fn reader(&self) -> Reader<'a> {
        Reader(self.content)
    }

    /// The one element in it, which has this tag.
    pub(super) fn holding(&self, tag: u8) -> Result<Element<'a>> {
        let mut inside = self.reader();
        let element = inside.expect(tag)?;
        inside.end()?;
        Ok(element)
    }

    /// The text of an IA5String, whatever its tag.
    pub(super) fn ascii(&self) -> Result<&'a str> {
        let text = std::str::from_utf8(self.content).ok().filter(|text| text.is_ascii());
        text.ok_or_else(|| "a text that is not ASCII".to_owned())
    }

    /// A moment, UTCTime or GeneralizedTime to the second in UTC (RFC 5280, section 4.1.2.5).
    pub(super) fn time(&self) -> Result<SystemTime> {
        let since_epoch = match self.tag {
            tag::UTC_TIME => UtcTime::from_der(self.whole).map(|t| t.to_unix_duration()),
            tag::GENERALIZED_TIME => GeneralizedTime::from_der(self.whole).map(|t| t.to_unix_duration()),
            other => return Err(format!("expected a time, found tag {other:#04x}")),
        };
        let since_epoch: Duration = since_epoch.map_err(|e| format!("not a time: {e}"))?;
        SystemTime::UNIX_EPOCH.checked_add(since_epoch).ok_or_else(|| "a time out of range".to_owned())
    }
}

/// Elements one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(elements: &'a [u8]) -> Self {
        Self(elements)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next element, whatever it is.
    pub(super) fn next(&mut self) -> Result<Element<'a>> {
        let (&tag, rest) = self.0.split_first().ok_or("it ends where an element was expected")?;
        if tag & 0x1f == 0x1f {
            return Err("a tag of more than one octet".to_owned());
        }
        let (length, rest) = length(rest)?;
        let (content, after) = rest
            .split_at_checked(length)
            .ok_or_else(|| format!("an element of {length} octets where {} are left", rest.len()))?;
        let whole = self.0.get(..self.0.len() - after.len()).unwrap_or_default();
        self.0 = after;
        Ok(Element { tag, whole, content })
    }

    /// The next element, which has this tag.
    pub(super) fn expect(&mut self, tag: u8) -> Result<Element<'a>> {
        let element = self.next()?;
        if element.tag == tag {
            return Ok(element);
        }
        Err(format!("expected tag {tag:#04x}, found {:#04x}", element.tag))
    }

    /// The next element where it has this tag.
    pub(super) fn optional(&mut self, tag: u8) -> Result<Option<Element<'a>>> {
        if self.0.first() == Some(&tag) { self.next().map(Some) } else { Ok(None) }
    }

    /// The content of the next element, an object identifier in the one form it has (X.690, section 8.19.2).
    pub(super) fn object_identifier(&mut self) -> Result<&'a [u8]> {
        let content = self.expect(tag::OBJECT_IDENTIFIER)?.content;
        if content.len() > MAX_OBJECT_IDENTIFIER {
            return Err(format!("an object identifier of {} octets", content.len()));
        }
        let ends = content.last().is_some_and(|last| *last < 0x80);
        // An arc begins where the octet before it ended one.
        let padded =
            content.first() == Some(&0x80) || content.windows(2).any(|pair| matches!(pair, [..0x80, 0x80]));
        if ends && !padded { Ok(content) } else { Err("not an object identifier".to_owned()) }
    }

    /// There is no further element.
    pub(super) fn end(&self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(format!("{} octets follow its end", self.0.len())) }
    }
}

/// The elements of the one sequence that this is.
pub(super) fn sequence(der: &[u8]) -> Result<Reader<'_>> {
    let mut reader = Reader(der);
    let sequence = reader.expect(tag::SEQUENCE)?;
    reader.end()?;
    Ok(sequence.reader())
}

/// Where `part`, which was cut from `whole`, lies in it.
pub(super) fn range(part: &[u8], whole: &[u8]) -> Range<usize> {
    let start = (part.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize);
    start..start.saturating_add(part.len())
}

/// The elements of a sequence, each as its whole encoding. Stricter than the certificates' own parser, which
/// takes other tags and longer lengths for the same.
pub(super) fn elements(sequence: &[u8]) -> Option<Vec<&[u8]>> {
    let mut inside = self::sequence(sequence).ok()?;
    let mut all = Vec::new();
    while !inside.is_empty() {
        all.push(inside.next().ok()?.whole);
    }
    Some(all)
}

/// One extension of a certificate, CRL, CRL entry or OCSP answer (RFC 5280, section 4.2).
#[derive(Clone, Debug)]
pub(super) struct Extension<'a> {
    /// As dotted decimal.
    pub(super) oid: String,
    pub(super) critical: bool,
    /// What the octet string holds.
    pub(super) value: &'a [u8],
}

/// Reads the elements of `Extensions`, each kind at most once. There are at most `limit`.
pub(super) fn extensions(mut inside: Reader<'_>, limit: usize) -> Result<Vec<Extension<'_>>> {
    let mut all: Vec<Extension<'_>> = Vec::new();
    while !inside.is_empty() {
        let extension = extension(inside.expect(tag::SEQUENCE)?)?;
        if all.iter().any(|other| other.oid == extension.oid) {
            return Err(format!("extension {} stands there twice", extension.oid));
        }
        if all.len() == limit {
            return Err(format!("more than {limit} extensions"));
        }
        all.push(extension);
    }
    Ok(all)
}

fn extension(element: Element<'_>) -> Result<Extension<'_>> {
    let mut parts = element.reader();
    let oid = Oid::new(parts.object_identifier()?.into()).to_id_string();
    let critical = match parts.optional(tag::BOOLEAN)? {
        Some(value) => boolean(value)?,
        None => false,
    };
    let value = parts.expect(tag::OCTET_STRING)?.content;
    parts.end()?;
    Ok(Extension { oid, critical, value })
}

/// A BOOLEAN's content, whatever its tag.
pub(super) fn boolean(element: Element<'_>) -> Result<bool> {
    match element.content {
        [0] => Ok(false),
        [0xff] => Ok(true),
        other => Err(format!("expected a boolean, found {}", hex::encode(other.get(..8).unwrap_or(other)))),
    }
}

/// A length (X.690, sections 8.1.3 and 10.1): definite, in as few octets as will do, at most four.
fn length(der: &[u8]) -> Result<(usize, &[u8])> {
    let (&first, rest) = der.split_first().ok_or("it ends where a length was expected")?;
    if first < 0x80 {
        return Ok((first.into(), rest));
    }
    let count = usize::from(first & 0x7f);
    if count == 0 || count > 4 {
        return Err(format!("a length of {count} octets"));
    }
    let (octets, rest) = rest.split_at_checked(count).ok_or("it ends within a length")?;
    let length = octets.iter().fold(0usize, |length, octet| (length << 8) | usize::from(*octet));
    if octets.first() == Some(&0) || length < 0x80 {
        return Err("a length in more octets than it needs".to_owned());
    }
    Ok((length, rest))
}

/// The URIs among `GeneralNames`, given as the elements of the sequence (RFC 5280, section 4.2.1.6), in order.
pub(super) fn uris(mut names: Reader<'_>) -> Result<Vec<String>> {
    const URI: u8 = tag::context(6);
    let mut all = Vec::new();
    while !names.is_empty() {
        let name = names.next()?;
        if name.tag == URI {
            all.push(name.ascii()?.to_owned());
        }
    }
    Ok(all)
}

/// Writes one element.
pub(super) fn encode(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let length = content.len();
    let octets: Vec<u8> = length.to_be_bytes().into_iter().skip_while(|b| *b == 0).collect();
    if length < 0x80 {
        out.extend(octets.last().copied().or(Some(0)));
    } else {
        // A usize has at most eight octets, so the count fits.
        out.push(0x80 | octets.len() as u8);
        out.extend(octets);
    }
    out.extend_from_slice(content);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_one_form() {
        assert_eq!(length(&[0x7f]).unwrap(), (0x7f, &[][..]));
        assert_eq!(length(&[0x81, 0x80]).unwrap(), (0x80, &[][..]));
        assert_eq!(length(&[0x82, 1, 0, 9]).unwrap(), (0x100, &[9][..]));
        for wrong in [&[0x80][..], &[0x81, 0x7f], &[0x82, 0, 0xff], &[0x85, 1, 0, 0, 0, 0], &[0x82, 1], &[]] {
            assert!(length(wrong).is_err(), "{wrong:x?}");
        }
    }

    #[test]
    fn elements_end_within_what_holds_them() {
        assert!(Element::only(&[4, 2, 1]).unwrap_err().contains("2 octets where 1 are left"));
        assert!(Element::only(&[4, 1, 1, 0]).unwrap_err().contains("1 octets follow"));
        assert!(Element::only(&[0x1f, 0x81, 0, 0]).is_err(), "a tag of several octets");
        assert_eq!(elements(&[0x30, 4, 5, 0, 2, 0]).unwrap(), [&[5, 0], &[2, 0]]);
        assert_eq!(elements(&[0x31, 0]), None);
    }

    #[test]
    fn object_identifiers_have_one_form() {
        let read = |content: &[u8]| {
            Reader::new(&encode(tag::OBJECT_IDENTIFIER, content)).object_identifier().is_ok()
        };
        assert!(read(&[0x2a, 3]) && read(&[0x2a, 0x83, 0x80, 1]) && read(&[0x81, 0]));
        assert!(read(&[0x2a; MAX_OBJECT_IDENTIFIER]) && !read(&[0x2a; MAX_OBJECT_IDENTIFIER + 1]));
        assert!(!read(&[]) && !read(&[0x2a, 0x83]) && !read(&[0x2a, 0x80, 1]) && !read(&[0x80, 1]));
    }

    #[test]
    fn times_have_one_form() {
        let read = |tag, text: &str| Element::only(&encode(tag, text.as_bytes())).unwrap().time().is_ok();
        assert!(read(tag::UTC_TIME, "270101000000Z") && read(tag::GENERALIZED_TIME, "20270101000000Z"));
        for other in ["2701010000Z", "270101000000+0100", "20270101000000Z"] {
            assert!(!read(tag::UTC_TIME, other), "{other}");
        }
        for other in
            ["20270101000000", "20270101000000.5Z", "202701010000Z", "20271301000000Z", "19690101000000Z"]
        {
            assert!(!read(tag::GENERALIZED_TIME, other), "{other}");
        }
        assert!(!read(tag::OCTET_STRING, "270101000000Z"));
    }

    #[test]
    fn what_is_written_is_read() {
        for length in [0, 1, 0x7f, 0x80, 0xff, 0x100, 0x1_0000] {
            let content = vec![7; length];
            assert_eq!(Element::only(&encode(tag::OCTET_STRING, &content)).unwrap().content, content);
        }
    }
}
