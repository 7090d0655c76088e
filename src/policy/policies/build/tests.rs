use std::time::{Duration, UNIX_EPOCH};

use super::*;
use crate::oci::{Digest, Repository};
use crate::signature::testing::Doubter;

fn policies(json: &str) -> Vec<Settings> {
    serde_json::from_str(json).unwrap()
}

fn signers(revision: u8) -> BTreeMap<SignerName, Signer> {
    let strengths = [
        ("a", Strength::Enforced),
        ("b", Strength::Enforced),
        ("lax", Strength::Logged),
        ("blind", Strength::Skipped),
    ];
    strengths
        .map(|(name, strength)| {
            let name = SignerName(name.into());
            let format = if &*name.0 == "b" { Format::Cosign } else { Format::Nv2 };
            let verifier =
                Arc::new(Doubter { name: name.clone(), format, strength, revision: [revision; 32] });
            (name, Signer { verifier, acquire: None })
        })
        .into()
}

fn exception(repository: &str) -> Exception {
    Exception {
        repository: Repository::parse(repository).unwrap(),
        digest: Digest::sha256(b"x"),
        reason: "because".to_owned(),
        expires: UNIX_EPOCH + Duration::from_secs(9),
    }
}

fn fault(json: &str) -> SettingError {
    build(&policies(json), &[], &signers(1)).unwrap_err()
}

fn path(json: &str) -> String {
    fault(json).path.join(".")
}

#[test]
fn attestations_are_asked_of_signers_who_can_make_them() {
    let policy =
        |leaf: &str| format!(r#"[{{"name":"p","scopes":["ghcr.io/**"],"require":{{"any":["a",{leaf}]}}}}]"#);
    let attested = |by: &str, condition: &str| {
        policy(&format!(r#"{{"attested":{{"by":"{by}","predicate_type":"vuln","where":"{condition}"}}}}"#))
    };
    let built = build(&policies(&attested("b", "true")), &[], &signers(1)).unwrap();
    let policy = built.matching(&Repository::parse("ghcr.io/x").unwrap()).unwrap();
    assert!(
        policy.signers().any(|(name, _)| &*name.0 == "b"),
        "the signer is asked for by the attestation alone"
    );
    for (by, condition, at, words) in [
        ("a", "true", "attested.by", "makes nv2 signatures"),
        ("x", "true", "attested.by", "no signer is called x"),
        ("b", "size(subject)", "attested.where", "the condition is a int"),
    ] {
        let fault = fault(&attested(by, condition));
        assert_eq!(fault.path.join("."), format!("policies.0.require.any.1.{at}"));
        assert!(fault.message.contains(words), "{fault}");
    }
}

#[test]
fn what_can_be_refused_at_load_is() {
    for (json, at) in [
        (r#"[{"name":"","scopes":["ghcr.io/**"],"require":"a"}]"#, "policies.0.name"),
        (r#"[{"name":"a b","scopes":["ghcr.io/**"],"require":"a"}]"#, "policies.0.name"),
        (r#"[{"name":"p","scopes":[],"require":"a"}]"#, "policies.0.scopes"),
        (r#"[{"name":"p","scopes":["ghcr.io/**"]}]"#, "policies.0.require"),
        (r#"[{"name":"p","scopes":["ghcr.io/**"],"mode":"audit"}]"#, "policies.0.require"),
        (
            r#"[{"name":"p","scopes":["ghcr.io/**"],"require":"a","from":{"notation":"/x"}}]"#,
            "policies.0.from",
        ),
        (r#"[{"name":"p","scopes":["ghcr.io/**"],"require":"x"}]"#, "policies.0.require"),
        (r#"[{"name":"p","scopes":["ghcr.io/**"],"require":{"any":["a","x"]}}]"#, "policies.0.require.any.1"),
        (
            r#"[{"name":"p","scopes":["ghcr.io/**"],"require":{"all":["a","lax"]}}]"#,
            "policies.0.require.all.1",
        ),
        (r#"[{"name":"p","scopes":["ghcr.io/**"],"require":{"any":["blind"]}}]"#, "policies.0.require.any.0"),
        (r#"[{"name":"p","scopes":["ghcr.io/**"],"require":"a","acquire":"keys"}]"#, "policies.0.acquire"),
        (
            r#"[{"name":"p","scopes":["ghcr.io/**"],"require":"a","renamed_from":["ghcr.io/old"]}]"#,
            "policies.0.renamed_from",
        ),
        (
            r#"[{"name":"p","scopes":["ghcr.io/a"],"mode":"allow"},{"name":"p","scopes":["ghcr.io/b"],"mode":"allow"}]"#,
            "policies.1.name",
        ),
        (
            r#"[{"name":"p","scopes":["docker.io/nginx"],"mode":"allow"},
                {"name":"q","scopes":["ghcr.io/x","index.docker.io/library/nginx"],"mode":"deny"}]"#,
            "policies.1.scopes.1",
        ),
        (r#"[{"name":"p","scopes":["ghcr.io/a","ghcr.io/a"],"mode":"allow"}]"#, "policies.0.scopes.1"),
        (
            r#"[{"name":"p","scopes":["ghcr.io/a"],"from":{"cluster_image_policy":"/x"}}]"#,
            "policies.0.from.cluster_image_policy",
        ),
        (
            r#"[{"name":"p","scopes":["ghcr.io/a"],"from":{"containers_policy":"/x"}}]"#,
            "policies.0.from.containers_policy",
        ),
    ] {
        assert_eq!(path(json), at, "{json}");
    }
}

#[test]
fn an_unknown_signer_is_told_with_the_known_ones() {
    let message = fault(r#"[{"name":"p","scopes":["ghcr.io/**"],"require":"x"}]"#).message;
    assert_eq!(message, "no signer is called x; known signers: a, b, blind, lax");
}

#[test]
fn exceptions_say_why_and_name_a_digest_once() {
    let check = |exceptions: &[Exception]| build(&[], exceptions, &signers(1)).unwrap_err().path.join(".");
    let mut silent = exception("ghcr.io/a");
    silent.reason = " ".to_owned();
    assert_eq!(check(&[silent]), "exceptions.0.reason");
    assert_eq!(check(&[exception("ghcr.io/a"), exception("ghcr.io/a")]), "exceptions.1.digest");
    assert!(build(&[], &[exception("ghcr.io/a"), exception("ghcr.io/b")], &signers(1)).is_ok());
}

#[test]
fn the_most_specific_policy_applies() {
    let built = build(
        &policies(
            r#"[{"name":"all","scopes":["docker.io/**"],"mode":"deny"},
                {"name":"official","scopes":["docker.io/library/*"],"require":"a"},
                {"name":"nginx","scopes":["docker.io/nginx"],"mode":"audit","require":"a"}]"#,
        ),
        &[],
        &signers(1),
    )
    .unwrap();
    let name = |repository: &str| {
        built.matching(&Repository::parse(repository).unwrap()).map(|p| p.name().to_string())
    };
    assert_eq!(name("docker.io/nginx").as_deref(), Some("nginx"));
    assert_eq!(name("docker.io/redis").as_deref(), Some("official"));
    assert_eq!(name("docker.io/acme/app").as_deref(), Some("all"));
    assert_eq!(name("ghcr.io/acme/app"), None);
    let warnings = built.warnings();
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    assert_eq!(
        warnings[0],
        "names under docker.io/library/nginx fall to policy nginx (mode audit), though docker.io/library/* \
         of policy official (mode enforce) covers them too"
    );
}

#[test]
fn a_revision_moves_with_what_decisions_depend_on_and_with_nothing_else() {
    let base = r#"[{"name":"p","scopes":["ghcr.io/**"],"require":"a"},{"name":"q","scopes":["quay.io/**"],"require":"b"}]"#;
    let revisions = |json: &str, exceptions: &[Exception], material: u8| {
        let built = build(&policies(json), exceptions, &signers(material)).unwrap();
        ["ghcr.io/x", "quay.io/x", "gcr.io/x"].map(|name| built.revision(&Repository::parse(name).unwrap()))
    };
    let [p, q, none] = revisions(base, &[], 1);
    assert_eq!(revisions(base, &[], 1), [p, q, none]);
    let [new_p, new_q, new_none] = revisions(base, &[], 2);
    assert!(new_p != p && new_q != q && new_none == none, "trust material");
    let [new_p, new_q, _] = revisions(&base.replacen("\"a\"", "\"b\"", 1), &[], 1);
    assert!(new_p != p && new_q == q, "an edit touches its own repositories alone");
    let [new_p, new_q, new_none] = revisions(base, &[exception("ghcr.io/y")], 1);
    assert!(new_p != p && new_q == q && new_none == none, "an exception under a policy");
    let [new_p, new_q, new_none] = revisions(base, &[exception("gcr.io/x")], 1);
    assert!(new_p == p && new_q == q && new_none != none, "an exception without a policy");
}

#[test]
fn a_folder_of_notation_decides_with_the_strength_that_it_has_for_each_repository() {
    let folder = tempfile::tempdir().unwrap();
    let entry = serde_json::json!([{
        "name": "p",
        "scopes": ["ghcr.io/**"],
        "from": { "notation": folder.path() },
    }]);
    let json = entry.to_string();
    assert!(path(&json).starts_with("policies.0.from.notation"), "nothing is there yet: {}", fault(&json));
    let trust_policy = r#"{"version": "1.0", "trustPolicies": [
        {"name": "skipped", "registryScopes": ["ghcr.io/skipped"], "signatureVerification": {"level": "skip"}}]}"#;
    std::fs::write(folder.path().join("trustpolicy.json"), trust_policy).unwrap();
    let built = build(&policies(&json), &[], &signers(1)).unwrap();
    let mode = |name: &str| {
        let repository = Repository::parse(name).unwrap();
        built.matching(&repository).unwrap().mode(&repository)
    };
    assert_eq!(mode("ghcr.io/skipped"), Mode::Allow);
    assert_eq!(mode("ghcr.io/other"), Mode::Enforce, "no statement applies: nothing is believed");
}
