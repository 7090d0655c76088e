//! Signing tools as clients: who verifies for themselves finds through the proxy what they need.

use super::process::{Outcome, run};
use super::proxy::Proxy;
use super::signing::Proof;
use super::stand::{SIGNED, Stand};
use super::upstream::Kind;

fn cosign_verify(stand: &Stand, proxy: &Proxy, arguments: &[&str]) -> Outcome {
    let mut cosign = stand.command("cosign");
    cosign.args(["verify", "--key", "cosign.pub", "--allow-http-registry", "--insecure-ignore-tlog=true"]);
    run(cosign.env("COSIGN_EXPERIMENTAL", "1").args(arguments).arg(format!("{}:v1", proxy.name(SIGNED))))
}

#[test]
#[ignore = "needs cosign"]
fn needs_cosign_verifies_through_the_proxy() {
    for kind in Kind::ALL {
        let stand = Stand::with_images(kind, Proof::CosignTag);
        let proxy = stand.proxy();
        cosign_verify(&stand, &proxy, &["--new-bundle-format=false"]).passed().says(SIGNED);
        stand.trust_others();
        cosign_verify(&stand, &proxy, &["--new-bundle-format=false"]).failed();
    }
}

#[test]
#[ignore = "needs notation"]
fn needs_notation_verifies_through_the_proxy() {
    for (kind, proof) in [(Kind::TagSchema, Proof::NotationJws), (Kind::Referrers, Proof::NotationCose)] {
        let stand = Stand::with_images(kind, proof);
        let proxy = stand.proxy();
        stand.file(
            "config/notation/trustpolicy.json",
            r#"{ "version": "1.0", "trustPolicies": [{
                "name": "all", "registryScopes": ["*"], "signatureVerification": { "level": "strict" },
                "trustStores": ["ca:acme-rockets.io"], "trustedIdentities": ["*"] }] }"#,
        );
        let mut notation = stand.command("notation");
        notation.args(["verify", "--insecure-registry", &format!("{}:v1", proxy.name(SIGNED))]);
        run(&mut notation).passed().says("Successfully verified signature");
    }
}
