//! `portcullis verify` over what real tools signed: its JSON and exit codes.

use super::content;
use super::process::run;
use super::proxy::{config, portcullis, verify};
use super::signing::Proof;
use super::stand::{SIGNED, Stand, UNSIGNED};
use super::upstream::Kind;

#[test]
#[ignore = "needs cosign, notation"]
fn needs_signers_every_signature_is_believed_from_every_registry() {
    for kind in Kind::ALL {
        let stand = Stand::new(kind);
        for (number, proof) in Proof::ALL.into_iter().enumerate() {
            let repository = format!("wabbit-networks/signed-{number}");
            let digest = stand.push(&repository, content::image);
            stand.sign(proof, &repository, &digest);
            let (outcome, report) = verify(&stand, &format!("docker.io/{repository}:v1"));
            assert_eq!(outcome.code, Some(0), "{kind:?} {proof:?}: {}", outcome.text);
            assert_eq!(report["outcome"], "allow", "{report}");
            assert_eq!(report["digest"], digest.as_str(), "{report}");
            assert_eq!(report["repository"], format!("docker.io/{repository}"), "{report}");
            let trusted: Vec<_> = report["signatures"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|signature| signature["result"] == "trusted")
                .map(|signature| &signature["format"])
                .collect();
            assert_eq!(trusted, [proof.format()], "{kind:?} {proof:?}: {report}");
        }
    }
}

#[test]
#[ignore = "needs cosign, notation"]
fn needs_signers_an_unsigned_image_exits_1() {
    for stand in Stand::each() {
        let (outcome, report) = verify(&stand, &format!("docker.io/{UNSIGNED}:v1"));
        assert_eq!(outcome.code, Some(1), "{}", outcome.text);
        assert_eq!(report["outcome"], "deny", "{report}");
        assert_eq!(report["signatures"], serde_json::json!([]), "{report}");
        assert_eq!(report["policy"], "acme-prod", "{report}");
        assert_eq!(report["acquire"], serde_json::json!([super::proxy::KEYS]), "{report}");
    }
}

#[test]
#[ignore = "needs cosign, notation"]
fn needs_signers_other_peoples_keys_exit_1_and_say_whose() {
    for proof in Proof::ALL {
        let stand = Stand::with_images(Kind::Referrers, proof);
        stand.trust_others();
        let (outcome, report) = verify(&stand, &format!("docker.io/{SIGNED}:v1"));
        assert_eq!(outcome.code, Some(1), "{proof:?}: {}", outcome.text);
        let signatures = report["signatures"].as_array().unwrap();
        assert!(!signatures.is_empty(), "{report}");
        assert!(signatures.iter().all(|signature| signature["result"] == "rejected"), "{report}");
    }
}

#[test]
#[ignore = "needs cosign, notation"]
fn needs_signers_a_signature_copied_to_another_image_exits_1() {
    for kind in Kind::ALL {
        let stand = Stand::with_images(kind, Proof::CosignTag);
        let signed = verify(&stand, &format!("docker.io/{SIGNED}:v1")).1;
        let other = stand.push(SIGNED, content::image);
        let tag = |digest: &str| {
            format!("docker://{}/{SIGNED}:{}.sig", stand.upstream.address(), digest.replace(':', "-"))
        };
        let mut copy = stand.command("skopeo");
        copy.args(["copy", "--src-tls-verify=false", "--dest-tls-verify=false"]);
        run(copy.args([tag(signed["digest"].as_str().unwrap()), tag(&other)])).passed();
        let (outcome, report) = verify(&stand, &format!("docker.io/{SIGNED}@{other}"));
        assert_eq!(outcome.code, Some(1), "{}", outcome.text);
        assert_eq!(report["signatures"][0]["result"], "rejected", "{report}");
    }
}

#[test]
#[ignore = "needs cosign, notation"]
fn needs_signers_an_upstream_that_is_down_exits_2() {
    let mut stand = Stand::with_images(Kind::TagSchema, Proof::CosignTag);
    let config = config(&stand, "verify.yaml", "{}");
    stand.upstream.stop();
    let mut command = portcullis(&stand);
    command.args(["verify", "--config"]).arg(config).arg(format!("docker.io/{SIGNED}:v1"));
    assert_eq!(run(&mut command).code, Some(2));
}

#[test]
#[ignore = "needs cosign, notation"]
fn needs_signers_wrong_usage_exits_64() {
    let stand = Stand::new(Kind::TagSchema);
    let config = config(&stand, "verify.yaml", "{}");
    let mut bad_name = portcullis(&stand);
    bad_name.args(["verify", "--config"]).arg(&config).arg("docker.io/UPPER/case");
    assert_eq!(run(&mut bad_name).code, Some(64));
    assert_eq!(run(portcullis(&stand).arg("verify")).code, Some(64));
    let bad_config = stand.file("bad.yaml", "upstreams:\n  docker.io: { colour: blue }\n");
    let mut bad_file = portcullis(&stand);
    bad_file.args(["verify", "--config"]).arg(&bad_config).arg("docker.io/library/alpine");
    let outcome = run(&mut bad_file);
    assert_eq!(outcome.code, Some(64), "{}", outcome.text);
    outcome.says("bad.yaml:2:").says("colour");
    assert_eq!(run(portcullis(&stand).arg("check").arg(&config)).code, Some(0));
    assert_eq!(run(portcullis(&stand).arg("check").arg(&bad_config)).code, Some(64));
}
