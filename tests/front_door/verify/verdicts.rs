//! Every recorded verdict of the notation CLI, by exit code, and what is said about it.

use super::run::{Folder, Outcome, case, cases, layout};

#[test]
fn exit_codes_are_notations_own() {
    let mut runs = 0;
    for case in cases() {
        for (at, verdict) in case.verify.iter().enumerate() {
            let arguments: Vec<&str> = verdict.args.iter().map(String::as_str).collect();
            let outcome = Folder::of(verdict).verify(&layout(&case), &arguments);
            assert_eq!(outcome.code, Some(verdict.rc), "{} {at}: {outcome:?}", case.case);
            // Results to standard output, failures to standard error.
            assert_eq!(outcome.out.is_empty(), verdict.rc != 0, "{} {at}: {outcome:?}", case.case);
            runs += 1;
        }
    }
    assert!(runs >= 34, "{runs}");
}

fn verify(name: &str, folder: &Folder, arguments: &[&str]) -> Outcome {
    folder.verify(&layout(&case(name)), arguments)
}

#[test]
fn a_verified_signature_is_named_with_the_statement_that_it_satisfies() {
    let outcome = verify("alg-p256-jws", &Folder::with(|_| {}), &[]);
    let signature = "sha256:42f4f39b9d610de665e51dc10be3e267129fd834c87f1dd40257013cb67ea1ab";
    for part in [
        signature,
        "application/jose+json",
        "statement \"all\"",
        "trustpolicy.oci.json",
        "level strict",
        "O=acme",
    ] {
        assert!(outcome.out.contains(part), "{part}: {outcome:?}");
    }
}

#[test]
fn the_json_object_names_the_statement_too() {
    let folder =
        Folder::with(|s| s["signatureVerification"]["override"] = serde_json::json!({"expiry": "log"}));
    let outcome = verify("alg-p256-cose", &folder, &["--output", "json"]);
    let report: serde_json::Value = serde_json::from_str(&outcome.out).unwrap();
    assert_eq!(report["outcome"], "allow", "{report}");
    assert_eq!(report["signatures"][0]["result"], "trusted", "{report}");
    assert_eq!(report["trust_policy"]["statement"], "all", "{report}");
    assert_eq!(report["trust_policy"]["level"], "strict with expiry: log", "{report}");
    let file = report["trust_policy"]["file"].as_str().unwrap();
    assert!(file.ends_with("trustpolicy.oci.json"), "{report}");

    let denied = verify("unsigned", &folder, &["--output", "json"]);
    let report: serde_json::Value = serde_json::from_str(&denied.out).unwrap();
    assert_eq!((denied.code, &report["outcome"]), (Some(1), &"deny".into()), "{report}");
    assert_eq!(report["reasons"][0]["code"], "unsigned", "{report}");
}

#[test]
fn a_refusal_names_every_signature_and_its_reason() {
    let folder = Folder::with(|s| s["trustedIdentities"] = "x509.subject: C=US, ST=WA, O=evil".into_list());
    let outcome = verify("alg-p256-jws", &folder, &[]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    for part in ["is not verified by", "statement \"all\"", "42f4f39b9d61", "O=acme", "O=evil"] {
        assert!(outcome.err.contains(part), "{part}: {outcome:?}");
    }
}

#[test]
fn what_no_statement_covers_is_not_verified() {
    let folder = Folder::with(|s| s["registryScopes"] = "acme.test/other".into_list());
    let outcome = verify("alg-p256-jws", &folder, &[]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.err.contains("registryScopes"), "{outcome:?}");
}

#[test]
fn a_policy_that_skips_verification_says_so() {
    let folder = Folder::with(|s| {
        *s = serde_json::json!({
            "name": "unchecked",
            "registryScopes": [super::run::SCOPE],
            "signatureVerification": {"level": "skip"},
        });
    });
    let outcome = verify("unsigned", &folder, &[]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    for part in ["not verified", "statement \"unchecked\"", "level skip"] {
        assert!(outcome.out.contains(part), "{part}: {outcome:?}");
    }
}

#[test]
fn a_broken_policy_exits_1_and_names_file_statement_and_field() {
    let folder = Folder::with(|s| s["trustStores"] = "ca".into_list());
    let outcome = verify("alg-p256-jws", &folder, &[]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    for part in ["trustpolicy.oci.json", "statement \"all\"", "trustStores[0]"] {
        assert!(outcome.err.contains(part), "{part}: {outcome:?}");
    }
    folder.write("trustpolicy.oci.json", "{");
    assert_eq!(verify("alg-p256-jws", &folder, &[]).code, Some(1));
    std::fs::remove_file(folder.0.path().join("trustpolicy.oci.json")).unwrap();
    let outcome = verify("alg-p256-jws", &folder, &[]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.err.contains("trustpolicy.json"), "{outcome:?}");
}

trait IntoList {
    fn into_list(self) -> serde_json::Value;
}

impl IntoList for &str {
    fn into_list(self) -> serde_json::Value {
        serde_json::json!([self])
    }
}
