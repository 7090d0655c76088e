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
    TrustPolicy::parse("trustpolicy.json", document.to_string().as_bytes(), Path::new("/nowhere"))
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
    refused(TrustPolicy::parse("p", twice.as_bytes(), Path::new("/nowhere")), &["\"version\"", "twice"]);
    let more = document(&[statement("p", &["*"])]).to_string() + "{}";
    assert!(TrustPolicy::parse("p", more.as_bytes(), Path::new("/nowhere")).is_err());
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
    refused(with(VERIFICATION, Value::Null), &["signatureVerification.level"]);
    refused(verification(json!({ "level": "Strict" })), &["signatureVerification.level", "`Strict`"]);
    let overridden = |validation: &str, action: &str| {
        verification(json!({ "level": "strict", "override": { validation: action } }))
    };
    assert!(overridden("revocation", "skip").is_ok());
    assert!(overridden("authenticity", "log").is_ok());
    refused(overridden("integrity", "log"), &["signatureVerification.override.integrity"]);
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
