//! What the language means, construct by construct.

use super::*;

#[track_caller]
fn all(cases: &[&str]) {
    for text in cases {
        assert_eq!(evaluate(text), Ok(true), "{text}");
    }
}

#[track_caller]
fn none_has_a_value(cases: &[(&str, &str)]) {
    for (text, why) in cases {
        let failure = evaluate(text).expect_err(text);
        assert!(failure.contains(why), "{text}: {failure}");
    }
}

#[test]
fn a_condition_holds_or_not() {
    assert_eq!(evaluate("predicate.builder.id == 'https://github.com/acme/builder@v2'"), Ok(true));
    assert_eq!(evaluate("predicate.builder.id == 'https://github.com/evil/builder@v2'"), Ok(false));
    all(&[
        "predicateType == 'https://slsa.dev/provenance/v1'",
        "statement._type.endsWith('/v1') && statement.predicate == predicate",
        "size(subject) == 2 && subject[0].digest.sha256 == 'ab'",
        "predicate['a.b'] == 'dotted' && predicate[\"count\"] == 3",
        "  // a comment\n predicate.yes // and another",
    ]);
}

#[test]
fn literals_are_those_of_the_language() {
    all(&[
        "1 + 0x10 == 17",
        "-9223372036854775808 == predicate.least",
        "9223372036854775807 > 0",
        "1.5e3 == 1500.0 && .5 == 0.5 && 1e-1 == 0.1",
        r#""it's" == 'it\'s' && "a\"b" == 'a"b'"#,
        r"'\x41\u00e9\U0001F600\101\n' == 'Aé😀A' + '''
'''",
        r"r'\d' == '\\d' && R'a' == 'a'",
        r#""""two
lines""" == 'two\nlines'"#,
        "[1, 2,] == [1, 2] && {'a': 1,} == {'a': 1}",
        "null == predicate.none && true != false",
    ]);
}

#[test]
fn operators_bind_as_in_the_grammar() {
    all(&[
        "1 + 2 * 3 == 7 && (1 + 2) * 3 == 9",
        "10 - 2 - 3 == 5 && 8 / 4 / 2 == 1 && 7 % 4 == 3 && -7 / 2 == -3 && -7 % 2 == -1",
        "true || false && false",
        "!false == true && !!true",
        "- -1 == 1 && -(1) == -1 && 2 - -1 == 3",
        "1 < 2 == true",
        "false ? 1 == 2 : true ? 1 == 1 : 1 == 2",
        "1 in [1] == true",
        "-predicate.count == -3",
        "predicate.count in [1, 3] && !(4 in [1, 3])",
    ]);
}

#[test]
fn numbers_are_compared_by_value() {
    all(&[
        "1 == 1.0 && 2 == predicate.whole && predicate.count < 3.5 && predicate.count >= 3.0",
        "predicate.ratio < 1 && -1 > -1.5 && -2 < -1.5 && 0 == -0.0",
        // No double is equal to this int, though one is near.
        "9007199254740993 != 9007199254740992.0 && 9007199254740993 > 9007199254740992.0",
        "9223372036854775807 < predicate.large && predicate.least == -9223372036854775808.0",
        "!(0.0 / 0.0 == 0.0 / 0.0) && !(0.0 / 0.0 < 1.0) && !(1 > 0.0 / 0.0)",
        "1 in [1.0] && {1: 'a'}[1] == 'a' && [3] == [3.0]",
    ]);
    none_has_a_value(&[
        ("predicate.count + 0.5 == 3.5", "+ does not take a int and a double"),
        ("9223372036854775807 + predicate.count > 0", "+ overflows"),
        ("predicate.least - 1 < 0", "- overflows"),
        ("-predicate.least > 0", "- overflows"),
        ("predicate.least / -1 > 0", "/ overflows"),
        ("predicate.least * 2 < 0", "* overflows"),
        ("1 / (predicate.count - 3) == 0", "division by zero"),
        ("1 % (predicate.count - 3) == 0", "division by zero"),
    ]);
}

#[test]
fn values_of_different_types_are_unequal_and_in_no_order() {
    all(&[
        "predicate.count != predicate.empty && !(predicate.yes == predicate.none)",
        "predicate.builder != predicate.findings && predicate.builder == predicate.builder",
        "predicate.findings != predicate.builder.tags",
        "predicate.findings[0] == {'severity': 'LOW', 'id': 'CVE-1', 'fixed': true}",
        "predicate.findings[0] != {'severity': 'LOW', 'id': 'CVE-1', 'fixed': 1}",
        "'a' < 'b' && 'Z' < 'a' && false < true && 'é' > 'z'",
    ]);
    none_has_a_value(&[
        ("predicate.count < predicate.empty", "< does not take a int and a string"),
        ("predicate.builder < predicate.builder", "< does not take a map and a map"),
        ("predicate.none >= predicate.count", ">= does not take a null and a int"),
    ]);
}

#[test]
fn what_is_absent_has_no_value() {
    all(&[
        "has(predicate.builder.id) && !has(predicate.builder.version) && has(predicate.none)",
        "'id' in predicate.builder && !('version' in predicate.builder) && !(1 in predicate.builder)",
        "predicate.findings.filter(f, has(f.fixed) && f.fixed).size() == 1",
    ]);
    none_has_a_value(&[
        ("predicate.builder.version == 'v2'", "there is no version"),
        ("predicate.builder.version != 'v2'", "there is no version"),
        ("!(predicate.builder.version == 'v2')", "there is no version"),
        ("predicate.builder['ver' + 'sion'] == 1", "there is no version"),
        ("has(predicate.build.id)", "there is no build"),
        ("has(predicate.builder.id.x)", "a string has no fields"),
        ("predicate.count.x == 1", "a int has no fields"),
        ("predicate.builder.tags[3] == 'c'", "the index 3 is outside"),
        ("predicate.builder.tags[-1] == 'b'", "the index -1 is outside"),
        ("predicate.builder.tags[0.5] == 'b'", "[] does not take a list and a double"),
        ("predicate.builder.tags.x == 1", "a list has no fields"),
        ("predicate.count == 1 ? true : predicate.nothing", "there is no nothing"),
        ("predicate.builder", "a map stands where true or false is needed"),
        ("predicate.count && true", "a int stands where"),
    ]);
    assert_eq!(
        Condition::compile("predicate.a").unwrap().holds_for(&json!({})),
        Err("there is no predicate".into())
    );
    assert_eq!(
        Condition::compile("predicate").unwrap().holds_for(&json!([])),
        Err("there is no predicate".into())
    );
    assert!(Condition::compile("statement.x").unwrap().holds_for(&json!(7)).is_err());
}

#[test]
fn and_and_or_absorb_failures_from_either_side() {
    all(&[
        "predicate.nothing || true",
        "true || predicate.nothing",
        "!(predicate.nothing && false) && !(false && predicate.nothing)",
        "predicate.count || predicate.nothing || predicate.yes",
        "predicate.findings.exists(f, f.fixed)",
        "!predicate.findings.all(f, f.fixed)",
    ]);
    none_has_a_value(&[
        ("predicate.nothing || false", "there is no nothing"),
        ("predicate.yes && predicate.nothing", "there is no nothing"),
        ("predicate.findings.exists(f, f.fixed && f.id == 'CVE-2')", "there is no fixed"),
        ("predicate.findings.exists(f, f.id == 'CVE-2' && !has(f.fixed) && f.fixed)", "there is no fixed"),
        ("predicate.findings.all(f, f.fixed || f.severity == 'LOW')", "there is no fixed"),
    ]);
}

#[test]
fn macros_go_over_lists_and_the_keys_of_maps() {
    all(&[
        "predicate.findings.all(f, f.id.startsWith('CVE-'))",
        "predicate.findings.exists(f, f.severity == 'HIGH')",
        "!predicate.findings.exists(f, f.severity == 'CRITICAL')",
        "predicate.findings.exists_one(f, f.severity == 'HIGH') && !predicate.findings.exists_one(f, f.severity == 'LOW')",
        "predicate.findings.map(f, f.severity) == ['LOW', 'HIGH', 'LOW']",
        "predicate.findings.map(f, f.severity == 'LOW', f.id) == ['CVE-1', 'CVE-3']",
        "predicate.findings.filter(f, f.severity == 'HIGH')[0].id == 'CVE-2'",
        "predicate.builder.all(key, key in ['id', 'tags']) && {'a': 1}.exists(k, k == 'a')",
        "[].all(x, false) && ![].exists(x, true)",
        "[1, 2].all(x, [1, 2].exists(y, x == y)) && [1, 2].map(x, [3].map(y, x * y)) == [[3], [6]]",
        // An inner variable hides an outer one, and even what is judged.
        "[1].all(x, [2].all(x, x == 2) && x == 1) && [1].all(predicate, predicate == 1) && predicate.yes",
    ]);
    none_has_a_value(&[
        ("predicate.count.all(x, true)", "a int has no fields or items"),
        ("predicate.findings.exists_one(f, f.fixed)", "there is no fixed"),
        ("predicate.findings.map(f, f.fixed) == []", "there is no fixed"),
        ("predicate.findings.filter(f, f.id) == []", "a string stands where"),
    ]);
}

#[test]
fn functions_of_text() {
    all(&[
        "'https://x'.startsWith('https:') && 'abc'.endsWith('bc') && 'abc'.contains('b') && 'a'.contains('')",
        "size('日本') == 2 && '日本'.size() == 2 && size({'a': 1}) == 1 && [1].size() == 1",
        "'a' + 'b' == 'ab' && [1] + ['x'] == [1, 'x']",
        "predicate.builder.id.matches('^https://github\\\\.com/acme/') && matches('abc', 'b')",
        "!'xhttps://github.com/acme/'.matches('^https://')",
        // As in RE2: classes are of ASCII, a dot is a character.
        r"'7'.matches(r'^\d$') && !'٧'.matches(r'^\d$') && !'é'.matches(r'^\w$') && 'é'.matches('^.$')",
        r"'a b'.matches(r'^\w\s[\w\d]$') && 'é'.matches(r'^\W$') && 'x y'.matches(r'\by') && r'\d'.matches(r'^\\d$')",
    ]);
    none_has_a_value(&[
        ("predicate.count.startsWith('3')", "startsWith does not take a int and a string"),
        ("predicate.builder.id.contains(predicate.count)", "contains does not take a string and a int"),
        ("predicate.count.matches('3')", "matches does not take a int"),
        ("size(predicate.count) == 1", "size does not take a int"),
    ]);
}

#[test]
fn conversions() {
    all(&[
        "string(1) == '1' && string(1.5) == '1.5' && string(true) == 'true' && string('a') == 'a'",
        "int('-7') == -7 && int(1.9) == 1 && int(-1.9) == -1 && int(5) == 5",
        "double('1.5') == 1.5 && double(2) == 2.0",
        "bool('true') && !bool('0') && bool(predicate.yes)",
        "int(timestamp('1970-01-01T00:01:00Z')) == 60 && timestamp(60) == timestamp('1970-01-01T00:01:00Z')",
        "string(timestamp(60)) == '1970-01-01T00:01:00Z' && string(duration('-1m1.5s')) == '-61.5s'",
    ]);
    none_has_a_value(&[
        ("int('7 ') == 7", "7  is no int"),
        ("int('9223372036854775808') == 7", "is no int"),
        ("int(predicate.large) == 7", "int overflows"),
        ("int(0.0 / 0.0) == 0", "int overflows"),
        ("double('x') == 1.0", "x is no double"),
        ("bool('yes')", "yes is no bool"),
        ("string(predicate.builder) == ''", "string does not take a map"),
        ("int(predicate.yes) == 1", "int does not take a bool"),
    ]);
}

#[test]
fn times() {
    all(&[
        "timestamp(predicate.finished) < timestamp('2026-11-25T11:00:00+00:30')",
        "timestamp(predicate.finished) == timestamp('2026-11-25T11:00:00.000+01:00')",
        "timestamp(predicate.finished) - duration(predicate.took) == timestamp('2026-11-25T09:58:30Z')",
        "timestamp(predicate.finished) - timestamp('2026-11-25T09:00:00Z') == duration('1h')",
        "duration(predicate.took) == duration('1m30s') && duration('1.5h') > duration('89m') && duration('0') == duration('0s')",
        "duration('1ns') < duration('1us') && duration('1us') == duration('1µs') && duration('1ms') == duration('1000us')",
        "-duration('1s') == duration('-1s') && duration('1h') + timestamp(0) == timestamp(3600)",
    ]);
    none_has_a_value(&[
        ("timestamp('yesterday') < timestamp(0)", "yesterday is no timestamp"),
        ("timestamp('2026-02-30T00:00:00Z') < timestamp(0)", "is no timestamp"),
        ("timestamp(253402300800) > timestamp(0)", "is no timestamp"),
        ("timestamp(253402300799) + duration('1s') > timestamp(0)", "+ overflows"),
        ("timestamp(0) + predicate.count > timestamp(0)", "+ does not take a timestamp and a int"),
        ("duration('1') > duration('0s')", "1 is no duration"),
        ("duration('s') > duration('0s')", "s is no duration"),
        ("duration('1d') > duration('0s')", "1d is no duration"),
        ("duration('99999999999h') > duration('0s')", "is no duration"),
        ("duration('99999999999999999999999999999999999999999h') > duration('0s')", "is no duration"),
    ]);
}

#[test]
fn maps_that_are_written_have_each_key_once() {
    all(&["{'a': 1, 2: 'x', true: null}[2] == 'x'", "{'a': 1} != {'b': 1} && {'a': [1]} == {'a': [1.0]}"]);
    none_has_a_value(&[
        ("{predicate.empty: 1, '': 2} == {}", "the key  stands twice"),
        ("{predicate.whole: 1} == {}", "a double cannot be the key"),
        ("{predicate.builder: 1} == {}", "a map cannot be the key"),
    ]);
}
