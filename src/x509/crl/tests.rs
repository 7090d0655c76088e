#![allow(clippy::indexing_slicing)]

use proptest::prelude::*;

use super::*;
use crate::x509::der::encode;
use crate::x509::revocation::testing::{List, Party, custom, hours, leaf, points};
use rcgen::KeyUsagePurpose;

fn why(result: Result<(), Error>) -> String {
    result.unwrap_err().to_string()
}

fn refused(list: &List<'_>) -> String {
    Crl::parse(&list.der()).unwrap_err().to_string()
}

#[test]
fn a_list_says_what_it_says() {
    let ca = Party::root("ca");
    let revoked = ca.leaf("revoked");
    let crl = List::new(&ca, 7).listing(&revoked.certificate, 1, -5).freshest().crl();
    assert_eq!(crl.issuer(), ca.certificate.subject());
    assert_eq!((crl.this_update(), crl.next_update()), (hours(-1), Some(hours(1))));
    assert_eq!(crl.number().unwrap().to_string(), "0x07");
    assert_eq!(
        (crl.base_number(), crl.freshest_urls()),
        (None, &["http://pki.example/delta".to_owned()][..])
    );
    assert!(crl.verify(&ca.certificate).is_ok() && crl.covers(&revoked.certificate).is_ok());
    let entry = Entry { revoked_at: hours(-5), reason: Reason::KeyCompromise, invalid_since: None };
    assert_eq!(crl.entry(revoked.certificate.serial()), Some(entry));
    assert_eq!(crl.entry(ca.leaf("good").certificate.serial()), None);
}

#[test]
fn a_delta_names_its_base() {
    let ca = Party::root("ca");
    let crl = List::delta(&ca, 9, 7).crl();
    assert!(crl.verify(&ca.certificate).is_ok());
    assert_eq!(crl.base_number(), List::new(&ca, 7).crl().number());
    assert!(crl.base_number() < crl.number());
}

#[test]
fn numbers_are_compared_as_numbers() {
    let of = |octets: &[u8]| number(&encode(tag::INTEGER, octets)).unwrap();
    assert!(of(&[1, 0]) > of(&[0, 0xff]) && of(&[2]) > of(&[1]) && of(&[0]) < of(&[1]));
    assert_eq!(of(&[0]).to_string(), "0x00");
    assert!(number(&encode(tag::INTEGER, &[0x80])).is_err(), "negative");
    assert!(number(&encode(tag::INTEGER, &[1; MAX_NUMBER + 1])).is_err());
    assert!(number(&encode(tag::OCTET_STRING, &[1])).is_err());
}

#[test]
fn only_its_issuer_proves_it() {
    let ca = Party::root("ca");
    let crl = List::new(&ca, 1).crl();
    let other = Party::root("other");
    assert_eq!(why(crl.verify(&other.certificate)), "its issuer is CN=ca, not CN=other");
    let impostor = ca.impostor("ca");
    assert!(matches!(crl.verify(&impostor.certificate), Err(Error::BadSignature { .. })));
    assert!(crl.verify(&ca.certificate).is_ok());
    // A proof by one certificate is none by another.
    assert!(crl.verify(&impostor.certificate).is_err());
}

#[test]
fn its_issuer_may_sign_lists() {
    let root = Party::root("root");
    let without = root.issue("ca", |params| params.key_usages = vec![KeyUsagePurpose::KeyCertSign]);
    assert_eq!(
        why(List::new(&without, 1).crl().verify(&without.certificate)),
        "CN=ca may not sign it: its key usage lacks cRLSign"
    );
    let unsaid = root.issue("ca", |params| params.key_usages = Vec::new());
    assert!(List::new(&unsaid, 1).crl().verify(&unsaid.certificate).is_ok());
}

#[test]
fn no_bit_of_a_list_may_change() {
    let ca = Party::root("ca");
    let der = List::new(&ca, 1).listing(&ca.leaf("a").certificate, 1, -5).der();
    for (at, bit) in (0..der.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
        let mut changed = der.clone();
        changed[at] ^= 1 << bit;
        let proven = Crl::parse(&changed).and_then(|crl| crl.verify(&ca.certificate));
        assert!(proven.is_err(), "bit {bit} of byte {at} of {}", hex::encode(&der));
    }
}

#[test]
fn what_is_critical_is_understood() {
    let ca = Party::root("ca");
    let list = || List::new(&ca, 1);
    let verify = |list: List<'_>| list.crl().verify(&ca.certificate);
    assert!(verify(list().with("1.2.3.4", false, &[5, 0])).is_ok());
    assert_eq!(
        why(verify(list().with("1.2.3.4", true, &[5, 0]))),
        "unsupported critical CRL extension: 1.2.3.4"
    );
    let entry = |kind, critical| {
        let extension = crate::x509::revocation::testing::extension(kind, critical, &[5, 0]);
        verify(list().entry(&[9], -5, &extension))
    };
    assert!(entry("1.2.3.4", false).is_ok());
    assert_eq!(why(entry("1.2.3.4", true)), "unsupported critical CRL entry extension: 1.2.3.4");
    assert_eq!(why(entry("2.5.29.29", true)), "unsupported CRL entry of another issuer: 2.5.29.29");
    assert!(entry("2.5.29.29", false).is_err());
}

#[test]
fn indirect_and_partial_lists_are_not_used() {
    let ca = Party::root("ca");
    let verify = |part: &[u8]| List::new(&ca, 1).scoped(part).crl().verify(&ca.certificate);
    assert_eq!(why(verify(&[0x84, 1, 0xff])), "unsupported CRL scope: an indirect CRL");
    assert_eq!(why(verify(&[0x83, 2, 6, 0x40])), "unsupported CRL scope: a CRL of some reasons only");
    assert!(verify(&[0x84, 1, 0]).is_ok());
    assert!(refused(&List::new(&ca, 1).scoped(&[0x84, 1, 1])).contains("expected a boolean"));
    assert!(refused(&List::new(&ca, 1).scoped(&[0x86, 1, 0xff])).contains("follow its end"));
}

#[test]
fn a_list_covers_its_scope() {
    let ca = Party::root("ca");
    let (leaf, middle) = (ca.leaf("leaf"), ca.issue("middle", |_| {}));
    let covers = |part: &[u8], who: &Party| List::new(&ca, 1).scoped(part).crl().covers(&who.certificate);
    assert!(covers(&[0x81, 1, 0xff], &leaf).is_ok() && covers(&[0x82, 1, 0xff], &middle).is_ok());
    assert!(why(covers(&[0x81, 1, 0xff], &middle)).contains("lists end entities only, and this is a CA"));
    assert!(why(covers(&[0x82, 1, 0xff], &leaf)).contains("lists CAs only, and this is an end entity"));
    assert!(why(covers(&[0x85, 1, 0xff], &leaf)).contains("attribute certificates only"));
    let other = Party::root("other");
    assert_eq!(
        why(List::new(&other, 1).crl().covers(&leaf.certificate)),
        "its issuer is CN=ca, not CN=other"
    );
}

#[test]
fn a_list_covers_its_distribution_point() {
    let ca = Party::root("ca");
    let leaf = ca.leaf("leaf");
    let named = |name: &[u8]| {
        let full = encode(tag::constructed(0), &encode(tag::constructed(0), name));
        List::new(&ca, 1).scoped(&full).crl().covers(&leaf.certificate)
    };
    let uri = |url: &str| encode(tag::context(6), url.as_bytes());
    assert!(named(&uri("http://pki.example/crl")).is_ok());
    assert!(named(&[uri("http://pki.example/other"), uri("http://pki.example/crl")].concat()).is_ok());
    assert!(why(named(&uri("http://pki.example/other"))).contains("another distribution point"));
    assert!(named(&encode(tag::constructed(4), ca.certificate.subject().der())).is_ok());
    assert!(named(&encode(tag::constructed(4), leaf.certificate.subject().der())).is_err());
    let relative = encode(tag::constructed(0), &encode(tag::constructed(1), &[]));
    assert!(List::new(&ca, 1).scoped(&relative).crl().covers(&leaf.certificate).is_err());
}

#[test]
fn every_reason_and_what_none_is() {
    use Reason::*;
    let ca = Party::root("ca");
    let leaf = ca.leaf("leaf");
    let reasons = [
        Unspecified,
        KeyCompromise,
        CaCompromise,
        AffiliationChanged,
        Superseded,
        CessationOfOperation,
        CertificateHold,
        Unspecified,
        RemoveFromCrl,
        PrivilegeWithdrawn,
        AaCompromise,
        Unspecified,
    ];
    for (number, reason) in (0..).zip(reasons) {
        let crl = List::new(&ca, 1).listing(&leaf.certificate, number, -5).crl();
        assert_eq!(crl.entry(leaf.certificate.serial()).unwrap().reason, reason);
        assert_eq!(serde_json::to_string(&reason).unwrap(), format!("\"{reason}\""));
    }
    let crl = List::new(&ca, 1).entry(leaf.certificate.serial(), -5, &[]).crl();
    assert_eq!(crl.entry(leaf.certificate.serial()).unwrap().reason, Unspecified);
    let crl = List::new(&ca, 1).invalid(&leaf.certificate, -5, -7).crl();
    assert_eq!(crl.entry(leaf.certificate.serial()).unwrap().invalid_since, Some(hours(-7)));
}

#[test]
fn of_several_entries_the_weightiest_counts() {
    let ca = Party::root("ca");
    let who = ca.leaf("leaf").certificate;
    let reason = |entries: &[(u8, i64)]| {
        let list = entries.iter().fold(List::new(&ca, 1), |l, (reason, at)| l.listing(&who, *reason, *at));
        list.crl().entry(who.serial()).unwrap().reason
    };
    assert_eq!(reason(&[(6, -5), (1, -9), (8, -2)]), Reason::KeyCompromise);
    assert_eq!(reason(&[(8, -9), (6, -5)]), Reason::CertificateHold);
    assert_eq!(reason(&[(8, -2), (6, -5)]), Reason::RemoveFromCrl);
    assert_eq!(reason(&[(8, -5), (6, -5)]), Reason::RemoveFromCrl);
}

#[test]
fn what_is_no_list() {
    let ca = Party::root("ca");
    let der = List::new(&ca, 1).der();
    assert!(Crl::parse(&[&der[..], &[0]].concat()).unwrap_err().to_string().contains("octets follow"));
    assert!(Crl::parse(&[]).unwrap_err().to_string().contains("neither DER nor PEM"));
    let mut first = List::new(&ca, 1);
    first.version = Vec::new();
    assert_eq!(refused(&first), "unsupported CRL version: 1");
    first.version = encode(tag::INTEGER, &[2]);
    assert_eq!(refused(&first), "unsupported CRL version: 02");
    let twice = List::new(&ca, 1).with("2.5.29.20", false, &encode(tag::INTEGER, &[2]));
    assert!(refused(&twice).contains("extension 2.5.29.20 stands there twice"));
    let many = (0..MAX_EXTENSIONS).fold(List::new(&ca, 1), |l, at| l.with(&format!("1.2.{at}"), false, &[]));
    let found = refused(&many);
    assert!(found.contains("more than 32 extensions"), "{found}");
    let empty = List::new(&ca, 1).entry(&[9], -5, &[0x30, 0]);
    assert!(refused(&empty).contains("ends where an element was expected"));
}

#[test]
fn lists_are_bounded() {
    let error = Crl::parse(&vec![tag::SEQUENCE; MAX_DER + 1]).unwrap_err();
    assert_eq!(error, Error::TooMany { what: "bytes in a CRL", limit: MAX_DER });
    // What is kept of a list beside its bytes.
    let ca = Party::root("ca");
    let urls = [0x86, 0].repeat(MAX_PART / 2);
    let name = encode(tag::constructed(0), &encode(tag::constructed(0), &urls));
    assert!(refused(&List::new(&ca, 1).scoped(&name)).contains("more than 65536"));
    let mut list = List::new(&ca, 1);
    let rdns = list.issuer.get(2..).unwrap().repeat(MAX_PART / 8);
    list.issuer = encode(tag::SEQUENCE, &rdns);
    assert!(refused(&list).contains("more than 65536"));
    let error = Crl::parse(&vec![b'-'; MAX_PEM + 1]).unwrap_err();
    assert_eq!(error, Error::TooMany { what: "bytes in a CRL", limit: MAX_DER });
}

#[test]
fn pem_is_read_too() {
    use base64::Engine as _;
    let ca = Party::root("ca");
    let der = List::new(&ca, 1).der();
    let text = base64::engine::general_purpose::STANDARD.encode(&der);
    let pem = |label: &str| format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n");
    assert_eq!(Crl::parse(pem("X509 CRL").as_bytes()).unwrap().der(), der);
    assert!(Crl::parse(pem("CERTIFICATE").as_bytes()).unwrap_err().to_string().contains("CERTIFICATE"));
    let two = pem("X509 CRL").repeat(2);
    assert!(Crl::parse(two.as_bytes()).unwrap_err().to_string().contains("more than one"));
}

#[test]
fn certificates_say_where_their_revocation_is_known() {
    let ca = Party::root("ca");
    let silent = ca.issue("silent", leaf).certificate;
    assert!(!silent.is_revocable() && silent.crl_urls().is_empty() && !silent.has_freshest_crl());
    let listed = ca.leaf("listed").certificate;
    assert!(listed.is_revocable() && listed.ocsp_urls().is_empty());
    assert_eq!(listed.crl_urls(), ["http://pki.example/crl"]);
    let fresh = ca.issue("fresh", |p| p.custom_extensions = vec![custom("2.5.29.46", &points("http://d/"))]);
    assert!(fresh.certificate.has_freshest_crl() && !fresh.certificate.is_revocable());
    assert_eq!(fresh.certificate.freshest_crl_urls(), ["http://d/"]);
    let asked = ca.issue("asked", |p| {
        p.custom_extensions = vec![crate::x509::revocation::testing::ocsp_at("http://ocsp.example/")];
    });
    assert!(asked.certificate.is_revocable() && !asked.certificate.has_ocsp_no_check());
    assert_eq!(asked.certificate.ocsp_urls(), ["http://ocsp.example/"]);
    assert!(ca.responder(true, |_| {}).certificate.has_ocsp_no_check());
    // A place that is no URL is a place all the same, or such a certificate could not be revoked.
    let directory = encode(tag::constructed(0), &encode(tag::constructed(4), ca.certificate.subject().der()));
    let named = encode(tag::SEQUENCE, &encode(tag::SEQUENCE, &encode(tag::constructed(0), &directory)));
    let elsewhere = ca.issue("elsewhere", |p| p.custom_extensions = vec![custom("2.5.29.31", &named)]);
    assert!(elsewhere.certificate.is_revocable() && elsewhere.certificate.crl_urls().is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn every_serial_number_is_found_and_no_other(
        serials in proptest::collection::btree_map(
            proptest::collection::vec(1u8..0x80, 1..20), (0u8..11, -999i64..0), 0..60
        ),
        others in proptest::collection::vec(proptest::collection::vec(1u8..0x80, 1..20), 0..20),
    ) {
        let ca = Party::root("ca");
        let mut list = List::new(&ca, 1);
        for (serial, (reason, at)) in &serials {
            let reason = encode(tag::ENUMERATED, &[*reason]);
            let reason = crate::x509::revocation::testing::extension("2.5.29.21", false, &reason);
            list = list.entry(serial, *at, &reason);
        }
        let crl = list.crl();
        for (serial, (reason, at)) in &serials {
            let entry = crl.entry(serial).unwrap();
            prop_assert_eq!(entry.reason, Reason::from_number((*reason).into()));
            prop_assert_eq!(entry.revoked_at, hours(*at));
            prop_assert_eq!(crl.entry(&[&[0], serial.as_slice()].concat()), Some(entry));
        }
        for other in others.iter().filter(|other| !serials.contains_key(*other)) {
            prop_assert_eq!(crl.entry(other), None);
        }
    }

    #[test]
    fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), at in 0usize..400) {
        let _ = Crl::parse(&bytes);
        let mut spliced = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/notation/made/crl/base.crl")).unwrap();
        let at = at.min(spliced.len());
        spliced.splice(at.., bytes);
        if let Ok(crl) = Crl::parse(&spliced) {
            let _ = crl.entry(&[1]);
        }
    }
}
