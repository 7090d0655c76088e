use super::*;
use crate::policy::PredicateType;

fn read(json: &str) -> Result<Require, String> {
    serde_json::from_str(json).map_err(|e| e.to_string())
}

fn check(json: &str) -> SettingError {
    let known = |name: &SignerName, _| if &*name.0 == "x" { Err("unknown".to_owned()) } else { Ok(()) };
    read(json).unwrap().check(&known).unwrap_err()
}

#[test]
fn a_tree_is_read_in_all_its_shapes() {
    assert_eq!(read(r#""a""#).unwrap().to_string(), "a");
    let tree =
        read(r#"{"all":["a",{"any":["b","c"]},{"at_least":{"count":2,"of":["d","e","f"]}}]}"#).unwrap();
    assert_eq!(tree.to_string(), "all of (a, any of (b, c), at least 2 of (d, e, f))");
    assert_eq!(tree.signers().len(), 6);
    assert_eq!(tree.sole(), None);
    assert!(tree.check(&|_, _| Ok(())).is_ok());
}

#[test]
fn what_is_no_tree_says_why() {
    for (json, word) in [
        (r#"{"attested":{"by":"a"}}"#, "missing field `predicate_type`"),
        (r#"{"attested":{"predicate_type":"vuln"}}"#, "missing field `by`"),
        (r#"{"attested":{"by":"a","predicate_type":"vuln","when":"true"}}"#, "unknown field `when`"),
        (r#"{"attested":{"by":"a","predicate_type":"vuln","where":null}}"#, "invalid type: null"),
        (r#"{"attested":{"by":"a","predicate_type":"slsa"}}"#, "found \"slsa\""),
        (r#"{"attested":{"by":"a","predicate_type":"https://a b"}}"#, "expected a predicate type"),
        (r#"{"attested":{"by":"a","predicate_type":""}}"#, "expected a predicate type"),
        (r#"{"attested":{"by":"a","predicate_type":"vuln"},"any":["b"]}"#, "side by side"),
        (r#"{"all":["a"],"any":["b"]}"#, "side by side"),
        (r#"{"none":["a"]}"#, "unknown field `none`"),
        ("{}", "expected one of all"),
        (r#"["a"]"#, "a signer's name"),
        (r#"{"at_least":{"count":1}}"#, "missing field `of`"),
        (r#"{"at_least":{"count":1,"of":["a"],"or":1}}"#, "unknown field `or`"),
    ] {
        let message = read(json).unwrap_err();
        assert!(message.contains(word), "{json}: {message}");
    }
}

#[test]
fn faults_name_their_keys() {
    assert_eq!(check(r#"{"all":[]}"#).path, ["all"]);
    assert_eq!(check(r#"{"any":[]}"#).path, ["any"]);
    assert_eq!(check(r#"{"at_least":{"count":1,"of":[]}}"#).path, ["at_least", "of"]);
    assert_eq!(check(r#"{"at_least":{"count":0,"of":["a"]}}"#).path, ["at_least", "count"]);
    assert_eq!(check(r#"{"at_least":{"count":3,"of":["a","b"]}}"#).path, ["at_least", "count"]);
    assert_eq!(check(r#"{"at_least":{"count":1,"of":["a","a"]}}"#).path, ["at_least", "of"]);
    assert_eq!(check(r#"{"all":["a",{"any":["b","x"]}]}"#).path, ["all", "1", "any", "1"]);
    assert_eq!(
        check(r#"{"at_least":{"count":1,"of":["a",{"all":["x"]}]}}"#).path,
        ["at_least", "of", "1", "all", "0"]
    );
    assert!(check(r#""x""#).path.is_empty());
}

#[test]
fn a_tree_is_not_deeper_than_the_bound() {
    let nested = |depth: usize| format!("{}\"a\"{}", "{\"all\":[".repeat(depth), "]}".repeat(depth));
    assert!(read(&nested(MAX_DEPTH)).unwrap().check(&|_, _| Ok(())).is_ok());
    assert!(check(&nested(MAX_DEPTH + 1)).message.contains("deep"));
}

const SLSA: &str =
    r#"{"attested":{"by":"b","predicate_type":"slsaprovenance1","where":"predicate.a ==\n 1"}}"#;

#[test]
fn attestations_stand_anywhere_in_a_tree() {
    let tree = read(&format!(r#"{{"all":["a",{SLSA},{{"any":[{SLSA},"c"]}}]}}"#)).unwrap();
    assert_eq!(
        tree.to_string(),
        "all of (a, attestation https://slsa.dev/provenance/v1 by b where (predicate.a == 1), \
         any of (attestation https://slsa.dev/provenance/v1 by b where (predicate.a == 1), c))"
    );
    assert_eq!(tree.signers().into_iter().map(|name| &*name.0).collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(tree.attested().len(), 2);
    assert!(tree.asks_to_sign(&SignerName("c".into())) && !tree.asks_to_sign(&SignerName("b".into())));
    let alone = read(SLSA).unwrap();
    assert_eq!(alone.sole(), None);
    let asked = std::cell::RefCell::new(Vec::new());
    let known = |name: &SignerName, what| {
        asked.borrow_mut().push((name.to_string(), what));
        Ok(())
    };
    assert!(tree.check(&known).is_ok());
    assert_eq!(
        asked.borrow()[..2],
        [("a".to_owned(), Asked::Signature), ("b".to_owned(), Asked::Attestation)]
    );
}

#[test]
fn faults_of_attestations_name_their_keys() {
    assert_eq!(
        check(r#"{"any":[{"attested":{"by":"x","predicate_type":"vuln"}}]}"#).path,
        ["any", "0", "attested", "by"]
    );
    let fault = check(r#"{"attested":{"by":"a","predicate_type":"vuln","where":"true &&\n predicat.a"}}"#);
    assert_eq!((fault.path.join("."), fault.within), ("attested.where".to_owned(), Some((2, 2))));
    assert!(fault.message.starts_with("nothing is called predicat"), "{fault}");
    assert!(
        check(r#"{"attested":{"by":"a","predicate_type":"vuln","where":""}}"#)
            .message
            .contains("expected a value")
    );
    assert_eq!(
        check(&format!(r#"{{"at_least":{{"count":2,"of":[{SLSA},"a",{SLSA}]}}}}"#)).path,
        ["at_least", "of"],
        "the same attestation twice"
    );
}

#[test]
fn short_names_are_those_of_cosign() {
    let of = |name| PredicateType::parse(name).unwrap().to_string();
    assert_eq!(of("slsaprovenance"), "https://slsa.dev/provenance/v0.2");
    assert_eq!(of("slsaprovenance1"), "https://slsa.dev/provenance/v1");
    assert_eq!(of("spdxjson"), of("spdx"));
    assert_eq!(of("vuln"), "https://cosign.sigstore.dev/attestation/vuln/v1");
    assert_eq!(of("https://example.com/Own/v1"), "https://example.com/Own/v1");
}

#[test]
fn the_examples_of_the_documentation_are_read() {
    #[derive(Deserialize)]
    struct Example {
        policies: Vec<crate::policy::Settings>,
    }
    let page = include_str!("../../../docs/CONFIG.md");
    let section = page.split("### `attested`").nth(1).unwrap();
    let yaml = section.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let example: Example = serde_saphyr::from_str(yaml).unwrap();
    assert_eq!(example.policies.len(), 3);
    for policy in example.policies {
        let require = policy.require.unwrap();
        assert_eq!(require.check(&|_, _| Ok(())), Ok(()), "{}", policy.name);
        assert!(require.attested().iter().all(|attested| attested.condition.is_some()), "{}", policy.name);
    }
}
