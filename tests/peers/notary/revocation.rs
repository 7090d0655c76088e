//! Certificates are revoked while the images that they signed are cached.

use serde_json::json;

use super::gate::Gate;
use super::pki::{Pki, RESPONDER, SIGNER};
use super::tool::simple;
use crate::process::free_port;
use crate::stand::Stand;
use crate::upstream::Kind;

/// The signer's extensions with a place to ask for revocation.
fn asking(extension: &str) -> String {
    format!("{SIGNER}\n{extension}")
}

fn ocsp(port: u16) -> String {
    asking(&format!("authorityInfoAccess = OCSP;URI:http://127.0.0.1:{port}"))
}

fn crl(port: u16) -> String {
    asking(&format!("crlDistributionPoints = URI:http://127.0.0.1:{port}/crl/middle"))
}

/// Lets `signer`, with these extensions, sign for both tools' stores.
fn enrol(stand: &Stand, pki: &Pki<'_>, extensions: &str) {
    pki.issue("middle", "signer", "P-256", extensions, None);
    stand.add_key(pki, "signer", &["middle", "root"]);
    stand.trust(pki, "ca/acme", "root");
    stand.policy(&simple(json!({ "level": "strict" }), &["ca:acme"]));
}

const STRICT: &str = "trust_store: \"ca:acme\"";

/// Asserts that the cached image is refused, and that both tools refuse it too, since its signer is revoked.
#[track_caller]
fn is_revoked(gate: &Gate<'_>, repository: &str, image: &str, stand: &Stand) {
    let answer = gate.comes_to(repository, 403);
    assert!(answer.text.contains("revoked"), "{}", answer.text);
    let signature = gate.last_signature();
    assert_eq!(signature["code"], "revoked", "{signature}");
    stand.agree(image, false);
}

#[test]
#[ignore = "needs notation, openssl, curl"]
fn needs_notation_a_signer_revoked_by_ocsp_is_refused_from_the_cache() {
    let stand = Stand::new(Kind::Referrers);
    let pki = Pki::new(&stand);
    let port = free_port();
    enrol(&stand, &pki, &ocsp(port));
    pki.issue("middle", "responder", "P-256", RESPONDER, None);
    let responder = pki.responder("middle", "responder", port);
    let image = stand.signed("notary/ocsp", "signer", &[]);
    let digest = image.split_once('@').unwrap().1.to_owned();
    stand.agree(&image, true);
    let gate = Gate::open(&stand, "ocsp", STRICT, &[port]);
    gate.comes_to("notary/ocsp", 200);
    pki.revoke("middle", "signer", "keyCompromise");
    is_revoked(&gate, "notary/ocsp", &image, &stand);
    assert_eq!(gate.ask("GET", "notary/ocsp", &digest).status, 403);
    // What was learned stays learned, whoever does not answer later.
    drop(responder);
    gate.close();
    let again = Gate::open(&stand, "ocsp", STRICT, &[port]);
    assert_eq!(again.comes_to("notary/ocsp", 403).status, 403);
}

#[test]
#[ignore = "needs notation, openssl, python3, curl"]
fn needs_notation_a_signer_revoked_by_crl_is_refused_from_the_cache() {
    let stand = Stand::new(Kind::Referrers);
    let pki = Pki::new(&stand);
    let publisher = pki.publisher();
    enrol(&stand, &pki, &crl(publisher.port));
    pki.publish_crl("middle", "middle", "");
    let image = stand.signed("notary/crl", "signer", &["--signature-format", "cose"]);
    stand.agree(&image, true);
    let gate = Gate::open(&stand, "crl", STRICT, &[publisher.port]);
    gate.comes_to("notary/crl", 200);
    let old = std::fs::read(pki.path("www/crl/middle")).unwrap();
    pki.revoke("middle", "signer", "cessationOfOperation");
    pki.publish_crl("middle", "middle", "");
    // notation goes by the list that it has until that ends.
    stand.notation_verify_again(&image).passed();
    is_revoked(&gate, "notary/crl", &image, &stand);
    // An older list, played back, does not open what a newer one closed.
    std::fs::write(pki.path("www/crl/middle"), old).unwrap();
    std::thread::sleep(std::time::Duration::from_secs(4));
    assert_eq!(gate.comes_to("notary/crl", 403).status, 403);
}

#[test]
#[ignore = "needs notation, openssl, python3, curl"]
fn needs_notation_a_hold_by_delta_crl_closes_and_its_removal_opens() {
    let stand = Stand::new(Kind::Referrers);
    let pki = Pki::new(&stand);
    let publisher = pki.publisher();
    let publish_delta = || pki.publish_crl("middle", "delta", "2.5.29.27 = critical,ASN1:INTEGER:1");
    enrol(&stand, &pki, &crl(publisher.port));
    let delta = format!("freshestCRL = URI:http://127.0.0.1:{}/crl/delta", publisher.port);
    pki.publish_crl("middle", "middle", &delta);
    publish_delta();
    let image = stand.signed("notary/delta", "signer", &[]);
    stand.agree(&image, true);
    let gate = Gate::open(&stand, "delta", STRICT, &[publisher.port]);
    gate.comes_to("notary/delta", 200);
    pki.revoke("middle", "signer", "certificateHold");
    publish_delta();
    is_revoked(&gate, "notary/delta", &image, &stand);
    // A list that has forgotten the hold does not take it away.
    let index = std::fs::read(pki.path("middle.index")).unwrap();
    std::fs::write(pki.path("middle.index"), "").unwrap();
    publish_delta();
    std::thread::sleep(std::time::Duration::from_secs(4));
    gate.comes_to("notary/delta", 403);
    std::fs::write(pki.path("middle.index"), index).unwrap();
    pki.change_reason("middle", "certificateHold", "removeFromCRL");
    publish_delta();
    gate.comes_to("notary/delta", 200);
    stand.agree(&image, true);
}

#[test]
#[ignore = "needs notation, openssl, curl"]
fn needs_notation_a_responder_that_is_down_leaves_strict_undecided_and_permissive_open() {
    let stand = Stand::new(Kind::Referrers);
    let pki = Pki::new(&stand);
    let port = free_port();
    enrol(&stand, &pki, &ocsp(port));
    let image = stand.signed("notary/down", "signer", &[]);
    stand.agree(&image, false);
    let strict = Gate::open(&stand, "strict", STRICT, &[port]);
    let answer = strict.comes_to("notary/down", 503);
    assert!(answer.text.to_lowercase().contains("retry-after"), "{}", answer.text);
    assert!(answer.text.contains("revocation_unknown") || answer.text.contains("revo"), "{}", answer.text);
    strict.close();
    stand.policy(&simple(json!({ "level": "permissive" }), &["ca:acme"]));
    stand.agree(&image, true);
    let permissive = Gate::open(&stand, "permissive", "trust_store: \"ca:acme\", level: permissive", &[port]);
    permissive.comes_to("notary/down", 200);
    let signature = permissive.last_signature().to_string();
    assert!(signature.contains("revocation"), "{signature}");
}
