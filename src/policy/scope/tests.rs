use proptest::prelude::*;

use super::*;

fn scope(text: &str) -> Scope {
    Scope::parse(text).unwrap()
}

fn covers(pattern: &str, name: &str) -> bool {
    scope(pattern).matches(&Repository::parse(name).unwrap())
}

#[test]
fn wildcards_stand_for_whole_segments() {
    assert!(covers("docker.io/library/*", "docker.io/library/nginx"));
    assert!(!covers("docker.io/library/*", "docker.io/library/nginx/debug"));
    assert!(!covers("docker.io/library/*", "docker.io/other/nginx"));
    assert!(covers("gcr.io/distroless/**", "gcr.io/distroless/static/debug"));
    assert!(!covers("gcr.io/distroless/**", "gcr.io/distroless"), "`**` stands for one or more");
    assert!(!covers("gcr.io/distroless/**", "gcr.io/distrolesser/static"));
    assert!(covers("ghcr.io/**/prod/*", "ghcr.io/a/b/prod/app"));
    assert!(!covers("ghcr.io/**/prod/*", "ghcr.io/prod/app"));
    assert!(covers("r.example:5000/**", "r.example:5000/a"));
    assert!(!covers("r.example:5000/**", "r.example/a"), "the port is a part of the name");
}

#[test]
fn docker_hubs_names_are_one() {
    assert!(covers("index.docker.io/library/nginx", "docker.io/library/nginx"));
    assert!(covers("docker.io/nginx", "docker.io/nginx"));
    assert_eq!(scope("registry-1.docker.io/nginx"), scope("docker.io/library/nginx"));
    assert!(covers("docker.io/**", "docker.io/nginx"));
    assert_eq!(scope("ghcr.io/nginx").to_string(), "ghcr.io/nginx");
}

#[test]
fn bad_scopes_name_the_broken_rule() {
    assert_eq!(Scope::parse("docker.io"), Err(ScopeError::Registry));
    assert_eq!(Scope::parse("**"), Err(ScopeError::Registry));
    assert_eq!(Scope::parse("*/library/nginx"), Err(ScopeError::Registry));
    assert_eq!(Scope::parse("*.example/app"), Err(ScopeError::Registry));
    assert_eq!(Scope::parse("ghcr.io/acme-*"), Err(ScopeError::Wildcard("acme-*".to_owned())));
    assert_eq!(Scope::parse("ghcr.io/***"), Err(ScopeError::Wildcard("***".to_owned())));
    assert_eq!(Scope::parse("ghcr.io/Acme"), Err(ScopeError::Segment("Acme".to_owned())));
    assert_eq!(Scope::parse("ghcr.io/a//b"), Err(ScopeError::Segment(String::new())));
    assert_eq!(Scope::parse("ghcr.io/acme:v1"), Err(ScopeError::Segment("acme:v1".to_owned())));
    assert_eq!(Scope::parse("docker.io/*"), Err(ScopeError::HubOne));
    assert_eq!(Scope::parse(&format!("ghcr.io{}", "/a".repeat(129))), Err(ScopeError::Length));
}

#[test]
fn the_most_specific_comes_first() {
    let mut scopes = [
        "ghcr.io/**",
        "ghcr.io/*/app",
        "ghcr.io/acme/**",
        "ghcr.io/acme/*",
        "ghcr.io/acme/app",
        "ghcr.io/**/app",
        "ghcr.io/*/*",
    ]
    .map(scope);
    scopes.sort();
    let order = scopes.map(|scope| scope.to_string());
    assert_eq!(
        order,
        [
            "ghcr.io/acme/app",
            "ghcr.io/acme/*",
            "ghcr.io/acme/**",
            "ghcr.io/*/app",
            "ghcr.io/*/*",
            "ghcr.io/**/app",
            "ghcr.io/**",
        ]
    );
}

/// What the documentation says, word by word.
fn by_definition(pattern: &[&str], name: &[&str]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((&"**", rest)), Some((_, left))) => by_definition(rest, left) || by_definition(pattern, left),
        (Some((&"*", rest)), Some((_, left))) => by_definition(rest, left),
        (Some((literal, rest)), Some((segment, left))) => literal == segment && by_definition(rest, left),
        _ => false,
    }
}

fn segments(choices: &'static [&'static str]) -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(prop::sample::select(choices), 1..6)
}

proptest! {
    #[test]
    fn matching_is_as_defined(pattern in segments(&["a", "b", "*", "**"]), name in segments(&["a", "b", "c"])) {
        let text = pattern.join("/");
        let repository = Repository::parse(&format!("ghcr.io/{}", name.join("/"))).unwrap();
        prop_assert_eq!(scope(&format!("ghcr.io/{text}")).matches(&repository), by_definition(&pattern, &name));
    }

    #[test]
    fn scopes_overlap_where_a_name_is_in_both(
        a in segments(&["a", "b", "*", "**"]),
        b in segments(&["a", "b", "*", "**"]),
        name in segments(&["a", "b", "c"]),
    ) {
        let (one, other) = (scope(&format!("ghcr.io/{}", a.join("/"))), scope(&format!("ghcr.io/{}", b.join("/"))));
        prop_assert_eq!(one.overlaps(&other), other.overlaps(&one));
        prop_assert!(one.overlaps(&one));
        if by_definition(&a, &name) && by_definition(&b, &name) {
            prop_assert!(one.overlaps(&other));
        }
    }

    #[test]
    fn only_overlapping_scopes_are_said_to_overlap(a in segments(&["a", "*", "**"]), b in segments(&["a", "*", "**"])) {
        // Names of up to ten segments over the one literal and one other suffice for patterns of five.
        let (one, other) = (scope(&format!("ghcr.io/{}", a.join("/"))), scope(&format!("ghcr.io/{}", b.join("/"))));
        let found = (1..=10usize).any(|n| (0..1u32 << n).any(|bits| {
            let name: Vec<&str> = (0..n).map(|i| if bits >> i & 1 == 0 { "a" } else { "c" }).collect();
            by_definition(&a, &name) && by_definition(&b, &name)
        }));
        prop_assert_eq!(one.overlaps(&other), found);
    }

    #[test]
    fn the_order_is_total_and_ties_are_equal(
        a in segments(&["a", "b", "*", "**"]),
        b in segments(&["a", "b", "*", "**"]),
        c in segments(&["a", "b", "*", "**"]),
    ) {
        let [a, b, c] = [a, b, c].map(|s| scope(&format!("ghcr.io/{}", s.join("/"))));
        prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
        prop_assert_eq!(a.cmp(&b) == Ordering::Equal, a == b);
        if a <= b && b <= c {
            prop_assert!(a <= c);
        }
    }

    #[test]
    fn a_scope_reads_as_it_prints(text in "[a-z0-9.:]{1,12}(/(\\*|\\*\\*|[a-z0-9._-]{1,6})){0,4}") {
        if let Ok(scope) = Scope::parse(&text) {
            prop_assert_eq!(Scope::parse(&scope.to_string()), Ok(scope));
        }
    }

    #[test]
    fn nothing_panics(text in "\\PC{0,40}") {
        let _ = Scope::parse(&text);
    }
}
