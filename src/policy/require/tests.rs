use super::*;

fn read(json: &str) -> Result<Require, String> {
    serde_json::from_str(json).map_err(|e| e.to_string())
}

fn check(json: &str) -> SettingError {
    let known = |name: &SignerName| if &*name.0 == "x" { Err("unknown".to_owned()) } else { Ok(()) };
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
    assert!(tree.check(&|_| Ok(())).is_ok());
}

#[test]
fn what_is_no_tree_says_why() {
    for (json, word) in [
        (r#"{"attested":{"by":"a"}}"#, "not verified by this version"),
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
    assert!(read(&nested(MAX_DEPTH)).unwrap().check(&|_| Ok(())).is_ok());
    assert!(check(&nested(MAX_DEPTH + 1)).message.contains("deep"));
}
