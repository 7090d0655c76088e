//! Attestations under policies that ask for them, and under those that do not.

use serde_json::{Value, json};

use super::*;
use crate::signature::Step;

const SLSA: &str = "https://slsa.dev/provenance/v1";
const VULN: &str = "https://cosign.sigstore.dev/attestation/vuln/v1";
const BY_A: &str = r#""require":{"attested":{"by":"a","predicate_type":"slsaprovenance1","where":"predicate.id == 'good'"}}"#;

fn attestation(signer: &str, key: u8, kind: &str, predicate: Value) -> Evidence {
    proof(signer, key).attesting(kind, predicate)
}

fn good(signer: &str, key: u8) -> Evidence {
    attestation(signer, key, SLSA, json!({ "id": "good" }))
}

#[track_caller]
fn denied(case: &Case, code: Code) -> String {
    let decision = case.decide();
    assert_eq!(decision.verdict(), Verdict::Deny);
    assert_eq!(decision.signatures()[0].code, code);
    assert_eq!(decision.signatures()[0].result, Belief::Rejected);
    decision.message()
}

#[test]
fn one_attestation_must_meet_all_that_is_asked() {
    assert_eq!(Case::new(BY_A).found(good("a", 1)).verdict(), (Verdict::Allow, true, Code::Satisfied));
    let bad = attestation("a", 1, SLSA, json!({ "id": "bad" }));
    denied(&Case::new(BY_A).found(bad.clone()), Code::ConditionNotMet);
    let other = attestation("a", 1, VULN, json!({ "id": "good" }));
    denied(&Case::new(BY_A).found(other.clone()), Code::PredicateTypeMismatch);
    // Signer, type and condition are each met by one of these, and none meets all.
    let pieces = Case::new(BY_A).found(bad).found(other).found(good("b", 2));
    assert_eq!(pieces.verdict(), (Verdict::Deny, false, Code::NoTrustedSignature));
}

#[test]
fn an_attestation_satisfies_no_signer() {
    let case = Case::new(r#""require":"a""#).found(good("a", 1));
    let message = denied(&case, Code::AttestationOnly);
    assert!(message.contains("an attestation is none"), "{message}");
    for require in [r#"{"any":["a","b"]}"#, r#"{"all":["a"]}"#, r#"{"at_least":{"count":1,"of":["a"]}}"#] {
        denied(&Case::new(&format!(r#""require":{require}"#)).found(good("a", 1)), Code::AttestationOnly);
    }
    let both =
        Case::new(r#""require":{"all":["a",{"attested":{"by":"a","predicate_type":"slsaprovenance1"}}]}"#);
    let attested = both.found(good("a", 1));
    assert_eq!(attested.verdict(), (Verdict::Deny, false, Code::Incomplete));
    assert_eq!(attested.found(proof("a", 1)).verdict(), (Verdict::Allow, true, Code::Satisfied));
}

#[test]
fn a_signature_is_no_attestation() {
    let message = denied(&Case::new(BY_A).found(proof("a", 1)), Code::SignatureOnly);
    assert!(message.contains("the policy asks a for an attestation"), "{message}");
    assert!(message.contains("no attestation of a trusted signer found"), "{message}");
}

#[test]
fn a_condition_that_cannot_be_evaluated_is_not_met_and_says_why() {
    let absent = attestation("a", 1, SLSA, json!({ "builder": 1 }));
    let message = denied(&Case::new(BY_A).found(absent), Code::ConditionNotMet);
    assert!(message.contains("could not be evaluated: there is no id (predicate.id == 'good')"), "{message}");
    let endless = BY_A.replace("predicate.id == 'good'", "predicate.all(x, predicate.all(y, true)) || true");
    let long = attestation("a", 1, SLSA, json!(vec![0; 2000]));
    let message = denied(&Case::new(&endless).found(long), Code::ConditionNotMet);
    assert!(message.contains("it takes more than 1000000 steps"), "{message}");
}

#[test]
fn a_refusal_tells_what_is_needed_and_what_was_found() {
    let vuln = |key| attestation("a", key, VULN, json!({}));
    let message = Case::new(BY_A).found(vuln(1)).found(vuln(1)).decide().message();
    assert!(
        message.contains(&format!(
            "2 found, attestation {VULN} by a is of another predicate type than {SLSA}; needs attestation {SLSA} by a \
             where (predicate.id == 'good'); found 2 of predicate type {VULN}"
        )),
        "{message}"
    );
    let none = Case::new(BY_A).decide();
    assert_eq!(none.reasons()[0].code, Code::Unsigned);
    assert!(none.message().contains(&format!("needs attestation {SLSA} by a where")), "{}", none.message());
    let two = r#""require":{"all":[{"attested":{"by":"a","predicate_type":"slsaprovenance1"}},{"attested":{"by":"b","predicate_type":"vuln"}}]}"#;
    let message = Case::new(two).found(good("a", 1)).decide().message();
    assert!(
        message.contains(&format!("1 found, a vouched, needs all of (attestation {SLSA} by a, ")),
        "{message}"
    );
    assert!(message.contains(&format!("); found 1 of predicate type {SLSA}")), "{message}");
}

#[test]
fn reports_name_the_type_and_the_way() {
    let digest = Digest::sha256(b"statement");
    let evidence = good("a", 1).reached_by(vec![Step { what: "statement", digest }]);
    let decision = Case::new(BY_A).found(evidence).decide();
    let report = serde_json::to_value(decision.report("x")).unwrap();
    assert_eq!(report["signatures"][0]["predicate_type"], SLSA);
    assert_eq!(
        report["signatures"][0]["chain"],
        json!([{ "what": "statement", "digest": digest.to_string() }])
    );
    assert_eq!(report["signatures"][0]["message"], "proven, attested by a");
    let plain = Case::new(r#""require":"a""#).found(proof("a", 1)).decide().report("x");
    let plain = serde_json::to_value(plain).unwrap();
    assert!(
        plain["signatures"][0].get("predicate_type").is_none()
            && plain["signatures"][0].get("chain").is_none()
    );
}

#[test]
fn conditions_are_evaluated_once_and_statements_let_go() {
    let case = Case::new(BY_A).found(good("a", 1));
    let judged = &case.findings.signatures[0];
    assert!(judged.is_attestation());
    let attestation = judged.results[0].1.as_ref().unwrap().attestation().unwrap();
    assert_eq!((attestation.predicate_type(), attestation.statement()), (SLSA, &Value::Null));
    assert_eq!(case.verdict().0, Verdict::Allow, "without the statement");
    // What was judged for another condition counts for none.
    let mut edited = Case::new(&BY_A.replace("good", "bad"));
    edited.findings = case.findings;
    assert_eq!(edited.verdict().0, Verdict::Deny);
}

#[test]
fn an_attestation_of_another_subject_or_that_ended_does_not_count() {
    let elsewhere =
        Evidence::made_up("a", &Digest::sha256(b"other"), 1).attesting(SLSA, json!({ "id": "good" }));
    denied(&Case::new(BY_A).found(elsewhere), Code::DigestMismatch);
    denied(&Case::new(BY_A).found(good("a", 1).ending(now())), Code::SignatureExpired);
}

#[test]
fn editing_a_condition_or_a_type_makes_decisions_stale() {
    let revision = |policy: &str| Case::new(policy).decide().revision();
    assert_eq!(revision(BY_A), revision(BY_A));
    assert_ne!(revision(BY_A), revision(&BY_A.replace("good", "goof")));
    assert_ne!(revision(BY_A), revision(&BY_A.replace("slsaprovenance1", "slsaprovenance02")));
    assert_ne!(revision(BY_A), revision(&BY_A.replace(r#""by":"a""#, r#""by":"b""#)));
}
