//! What is refused when it is loaded, and where.

use super::*;

#[track_caller]
fn faults(cases: &[(&str, u64, u64, &str)]) {
    for (text, line, column, words) in cases {
        let fault = fault(text);
        assert_eq!((fault.line, fault.column), (*line, *column), "{text}: {fault}");
        assert!(fault.message.contains(words), "{text}: {fault}");
    }
}

#[test]
fn syntax() {
    faults(&[
        ("", 1, 1, "expected a value, found the end"),
        ("predicate.", 1, 11, "expected a field's name, found the end"),
        ("predicate.yes &&\n // b\n", 1, 17, "expected a value, found the end"),
        ("predicate.yes &&", 1, 17, "expected a value, found the end"),
        ("predicate.yes predicate", 1, 15, "expected an operator or the end, found predicate"),
        ("(predicate.yes", 1, 15, "expected ), found the end"),
        ("predicate['a'", 1, 14, "expected ]"),
        ("[1, 2", 1, 6, "expected ]"),
        ("{'a' 1}", 1, 6, "expected :"),
        ("predicate.yes ? true", 1, 21, "expected :"),
        ("predicate.a = 1", 1, 13, "equality is written =="),
        ("predicate.a == 'x", 1, 16, "no closing '"),
        ("predicate.a ==\n  \"x\ny\"", 2, 3, "no closing \" on its line"),
        ("predicate.a == '''x", 1, 16, "no closing '''"),
        ("predicate.é", 1, 11, "'é' begins nothing"),
        ("'é' == @", 1, 8, "'@' begins nothing"),
        (r"'a\d'.size() == 1", 1, 3, "no such escape"),
        (r"'\u12'.size() == 1", 1, 2, "4 digits"),
        (r"'\ud800'.size() == 1", 1, 2, "4 digits that name a character"),
        (r"'\U00110000'.size() == 1", 1, 2, "8 digits"),
        ("predicate.a & true", 1, 13, "'&' begins nothing"),
        ("predicate.a; true", 1, 12, "';' begins nothing"),
        ("predicate .all()", 1, 16, "expected the name of a variable, found )"),
        ("predicate.all(in, true)", 1, 15, "expected the name of a variable, found in"),
        ("predicate.all(x)", 1, 16, "expected ,"),
        ("predicate.all(x, true, true)", 1, 22, "expected )"),
        ("size(1,,2)", 1, 8, "expected a value, found ,"),
    ]);
}

#[test]
fn numbers() {
    faults(&[
        ("predicate.a == 9223372036854775808", 1, 16, "over 2^63 - 1"),
        ("predicate.a == -9223372036854775809", 1, 16, "less than -2^63"),
        ("predicate.a == 99999999999999999999", 1, 16, "too large"),
        ("predicate.a == 1u", 1, 16, "unsigned numbers are not supported"),
        ("predicate.a == 0x", 1, 16, "hexadecimal"),
        ("predicate.a == 0xfg", 1, 16, "hexadecimal"),
        ("predicate.a == 1e999", 1, 16, "finite"),
        ("predicate.a == 1e", 1, 16, "a fraction is written"),
        ("predicate.a == 1.5x", 1, 16, "end with a letter"),
        ("predicate.a == b'x'", 1, 16, "bytes"),
    ]);
}

#[test]
fn names_and_functions() {
    faults(&[
        (
            "predicates.a",
            1,
            1,
            "nothing is called predicates; known: predicate, predicateType, subject, statement",
        ),
        ("true &&\n\n  x.y", 3, 3, "nothing is called x"),
        ("[1].all(x, true) && x == 1", 1, 21, "nothing is called x"),
        ("now() > timestamp(0)", 1, 1, "no function is called now; known: has, matches, size"),
        ("startsWith(predicateType, 'x')", 1, 1, "no function is called startsWith"),
        ("predicateType.lower() == ''", 1, 15, "no method is called lower; known: all"),
        ("predicate.int() == 1", 1, 11, "no method is called int"),
        ("size() == 1", 1, 1, "size takes 1 arguments, found 0"),
        ("size(predicate, 2) == 1", 1, 1, "size takes 1 arguments, found 2"),
        ("predicateType.startsWith()", 1, 15, "startsWith takes 1 arguments, found 0"),
        ("predicateType.size(1) == 1", 1, 15, "size takes 0 arguments, found 1"),
        ("has(predicate)", 1, 1, "`has` asks for one field"),
        ("has(predicate.a, predicate.b)", 1, 1, "`has` asks for one field"),
        ("has(predicate['a'])", 1, 1, "`has` asks for one field"),
        ("predicateType.matches(predicate.pattern)", 1, 15, "a text in quotes"),
        ("predicateType.matches()", 1, 15, "a text in quotes"),
        ("predicateType.matches('(')", 1, 23, "the pattern does not compile: unclosed group"),
        (r"predicateType.matches('(a)\\1')", 1, 23, "backreferences are not supported"),
        ("predicateType.matches('(?=a)')", 1, 23, "look-around"),
    ]);
}

#[test]
fn types_that_never_fit() {
    faults(&[
        ("'yes'", 1, 1, "the condition is a string, and has to be true or false"),
        ("size(subject)", 1, 1, "the condition is a int"),
        ("subject.map(s, s.name)", 1, 9, "the condition is a list"),
        ("predicateType == 1", 1, 15, "== does not take a string and a int"),
        ("subject == null", 1, 9, "== does not take a list and a null"),
        ("predicateType < subject", 1, 15, "< does not take"),
        ("[1] < [2]", 1, 5, "< does not take a list and a list"),
        ("1 + 1.5 == 2.5", 1, 3, "+ does not take a int and a double"),
        ("predicate.a + true", 1, 13, "+ does not take a value and a bool"),
        ("timestamp(0) < 5", 1, 14, "< does not take a timestamp and a int"),
        ("'a' in predicateType", 1, 5, "in does not take a string and a string"),
        ("predicate.yes && predicateType", 1, 18, "each side of && and || has to be a bool, found a string"),
        ("!predicateType", 1, 2, "what ! negates has to be a bool"),
        ("-predicateType == 1", 1, 2, "what - negates has to be a int or double or duration"),
        ("predicateType ? true : false", 1, 1, "what stands before ?"),
        ("predicateType.name == 1", 1, 1, "what has a field name has to be a map, found a string"),
        ("has(subject.name)", 1, 5, "what has a field name has to be a map, found a list"),
        ("subject['a'] == 1", 1, 9, "the index has to be a int or double, found a string"),
        ("statement[1.5] == 1", 1, 11, "the index has to be a string or int or bool"),
        ("predicateType[0] == 'h'", 1, 1, "what is indexed has to be a list or map"),
        ("predicateType.all(c, true)", 1, 1, "what a macro goes over"),
        ("subject.all(s, size(s))", 1, 16, "the condition of a macro has to be a bool, found a int"),
        ("subject.map(s, 1, s) == []", 1, 16, "the condition of a macro"),
        ("size(1) == 1", 1, 6, "what size takes has to be a string or list or map, found a int"),
        ("subject.contains('a')", 1, 1, "what contains takes has to be a string"),
        ("predicateType.contains(1)", 1, 24, "what contains takes has to be a string"),
        ("{1.5: 2} == {}", 1, 2, "the key of a map"),
        ("subject.matches('a')", 1, 1, "what `matches` looks into"),
    ]);
    // Fits, in one way or another.
    for text in [
        "predicate",
        "predicate.a == null",
        "(predicate.yes ? 1 : 'a') == 1",
        "predicate.a + predicate.b == 'x'",
    ] {
        assert!(Condition::compile(text).is_ok(), "{text}");
    }
}

#[test]
fn a_condition_is_shown_on_one_line_and_cut() {
    let condition = Condition::compile("predicate.a ==\n   1").unwrap();
    assert_eq!(condition.to_string(), "predicate.a == 1");
    assert_eq!(format!("{condition:?}"), "Condition(\"predicate.a ==\\n   1\")");
    let long = Condition::compile(&format!("predicate.a == '{}'", "é".repeat(400))).unwrap().to_string();
    assert_eq!(long.chars().count(), SHOWN + 1);
}

#[test]
fn what_was_read_but_not_compiled_holds_for_nothing() {
    let condition: Condition = serde_json::from_value(json!("true ||")).unwrap();
    assert_eq!(condition.fault().unwrap().column, 8);
    assert_eq!(condition.holds_for(&statement()), Err("it was not compiled".to_owned()));
}
