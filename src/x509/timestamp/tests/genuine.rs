//! Tokens that real tools made.

use super::*;

pub(super) fn fixture(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/x509/timestamp");
    std::fs::read(format!("{folder}/{name}")).unwrap()
}

pub(super) fn token(name: &str) -> Vec<u8> {
    fixture(&format!("{name}.der"))
}

fn anchors() -> Vec<Certificate> {
    Certificate::all_from(&fixture("root.pem")).unwrap()
}

pub(super) fn verify(token: &[u8]) -> Result<Timestamp, Error> {
    Token::parse(token)?.verify(&fixture("message"), &anchors())
}

#[test]
fn tokens_of_openssl_are_believed() {
    for (name, leaf, accuracy) in [
        ("rsa-sha256", "rsa", 1_500_100),
        ("rsa-sha384", "rsa", 0),
        ("rsa-sha512", "rsa", 0),
        ("p256-sha256", "p256", 0),
        ("p384-sha384", "p384", 3_000_000),
        ("p521-sha512", "p521", 0),
        ("baseline", "p256", 1_000_000),
        ("baseline-accurate", "p256", 20_000),
        ("ess-v1", "p256", 0),
        ("pss", "rsa", 1_500_100),
        ("key-id", "p256", 1_500_100),
    ] {
        let timestamp = verify(&token(name)).unwrap_or_else(|why| panic!("{name}: {why}"));
        let names: Vec<_> = timestamp.chain().iter().filter_map(Certificate::common_name).collect();
        assert_eq!(names, [leaf, "between", "root"], "{name}");
        assert_eq!(timestamp.accuracy(), Duration::from_micros(accuracy), "{name}");
        assert_eq!(timestamp.ordering(), name == "rsa-sha512", "{name}");
        let expected = if name == "ess-v1" { Binding::V1 } else { Binding::V2 };
        assert_eq!(timestamp.binding(), expected, "{name}");
        let policy = if name.starts_with("baseline") { "0.4.0.2023.1.1" } else { "1.3.6.1.4.1.57264.2" };
        assert_eq!(timestamp.policy(), policy, "{name}");
    }
    let fraction = verify(&token("p256-sha256")).unwrap().at().duration_since(UNIX_EPOCH).unwrap();
    assert_ne!(fraction.subsec_micros(), 0, "made with a clock of six digits");
}

#[test]
fn tokens_of_openssl_that_are_not_enough() {
    let bare = token("no-certificate");
    assert_eq!(verify(&bare).unwrap_err(), Error::SignerAbsent);
    let known = Token::parse(&token("p256-sha256")).unwrap().data.certificates;
    assert!(
        Token::parse(&bare)
            .unwrap()
            .verify_with(&fixture("message"), &anchors(), &known, &mut Checks::default())
            .is_ok()
    );
    assert!(verify(&token("two-signers")).unwrap_err().to_string().contains("signer"));
    let other = Token::parse(&token("rsa-sha256")).unwrap().verify(b"another", &anchors());
    assert_eq!(other.unwrap_err(), Error::OtherMessage);
}

/// Nothing in these tokens is unsigned: they have no CRLs and no unsigned attributes, their certificates
/// are all of the chain, and the algorithms must fit the key. All bits of one, one bit a byte of others.
#[test]
fn no_bit_of_a_token_may_change() {
    let (message, anchors) = (fixture("message"), anchors());
    for name in ["p256-sha256", "rsa-sha384", "p521-sha512", "pss", "key-id"] {
        let genuine = token(name);
        for at in 0..genuine.len() {
            let bits = if name == "p256-sha256" { 0..8 } else { at % 8..at % 8 + 1 };
            for bit in bits {
                let mut changed = genuine.clone();
                changed[at] ^= 1 << bit;
                let result = Token::parse(&changed).and_then(|token| token.verify(&message, &anchors));
                assert!(result.is_err(), "{name}: bit {bit} of byte {at}");
            }
        }
    }
}

#[test]
fn no_token_may_end_early() {
    let genuine = token("p256-sha256");
    for end in 0..genuine.len() {
        assert!(Token::parse(&genuine[..end]).is_err(), "{end} bytes");
    }
}

/// A response of sigstore's authority, verified with the certificates that are known of one.
fn sigstore(name: &str, whose: &str, brought: &[u8]) -> Result<Timestamp, Error> {
    let one = |role: &str| Certificate::from_der(&fixture(&format!("sigstore/{whose}-{role}.der"))).unwrap();
    let between = if whose == "own" { vec![one("middle")] } else { Vec::new() };
    let known = [vec![one("leaf")], between].concat();
    let message = fixture(&format!("sigstore/{name}.sig"));
    Token::from_response(brought)?.verify_with(&message, &[one("root")], &known, &mut Checks::default())
}

#[test]
fn responses_of_sigstore_are_believed() {
    for (name, at) in [("without", 1_795_658_529), ("with", 1_795_658_494)] {
        let response = fixture(&format!("sigstore/{name}.tsr"));
        let timestamp = sigstore(name, "own", &response).unwrap_or_else(|why| panic!("{name}: {why}"));
        assert_eq!(timestamp.at(), UNIX_EPOCH + Duration::from_secs(at), "{name}");
        assert_eq!((timestamp.chain().len(), timestamp.binding()), (3, Binding::V2), "{name}");
        assert!(sigstore(name, "public", &response).is_err(), "{name}");
        let bare = Token::from_response(&response).unwrap();
        let brings = bare.verify(&fixture(&format!("sigstore/{name}.sig")), &[]);
        assert_eq!(brings.unwrap_err() == Error::SignerAbsent, name == "without", "{name}");
    }
}

#[test]
fn no_bit_of_a_response_without_certificates_may_change() {
    let genuine = fixture("sigstore/without.tsr");
    // What stands before the token is not signed, and of it "granted with changes" would do as well.
    for at in 9..genuine.len() {
        let mut changed = genuine.clone();
        changed[at] ^= 1 << (at % 8);
        assert!(sigstore("without", "own", &changed).is_err(), "byte {at}");
    }
}
