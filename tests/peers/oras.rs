//! oras, with artifacts that are no images.

use super::process::{Outcome, run};
use super::signing::Proof;
use super::stand::{SIGNED, Stand, UNSIGNED};
use super::upstream::Kind;

fn oras(stand: &Stand, arguments: &[&str]) -> Outcome {
    run(stand.command("oras").args(arguments))
}

fn pull(stand: &Stand, name: &str) -> Outcome {
    oras(stand, &["pull", "--plain-http", "--output", "pulled", &format!("{name}:v1")])
}

/// Pushes a file as an artifact of this type: its digest.
fn push_artifact(stand: &Stand, repository: &str, artifact_type: &str) -> String {
    stand.file("sbom.json", &format!(r#"{{"made":"{}"}}"#, fastrand::u64(..)));
    let name = format!("{}/{repository}:v1", stand.upstream.address());
    let mut arguments = vec!["push", "--plain-http", "--format", "json", "--artifact-type", artifact_type];
    arguments.extend([name.as_str(), "sbom.json:application/json"]);
    let answer: serde_json::Value = serde_json::from_str(&oras(stand, &arguments).passed().stdout).unwrap();
    answer["digest"].as_str().unwrap().to_owned()
}

#[test]
#[ignore = "needs oras"]
fn needs_oras_a_signed_image_is_copied_and_an_unsigned_one_is_explained() {
    for stand in Stand::each() {
        let proxy = stand.proxy();
        let copy = |repository: &str| {
            let name = format!("{}:v1", proxy.name(repository));
            oras(&stand, &["copy", "--from-plain-http", &name, "--to-oci-layout", "pulled:v1"])
        };
        copy(SIGNED).passed();
        copy(UNSIGNED).explains();
    }
}

#[test]
#[ignore = "needs oras"]
fn needs_oras_any_artifact_is_gated_like_an_image() {
    for artifact_type in ["application/spdx+json", "application/vnd.wabbit.unheard-of.v7"] {
        let stand = Stand::new(Kind::Referrers);
        let repository = "wabbit-networks/artifact";
        let digest = push_artifact(&stand, repository, artifact_type);
        push_artifact(&stand, UNSIGNED, artifact_type);
        stand.sign(Proof::NotationJws, repository, &digest);
        let proxy = stand.proxy();
        pull(&stand, &proxy.name(repository)).passed();
        let pulled = std::fs::read_to_string(stand.home().join("pulled/sbom.json")).unwrap();
        assert!(pulled.contains("made"), "{pulled}");
        pull(&stand, &proxy.name(UNSIGNED)).explains();
    }
}

#[test]
#[ignore = "needs oras"]
fn needs_oras_discovers_proven_signatures_through_the_proxy() {
    for kind in Kind::ALL {
        let stand = Stand::with_images(kind, Proof::NotationJws);
        let proxy = stand.proxy();
        let name = format!("{}:v1", proxy.name(SIGNED));
        oras(&stand, &["discover", "--plain-http", &name])
            .passed()
            .says("application/vnd.cncf.notary.signature");
    }
}
