use std::fs;

use serde_json::{Value, json};

use super::*;

fn statement(name: &str, scopes: &[&str]) -> Value {
    json!({
        "name": name,
        "registryScopes": scopes,
        "signatureVerification": { "level": "strict" },
        "trustStores": ["ca:acme"],
        "trustedIdentities": ["*"],
    })
}

fn document(statements: &[Value]) -> Value {
    json!({ "version": "1.0", "trustPolicies": statements })
}

fn parse(document: &Value) -> Result<TrustPolicy, String> {
    TrustPolicy::parse("trustpolicy.json", document.to_string().as_bytes(), &Shelf::Nowhere)
}

/// One statement `p` for `acme.io/a`, with a field set, or taken out where the value is null.
fn with(field: &str, value: Value) -> Result<TrustPolicy, String> {
    let mut one = statement("p", &["acme.io/a"]);
    let (owner, field) = match field.split_once('.') {
        Some((owner, field)) => (&mut one[owner], field),
        None => (&mut one, field),
    };
    match value {
        Value::Null => drop(owner.as_object_mut().unwrap().remove(field)),
        value => owner[field] = value,
    }
    parse(&document(&[one]))
}

#[track_caller]
fn refused(result: Result<TrustPolicy, String>, parts: &[&str]) {
    let error = result.unwrap_err();
    assert!(parts.iter().all(|part| error.contains(part)), "{error}");
}

#[test]
fn the_most_specific_statement_applies() {
    let policy = parse(&document(&[
        statement("all", &["*"]),
        statement("ours", &["acme.io/**"]),
        statement("team", &["acme.io/team/*"]),
        statement("one", &["acme.io/team/app", "docker.io/library/nginx"]),
    ]))
    .unwrap();
    for (repository, name) in [
        ("acme.io/team/app", "one"),
        ("docker.io/nginx", "one"),
        ("acme.io/team/other", "team"),
        ("acme.io/team/a/b", "ours"),
        ("acme.io/x", "ours"),
        ("ghcr.io/x", "all"),
    ] {
        let found = policy.statement(&Repository::parse(repository).unwrap()).unwrap();
        assert_eq!(found.name, name, "{repository}");
    }
    let narrow = parse(&document(&[statement("one", &["acme.io/a"])])).unwrap();
    assert!(narrow.statement(&Repository::parse("acme.io/b").unwrap()).is_none());
}

#[test]
fn the_document_is_version_one_with_statements() {
    let mut other = document(&[statement("p", &["*"])]);
    other["version"] = "1.1".into();
    refused(parse(&other), &["version", "1.1"]);
    refused(parse(&json!({ "trustPolicies": [statement("p", &["*"])] })), &["version"]);
    refused(parse(&document(&[])), &["trustPolicies", "no statement"]);
    let twice = document(&[statement("p", &["*"])]).to_string().replacen('{', r#"{"version":"1.0","#, 1);
    refused(TrustPolicy::parse("p", twice.as_bytes(), &Shelf::Nowhere), &["\"version\"", "twice"]);
    let more = document(&[statement("p", &["*"])]).to_string() + "{}";
    assert!(TrustPolicy::parse("p", more.as_bytes(), &Shelf::Nowhere).is_err());
    assert!(with("comment", json!("left alone")).is_ok());
}

#[test]
fn names_are_there_and_unique() {
    refused(with("name", json!("")), &["trustPolicies[0].name"]);
    refused(with("name", Value::Null), &["trustPolicies[0].name"]);
    let twice = document(&[statement("p", &["acme.io/a"]), statement("p", &["acme.io/b"])]);
    refused(parse(&twice), &["trustPolicies[1].name", "\"p\""]);
}

#[test]
fn scopes_are_repositories_or_one_star_each_in_one_statement() {
    refused(with("registryScopes", Value::Null), &["statement \"p\"", "registryScopes", "at least one"]);
    refused(with("registryScopes", json!([])), &["registryScopes"]);
    refused(with("registryScopes", json!(["acme.io/a", "*"])), &["registryScopes[1]", "stands alone"]);
    refused(with("registryScopes", json!(["acme.io/a", "acme.io/a"])), &["registryScopes[1]", "twice"]);
    refused(with("registryScopes", json!(["acme.io/a*"])), &["registryScopes[0]", "acme.io/a*"]);
    refused(with("registryScopes", json!(["nginx"])), &["registryScopes[0]", "its registry in front"]);
    let overlap = document(&[statement("p", &["acme.io/a"]), statement("q", &["ACME.io/a"])]);
    refused(parse(&overlap), &["statement \"q\"", "trustPolicies[1].registryScopes[0]", "twice"]);
    let stars = document(&[statement("p", &["*"]), statement("q", &["*"])]);
    refused(parse(&stars), &["statement \"q\"", "twice"]);
}

#[test]
fn levels_overrides_and_timestamps_are_of_closed_sets() {
    const VERIFICATION: &str = "signatureVerification";
    let verification = |value| with(VERIFICATION, value);
    refused(with(VERIFICATION, Value::Null), &["statement \"p\"", "signatureVerification: is missing"]);
    refused(verification(json!({})), &["signatureVerification.level: is missing"]);
    refused(verification(json!({ "level": null })), &["signatureVerification.level: is missing"]);
    refused(verification(json!({ "level": "Strict" })), &["signatureVerification.level", "`Strict`"]);
    let overridden = |validation: &str, action: &str| {
        verification(json!({ "level": "strict", "override": { validation: action } }))
    };
    assert!(overridden("revocation", "skip").is_ok());
    assert!(overridden("authenticity", "log").is_ok());
    for action in ["enforce", "log", "skip"] {
        refused(overridden("integrity", action), &["signatureVerification.override.integrity", "always"]);
    }
    for validation in ["authenticity", "authenticTimestamp", "expiry"] {
        assert!(overridden(validation, "enforce").is_ok() && overridden(validation, "log").is_ok());
        refused(overridden(validation, "skip"), &["signatureVerification.override", validation]);
    }
    for action in ["enforce", "log", "skip"] {
        assert!(overridden("revocation", action).is_ok());
    }
    refused(overridden("Expiry", "log"), &["signatureVerification.override.Expiry"]);
    refused(overridden("expiry", "skip"), &["signatureVerification.override.expiry", "only revocation"]);
    refused(overridden("expiry", "warn"), &["signatureVerification.override.expiry", "`warn`"]);
    let stamped = |when: &str| verification(json!({ "level": "strict", "verifyTimestamp": when }));
    assert!(stamped("afterCertExpiry").is_ok() && stamped("always").is_ok());
    refused(stamped("never"), &["signatureVerification.verifyTimestamp", "`never`"]);
}

#[test]
fn skip_has_nothing_beside_it_and_is_not_global() {
    let skip = |scope: &str| {
        json!({
            "name": "p", "registryScopes": [scope], "signatureVerification": { "level": "skip" },
        })
    };
    assert!(parse(&document(&[skip("acme.io/a")])).is_ok());
    refused(parse(&document(&[skip("*")])), &["statement \"p\"", "skip cannot be used"]);
    refused(with("signatureVerification.level", json!("skip")), &["signatureVerification.level", "skip"]);
    let mut overridden = skip("acme.io/a");
    overridden["signatureVerification"]["override"] = json!({ "expiry": "log" });
    refused(parse(&document(&[overridden])), &["signatureVerification.override"]);
}

#[test]
fn stores_and_identities_are_named_as_they_should_be() {
    refused(with("trustStores", Value::Null), &["statement \"p\"", "trustStores: "]);
    refused(with("trustStores", json!(["ca:a", "acme"])), &["trustStores[1]", "TYPE:NAME"]);
    refused(with("trustStores", json!(["root:acme"])), &["trustStores[0]", "ca, signingAuthority, tsa"]);
    refused(with("trustStores", json!(["ca:../x"])), &["trustStores[0]"]);
    refused(with("trustedIdentities", Value::Null), &["trustedIdentities: "]);
    refused(with("trustedIdentities", json!(["x509.subject: C=US"])), &["trustedIdentities[0]", "required"]);
    let overlap = json!(["x509.subject: C=US, ST=WA, O=a", "x509.subject: C=US, ST=WA, O=a, OU=b"]);
    refused(with("trustedIdentities", overlap), &["trustedIdentities[1]", "overlaps"]);
    assert!(with("trustStores", json!(["ca:a", "ca:a", "tsa:b", "signingAuthority:c"])).is_ok());
}

#[test]
fn the_file_for_artifacts_goes_before_the_older_one() {
    let dir = tempfile::tempdir().unwrap();
    let error = TrustPolicy::read(dir.path()).unwrap_err();
    assert!(error.message.contains("trustpolicy.oci.json"), "{error}");
    fs::write(dir.path().join("trustpolicy.json"), document(&[statement("old", &["*"])]).to_string())
        .unwrap();
    let name = || {
        let policy = TrustPolicy::read(dir.path()).unwrap();
        policy.statement(&Repository::parse("acme.io/a").unwrap()).unwrap().name.clone()
    };
    assert_eq!(name(), "old");
    fs::write(dir.path().join("trustpolicy.oci.json"), document(&[statement("new", &["*"])]).to_string())
        .unwrap();
    assert_eq!(name(), "new");
    fs::write(dir.path().join("trustpolicy.oci.json"), "{").unwrap();
    let error = TrustPolicy::read(dir.path()).unwrap_err();
    assert!(error.message.contains("trustpolicy.oci.json: "), "{error}");
}

#[test]
fn a_broken_store_is_a_broken_policy() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("truststore/x509/ca/acme");
    fs::create_dir_all(&store).unwrap();
    fs::write(store.join("root.pem"), "no certificate").unwrap();
    fs::write(dir.path().join("trustpolicy.json"), document(&[statement("p", &["*"])]).to_string()).unwrap();
    let error = TrustPolicy::read(dir.path()).unwrap_err().message;
    for part in ["trustpolicy.json", "statement \"p\"", "trustStores[0]", "root.pem"] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn empty_lists_may_be_null_as_go_writes_them() {
    let skip = json!({
        "name": "p",
        "registryScopes": ["acme.io/a"],
        "signatureVerification": { "level": "skip", "override": null, "verifyTimestamp": null },
        "trustStores": null,
        "trustedIdentities": null,
    });
    assert!(parse(&document(&[skip])).is_ok());
    let with_null = |field: &str| {
        let mut one = statement("p", &["acme.io/a"]);
        one[field] = Value::Null;
        parse(&document(&[one]))
    };
    refused(with_null("trustStores"), &["statement \"p\"", "trustPolicies[0].trustStores"]);
    refused(with_null("trustedIdentities"), &["statement \"p\"", "trustPolicies[0].trustedIdentities"]);
    refused(with_null("registryScopes"), &["statement \"p\"", "trustPolicies[0].registryScopes"]);
}

#[test]
fn fields_in_another_case_are_refused_for_notation_reads_them() {
    for (field, meant) in [
        ("TrustStores", "trustStores"),
        ("trustedidentities", "trustedIdentities"),
        ("trust\u{17f}tores", "trustStores"),
        ("signatureVerification.Override", "override"),
        ("signatureVerification.verifytimestamp", "verifyTimestamp"),
    ] {
        refused(with(field, json!({})), &["trustPolicies[0]", "is written", meant]);
    }
    let mut other = document(&[statement("p", &["*"])]);
    other["Version"] = "1.0".into();
    refused(parse(&other), &["Version: is written \"version\""]);
}

#[test]
fn values_of_another_kind_are_named() {
    refused(with("name", json!(1)), &["trustPolicies[0].name", "string"]);
    refused(with("registryScopes", json!("*")), &["statement \"p\"", "registryScopes", "sequence"]);
    refused(with("trustStores", json!([1])), &["trustPolicies[0].trustStores"]);
    refused(with("signatureVerification", json!("strict")), &["signatureVerification", "object"]);
    refused(with("signatureVerification", json!({"level": "strict", "override": []})), &["override", "map"]);
    refused(parse(&json!({"version": "1.0", "trustPolicies": [1]})), &["trustPolicies[0]", "object"]);
    refused(parse(&json!([])), &["the file", "object"]);
}

#[test]
fn identities_for_plugins_are_kept_and_match_nobody() {
    let arn = "arn:aws:signer:us-west-2:111122223333:/signing-profiles/prod";
    let policy = with("trustedIdentities", json!([arn])).unwrap();
    let checks = policy.statements[0].1.checks.as_ref().unwrap();
    assert_eq!(checks.identities.others(), [arn]);
    assert_eq!(checks.identities.to_string(), arn);
    let root = include_bytes!("../../../../tests/fixtures/notation/pki/root.pem");
    let subject = crate::x509::Certificate::all_from(root).unwrap().remove(0);
    assert!(!checks.identities.admit(subject.subject()));
    for slip in ["x509.Subject: C=US, ST=WA, O=a", "X509.subject:C=US", "x509: C=US", "acme", ""] {
        refused(with("trustedIdentities", json!([slip])), &["trustedIdentities[0]"]);
    }
}

#[test]
fn a_statement_without_a_store_of_signers_is_read_and_trusts_nobody() {
    let policy = with("trustStores", json!(["tsa:acme"])).unwrap();
    let checks = policy.statements[0].1.checks.as_ref().unwrap();
    assert_eq!(checks.stores_of(crate::trust::store::Kind::Ca).count(), 0);
    assert_eq!(checks.stores_of(crate::trust::store::Kind::SigningAuthority).count(), 0);
}

#[test]
fn stores_are_named_by_known_types_and_plain_names() {
    for (bad, why) in [
        ("acme", "TYPE:NAME"),
        ("CA:acme", "ca, signingAuthority, tsa"),
        ("intermediate:acme", "ca, signingAuthority, tsa"),
        ("ca:", "letters"),
        ("ca:..", "letters"),
        ("ca:a/b", "letters"),
        ("ca:a b", "letters"),
        ("ca:a:b", "letters"),
    ] {
        refused(with("trustStores", json!([bad])), &["statement \"p\"", "trustStores[0]", why]);
    }
    assert!(with("trustStores", json!(["ca:a_b.c-d", "signingAuthority:X", "tsa:1"])).is_ok());
}

/// The specification's own examples, comments taken out.
#[test]
fn the_specifications_policy_is_read() {
    let ours = ["ca:acme-rockets", "ca:acme-rockets-ca2", "tsa:trusted-tsa"];
    let subject = "x509.subject: C=US, ST=WA, L=Seattle, O=acme-rockets.io, OU=Finance, CN=SecureBuilder";
    let policy = parse(&document(&[
        json!({
            "name": "wabbit-networks-images",
            "registryScopes": [
                "registry.acme-rockets.io/software/net-monitor",
                "registry.acme-rockets.io/software/net-logger",
            ],
            "signatureVerification": { "level": "strict" },
            "trustStores": ["ca:wabbit-networks"],
            "trustedIdentities": [
                "x509.subject: C=US, ST=WA, L=Seattle, O=wabbit-networks.io, OU=Security Tools",
            ],
        }),
        json!({
            "name": "unsigned-image",
            "registryScopes": ["registry.wabbit-networks.io/software/unsigned/net-utils"],
            "signatureVerification": { "level": "skip" },
        }),
        json!({
            "name": "use-expired-image",
            "registryScopes": ["registry.acme-rockets.io/software/legacy/metrics"],
            "signatureVerification": {
                "level": "strict",
                "override": { "expiry": "log", "revocation": "skip" },
            },
            "trustStores": ["ca:acme-rockets"],
            "trustedIdentities": ["*"],
        }),
        json!({
            "name": "global-policy-for-all-other-images",
            "registryScopes": ["*"],
            "signatureVerification": { "level": "audit", "verifyTimestamp": "afterCertExpiry" },
            "trustStores": ours,
            "trustedIdentities": [subject],
        }),
    ]))
    .unwrap();
    let statement =
        |repository: &str| &policy.statement(&Repository::parse(repository).unwrap()).unwrap().name;
    assert_eq!(statement("registry.acme-rockets.io/software/net-logger"), "wabbit-networks-images");
    assert_eq!(statement("registry.wabbit-networks.io/software/unsigned/net-utils"), "unsigned-image");
    assert_eq!(statement("registry.acme-rockets.io/software/other"), "global-policy-for-all-other-images");
}
