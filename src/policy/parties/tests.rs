use proptest::prelude::*;

use super::*;
use crate::oci::Digest;

fn proof(signer: &str, key: u8) -> Evidence {
    Evidence::made_up(signer, &Digest::sha256(b"subject"), key)
}

fn satisfied(require: &str, evidence: &[Evidence]) -> bool {
    let require: Require = serde_json::from_str(require).unwrap();
    let wanted = require.attested();
    let proof = |evidence| Proof { evidence, meets: wanted.clone() };
    Parties::of(&evidence.iter().map(proof).collect::<Vec<_>>()).satisfy(&require)
}

const TWO_OF_THREE: &str = r#"{"at_least":{"count":2,"of":["a","b","c"]}}"#;

#[test]
fn all_and_any_ask_for_signers() {
    let both = [proof("a", 1), proof("b", 2)];
    assert!(satisfied(r#""a""#, &both));
    assert!(!satisfied(r#""c""#, &both));
    assert!(satisfied(r#"{"all":["a","b"]}"#, &both));
    assert!(!satisfied(r#"{"all":["a","c"]}"#, &both));
    assert!(satisfied(r#"{"any":["c","b"]}"#, &both));
    assert!(!satisfied(r#"{"any":["c","d"]}"#, &both));
    assert!(!satisfied(r#"{"any":["a"]}"#, &[]));
}

#[test]
fn a_threshold_counts_a_key_once() {
    assert!(satisfied(TWO_OF_THREE, &[proof("a", 1), proof("b", 2)]));
    assert!(!satisfied(TWO_OF_THREE, &[proof("a", 1), proof("b", 1)]), "one key under two names");
    assert!(!satisfied(TWO_OF_THREE, &[proof("a", 1), proof("a", 2)]), "one signer with two keys");
    // Only one assignment works: a by 1, b by 2, though a could take 2 as well.
    assert!(satisfied(TWO_OF_THREE, &[proof("a", 2), proof("a", 1), proof("b", 2)]));
}

#[test]
fn a_threshold_counts_an_identity_once() {
    let renewed = [proof("a", 1).identified("dev@acme", "ca"), proof("b", 2).identified("dev@acme", "ca")];
    assert!(!satisfied(TWO_OF_THREE, &renewed), "two keys of one identity");
    let others =
        [proof("a", 1).identified("dev@acme", "ca"), proof("b", 2).identified("dev@acme", "other ca")];
    assert!(satisfied(TWO_OF_THREE, &others));
    let linked = [
        proof("a", 1).identified("x", "ca"),
        proof("c", 1).identified("y", "ca"),
        proof("b", 2).identified("y", "ca"),
    ];
    assert!(!satisfied(TWO_OF_THREE, &linked), "1 is y too, and so is 2");
}

#[test]
fn thresholds_hold_trees() {
    let require = r#"{"at_least":{"count":2,"of":[{"all":["a","b"]},{"any":["c","d"]},"e"]}}"#;
    assert!(satisfied(require, &[proof("a", 1), proof("b", 2), proof("d", 3)]));
    assert!(!satisfied(require, &[proof("a", 1), proof("b", 2), proof("d", 2)]), "d's key is used up");
    assert!(!satisfied(require, &[proof("a", 1), proof("d", 3)]), "half of an `all`");
    assert!(satisfied(require, &[proof("c", 1), proof("e", 2)]));
    let nested = r#"{"at_least":{"count":2,"of":["a",{"at_least":{"count":2,"of":["b","c"]}}]}}"#;
    assert!(satisfied(nested, &[proof("a", 1), proof("b", 2), proof("c", 3)]));
    assert!(!satisfied(nested, &[proof("a", 1), proof("b", 2), proof("c", 1)]));
}

#[test]
fn more_parties_than_are_counted_do_no_harm() {
    let mut evidence: Vec<Evidence> = (0..=255).map(|key| proof("a", key)).collect();
    assert!(!satisfied(TWO_OF_THREE, &evidence));
    evidence.insert(0, proof("b", 7));
    assert!(satisfied(TWO_OF_THREE, &evidence));
}

/// Tries every assignment of parties to members.
fn brute_force(count: usize, members: &[Set], used: Set) -> bool {
    if count == 0 {
        return true;
    }
    let Some((first, rest)) = members.split_first() else { return false };
    brute_force(count, rest, used)
        || bits(first & !used).into_iter().any(|party| brute_force(count - 1, rest, used | party))
}

proptest! {
    #[test]
    fn matching_finds_the_largest(members in prop::collection::vec(0u128..64, 0..6)) {
        let most = matching(&members);
        prop_assert!(brute_force(most, &members, 0));
        prop_assert!(!brute_force(most + 1, &members, 0));
    }

    #[test]
    fn members_of_several_parties_are_packed(
        ways in prop::collection::vec(prop::collection::vec(1u128..32, 0..4), 0..5),
        count in 1usize..5,
    ) {
        fn brute(count: usize, ways: &[Vec<Set>], used: Set) -> bool {
            let Some((first, rest)) = ways.split_first() else { return count == 0 };
            count == 0
                || brute(count, rest, used)
                || first.iter().any(|way| way & used == 0 && brute(count - 1, rest, used | way))
        }
        prop_assert_eq!(at_least(count, &ways), brute(count, &ways, 0));
    }
}

/// Attestations of these meet all that is asked for.
fn attestation(signer: &str, key: u8) -> Evidence {
    proof(signer, key).attesting("https://slsa.dev/provenance/v1", serde_json::json!({}))
}

#[test]
fn attestations_are_no_signatures_and_signatures_no_attestations() {
    const SLSA: &str = r#"{"attested":{"by":"a","predicate_type":"slsaprovenance1"}}"#;
    assert!(satisfied(SLSA, &[attestation("a", 1)]));
    assert!(!satisfied(SLSA, &[proof("a", 1)]));
    assert!(!satisfied(r#""a""#, &[attestation("a", 1)]));
    assert!(!satisfied(r#"{"any":["a","b"]}"#, &[attestation("a", 1)]));
    let both = format!(r#"{{"all":["a",{SLSA}]}}"#);
    assert!(satisfied(&both, &[attestation("a", 1), proof("a", 1)]));
    assert!(!satisfied(&both, &[attestation("a", 1)]) && !satisfied(&both, &[proof("a", 1)]));
}

#[test]
fn thresholds_count_the_parties_behind_attestations_too() {
    let require = r#"{"at_least":{"count":2,"of":["a",{"attested":{"by":"b","predicate_type":"vuln"}}]}}"#;
    assert!(satisfied(require, &[proof("a", 1), attestation("b", 2)]));
    assert!(!satisfied(require, &[proof("a", 1), attestation("b", 1)]), "one key as two signers");
    assert!(!satisfied(require, &[attestation("a", 1), attestation("b", 2)]), "a signed nothing");
}
