#![allow(clippy::indexing_slicing)]

use proptest::prelude::*;
use rcgen::{ExtendedKeyUsagePurpose, KeyUsagePurpose};

use super::*;
use crate::x509::crl::Reason;
use crate::x509::revocation::testing::{Answer, Party, custom, hours, leaf, now, successful};

struct Setting {
    ca: Party,
    leaf: Party,
}

impl Setting {
    fn new() -> Self {
        let ca = Party::root("ca");
        Self { leaf: ca.leaf("leaf"), ca }
    }

    fn answer(&self) -> Answer<'_> {
        Answer::new(&self.ca, &self.leaf, &self.ca)
    }

    fn by<'a>(&self, responder: &'a Party) -> Answer<'a> {
        Answer::delegated(responder, &self.leaf, &self.ca)
    }

    fn verify(&self, answer: &Answer<'_>) -> Result<Single, Error> {
        answer.response().verify(&self.leaf.certificate, &self.ca.certificate, now())
    }

    fn why(&self, answer: &Answer<'_>) -> String {
        self.verify(answer).unwrap_err().to_string()
    }
}

#[test]
fn an_answer_says_what_it_says() {
    let on = Setting::new();
    let single = on.verify(&on.answer()).unwrap();
    let good = Single {
        status: CertStatus::Good,
        this_update: hours(-1),
        next_update: Some(hours(1)),
        responder: None,
    };
    assert_eq!(single, good);
    let mut open = on.answer().unknown();
    open.next_update = None;
    let single = on.verify(&open).unwrap();
    assert_eq!((single.status, single.next_update), (CertStatus::Unknown, None));
    let single = on.verify(&on.answer().revoked(1, -5).invalid_since(-7)).unwrap();
    let entry =
        Entry { revoked_at: hours(-5), reason: Reason::KeyCompromise, invalid_since: Some(hours(-7)) };
    assert_eq!(single.status, CertStatus::Revoked(entry));
}

#[test]
fn responders_are_named_by_their_key_too() {
    let on = Setting::new();
    let responder = on.ca.responder(true, |_| {});
    for mut answer in [on.answer(), on.by(&responder)] {
        answer.by_key = true;
        assert_eq!(on.verify(&answer).unwrap().status, CertStatus::Good);
    }
}

#[test]
fn certificates_are_named_by_sha_256_too() {
    let on = Setting::new();
    let sha256 = |content: &[u8]| encode(tag::OCTET_STRING, &crate::x509::key::sha256(content));
    let id = |algorithm: &[u8]| {
        let parts = [
            encode(tag::SEQUENCE, algorithm),
            sha256(on.ca.certificate.subject().der()),
            sha256(on.ca.certificate.public_key().bits()),
            encode(tag::INTEGER, on.leaf.certificate.serial()),
        ];
        encode(tag::SEQUENCE, &parts.concat())
    };
    let mut answer = on.answer();
    answer.id = id(&[6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1]);
    assert!(on.verify(&answer).is_ok());
    answer.id = id(&[6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 9]);
    assert!(matches!(on.verify(&answer), Err(Error::NotAbout { .. })));
}

#[test]
fn an_answer_is_about_this_certificate() {
    let on = Setting::new();
    let other = on.ca.leaf("other");
    let answer = Answer::new(&on.ca, &other, &on.ca);
    let why = on.why(&answer);
    assert!(why.contains("CN=leaf") && why.contains(&hex::encode(other.certificate.serial())), "{why}");
    // The same serial number under another issuer of this name.
    let impostor = on.ca.impostor("ca");
    let answer = Answer::new(&on.ca, &on.leaf, &impostor);
    assert!(matches!(on.verify(&answer), Err(Error::NotAbout { .. })));
    // A name hash that is another's.
    let mut answer = on.answer();
    let at = answer.id.len() - 20 - 20 - on.leaf.certificate.serial().len();
    answer.id[at] ^= 1;
    assert!(matches!(on.verify(&answer), Err(Error::NotAbout { .. })));
}

#[test]
fn of_several_answers_a_revocation_counts() {
    let on = Setting::new();
    let mut answer = on.answer();
    answer.more = on.answer().revoked(1, -5).single();
    assert!(matches!(on.verify(&answer).unwrap().status, CertStatus::Revoked(_)));
    answer.more = Answer::new(&on.ca, &on.ca.leaf("other"), &on.ca).revoked(1, -5).single();
    assert_eq!(on.verify(&answer).unwrap().status, CertStatus::Good);
}

#[test]
fn a_delegated_responder_is_authorised() {
    let on = Setting::new();
    let responder = on.ca.responder(true, |_| {});
    assert_eq!(on.verify(&on.by(&responder)).unwrap().responder, Some(responder.certificate.clone()));
    let without = on.ca.issue("responder", leaf);
    assert!(on.why(&on.by(&without)).contains("its extended key usage lacks OCSPSigning"));
    let any = on.ca.responder(true, |p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any]);
    assert!(on.why(&on.by(&any)).contains("lacks OCSPSigning"));
    let usage = on.ca.responder(true, |p| p.key_usages = vec![KeyUsagePurpose::CrlSign]);
    assert!(on.why(&on.by(&usage)).contains("lacks digitalSignature"));
    let ended = on.ca.responder(true, |p| p.not_after = hours(-2).into());
    assert!(on.why(&on.by(&ended)).contains("has expired"));
    let early = on.ca.responder(true, |p| p.not_before = hours(2).into());
    assert!(on.why(&on.by(&early)).contains("is not valid yet"));
    let critical = on.ca.responder(true, |p| {
        let mut unknown = custom("1.2.3.4", &[5, 0]);
        unknown.set_criticality(true);
        p.custom_extensions.push(unknown);
    });
    assert!(on.why(&on.by(&critical)).contains("1.2.3.4 is not understood"));
}

#[test]
fn a_responder_is_the_issuers_own() {
    let on = Setting::new();
    let stranger = Party::root("other").responder(true, |_| {});
    assert_eq!(on.why(&on.by(&stranger)), "its issuer is CN=other, not CN=ca");
    let impostor = on.ca.impostor("ca").responder(true, |_| {});
    assert!(matches!(on.verify(&on.by(&impostor)), Err(Error::BadSignature { .. })));
    // A CA below the issuer may not make responders for it.
    let below = on.ca.issue("below", |_| {}).responder(true, |_| {});
    assert_eq!(on.why(&on.by(&below)), "its issuer is CN=below, not CN=ca");
    // Without its certificate nobody knows whose key it is.
    let absent = on.ca.responder(true, |_| {});
    let answer = Answer::new(&absent, &on.leaf, &on.ca);
    assert!(on.why(&answer).contains("its certificate is not in the response"));
    // Another's answer in a responder's name.
    let mut borrowed = Answer::new(&on.leaf, &on.leaf, &on.ca);
    borrowed.certificates = vec![absent.certificate.clone()];
    assert!(on.why(&borrowed).contains("may not sign it"));
}

#[test]
fn the_issuer_itself_signs_with_its_own_key() {
    let on = Setting::new();
    let impostor = on.ca.impostor("ca");
    let mut answer = Answer::new(&impostor, &on.leaf, &on.ca);
    assert!(matches!(on.verify(&answer), Err(Error::BadSignature { .. })));
    answer.certificates = vec![impostor.certificate.clone()];
    assert!(on.verify(&answer).is_err());
    let response = on.answer().response();
    let error = response.verify(&on.leaf.certificate, &Party::root("other").certificate, now()).unwrap_err();
    assert_eq!(error.to_string(), "its issuer is CN=ca, not CN=other");
}

#[test]
fn an_answer_from_the_future_is_not_used() {
    let on = Setting::new();
    let at = |answer: Answer<'_>, seconds: u64| {
        let mut answer = answer;
        answer.this_update = now() + std::time::Duration::from_secs(seconds);
        on.verify(&answer)
    };
    assert!(at(on.answer(), 300).is_ok());
    assert!(matches!(at(on.answer(), 301), Err(Error::FromTheFuture { .. })));
}

#[test]
fn what_is_critical_is_understood() {
    let on = Setting::new();
    assert!(on.verify(&on.answer().with("1.2.3.4", false, &[5, 0])).is_ok());
    assert_eq!(
        on.why(&on.answer().with("1.2.3.4", true, &[5, 0])),
        "unsupported critical OCSP extension: 1.2.3.4"
    );
    let mut answer = on.answer();
    answer.extensions = crate::x509::revocation::testing::extension("1.2.3.4", true, &[5, 0]);
    assert_eq!(on.why(&answer), "unsupported critical OCSP extension: 1.2.3.4");
}

#[test]
fn no_bit_that_is_signed_may_change() {
    let on = Setting::new();
    let der = on.answer().revoked(1, -5).der();
    for (at, bit) in (0..der.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
        let mut changed = der.clone();
        changed[at] ^= 1 << bit;
        let proven = Response::parse(&changed)
            .and_then(|response| response.verify(&on.leaf.certificate, &on.ca.certificate, now()));
        assert!(proven.is_err(), "bit {bit} of byte {at} of {}", hex::encode(&der));
    }
}

#[test]
fn responders_that_fail_say_so() {
    for (status, name) in [
        (1, "malformedRequest"),
        (2, "internalError"),
        (3, "tryLater"),
        (5, "sigRequired"),
        (6, "unauthorized"),
        (9, "9"),
    ] {
        let error = Response::parse(&[0x30, 3, 0x0a, 1, status]).unwrap_err();
        assert_eq!(error, Error::NoAnswer { status: name.to_owned() });
    }
    let error = Response::parse(&[0x30, 3, 0x0a, 1, 0]).unwrap_err();
    assert!(error.to_string().contains("has no answer"));
}

#[test]
fn responses_are_bounded() {
    let error = Response::parse(&vec![tag::SEQUENCE; MAX_DER + 1]).unwrap_err();
    assert_eq!(error, Error::TooMany { what: "bytes in an OCSP response", limit: MAX_DER });
    let on = Setting::new();
    let der = on.answer().der();
    assert!(Response::parse(&[&der[..], &[0]].concat()).unwrap_err().to_string().contains("octets follow"));
    assert!(Response::parse(&successful(&[])).is_err());
    // Certificates beyond the limit are not looked at.
    let responder = on.ca.responder(true, |_| {});
    let mut answer = Answer::new(&responder, &on.leaf, &on.ca);
    answer.certificates = vec![on.leaf.certificate.clone(); MAX_CERTIFICATES];
    answer.certificates.push(responder.certificate.clone());
    assert!(on.verify(&answer).is_err());
    answer.certificates.remove(0);
    assert!(on.verify(&answer).is_ok());
}

proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), at in 0usize..900) {
        let _ = Response::parse(&bytes);
        let mut spliced = std::fs::read(concat!(
            env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/notation/made/ocsp/good-checked.ocsp"
        )).unwrap();
        let at = at.min(spliced.len());
        spliced.splice(at.., bytes);
        let _ = Response::parse(&spliced);
    }
}
