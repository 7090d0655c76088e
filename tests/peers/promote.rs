//! `portcullis promote` between real registries: the real tools verify what arrived, and a process that is killed again
//! and again gets there all the same.

use std::time::Duration;

use super::content;
use super::process::{Outcome, run};
use super::proxy::{config, portcullis};
use super::signing::Proof;
use super::stand::{SIGNED, Stand};
use super::upstream::{Kind, Upstream};

/// A destination beside the stand's upstream.
fn destination(stand: &Stand, kind: Kind) -> Upstream {
    let home = stand.home().join("destination");
    std::fs::create_dir_all(&home).unwrap();
    Upstream::start(kind, &stand.place, &home)
}

fn promote(stand: &Stand, to: &Upstream) -> std::process::Command {
    let config = config(stand, "promote.yaml", "{}");
    let mut command = portcullis(stand);
    command.args(["promote", "--insecure", "--config"]).arg(config);
    command.args([format!("docker.io/{SIGNED}:v1"), format!("{}/prod/app", to.address())]);
    command
}

fn cosign_verify(stand: &Stand, to: &Upstream) -> Outcome {
    let mut cosign = stand.command("cosign");
    cosign.args(["verify", "--key", "cosign.pub", "--allow-http-registry", "--insecure-ignore-tlog=true"]);
    cosign.env("COSIGN_EXPERIMENTAL", "1").arg("--new-bundle-format=false");
    run(cosign.arg(format!("{}/prod/app:v1", to.address())))
}

#[test]
#[ignore = "needs cosign, notation"]
fn needs_signers_what_is_promoted_verifies_there() {
    for (from, to) in [(Kind::TagSchema, Kind::Referrers), (Kind::Referrers, Kind::TagSchema)] {
        let stand = Stand::new(from);
        let digest = stand.push(SIGNED, content::index);
        for proof in [Proof::CosignTag, Proof::NotationJws, Proof::NotationCose] {
            stand.sign(proof, SIGNED, &digest);
        }
        let there = destination(&stand, to);
        run(&mut promote(&stand, &there)).passed().says(&digest);
        cosign_verify(&stand, &there).passed().says(&digest);
        stand.file(
            "config/notation/trustpolicy.json",
            r#"{ "version": "1.0", "trustPolicies": [{
                "name": "all", "registryScopes": ["*"], "signatureVerification": { "level": "strict" },
                "trustStores": ["ca:acme-rockets.io"], "trustedIdentities": ["*"] }] }"#,
        );
        let reference = format!("{}/prod/app@{digest}", there.address());
        let mut notation = stand.command("notation");
        run(notation.args(["verify", "--insecure-registry", &reference]))
            .passed()
            .says("Successfully verified signature");
        let mut list = stand.command("notation");
        let listed = run(list.args(["list", "--insecure-registry", &reference])).passed();
        assert_eq!(
            listed.text.matches("sha256:").count(),
            3,
            "the image and two signatures: {}",
            listed.text
        );
    }
}

#[test]
#[ignore = "needs cosign, skopeo"]
fn needs_skopeo_a_promotion_that_is_killed_again_and_again_arrives() {
    let stand = Stand::new(Kind::TagSchema);
    let digest = stand.push(SIGNED, content::index);
    stand.sign(Proof::CosignTag, SIGNED, &digest);
    let there = destination(&stand, Kind::TagSchema);
    let mut killed = 0;
    for delay in 0..60 {
        let mut child = promote(&stand, &there).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(20 * delay));
        if child.try_wait().unwrap().is_some_and(|status| status.success()) {
            break;
        }
        child.kill().unwrap();
        killed += 1;
        let code = child.wait().unwrap().code();
        // Whoever finds the tag finds the signature too.
        let mut inspect = stand.command("skopeo");
        inspect.args(["inspect", "--raw", "--tls-verify=false"]);
        if run(inspect.arg(format!("docker://{}/prod/app:v1", there.address()))).code == Some(0) {
            cosign_verify(&stand, &there).passed();
        }
        assert_ne!(code, Some(1));
    }
    assert!(killed > 3, "{killed}");
    run(&mut promote(&stand, &there)).passed();
    cosign_verify(&stand, &there).passed().says(&digest);
    let mut copy = stand.command("skopeo");
    copy.args(["copy", "--all", "--preserve-digests", "--src-tls-verify=false"]);
    copy.arg(format!("docker://{}/prod/app@{digest}", there.address()));
    run(copy.arg(format!("oci:{}:v1", stand.home().join("back").display()))).passed();
}
