use rcgen::{CertificateParams, CustomExtension, DnType, KeyPair, SanType};

use super::*;
use crate::x509::der::encode;
use crate::x509::{Certificate, Error};

/// A certificate with these names, each an encoded `GeneralName`.
fn with(names: &[Vec<u8>]) -> Result<Certificate, Error> {
    with_value(&encode(tag::SEQUENCE, &names.concat()))
}

fn with_value(value: &[u8]) -> Result<Certificate, Error> {
    let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, 17], value.to_vec());
    extension.set_criticality(true);
    let mut params = CertificateParams::default();
    params.distinguished_name.remove(DnType::CommonName);
    params.custom_extensions.push(extension);
    let made = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
    Certificate::from_der(made.der())
}

/// An `otherName` of sigstore's kind with this value.
fn user_name(value: &[u8]) -> Vec<u8> {
    let oid = Oid::from(&[1, 3, 6, 1, 4, 1, 57264, 1, 7]).unwrap();
    let kind = encode(tag::OBJECT_IDENTIFIER, oid.as_bytes());
    encode(0xa0, &[kind, encode(0xa0, value)].concat())
}

#[test]
fn names_of_every_kind_are_read_in_order() {
    let name = encode(tag::SEQUENCE, &[]);
    let certificate = with(&[
        encode(0x86, b"https://example.test/workflow"),
        user_name(&encode(tag::UTF8_STRING, "jané!example.test".as_bytes())),
        encode(0x82, b"b.example.test"),
        encode(0xa4, &name),
        encode(0x87, &[127, 0, 0, 1]),
        encode(0x88, &[0x2a, 3]),
        encode(0x81, b"jane@example.test"),
        encode(0x82, b"a.example.test"),
    ])
    .unwrap();
    let names = certificate.alternative_names();
    let texts: Vec<_> = names.iter().map(AlternativeName::text).collect();
    let expected = [
        Some("https://example.test/workflow"),
        Some("jané!example.test"),
        Some("b.example.test"),
        None,
        None,
        None,
        Some("jane@example.test"),
        Some("a.example.test"),
    ];
    assert_eq!(texts, expected);
    assert!(matches!(names[0], AlternativeName::Uri(_)) && matches!(names[6], AlternativeName::Email(_)));
    assert_eq!(names[3], AlternativeName::Unread("directoryName"));
    let [AlternativeName::Other { oid, value }] = &names[1..2] else { panic!("{names:?}") };
    assert_eq!(oid, "1.3.6.1.4.1.57264.1.7");
    assert_eq!(value[..2], [0x0c, 18]);
    assert_eq!(certificate.dns_names(), ["b.example.test", "a.example.test"]);
}

#[test]
fn a_critical_extension_is_understood() {
    let certificate = with(&[encode(0x81, b"jane@example.test")]).unwrap();
    assert!(certificate.subject().is_empty() && certificate.has_san());
    assert!(certificate.extensions().contains(&("2.5.29.17".to_owned(), true)));
    assert_eq!(certificate.unhandled_critical(), Vec::<String>::new());
}

#[test]
fn no_extension_is_no_name() {
    let made = CertificateParams::default().self_signed(&KeyPair::generate().unwrap()).unwrap();
    let certificate = Certificate::from_der(made.der()).unwrap();
    assert!(!certificate.has_san() && certificate.alternative_names().is_empty());
}

#[test]
fn names_of_other_tools_are_read() {
    let mut params = CertificateParams::default();
    let value = rcgen::OtherNameValue::Utf8String("jane".to_owned());
    params.subject_alt_names = vec![SanType::OtherName((vec![1, 3, 6, 1, 4, 1, 57264, 1, 7], value))];
    let made = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
    let certificate = Certificate::from_der(made.der()).unwrap();
    assert_eq!(certificate.alternative_names()[0].text(), Some("jane"));
}

#[test]
fn only_a_strict_user_name_is_an_identity() {
    let text = |name: Vec<u8>| with(&[name]).unwrap().alternative_names()[0].text().map(str::to_owned);
    assert_eq!(text(user_name(b"\x0c\x04jane")), Some("jane".to_owned()));
    assert_eq!(text(user_name(b"\x16\x04jane")), None, "an IA5String");
    assert_eq!(text(user_name(b"\x0c\x02\xc3\x28")), None, "no UTF-8");
    let mut other = user_name(b"\x0c\x04jane");
    assert_eq!(other[13], 7);
    other[13] = 8;
    assert_eq!(text(other), None, "another kind of name");
}

#[test]
fn malformed_names_are_no_certificate() {
    let long = encode(tag::SEQUENCE, &[0x82, 0x81, 1, b'a']);
    let after = [&encode(tag::SEQUENCE, &encode(0x82, b"a"))[..], &[5, 0]].concat();
    let named = |tag, text: &[u8]| with(&[encode(tag, text)]);
    for (result, expected) in [
        (named(0x81, "jané@example.test".as_bytes()), "not ASCII"),
        (named(0x82, "é.example.test".as_bytes()), "not ASCII"),
        (named(0x82, &[0xff]), "not ASCII"),
        (named(0x86, "https://é.example.test".as_bytes()), "not ASCII"),
        (named(0x89, b"a"), "found tag 0x89"),
        (with(&[user_name(b"\x0c\x01a\x0c\x01b")]), "3 octets follow"),
        (with(&[user_name(b"")]), "ends where an element was expected"),
        (with(&[user_name(b"\x0c\x81\x01a")]), "more octets than it needs"),
        (with_value(&long), "more octets than it needs"),
        (with_value(&after), "2 octets follow"),
    ] {
        let why = result.unwrap_err().to_string();
        assert!(why.contains("2.5.29.17") && why.contains(expected), "{expected}: {why}");
    }
}
