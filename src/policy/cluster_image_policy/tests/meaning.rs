//! Which policies of a file are about a repository, and what they come to.

use super::*;
use crate::policy::{Attested, Policies, PredicateType, Settings};

fn signer(name: &str) -> Require {
    Require::Signer(SignerName(name.into()))
}

fn of(file: &ClusterImagePolicies, repository: &str) -> (Demand<'static>, Mode) {
    match file.of(&Repository::parse(repository).unwrap()) {
        (Demand::Require(require), mode) => (Demand::Require(Cow::Owned(require.into_owned())), mode),
        (Demand::Never(reason), mode) => (Demand::Never(reason), mode),
        (Demand::Nothing, mode) => (Demand::Nothing, mode),
    }
}

fn needs(require: Require, mode: Mode) -> (Demand<'static>, Mode) {
    (Demand::Require(Cow::Owned(require)), mode)
}

fn several(policies: &[(&str, &str, &str)]) -> ClusterImagePolicies {
    let spec = |glob: &str, rest: &str| format!("images: [{{ glob: \"{glob}\" }}], {rest}");
    let texts: Vec<String> =
        policies.iter().map(|(name, glob, rest)| policy_text(name, &spec(glob, rest))).collect();
    file(&texts.join("---\n"))
}

/// The shape that policy-controller's own examples have: comments, several documents, a status.
#[test]
fn a_file_as_it_is_written_for_a_cluster_is_read() {
    let key = KEY.trim_end().replace('\n', "\n        ");
    let text = format!(
        "# Copyright\n---\napiVersion: policy.sigstore.dev/v1alpha1\nkind: ClusterImagePolicy\nmetadata:\n  name: release\n  \
         labels: {{ team: ops }}\n  annotations:\n    a/b: c\n  creationTimestamp: null\nspec:\n  images:\n  - glob: \"**demo**\"\n  \
         authorities:\n  - key:\n      hashAlgorithm: SHA256\n      data: |\n        {key}\n    ctlog:\n      url: \
         https://rekor.sigstore.dev\n  - name: actions\n    keyless:\n      url: https://fulcio.sigstore.dev\n      \
         identities:\n      - issuerRegExp: .*token.actions.*\n        subjectRegExp: .*/acme/.*\n      - issuer: \
         https://accounts.google.com\n        subject: ci@acme.example\n    source: []\n    attestations: null\n  mode: enforce\nstatus:\n  \
         conditions: []\n---\n# nothing here\n"
    );
    let file = file(&text);
    let any = Require::Any(vec![
        signer("cip/release/authority-0"),
        Require::Any(vec![signer("cip/release/actions/0"), signer("cip/release/actions/1")]),
    ]);
    assert_eq!(of(&file, "ghcr.io/acme/demo-app"), needs(any, Mode::Enforce));
    assert_eq!(file.signers().len(), 3);
}

#[test]
fn policies_and_authorities_or() {
    let file = several(&[
        ("all", "ghcr.io/**", &format!("authorities: [{}]", by_key("a"))),
        ("app", "ghcr.io/acme/*", &format!("authorities: [{}, {}]", by_key("a"), by_key("b"))),
    ]);
    let all = signer("cip/all/a");
    let app = Require::Any(vec![signer("cip/app/a"), signer("cip/app/b")]);
    assert_eq!(of(&file, "ghcr.io/x"), needs(all.clone(), Mode::Enforce));
    assert_eq!(of(&file, "ghcr.io/acme/x"), needs(Require::All(vec![all, app]), Mode::Enforce));
}

/// With attestations, each must be there by one of the authority's signers, and no signature is asked for.
#[test]
fn attestations_stand_for_signatures() {
    let key = serde_json::to_string(&*KEY).unwrap();
    let types = "[{ name: a, predicateType: spdxjson }, { name: b, predicateType: 'https://slsa.dev/provenance/v1' }]";
    let authority = format!("{{ name: k, key: {{ data: {key} }}, attestations: {types} }}");
    let file = several(&[("all", "ghcr.io/**", &format!("authorities: [{authority}]"))]);
    let attested = |predicate_type| {
        let predicate_type = PredicateType::parse(predicate_type).unwrap();
        Require::Attested(Attested { by: SignerName("cip/all/k".into()), predicate_type, condition: None })
    };
    let both = Require::All(vec![attested("spdxjson"), attested("slsaprovenance1")]);
    assert_eq!(of(&file, "ghcr.io/x"), needs(both, Mode::Enforce));
}

#[test]
fn what_no_policy_is_about_is_refused_with_what_they_are_about() {
    let file = several(&[("all", "ghcr.io/**", &format!("authorities: [{}]", by_key("a")))]);
    let (Demand::Never(reason), Mode::Enforce) = of(&file, "quay.io/x") else { panic!("something is asked") };
    assert_eq!(reason.code, Code::NoPolicy);
    assert_eq!(reason.message, "is covered by no ClusterImagePolicy of cip.yaml, which are about ghcr.io/**");
}

#[test]
fn warning_policies_weaken_only_where_none_enforces() {
    let authorities = format!("authorities: [{}]", by_key("a"));
    let warn = format!("{authorities}, mode: warn");
    let file = several(&[("strict", "ghcr.io/acme/**", &authorities), ("lax", "ghcr.io/**", &warn)]);
    assert_eq!(of(&file, "ghcr.io/x"), needs(signer("cip/lax/a"), Mode::Audit));
    assert_eq!(of(&file, "ghcr.io/acme/x"), needs(signer("cip/strict/a"), Mode::Enforce));
    assert_eq!(
        file.warnings(),
        [
            "cip.yaml: ClusterImagePolicy lax (mode warn) serves what it would refuse; where another enforces, it is \
         not looked at"
        ]
    );
}

#[test]
fn pass_admits_only_where_nothing_else_is_asked() {
    let pass = "authorities: [{ static: { action: pass } }]";
    let key = format!("authorities: [{}]", by_key("a"));
    let warn = format!("{key}, mode: warn");
    let file =
        several(&[("pass", "ghcr.io/**", pass), ("key", "ghcr.io/a/*", &key), ("lax", "ghcr.io/b/*", &warn)]);
    assert_eq!(of(&file, "ghcr.io/x"), (Demand::Nothing, Mode::Allow));
    assert_eq!(of(&file, "ghcr.io/a/x"), needs(signer("cip/key/a"), Mode::Enforce));
    assert_eq!(of(&file, "ghcr.io/b/x"), needs(signer("cip/lax/a"), Mode::Audit));
    assert!(
        file.warnings()[0].contains("pass (static: pass) serves content unverified"),
        "{:?}",
        file.warnings()
    );
}

#[test]
fn fail_refuses_unless_another_authority_vouches() {
    let fail = "{ static: { action: fail, message: retired } }";
    let file = several(&[
        ("no", "ghcr.io/no/**", &format!("authorities: [{fail}]")),
        ("or", "ghcr.io/or/**", &format!("authorities: [{fail}, {}]", by_key("a"))),
        ("all", "ghcr.io/**", &format!("authorities: [{}]", by_key("a"))),
    ]);
    let (Demand::Never(reason), Mode::Enforce) = of(&file, "ghcr.io/no/x") else {
        panic!("something is asked")
    };
    assert_eq!(reason.code, Code::ModeDeny);
    assert_eq!(reason.message, "is disallowed by ClusterImagePolicy no (static: fail): retired");
    let both = Require::All(vec![signer("cip/or/a"), signer("cip/all/a")]);
    assert_eq!(of(&file, "ghcr.io/or/x"), needs(both, Mode::Enforce));
}

#[test]
fn skipped_scts_and_unusual_file_names_show() {
    let spec = "images: [{ glob: '**' }], authorities: [{ keyless: { insecureIgnoreSCT: true, \
                identities: [{ issuer: i, subject: s }] } }]";
    let file = ClusterImagePolicies::parse("my policy.v1.yaml", &policy_text("p", spec), None).unwrap();
    let warning = &file.warnings()[0];
    assert!(
        warning.starts_with("my policy.v1.yaml: signer my-policy.v1/p/authority-0: dangerous_skip_sct"),
        "{warning}"
    );
}

fn build(path: &Path, mode: &str) -> Result<Policies, SettingError> {
    let entry = serde_json::json!([{
        "name": "p", "scopes": ["ghcr.io/**"], "mode": mode, "from": { "cluster_image_policy": path },
    }]);
    let settings: Vec<Settings> = serde_json::from_value(entry).unwrap();
    Policies::build(&settings, &[], &BTreeMap::new())
}

#[test]
fn a_policy_takes_the_weaker_of_both_modes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cip.yaml");
    let spec = |glob: &str, rest: &str| format!("images: [{{ glob: '{glob}' }}], {rest}");
    let key = format!("authorities: [{}]", by_key("a"));
    let texts = [
        policy_text("strict", &spec("ghcr.io/strict", &key)),
        policy_text("lax", &spec("ghcr.io/lax", &format!("{key}, mode: warn"))),
        policy_text("pass", &spec("ghcr.io/pass", "authorities: [{ static: { action: pass } }]")),
    ];
    std::fs::write(&path, texts.join("---\n")).unwrap();
    let modes = |mode: &str| {
        let built = build(&path, mode).unwrap();
        ["strict", "lax", "pass", "other"].map(|name| {
            let repository = Repository::parse(&format!("ghcr.io/{name}")).unwrap();
            let policy = built.matching(&repository).unwrap();
            (policy.mode(&repository), policy.verifies(&repository))
        })
    };
    use Mode::{Allow, Audit, Deny, Enforce};
    assert_eq!(modes("enforce"), [(Enforce, true), (Audit, true), (Allow, false), (Enforce, false)]);
    assert_eq!(modes("audit"), [(Audit, true), (Audit, true), (Allow, false), (Audit, false)]);
    assert_eq!(modes("allow").map(|(mode, _)| mode), [Allow; 4]);
    assert_eq!(modes("deny").map(|(mode, _)| mode), [Deny; 4]);
    let warnings = build(&path, "enforce").unwrap().warnings();
    assert!(
        warnings.iter().any(|w| w.starts_with("policy p: cip.yaml: ClusterImagePolicy lax")),
        "{warnings:?}"
    );
}

#[test]
fn only_signers_of_the_matching_policies_are_asked_and_count() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cip.yaml");
    let texts = ["a", "b"].map(|name| {
        let spec = format!("images: [{{ glob: 'ghcr.io/{name}/**' }}], authorities: [{}]", by_key("k"));
        policy_text(name, &spec)
    });
    std::fs::write(&path, texts.join("---\n")).unwrap();
    let built = build(&path, "enforce").unwrap();
    let repository = Repository::parse("ghcr.io/a/x").unwrap();
    let policy = built.matching(&repository).unwrap();
    let asked: Vec<String> = policy.verifiers(&repository).map(|v| v.signer().to_string()).collect();
    assert_eq!(asked, ["cip/a/k"]);
    assert!(policy.counts(&SignerName("cip/a/k".into()), &repository));
    assert!(!policy.counts(&SignerName("cip/b/k".into()), &repository), "it is another repository's signer");
}

#[test]
fn the_revision_follows_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cip.yaml");
    let revision = |glob: &str| {
        let spec = format!("images: [{{ glob: '{glob}' }}], authorities: [{}]", by_key("a"));
        std::fs::write(&path, policy_text("p", &spec)).unwrap();
        build(&path, "enforce").unwrap().revision(&Repository::parse("ghcr.io/x").unwrap())
    };
    let before = revision("ghcr.io/**");
    assert_ne!(before, revision("ghcr.io/*"), "signers are the same, what they are asked for is not");
    assert_eq!(before, revision("ghcr.io/**"));
}

/// A trusted root that is configured is read for signers that name none: one that is not there is a fault.
#[test]
fn the_configured_trusted_root_is_what_keyless_authorities_judge_by() {
    let identity = "identities: [{ issuer: i, subject: s }]";
    let spec = format!(
        "images: [{{ glob: '**' }}], authorities: [{{ keyless: {{ {identity} }}, ctlog: {{ url: 'https://rekor.sigstore.dev' }} }}]"
    );
    let text = policy_text("p", &spec);
    let absent = std::path::Path::new("/absent/trusted_root.json");
    let fault = ClusterImagePolicies::parse("cip.yaml", &text, Some(absent)).err().unwrap();
    assert!(fault.contains("/absent/trusted_root.json"), "{fault}");
    assert!(ClusterImagePolicies::parse("cip.yaml", &text, None).is_ok());
}
