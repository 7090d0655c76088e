//! The trust policies that both tools are asked about.

use serde_json::{Value, json};

use super::tool::{policy, simple};

/// A trust policy by name.
pub struct Policy {
    pub name: String,
    pub text: String,
}

fn named(name: impl Into<String>, text: impl Into<String>) -> Policy {
    Policy { name: name.into(), text: text.into() }
}

fn with(name: &str, change: impl FnOnce(&mut Value)) -> Policy {
    named(name, policy(change))
}

/// Policies that the specification allows, which differ in stores, identities and scopes. `registry` is the
/// upstream's, in whose repositories `notary/…` the images are.
pub fn others(registry: &str) -> Vec<Policy> {
    stores().into_iter().chain(identities()).chain(scopes(registry)).collect()
}

/// Policies that the specification allows, which differ in levels and timestamps.
pub fn levels() -> Vec<Policy> {
    let mut all = Vec::new();
    for level in ["strict", "permissive", "audit"] {
        all.push(named(level, simple(json!({ "level": level }), &["ca:acme"])));
    }
    for (level, change) in [
        ("strict", json!({})),
        ("strict", json!({ "expiry": "log" })),
        ("strict", json!({ "authenticTimestamp": "log" })),
        ("strict", json!({ "authenticity": "log" })),
        ("strict", json!({ "revocation": "skip" })),
        (
            "strict",
            json!({ "revocation": "log", "expiry": "log", "authenticTimestamp": "log", "authenticity": "log" }),
        ),
        ("permissive", json!({ "expiry": "enforce" })),
        ("permissive", json!({ "authenticTimestamp": "enforce", "revocation": "skip" })),
        ("permissive", json!({ "authenticity": "log" })),
        ("audit", json!({ "authenticity": "enforce" })),
        (
            "audit",
            json!({ "authenticity": "enforce", "expiry": "enforce", "authenticTimestamp": "enforce", "revocation": "enforce" }),
        ),
        ("audit", json!({ "expiry": "enforce" })),
    ] {
        let name = format!("{level} but {change}");
        all.push(named(name, simple(json!({ "level": level, "override": change }), &["ca:acme"])));
    }
    for (level, option) in [
        ("strict", "always"),
        ("strict", "afterCertExpiry"),
        ("permissive", "always"),
        ("audit", "afterCertExpiry"),
    ] {
        for stores in [&["ca:acme", "tsa:acme"][..], &["ca:acme", "tsa:other"], &["ca:acme"]] {
            let verification = json!({ "level": level, "verifyTimestamp": option });
            all.push(named(format!("{level}, timestamp {option}, {stores:?}"), simple(verification, stores)));
        }
    }
    all
}

fn stores() -> Vec<Policy> {
    [
        &["ca:other"][..],
        &["ca:acme", "ca:other"],
        &["ca:acme", "ca:acme"],
        &["ca:middle"],
        &["ca:self-signed"],
        &["signingAuthority:acme"],
        &["ca:acme", "signingAuthority:acme"],
        &["tsa:acme"],
        &["ca:absent"],
        &["ca:empty"],
    ]
    .into_iter()
    .map(|stores| named(format!("stores {stores:?}"), simple(json!({ "level": "strict" }), stores)))
    .collect()
}

fn identities() -> Vec<Policy> {
    [
        &["x509.subject: C=US, ST=WA, O=acme, CN=p256"][..],
        &["x509.subject: C=US, ST=WA, O=acme"],
        &["x509.subject: CN=p256,O=acme,ST=WA,C=US"],
        &["x509.subject:C=US,ST=WA,O=acme"],
        &["x509.subject: C=US, ST=WA, O=ACME"],
        &["x509.subject: C=US, ST=WA, O=acme, OU=security"],
        &["x509.subject: C=US, S=WA, O=acme"],
        &["x509.subject: C=US, ST=WA, O=\\61cme"],
        &["x509.subject: C=US, ST=WA, O=acme, CN=nobody", "x509.subject: C=US, ST=WA, O=acme, CN=rsa2048"],
        &["x509.subject: C=US, ST=WA, L=Seattle, O=Notary, CN=acme-rockets.io"],
    ]
    .into_iter()
    .map(|identities| {
        with(&format!("identities {identities:?}"), |s| s["trustedIdentities"] = json!(identities))
    })
    .collect()
}

fn scopes(registry: &str) -> Vec<Policy> {
    let one = |scopes: &[&str]| {
        let scopes: Vec<_> = scopes.iter().map(|s| s.replace("REGISTRY", registry)).collect();
        with(&format!("scopes {scopes:?}"), |s| s["registryScopes"] = json!(scopes))
    };
    let statement = |name: &str, scope: &str, store: &str, level: &str| {
        json!({
            "name": name, "registryScopes": [scope.replace("REGISTRY", registry)],
            "signatureVerification": { "level": level }, "trustStores": [store], "trustedIdentities": ["*"],
        })
    };
    let several = |name: &str, statements: &[Value]| {
        named(name, json!({ "version": "1.0", "trustPolicies": statements }).to_string())
    };
    let skip = |scope: &str| {
        json!({
            "name": "skipped", "registryScopes": [scope.replace("REGISTRY", registry)],
            "signatureVerification": { "level": "skip" },
        })
    };
    vec![
        one(&["REGISTRY/notary/p256-jws"]),
        one(&["REGISTRY/notary/rsa2048-cose", "REGISTRY/notary/unsigned"]),
        one(&["registry.example/notary/p256-jws"]),
        one(&["REGISTRY/notary"]),
        several(
            "an exact scope before all others",
            &[
                statement("all", "*", "ca:acme", "strict"),
                statement("one", "REGISTRY/notary/p256-jws", "ca:other", "strict"),
            ],
        ),
        several(
            "a laxer exact scope",
            &[
                statement("all", "*", "ca:other", "strict"),
                statement("one", "REGISTRY/notary/expired", "ca:acme", "permissive"),
            ],
        ),
        several(
            "one is skipped",
            &[statement("all", "*", "ca:acme", "strict"), skip("REGISTRY/notary/unsigned")],
        ),
        several("only one, skipped", &[skip("REGISTRY/notary/unsigned")]),
    ]
}

/// Policies that break a rule of the specification: nothing may be accepted by them.
pub fn broken() -> Vec<Policy> {
    let verification =
        |v: Value| with(&format!("verification {v}"), |s| s["signatureVerification"] = v.clone());
    let mut all: Vec<_> = [
        json!({}),
        json!({ "level": "" }),
        json!({ "level": "Strict" }),
        json!({ "level": "custom" }),
        json!({ "level": "skip" }),
        json!({ "level": "strict", "override": { "integrity": "log" } }),
        json!({ "level": "strict", "override": { "expiry": "skip" } }),
        json!({ "level": "strict", "override": { "authenticity": "skip" } }),
        json!({ "level": "strict", "override": { "authenticTimestamp": "skip" } }),
        json!({ "level": "strict", "override": { "expiry": "warn" } }),
        json!({ "level": "strict", "override": { "everything": "log" } }),
        json!({ "level": "strict", "verifyTimestamp": "never" }),
        json!("strict"),
    ]
    .into_iter()
    .map(verification)
    .collect();
    for (field, value) in [
        ("name", json!("")),
        ("name", Value::Null),
        ("registryScopes", json!([])),
        ("registryScopes", Value::Null),
        ("registryScopes", json!(["*", "registry.example/a"])),
        ("registryScopes", json!(["registry.example"])),
        ("registryScopes", json!(["registry.example/a:v1"])),
        ("registryScopes", json!(["https://registry.example/a"])),
        ("registryScopes", json!(["registry.example/A"])),
        ("registryScopes", json!(["registry.example/a", "registry.example/a"])),
        ("registryScopes", json!([""])),
        ("registryScopes", json!("*")),
        ("trustStores", json!([])),
        ("trustStores", Value::Null),
        ("trustStores", json!(["acme"])),
        ("trustStores", json!(["x:acme"])),
        ("trustStores", json!(["ca:"])),
        ("trustStores", json!(["ca:a/b"])),
        ("trustStores", json!(["ca:../ca/acme"])),
        ("trustedIdentities", json!([])),
        ("trustedIdentities", Value::Null),
        ("trustedIdentities", json!([""])),
        ("trustedIdentities", json!(["*", "x509.subject: C=US, ST=WA, O=acme"])),
        ("trustedIdentities", json!(["C=US, ST=WA, O=acme"])),
        ("trustedIdentities", json!(["x509.subject:"])),
        ("trustedIdentities", json!(["x509.subject: C=US, O=acme"])),
        ("trustedIdentities", json!(["x509.subject: C=US, ST=WA"])),
        ("trustedIdentities", json!(["x509.subject: ST=WA, O=acme"])),
        ("trustedIdentities", json!(["x509.subject: C=US, C=DE, ST=WA, O=acme"])),
        ("trustedIdentities", json!(["x509.subject: C=US, ST=WA, O=acme, =x"])),
        (
            "trustedIdentities",
            json!(["x509.subject: C=US, ST=WA, O=acme", "x509.subject: C=US, ST=WA, O=acme, CN=p256"]),
        ),
        (
            "trustedIdentities",
            json!(["x509.subject: C=US, ST=WA, O=acme", "x509.subject: C=US, ST=WA, O=acme"]),
        ),
    ] {
        all.push(with(&format!("{field} {value}"), |s| s[field] = value.clone()));
    }
    let good: Value = serde_json::from_str(&policy(|_| ())).unwrap();
    let statement = &good["trustPolicies"][0];
    for (name, document) in [
        ("no version", json!({ "trustPolicies": [statement] })),
        ("version 2.0", json!({ "version": "2.0", "trustPolicies": [statement] })),
        ("no statements", json!({ "version": "1.0", "trustPolicies": [] })),
        ("nothing", json!({})),
        ("a name twice, a scope twice", json!({ "version": "1.0", "trustPolicies": [statement, statement] })),
        ("a list", json!([statement])),
    ] {
        all.push(named(name, document.to_string()));
    }
    let mut second = statement.clone();
    second["name"] = json!("q");
    all.push(named(
        "two for all",
        json!({ "version": "1.0", "trustPolicies": [statement, second] }).to_string(),
    ));
    all.push(named("empty", ""));
    all.push(named("half", &policy(|_| ())[..40]));
    all
}

/// Policies that the two tools take differently, and why ours takes them as it does.
pub fn differing(registry: &str) -> Vec<(Policy, Expected, &'static str)> {
    use Expected::{OnlyOurs, OnlyTheirs};
    let text = policy(|_| ());
    vec![
        (
            with("skip for all", |s| {
                *s = json!({ "name": "p", "registryScopes": ["*"], "signatureVerification": { "level": "skip" } });
            }),
            OnlyTheirs,
            "`skip` cannot be used with a global scope (*)",
        ),
        (
            with("identities that one subject could match both", |s| {
                s["trustedIdentities"] = json!([
                    "x509.subject: C=US, ST=WA, O=acme, CN=p256",
                    "x509.subject: C=US, ST=WA, O=acme, OU=x"
                ]);
            }),
            OnlyTheirs,
            "error if there exists a certificate for which multiple DNs evaluate true",
        ),
        (named("bytes after the document", format!("{text} x")), OnlyTheirs, "the document is not JSON"),
        (
            named("a key twice", text.replace(r#""version""#, r#""version":"0.9","version""#)),
            OnlyTheirs,
            "one of the two would silently not count",
        ),
        (
            named("a key in another case", text.replace("trustStores", "TrustStores")),
            OnlyTheirs,
            "trustStores is required, and names are compared exactly",
        ),
        (
            with("an identity of another kind", |s| {
                s["trustedIdentities"] = json!(["x509.subject: C=US, ST=WA, O=acme", "x509.other: x"]);
            }),
            OnlyTheirs,
            "no plugin is there to honour it",
        ),
        (
            with("a wildcard scope", |s| s["registryScopes"] = json!([format!("{registry}/notary/*")])),
            OnlyOurs,
            "our extension: what lies one segment below",
        ),
        (
            with("attribute types in lower case", |s| {
                s["trustedIdentities"] = json!(["x509.subject: c=US, st=WA, o=acme"]);
            }),
            OnlyOurs,
            "RFC 4514 compares them without case",
        ),
    ]
}

/// Who accepts a signature that nothing is wrong with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Expected {
    OnlyOurs,
    OnlyTheirs,
}
