//! Chains of Fulcio, sigstore's authority: leaves without a subject, whose critical alternative name is their
//! identity, below authorities that are limited to code signing.

use super::*;

const WORKFLOW: &str = "https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main";

fn certificate(name: &str) -> Certificate {
    Certificate::from_der(&fixture(&format!("sct/{name}.der"))).unwrap()
}

#[test]
fn genuine_chains_are_believed_while_the_leaf_lives() {
    for (whose, between, root, identity) in [
        ("workflow", &["sigstore-intermediate"][..], "sigstore-root", WORKFLOW),
        ("email", &["sigstore-intermediate"], "sigstore-root", "dev@example.test"),
        ("made", &[], "made-root", "dev@example.test"),
    ] {
        let leaf = certificate(&format!("{whose}-leaf"));
        let between: Vec<_> = between.iter().map(|name| certificate(name)).collect();
        let anchors = [certificate(root)];
        let whole = [&[leaf.clone()][..], &between, &anchors].concat();
        for at in [leaf.not_before(), leaf.not_after()] {
            let found = chain::find(&leaf, &between, &anchors, at).unwrap_or_else(|e| panic!("{whose}: {e}"));
            assert_eq!(found.certificates(), whole, "{whose}");
            assert_eq!(chain::ordered(&whole, &anchors, at).unwrap().certificates(), whole, "{whose}");
        }
        let later = leaf.not_after() + Duration::from_secs(1);
        let error = chain::find(&leaf, &between, &anchors, later).unwrap_err();
        assert!(matches!(error, chain::Error::Expired { .. }), "{whose}: {error}");

        assert!(leaf.subject().is_empty() && leaf.unhandled_critical().is_empty(), "{whose}");
        assert!(leaf.extensions().contains(&("2.5.29.17".to_owned(), true)), "{whose}");
        let names: Vec<_> = leaf.alternative_names().iter().map(AlternativeName::text).collect();
        assert_eq!(names, [Some(identity)], "{whose}");
        let usage = leaf.extended_key_usage().unwrap();
        assert_eq!(usage.purposes, [ExtendedKeyUsage::CODE_SIGNING], "{whose}");
        assert!(leaf.extension("1.3.6.1.4.1.57264.1.8").is_some(), "{whose}: who said so");
    }
}

#[test]
fn an_instance_vouches_for_its_own_alone() {
    for (leaf, other) in
        [("workflow", "public"), ("workflow", "made"), ("made", "sigstore"), ("made", "public")]
    {
        let leaf = certificate(&format!("{leaf}-leaf"));
        let between = [certificate("public-intermediate"), certificate("sigstore-intermediate")];
        let result =
            chain::find(&leaf, &between, &[certificate(&format!("{other}-root"))], leaf.not_before());
        assert!(matches!(result, Err(chain::Error::Untrusted { .. })), "{result:?}");
    }
}

#[test]
fn the_intermediate_may_issue_no_authority() {
    for instance in ["public", "sigstore"] {
        let intermediate = certificate(&format!("{instance}-intermediate"));
        assert_eq!(intermediate.basic_constraints().unwrap().path_length, Some(0));
        assert!(chain::check_issuer(&intermediate, 0).is_ok());
        assert!(rule(&chain::check_issuer(&intermediate, 1).unwrap_err()).contains("path length"));
    }
    assert_eq!(certificate("public-root").public_key().kind(), KeyKind::P384);
}
