//! What hostile texts and statements may cost.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::super::budget::{MAX_BUILT, MAX_STEPS};
use super::super::pattern::{BYTES_A_STEP, Pattern};
use super::*;

/// Far more than the budget takes even unoptimised on a busy machine, far less than these would take without one.
const LONG: Duration = Duration::from_secs(20);

fn run(text: &str, statement: &Json) -> (Result<bool, Failure>, Budget) {
    let condition = Condition::compile(text).unwrap_or_else(|fault| panic!("{text}: {fault}"));
    let (started, mut budget) = (Instant::now(), Budget::new());
    let result = condition.run(statement, &mut budget);
    assert!(started.elapsed() < LONG, "{text} took {:?}", started.elapsed());
    (result, budget)
}

fn of_predicate(predicate: &Json) -> Json {
    json!({ "predicate": predicate, "predicateType": "t", "subject": [] })
}

#[test]
fn a_text_is_not_longer_and_not_deeper_than_the_bounds() {
    let long = format!("predicate.a == '{}'", "x".repeat(MAX_BYTES - 17));
    assert!(Condition::compile(&long).is_ok());
    assert!(fault(&format!("{long} ")).message.contains("at most 4096 bytes, found 4097"));
    let nested = |open: &str, close: &str, count: usize| {
        Condition::compile(&format!("{}predicate.yes{}", open.repeat(count), close.repeat(count)))
    };
    for (open, close, fits, over) in [
        ("(", ")", 31, 32),
        ("(", ")", 31, 2000),
        ("[", "].all(x, x)", 30, 300),
        ("!", "", 62, 63),
        ("!", "", 62, 4000),
        ("true ? ", " : false", 31, 250),
        ("", " == true", 62, 63),
        ("", ".a", 62, 1900),
        ("[1].all(x, ", ")", 31, 32),
        ("{'a': ", "}.a", 30, 400),
    ] {
        assert!(nested(open, close, fits).is_ok(), "{open}{fits}{close}: {:?}", nested(open, close, fits));
        let fault = nested(open, close, over).unwrap_err();
        assert!(fault.message.contains("nested too deeply"), "{open}{over}{close}: {fault}");
    }
    // Each level has a chain of its own on its left.
    let tower = (0..31).fold("1".to_owned(), |inner, _| format!("({inner}{})", " + 1".repeat(30)));
    assert!(fault(&format!("{tower} == 1")).message.contains("nested too deeply"));
    // Many beside each other are no depth.
    assert!(Condition::compile(&"predicate.yes || ".repeat(200)).is_err());
    assert!(Condition::compile(&format!("{}true", "predicate.yes && ".repeat(200))).is_ok());
}

#[test]
fn brackets_without_end_are_refused() {
    for piece in [
        "(",
        "[",
        "{",
        "!",
        "-",
        "a.",
        "f(",
        "'",
        "[1].all(x, ",
        "{'a':",
        "true?",
        "1+",
        "x in ",
        "\\",
        "//",
        "r'",
    ] {
        assert!(Condition::compile(&piece.repeat(MAX_BYTES / piece.len())).is_err(), "{piece}");
    }
}

#[test]
fn nested_macros_over_a_large_predicate_end_with_the_budget() {
    // 4 MiB of JSON: two bytes an item.
    let statement = of_predicate(&json!(vec![0; 2 * 1024 * 1024]));
    for text in [
        "predicate.all(x, x == 0)",
        "predicate.all(x, predicate.all(y, x == y))",
        "predicate.all(a, predicate.all(b, predicate.all(c, predicate.all(d, a + b + c + d == 0))))",
        "predicate.exists(x, predicate.exists(y, y == 1))",
        "predicate.exists(x, x.missing)",
        "predicate.exists_one(x, predicate.exists_one(y, false))",
        "predicate.map(x, predicate) == []",
        "predicate.filter(x, x == 1) == []",
        "predicate + predicate == []",
        "predicate == predicate",
        "1 in predicate",
        "[1, 2, 3, 4].all(x, predicate.exists(y, y == x))",
    ] {
        let (result, budget) = run(text, &statement);
        assert!(matches!(result, Err(Failure::TooMuchWork | Failure::TooMuchMemory)), "{text}: {result:?}");
        assert!(budget.steps < MAX_STEPS);
    }
}

#[test]
fn the_end_of_the_budget_is_absorbed_by_nothing() {
    let statement = of_predicate(&json!(vec![0; 1_000_000]));
    for text in [
        "predicate.all(x, x == 0) || true",
        "true && predicate.all(x, x == 0) || true",
        "[1].exists(a, predicate.all(x, x == 0)) || true",
        "[1, 2].exists(a, a == 2 || predicate.all(x, x == 0))",
        "!(predicate.all(x, x == 0) && false)",
    ] {
        assert_eq!(run(text, &statement).0, Err(Failure::TooMuchWork), "{text}");
    }
}

#[test]
fn texts_cannot_be_made_to_grow() {
    let statement = of_predicate(&json!({ "text": "x".repeat(1024 * 1024), "list": vec![0; 1000] }));
    for text in [
        "predicate.list.map(x, predicate.text + predicate.text) == []",
        "[predicate.text + 'a'].map(a, a + a).map(a, a + a).map(a, a + a).map(a, a + a) == []",
        "predicate.list.map(x, predicate.text + 'a').map(x, x + x) == []",
        "predicate.list.map(a, predicate.list + predicate.list) == []",
    ] {
        let (result, budget) = run(text, &statement);
        assert!(matches!(result, Err(Failure::TooMuchWork | Failure::TooMuchMemory)), "{text}: {result:?}");
        assert!(budget.built < MAX_BUILT / 2, "{text}: {budget:?}");
    }
}

#[test]
fn long_texts_are_paid_for_wherever_they_are_read() {
    let key = "k".repeat(1024 * 1024);
    let statement = of_predicate(&json!({
        "a": key, "b": key, "map": { (key.clone()): 1 }, "list": vec![0; 1000], "key": key, "keys": [key],
    }));
    for text in [
        "predicate.list.all(x, predicate.a == predicate.b)",
        "predicate.list.all(x, predicate.a <= predicate.b)",
        "predicate.list.all(x, predicate.a in predicate.keys)",
        "predicate.list.all(x, predicate.a.contains('y') == false)",
        "predicate.list.all(x, predicate.a.startsWith(predicate.b))",
        "predicate.list.all(x, predicate.a.endsWith(predicate.b))",
        "predicate.list.all(x, size(predicate.a) > 1)",
        "predicate.list.all(x, predicate.a.matches('y') == false)",
        "predicate.list.all(x, predicate.map[predicate.key] == 1)",
        "predicate.list.all(x, predicate.key in predicate.map)",
    ] {
        assert_eq!(run(text, &statement).0, Err(Failure::TooMuchWork), "{text}");
    }
}

#[test]
fn patterns_are_bounded_in_size_and_in_time() {
    for bomb in ["((((a{100}){100}){100}){100})", "(a{1000}){1000}", "[a-z]{100000}", "(?:.{60}){60}{60}"] {
        let fault = fault(&format!("predicateType.matches('{bomb}')"));
        assert!(fault.message.contains("the pattern does not compile"), "{bomb}: {fault}");
    }
    for pattern in [
        "^(a+)+$",
        "(a|aa)*c",
        "(.*)(.*)(.*)x",
        "(a?){50}a{50}c",
        // Has more states than are kept: each byte visits the whole pattern.
        "[ab]*a[ab]{200}c",
        "(?i:[a-zé]?){50}c",
    ] {
        // The longest text that a part of the budget lets a search go over.
        let steps = MAX_STEPS / 20;
        let compiled = Pattern::compile(0, pattern).unwrap();
        let length = usize::try_from((steps - 10) * BYTES_A_STEP / compiled.weight).unwrap();
        let search = |length| {
            let (started, mut budget) = (Instant::now(), Budget { steps, ..Budget::new() });
            let result = compiled.matches(&noise(length), &mut budget);
            assert!(started.elapsed() < LONG / 4, "{pattern} took {:?}", started.elapsed());
            result
        };
        assert!(search(length).is_ok(), "{pattern}");
        assert_eq!(search(length + 1000), Err(Failure::TooMuchWork), "{pattern}");
    }
}

/// Letters in no order that a search could learn.
fn noise(length: usize) -> String {
    let next = |seed: &u32| Some(seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
    std::iter::successors(Some(1), next)
        .map(|seed| if seed >> 31 == 0 { 'a' } else { 'b' })
        .take(length)
        .collect()
}

#[test]
fn deep_predicates_do_no_harm() {
    let deep = (0..300).fold(json!(0), |inner, _| Json::Array(vec![inner]));
    let statement = of_predicate(&deep);
    assert_eq!(run("predicate == predicate", &statement).0, Err(Failure::TooDeep));
    assert_eq!(run("predicate == predicate || true", &statement).0, Err(Failure::TooDeep));
    assert_eq!(run("size(predicate) == 1 && predicate[0][0] != 1", &statement).0, Ok(true));
}

#[test]
fn what_real_conditions_ask_is_far_within_the_budget() {
    let packages: Vec<Json> = (0..5000)
        .map(|i| json!({ "name": format!("package-{i}"), "licenseConcluded": "Apache-2.0", "versionInfo": "1.2.3" }))
        .collect();
    let (result, budget) = run(
        "size(predicate.packages) > 0 && predicate.packages.all(p, !(p.name in ['log4j', 'xz']) && \
         p.licenseConcluded in ['MIT', 'Apache-2.0', 'BSD-3-Clause', 'ISC'] && p.name.matches('^[a-z0-9-]+$'))",
        &of_predicate(&json!({ "packages": packages })),
    );
    assert_eq!(result, Ok(true));
    assert!(budget.steps > MAX_STEPS / 2, "{budget:?}");
}

fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        "[a-d]{0,3}".prop_map(Json::from),
        Just(json!("2026-01-01T00:00:00Z")),
        Just(json!("-1h5.5s")),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Json::from),
            prop::collection::btree_map("[a-d]", inner, 0..4).prop_map(Json::from_iter),
        ]
    })
}

/// Texts that are mostly expressions.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("predicate".to_owned()),
        Just("subject".to_owned()),
        Just("predicateType".to_owned()),
        any::<i64>().prop_map(|i| i.to_string()),
        any::<f64>().prop_map(|d| format!("{d:?}")),
        "'[a-d]{0,3}'",
        Just("null".to_owned()),
        Just("timestamp(0)".to_owned()),
        Just("duration('9999h')".to_owned()),
    ];
    leaf.prop_recursive(5, 40, 3, |inner| {
        let operator = prop::sample::select(vec![
            "==", "!=", "<", "<=", ">", ">=", "in", "+", "-", "*", "/", "%", "&&", "||",
        ]);
        let function =
            prop::sample::select(vec!["size", "string", "int", "double", "bool", "timestamp", "duration"]);
        let each = prop::sample::select(vec!["all", "exists", "exists_one", "map", "filter"]);
        prop_oneof![
            (inner.clone(), operator, inner.clone()).prop_map(|(a, o, b)| format!("({a} {o} {b})")),
            (function, inner.clone()).prop_map(|(f, a)| format!("{f}({a})")),
            (inner.clone(), "[a-d]").prop_map(|(a, f)| format!("{a}.{f}")),
            (inner.clone(), "[a-d]").prop_map(|(a, f)| format!("has({a}.{f})")),
            (inner.clone(), inner.clone()).prop_map(|(a, i)| format!("{a}[{i}]")),
            (inner.clone(), each, inner.clone()).prop_map(|(a, e, b)| format!("{a}.{e}(predicate, {b})")),
            (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{{{a}: {b}, 'k': [{b}, {a}]}}")),
            inner.clone().prop_map(|a| format!("!{a}")),
            inner.prop_map(|a| format!("-{a}")),
        ]
    })
}

proptest! {
    #[test]
    fn any_text_compiles_or_has_a_fault_within_it(text in "\\PC{0,60}|[a-z0-9.()\\[\\]{}'\"\\\\ &|=<>!?:+*/%,-]{0,60}") {
        match Condition::compile(&text) {
            Ok(condition) => drop(condition.holds_for(&statement())),
            Err(fault) => {
                prop_assert!(fault.line >= 1 && fault.column >= 1);
                prop_assert!(fault.column as usize <= text.chars().count() + 1, "{}", fault);
            }
        }
    }

    #[test]
    fn whatever_compiles_evaluates_without_panic_and_the_same_twice(text in expression(), predicate in json()) {
        let statement = json!({ "predicate": predicate, "predicateType": "a", "subject": [{ "a": 1 }] });
        if let Ok(condition) = Condition::compile(&text) {
            prop_assert_eq!(condition.holds_for(&statement), condition.holds_for(&statement));
        }
    }
}
