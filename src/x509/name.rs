//! Distinguished names: compared by their DER, shown as RFC 4514 says, and open to matching.

use std::fmt;

use x509_parser::der_parser::asn1_rs::Tag;
use x509_parser::prelude::FromDer;
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

use super::Error;
use super::der::{encode, tag};

pub mod written;

/// A distinguished name.
#[derive(Clone, Debug)]
pub struct Name {
    der: Vec<u8>,
    rdns: Vec<Vec<Attribute>>,
}

/// One attribute of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// The type as a dotted object identifier.
    pub oid: String,
    /// The value as text; `None` where it is of a kind that is not text.
    pub value: Option<String>,
    /// The value's DER, tag included as far as it is needed to show it.
    der: Vec<u8>,
}

impl Attribute {
    /// The type's short name (RFC 4514, section 3, and what certificate tools write), where it has one.
    pub fn short_name(&self) -> Option<&'static str> {
        short_name(&self.oid)
    }
}

/// The short name of an attribute type, given as a dotted object identifier.
pub fn short_name(oid: &str) -> Option<&'static str> {
    SHORT_NAMES.iter().find(|(known, _)| *known == oid).map(|(_, name)| *name)
}

const SHORT_NAMES: [(&str, &str); 13] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "STREET"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.17", "POSTALCODE"),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "SERIALNUMBER"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "EMAILADDRESS"),
];

impl Name {
    pub(super) fn from_der(der: &[u8]) -> Result<Self, Error> {
        match X509Name::from_der(der) {
            Ok(([], name)) => Ok(Self::read(&name)),
            Ok(_) => Err(Error::malformed("name", "bytes follow it")),
            Err(error) => Err(Error::malformed("name", error)),
        }
    }

    /// Reads a name as people write it ([`written`]): the last relative distinguished name first, `CN=…,O=…,C=US`.
    ///
    /// # Errors
    /// The rule that is broken; a country that is not of two letters.
    pub fn from_text(text: &str) -> Result<Self, Error> {
        let wrong = |why| Error::Malformed { what: "name", why };
        let mut rdns = Vec::new();
        for (kind, value) in written::attributes(text).map_err(wrong)?.into_iter().rev() {
            let pair = encode(tag::SEQUENCE, &type_and_value(&kind, &value).map_err(wrong)?);
            rdns.extend(encode(tag::SET, &pair));
        }
        Self::from_der(&encode(tag::SEQUENCE, &rdns))
    }

    pub(super) fn read(name: &X509Name<'_>) -> Self {
        let rdns = name.iter_rdn().map(|rdn| rdn.iter().map(attribute).collect()).collect();
        Self { der: name.as_raw().to_vec(), rdns }
    }

    /// The DER, which is what issuer and subject are compared by.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Whether it has no attribute at all.
    pub fn is_empty(&self) -> bool {
        self.rdns.is_empty()
    }

    /// The relative distinguished names in the certificate's order, each with its attributes.
    pub fn rdns(&self) -> &[Vec<Attribute>] {
        &self.rdns
    }

    /// All attributes in the certificate's order.
    pub fn attributes(&self) -> impl Iterator<Item = &Attribute> {
        self.rdns.iter().flatten()
    }

    /// The last common name, which is the most specific one.
    pub fn common_name(&self) -> Option<&str> {
        self.attributes().filter(|a| a.oid == "2.5.4.3").last().and_then(|a| a.value.as_deref())
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for Name {}

impl fmt::Display for Name {
    /// RFC 4514, section 2.1: the last relative distinguished name first.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, rdn) in self.rdns.iter().rev().enumerate() {
            f.write_str(if at > 0 { "," } else { "" })?;
            for (at, attribute) in rdn.iter().enumerate() {
                f.write_str(if at > 0 { "+" } else { "" })?;
                write!(f, "{}=", attribute.short_name().unwrap_or(&attribute.oid))?;
                match &attribute.value {
                    Some(value) => write_escaped(f, value)?,
                    None => write!(f, "#{}", hex::encode(&attribute.der))?,
                }
            }
        }
        Ok(())
    }
}

/// Writes an attribute's value as RFC 4514, section 2.4, says.
///
/// # Errors
/// The writer's.
pub fn write_escaped(f: &mut fmt::Formatter<'_>, value: &str) -> fmt::Result {
    let last = value.chars().count().saturating_sub(1);
    for (at, c) in value.chars().enumerate() {
        match c {
            '\0' => f.write_str("\\00")?,
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => write!(f, "\\{c}")?,
            ' ' if at == 0 || at == last => f.write_str("\\ ")?,
            '#' if at == 0 => f.write_str("\\#")?,
            _ => write!(f, "{c}")?,
        }
    }
    Ok(())
}

/// An AttributeTypeAndValue's content: text in UTF-8, but where RFC 5280 (appendix A.1) has another form alone.
fn type_and_value(kind: &str, value: &str) -> Result<Vec<u8>, String> {
    let oid = SHORT_NAMES.iter().find(|(_, name)| *name == kind).map_or(kind, |(oid, _)| *oid);
    let form = match kind {
        "C" if value.len() != 2 || !value.bytes().all(|b| b.is_ascii_uppercase()) => {
            return Err(format!("C is a country's two letters, found {value:?}"));
        }
        "C" | "SERIALNUMBER" => tag::PRINTABLE_STRING,
        "DC" | "EMAILADDRESS" => tag::IA5_STRING,
        _ => tag::UTF8_STRING,
    };
    if form != tag::UTF8_STRING && !value.is_ascii() {
        return Err(format!("{kind} is ASCII, found {value:?}"));
    }
    let oid = object_identifier(oid).ok_or_else(|| format!("{kind} is no attribute type that is known"))?;
    Ok([encode(tag::OBJECT_IDENTIFIER, &oid), encode(form, value.as_bytes())].concat())
}

/// A dotted object identifier's content (X.690, section 8.19).
fn object_identifier(dotted: &str) -> Option<Vec<u8>> {
    let arcs: Vec<u64> = dotted.split('.').map(|arc| arc.parse().ok()).collect::<Option<_>>()?;
    let [first @ 0..=2, second, rest @ ..] = arcs.as_slice() else { return None };
    let first = (first * 40).checked_add(*second).filter(|_| *first == 2 || *second < 40)?;
    let mut out = Vec::new();
    for arc in std::iter::once(first).chain(rest.iter().copied()) {
        let groups = (64 - arc.leading_zeros()).div_ceil(7).max(1);
        for at in (0..groups).rev() {
            out.push((arc >> (7 * at)) as u8 & 0x7f | if at > 0 { 0x80 } else { 0 });
        }
    }
    Some(out)
}

fn attribute(raw: &AttributeTypeAndValue<'_>) -> Attribute {
    let value = raw.attr_value();
    let data = value.as_bytes();
    let text = match value.tag() {
        Tag::Utf8String => std::str::from_utf8(data).ok().map(str::to_owned),
        Tag::PrintableString | Tag::Ia5String | Tag::NumericString | Tag::VisibleString | Tag::T61String => {
            // T.61 beyond ASCII has no agreed meaning, so it is shown as bytes.
            std::str::from_utf8(data).ok().filter(|t| t.is_ascii()).map(str::to_owned)
        }
        Tag::BmpString => utf16(data),
        _ => None,
    };
    Attribute { oid: raw.attr_type().to_id_string(), value: text, der: data.to_vec() }
}

fn utf16(data: &[u8]) -> Option<String> {
    let (pairs, rest) = data.as_chunks::<2>();
    let units: Vec<u16> = pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect();
    if rest.is_empty() { String::from_utf16(&units).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_written_is_shown_as_it_was() {
        for text in [
            "CN=registry.acme.example,O=ACME Rockets\\, Inc.,C=US",
            "CN=\u{fc},DC=acme,DC=example,SERIALNUMBER=7,1.3.6.1.4.1.311.60.2.1.3=US,EMAILADDRESS=a@b",
        ] {
            assert_eq!(Name::from_text(text).unwrap().to_string(), text);
        }
        assert_eq!(Name::from_text("cn = a , o = b").unwrap().to_string(), "CN=a,O=b");
    }

    #[test]
    fn what_is_no_name_says_why() {
        for (text, why) in [
            ("", "missing"),
            ("CN", "TYPE=value"),
            ("CN=", "no value"),
            ("C=usa", "two letters"),
            ("EMAILADDRESS=\u{fc}@b", "ASCII"),
            ("NAME=a", "NAME is no attribute type"),
            ("3.1=a", "3.1 is no attribute type"),
            ("1.40=a", "1.40 is no attribute type"),
            ("CN=a+O=b", "'+'"),
        ] {
            let error = Name::from_text(text).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn object_identifiers_are_written_in_groups_of_seven_bits() {
        assert_eq!(object_identifier("2.5.4.3").unwrap(), [0x55, 4, 3]);
        assert_eq!(object_identifier("1.2.840.113549").unwrap(), [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d]);
        assert_eq!(object_identifier("2.999.0").unwrap(), [0x88, 0x37, 0]);
        assert_eq!(object_identifier("1"), None);
    }
}
