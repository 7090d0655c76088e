//! What OpenSSL made: `tests/fixtures/x509/revocation`.

use std::time::UNIX_EPOCH;

use super::*;
use crate::x509::Error;

fn fixture(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/x509/revocation");
    std::fs::read(format!("{folder}/{name}")).unwrap()
}

fn certificate(name: &str) -> Certificate {
    Certificate::from_der(&fixture(&format!("{name}.der"))).unwrap()
}

fn day(count: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(count * 86400)
}

/// 2030-01-01.
const LATER: u64 = 21915;
/// 2026-03-01.
const REVOKED: u64 = 20513;
/// 2026-02-15.
const INVALID: u64 = 20499;

/// What is said of an authority's leaf, signed on that day.
fn asked(authority: &str, signed_at: Option<u64>, known: &Known) -> Status {
    let (certificate, issuer) = (certificate(&format!("{authority}-leaf")), certificate(authority));
    let signed_at = signed_at.map(day);
    let (now, grace) = (day(LATER), Duration::ZERO);
    status(&Question { certificate: &certificate, issuer: &issuer, now, signed_at, grace }, known)
}

fn list(name: &str) -> Known {
    Known { crls: vec![Crl::parse(&fixture(&format!("{name}.crl"))).unwrap()], ..Known::default() }
}

fn response(name: &str) -> Known {
    let response = ocsp::Response::parse(&fixture(&format!("{name}.ocsp"))).unwrap();
    Known { ocsp: vec![response], ..Known::default() }
}

#[test]
fn lists_by_every_kind_of_key() {
    for (authority, name) in
        [("p256", "p256"), ("p521", "p521"), ("rsa", "rsa"), ("rsa", "rsa-pss"), ("ed25519", "ed25519")]
    {
        let reason = Reason::KeyCompromise;
        let entry = Entry { revoked_at: day(REVOKED), reason, invalid_since: None };
        assert_eq!(asked(authority, None, &list(name)), Status::Revoked { entry, by: Source::Crl }, "{name}");
    }
    let why = why(asked("rsa", None, &list("rsa-sha1")));
    assert!(why.contains("unsupported signature algorithm: 1.2.840.113549.1.1.5"), "{why}");
}

#[test]
fn lists_with_dates_removals_and_scopes() {
    assert!(matches!(asked("p256", Some(INVALID - 1), &list("p256-dated")), Status::Good { .. }));
    assert!(matches!(asked("p256", Some(INVALID), &list("p256-dated")), Status::Revoked { .. }));
    assert!(matches!(asked("p256", None, &list("p256-dated")), Status::Revoked { .. }));
    assert!(matches!(asked("p256", None, &list("p256-removed")), Status::Good { .. }));
    assert!(matches!(asked("p256", None, &list("p256-users")), Status::Good { .. }));
    let crl = &list("p256-users").crls[0];
    assert!(matches!(crl.covers(&certificate("p256")), Err(Error::NotAbout { .. })), "a CA");
}

#[test]
fn responses() {
    for name in ["good", "by-key", "sha256"] {
        assert!(
            matches!(asked("p256", None, &response(name)), Status::Good { by: Source::Ocsp, .. }),
            "{name}"
        );
    }
    assert_eq!(
        revoked(asked("p256", Some(INVALID - 1), &response("revoked"))),
        (Reason::KeyCompromise, Source::Ocsp)
    );
    assert!(matches!(asked("p256", Some(INVALID - 1), &response("dated")), Status::Good { .. }));
    assert!(matches!(asked("p256", Some(INVALID), &response("dated")), Status::Revoked { .. }));
    // "Revoked, and it is not": believed for as long as it is said.
    assert_eq!(revoked(asked("p256", None, &response("removed"))), (Reason::CertificateHold, Source::Ocsp));
}

#[test]
fn the_question_is_the_one_that_openssl_asks() {
    let question = ocsp::request(&certificate("p256-leaf"), &certificate("p256"));
    assert_eq!(hex::encode(question), hex::encode(fixture("request.der")));
}
