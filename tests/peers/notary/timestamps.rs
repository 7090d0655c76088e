//! Timestamps of a real authority keep signatures alive whose certificate has ended.

use std::time::{Duration, Instant};

use serde_json::json;

use super::gate::Gate;
use super::pki::{AUTHORITY, Pki, Publisher, SIGNER};
use super::tool::simple;
use crate::stand::Stand;
use crate::upstream::Kind;

/// How long the signer's certificate lasts.
const BRIEF: Duration = Duration::from_secs(15);

/// Signs an image with a timestamp and one without, by a certificate that has ended when this returns.
fn images(stand: &Stand, pki: &Pki<'_>, publisher: &Publisher) -> (String, String) {
    pki.issue("middle", "brief", "P-256", SIGNER, Some(BRIEF));
    let end = Instant::now() + BRIEF + Duration::from_secs(1);
    stand.add_key(pki, "brief", &["middle", "root"]);
    stand.trust(pki, "ca/acme", "root");
    stand.trust(pki, "tsa/acme", "tsa-root");
    let (url, root) = (format!("http://127.0.0.1:{}/tsa/tsa", publisher.port), pki.path("tsa-root.pem"));
    let stamp = ["--timestamp-url", &url, "--timestamp-root-cert", root.to_str().unwrap()];
    let stamped = stand.signed("notary/stamped", "brief", &stamp);
    let plain = stand.signed("notary/plain", "brief", &[]);
    std::thread::sleep(end.saturating_duration_since(Instant::now()));
    (stamped, plain)
}

#[test]
#[ignore = "needs notation, openssl, python3, curl"]
fn needs_notation_a_timestamp_outlives_the_certificate() {
    let stand = Stand::new(Kind::Referrers);
    let pki = Pki::new(&stand);
    pki.root("tsa-root");
    let publisher = pki.publisher();
    // The authority is one that can be revoked: an ECDSA key, and a CRL.
    let listed =
        format!("{AUTHORITY}\ncrlDistributionPoints = URI:http://127.0.0.1:{}/crl/tsa", publisher.port);
    pki.issue("tsa-root", "tsa", "P-256", &listed, None);
    pki.publish_crl("tsa-root", "tsa", "");
    let (stamped, plain) = images(&stand, &pki, &publisher);
    let stores = &["ca:acme", "tsa:acme"];
    for option in ["always", "afterCertExpiry"] {
        stand.policy(&simple(json!({ "level": "strict", "verifyTimestamp": option }), stores));
        stand.agree(&stamped, true);
        stand.agree(&plain, false);
    }
    stand.policy(&simple(json!({ "level": "strict" }), &["ca:acme"]));
    stand.agree(&stamped, false);

    let settings = "trust_store: [\"ca:acme\", \"tsa:acme\"], verify_timestamp: afterCertExpiry";
    let gate = Gate::open(&stand, "stamped", settings, &[publisher.port]);
    gate.comes_to("notary/stamped", 200);
    assert_eq!(gate.last_signature()["time_source"], "timestamp");
    gate.comes_to("notary/plain", 403);

    // Without restart, nobody believes the authority any more once it is revoked.
    pki.revoke("tsa-root", "tsa", "keyCompromise");
    pki.publish_crl("tsa-root", "tsa", "");
    gate.comes_to("notary/stamped", 403);
    stand.policy(&simple(json!({ "level": "strict" }), stores));
    stand.agree(&stamped, false);
}
