//! Reading against RFC 4514 as it is written: a formatter that makes every spelling of a name that its
//! section 2 allows, and a reader made in another way.

use std::collections::HashSet;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::*;

/// Types as they may be written, with the key that they are compared by.
const TYPES: [(&str, &str); 14] = [
    ("OU", "OU"),
    ("ou", "OU"),
    ("2.5.4.11", "OU"),
    ("CN", "CN"),
    ("2.5.4.3", "CN"),
    ("L", "L"),
    ("l", "L"),
    ("DC", "DC"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("emailAddress", "EMAILADDRESS"),
    ("E", "EMAILADDRESS"),
    ("1.2.840.113549.1.9.1", "EMAILADDRESS"),
    ("1.3.6.1.4.1.311.60.2.1.3", "1.3.6.1.4.1.311.60.2.1.3"),
    ("x-own-Type", "X-OWN-TYPE"),
];

/// How one character of a value is written, where RFC 4514 leaves a choice.
#[derive(Clone, Copy, Debug)]
enum Spelling {
    Plain,
    Backslash,
    Hex,
    UpperHex,
}

fn spelling() -> impl Strategy<Value = Spelling> {
    prop_oneof![
        4 => Just(Spelling::Plain),
        1 => Just(Spelling::Backslash),
        1 => Just(Spelling::Hex),
        1 => Just(Spelling::UpperHex),
    ]
}

/// Values, a third of them made of what must be escaped.
fn value() -> impl Strategy<Value = String> {
    prop_oneof!["[ ,;+\"\\\\<>#=a\0é]{1,12}", "\\PC{1,12}", "[a-zA-Z .]{1,12}"]
}

/// Section 2.4: the value with each character in one of its spellings.
fn written(value: &str, spellings: &[Spelling]) -> String {
    let last = value.chars().count() - 1;
    let spelled = |(at, c): (usize, char)| {
        let special = "\"+,;<>\\".contains(c);
        let at_edge = (c == ' ' && (at == 0 || at == last)) || (c == '#' && at == 0);
        let hex = |upper: bool| {
            let pair = |b| if upper { format!("\\{b:02X}") } else { format!("\\{b:02x}") };
            c.encode_utf8(&mut [0; 4]).bytes().map(pair).collect::<String>()
        };
        match spellings[at % spellings.len()] {
            _ if c == '\0' => hex(false),
            Spelling::Hex => hex(false),
            Spelling::UpperHex => hex(true),
            Spelling::Backslash if special || " #=".contains(c) => format!("\\{c}"),
            _ if special || at_edge => format!("\\{c}"),
            Spelling::Plain | Spelling::Backslash => c.to_string(),
        }
    };
    value.chars().enumerate().map(spelled).collect()
}

/// Attributes beside the required ones: as written, the key, and the value.
fn attributes() -> impl Strategy<Value = Vec<(&'static str, &'static str, String)>> {
    btree_map(0..TYPES.len(), value(), 0..5).prop_map(|chosen| {
        let mut taken = HashSet::new();
        let all = chosen.into_iter().map(|(at, value)| (TYPES[at].0, TYPES[at].1, value));
        all.filter(|(_, key, _)| taken.insert(*key)).collect()
    })
}

/// RFC 4514 read in another way: marks what is escaped, then cuts. What is unescaped of `"`, `<` and `>`
/// counts as itself, as it is not in the specification's list of what must be escaped.
fn read_otherwise(text: &str) -> Option<Attributes> {
    let marked = marked(text)?;
    let mut attributes = Attributes::new();
    for part in marked.split(|(b, escaped)| *b == b',' && !escaped) {
        // No type has anything escaped in it.
        let equals = part.iter().position(|(b, escaped)| *b == b'=' && !escaped)?;
        let (kind, value) = (key(&part[..equals])?, trimmed(&part[equals + 1..]));
        let forbidden = value.iter().any(|(b, escaped)| !escaped && b";+\0".contains(b));
        if value.is_empty() || value[0] == (b'#', false) || forbidden {
            return None;
        }
        let value = String::from_utf8(value.iter().map(|(b, _)| *b).collect()).ok()?;
        if attributes.insert(kind, value).is_some() {
            return None;
        }
    }
    ["C", "ST", "O"].iter().all(|required| attributes.contains_key(*required)).then_some(attributes)
}

/// Each byte, and whether it was escaped.
fn marked(text: &str) -> Option<Vec<(u8, bool)>> {
    let bytes = text.as_bytes();
    let (mut marked, mut at) = (Vec::new(), 0);
    while let Some(&byte) = bytes.get(at) {
        let next = bytes.get(at + 1).copied();
        if byte != b'\\' {
            marked.push((byte, false));
            at += 1;
        } else if b" ,;+\"\\<>=#".contains(&next?) {
            marked.push((next?, true));
            at += 2;
        } else {
            let pair = bytes.get(at + 1..at + 3).filter(|pair| pair.iter().all(u8::is_ascii_hexdigit))?;
            marked.push((u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?, true));
            at += 3;
        }
    }
    Some(marked)
}

/// The key of a type that is made of the letters that the generator uses.
fn key(written: &[(u8, bool)]) -> Option<String> {
    let plain = written.iter().map(|(b, escaped)| if *escaped { '!' } else { char::from(*b) });
    let kind = plain.collect::<String>().trim_matches(' ').to_ascii_uppercase();
    let descriptor = kind.starts_with(|c: char| c.is_ascii_alphabetic())
        && kind.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    descriptor.then(|| if kind == "S" { "ST".to_owned() } else { kind })
}

fn trimmed(mut value: &[(u8, bool)]) -> &[(u8, bool)] {
    while let [(b' ', false), rest @ ..] = value {
        value = rest;
    }
    while let [rest @ .., (b' ', false)] = value {
        value = rest;
    }
    value
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn every_spelling_of_a_name_reads_as_the_name(
        (country, state, organization) in (value(), value(), value()),
        state_type in prop_oneof![Just("ST"), Just("S"), Just("st"), Just("2.5.4.8")],
        more in attributes(),
        spellings in vec(spelling(), 1..7),
        order in any::<prop::sample::Index>(),
        spaces in vec("[ ]{0,2}", 4),
    ) {
        let mut all = vec![("C", "C", country), (state_type, "ST", state), ("o", "O", organization)];
        all.extend(more);
        let first = order.index(all.len());
        all.rotate_left(first);
        let [a, b, c, d] = [&spaces[0], &spaces[1], &spaces[2], &spaces[3]];
        let piece = |(kind, _, value): &(&str, &str, String)| {
            format!("{a}{kind}{b}={c}{}{d}", written(value, &spellings))
        };
        let text = all.iter().map(piece).collect::<Vec<_>>().join(",");
        let expected: Attributes = all.iter().map(|(_, key, v)| ((*key).to_owned(), v.clone())).collect();
        let read = DistinguishedName::parse(&text);
        prop_assert_eq!(read.as_ref().map(|name| &name.0), Ok(&expected), "{}", text);
        let read = read.unwrap();
        prop_assert_eq!(DistinguishedName::parse(&read.to_string()), Ok(read), "as it prints");
    }

    #[test]
    fn whatever_is_read_is_read_alike_in_another_way(tail in "[CSTO=, \\\\;+#\"<>a4é\0]{0,16}") {
        for text in [tail.clone(), format!("C=a,S=b,O=c{tail}"), format!("O={tail},C=a,ST=b")] {
            let read = DistinguishedName::parse(&text).ok().map(|name| name.0);
            prop_assert_eq!(read, read_otherwise(&text), "{:?}", text);
        }
    }

    #[test]
    fn reading_never_panics(text in any::<String>()) {
        let _ = DistinguishedName::parse(&text);
        let _ = DistinguishedName::parse(&format!("C=US,ST=WA,O={text}"));
    }

    /// "They are considered overlapping if there exists a certificate for which multiple DNs evaluate true."
    #[test]
    fn names_overlap_where_one_subject_is_both(
        a in btree_map("[ABC]", "[xy]", 0..3),
        b in btree_map("[ABC]", "[xy]", 0..3),
    ) {
        let (left, right) = (DistinguishedName(a.clone()), DistinguishedName(b.clone()));
        let both: Attributes = a.into_iter().chain(b).collect();
        prop_assert_eq!(left.overlaps(&right), left.is_in(&both) && right.is_in(&both));
        prop_assert_eq!(left.overlaps(&right), right.overlaps(&left));
    }
}
