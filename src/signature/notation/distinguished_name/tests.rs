mod properties;

use super::*;

fn name(text: &str) -> DistinguishedName {
    DistinguishedName::parse(text).unwrap()
}

#[test]
fn names_are_read_with_spaces_escapes_and_aliases() {
    for same in [
        "C=US,ST=WA,O=acme",
        " C = US , S=WA,  O=acme ",
        "o=acme,c=US,st=WA",
        "2.5.4.6=US, ST=\\57A, O=acm\\65",
    ] {
        assert_eq!(name(same), name("C=US, ST=WA, O=acme"), "{same}");
    }
    let odd = name("C=US, ST=a=b<\"c\", O=\\ a\\,b\\;c\\\\d\\+\\ , OU=x y, CN=\\c3\\a9");
    assert_eq!(odd.0["ST"], "a=b<\"c\"");
    assert_eq!(odd.0["O"], " a,b;c\\d+ ");
    assert_eq!(odd.0["OU"], "x y");
    assert_eq!(odd.0["CN"], "é");
}

#[test]
fn what_breaks_a_rule_is_refused() {
    for (bad, why) in [
        ("", "missing"),
        ("C=US, ST=WA", "O is missing"),
        ("C=US, O=a", "ST or S is missing"),
        ("ST=WA, O=a", "C is missing"),
        ("C=US, ST=WA, O=a, O=b", "twice"),
        ("C=US, ST=WA, S=WA, O=a", "twice"),
        ("C=US, ST=WA, O=a,", "missing"),
        ("C=US, ST=WA, O=", "no value"),
        ("C=US, ST=WA, O=a, OU=#0403", "hexadecimal"),
        ("C=US, ST=WA, O=a + OU=b", "joined"),
        ("C=US; ST=WA; O=a", "';'"),
        ("C=US, ST=WA, O=a\\", "nothing follows"),
        ("C=US, ST=WA, O=\\x", "hexadecimal digits"),
        ("C=US, ST=WA, O=\\ff", "UTF-8"),
        ("C=US, ST=WA, 1O=a", "no attribute type"),
        ("C=US, ST=WA, O", "missing"),
        ("C, ST=WA, O=a", "'='"),
    ] {
        let error = DistinguishedName::parse(bad).unwrap_err();
        assert!(error.contains(why), "{bad}: {error}");
    }
    assert!(DistinguishedName::parse(&format!("C=US, ST=WA, O={}", "a".repeat(MAX_LENGTH))).is_err());
}

#[test]
fn every_special_character_can_be_escaped() {
    for (written, meant) in [
        (r"\,", ","),
        (r"\;", ";"),
        (r"\\", "\\"),
        (r"\+", "+"),
        (r#"\""#, "\""),
        (r"\<", "<"),
        (r"\>", ">"),
        (r"\#", "#"),
        (r"\=", "="),
        (r"\ ", " "),
        (r"\20", " "),
        (r"\00", "\0"),
        (r"\C3\A9", "é"),
        (r"\c3\a9", "é"),
        (r"\F0\9F\9A\AA", "🚪"),
        (r"a\ ", "a "),
        (r"\ a", " a"),
        ("a  b", "a  b"),
        ("a#b=c", "a#b=c"),
    ] {
        let read = name(&format!("C=US, ST=WA, O={written} , L=x"));
        assert_eq!(read.0["O"], meant, "{written}");
        assert_eq!(name(&read.to_string()), read, "{written}");
    }
}

#[test]
fn what_cannot_be_read_is_refused_wherever_it_stands() {
    for bad in [
        r"\",
        r"\g0",
        r"\0",
        r"\0g",
        r"\é",
        r"\C3",
        r"\C3\28",
        r"\ff",
        r"\n",
        r"\ed\a0\80",
        "a\0b",
        "#04024869",
        " #04",
        "a+b",
        "a;b",
        "a+OU=b",
    ] {
        for text in [format!("C=US, ST=WA, O={bad}"), format!("O={bad}, C=US, ST=WA")] {
            assert!(DistinguishedName::parse(&text).is_err(), "{text}");
        }
    }
}
