//! Trusted identities: whose certificate may have signed (trust-store-trust-policy, "Trusted
//! Identities Constraints"), and the distinguished names they are written as (RFC 4514).

use std::collections::BTreeMap;
use std::fmt;

use crate::x509::Name;

/// The kind of identity that is understood.
const SUBJECT: &str = "x509.subject";
/// The longest identity that is read.
const MAX_LENGTH: usize = 4096;
/// What every identity names, by the specification.
const REQUIRED: [(&str, &str); 3] = [("C", "C"), ("ST", "ST or S"), ("O", "O")];

/// Who may sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Identities {
    /// `*`: whoever has a certificate of the trusted authorities.
    Any,
    /// Who has all attributes of one of the subjects.
    Listed {
        /// The subjects.
        subjects: Vec<DistinguishedName>,
        /// Identities of other kinds, which only plugins understand: they match nobody.
        others: Vec<String>,
    },
}

impl Identities {
    /// Reads a list of identities; those of other kinds are refused unless they are to be kept.
    ///
    /// # Errors
    /// The index of the faulty one, where there is one, and the rule it breaks.
    pub(super) fn parse(list: &[String], keeps_others: bool) -> Result<Self, (Option<usize>, String)> {
        if list.is_empty() {
            let why = "name who may sign: \"x509.subject: C=…, ST=…, O=…\", or \"*\" for everybody whom the \
                       trust stores vouch for";
            return Err((None, why.to_owned()));
        }
        if let Some(at) = list.iter().position(|i| i == "*") {
            return match list.len() {
                1 => Ok(Self::Any),
                _ => Err((Some(at), "\"*\" stands alone or not at all".to_owned())),
            };
        }
        let (mut subjects, mut others) = (Vec::<DistinguishedName>::new(), Vec::new());
        for (at, text) in list.iter().enumerate() {
            let Some(name) = subject(text, keeps_others).map_err(|why| (Some(at), why))? else {
                others.push(text.clone());
                continue;
            };
            if let Some(other) = subjects.iter().find(|s| s.overlaps(&name)) {
                return Err((Some(at), format!("{name} overlaps with {other}: one certificate can be both")));
            }
            subjects.push(name);
        }
        Ok(Self::Listed { subjects, others })
    }

    /// Whether the certificate with this subject may sign.
    pub(super) fn admit(&self, subject: &Name) -> bool {
        match self {
            Self::Any => true,
            Self::Listed { subjects, .. } => {
                attributes_of(subject).is_some_and(|found| subjects.iter().any(|n| n.is_in(&found)))
            }
        }
    }

    /// The identities that match nobody.
    pub(super) fn others(&self) -> &[String] {
        match self {
            Self::Any => &[],
            Self::Listed { others, .. } => others,
        }
    }
}

impl fmt::Display for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Listed { subjects, others } => {
                let subjects = subjects.iter().map(|name| format!("{SUBJECT}: {name}"));
                f.write_str(&subjects.chain(others.iter().cloned()).collect::<Vec<_>>().join("; "))
            }
        }
    }
}

/// The name that an identity is about; `None` for an identity of another kind ("Other types of trusted
/// identities may be supported, by using an alternate prefix").
fn subject(text: &str, keeps_others: bool) -> Result<Option<DistinguishedName>, String> {
    match text.split_once(':') {
        Some((SUBJECT, name)) => DistinguishedName::parse(name).map(Some),
        // What begins like ours is more likely a slip than a plugin's.
        Some((kind, _)) if keeps_others && !kind.trim().to_ascii_lowercase().starts_with("x509") => Ok(None),
        _ => Err(format!("an identity is written \"{SUBJECT}: C=…, ST=…, O=…\" or \"*\"")),
    }
}

/// Attributes by type, each once. Types are upper case; `S` is `ST`.
type Attributes = BTreeMap<String, String>;

/// The attributes of a certificate's subject; `None` where a type stands there twice or several share
/// one relative name, since no identity can tell which of them is meant.
fn attributes_of(subject: &Name) -> Option<Attributes> {
    let mut found = Attributes::new();
    for rdn in subject.rdns() {
        let [attribute] = rdn.as_slice() else { return None };
        let kind = attribute.short_name().unwrap_or(&attribute.oid).to_owned();
        // A value that is not text equals no text, but its type must still be unique.
        let value = attribute.value.clone().unwrap_or_default();
        if found.insert(kind, value).is_some() {
            return None;
        }
    }
    Some(found)
}

/// A list of attributes that a subject must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DistinguishedName(Attributes);

impl DistinguishedName {
    /// Reads `TYPE=value, TYPE=value`: RFC 4514 with spaces around the separators, one attribute a
    /// relative name, each type once.
    ///
    /// # Errors
    /// The rule that is broken.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_LENGTH {
            return Err(format!("longer than {MAX_LENGTH} bytes"));
        }
        let mut attributes = Attributes::new();
        let mut rest = text.chars().peekable();
        loop {
            let kind = kind(&mut rest)?;
            let value = value(&mut rest)?;
            if value.is_empty() {
                return Err(format!("{kind} has no value"));
            }
            if attributes.insert(kind.clone(), value).is_some() {
                return Err(format!("{kind} stands there twice"));
            }
            if rest.next().is_none() {
                break;
            }
        }
        match REQUIRED.iter().find(|(kind, _)| !attributes.contains_key(*kind)) {
            Some((_, missing)) => Err(format!("{missing} is missing; C, ST (or S) and O are required")),
            None => Ok(Self(attributes)),
        }
    }

    fn is_in(&self, found: &Attributes) -> bool {
        self.0.iter().all(|(kind, value)| found.get(kind) == Some(value))
    }

    /// Whether some subject would match both: there is one unless they contradict each other.
    fn overlaps(&self, other: &Self) -> bool {
        self.0.iter().all(|(kind, value)| other.0.get(kind).is_none_or(|v| v == value))
    }
}

impl fmt::Display for DistinguishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (kind, value)) in self.0.iter().enumerate() {
            write!(f, "{}{kind}=", if at > 0 { ", " } else { "" })?;
            let last = value.chars().count().saturating_sub(1);
            for (at, c) in value.chars().enumerate() {
                let escaped = matches!(c, ',' | ';' | '\\' | '+' | '"' | '<' | '>')
                    || (c == ' ' && (at == 0 || at == last))
                    || (c == '#' && at == 0);
                write!(f, "{}{c}", if escaped { "\\" } else { "" })?;
            }
        }
        Ok(())
    }
}

type Rest<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// An attribute type up to the equals sign, as the key it is compared by.
fn kind(rest: &mut Rest<'_>) -> Result<String, String> {
    let mut text = String::new();
    loop {
        match rest.next() {
            Some('=') => break,
            Some(c) if c == ',' || c == '+' => return Err(format!("'=' is missing before '{c}'")),
            Some(c) => text.push(c),
            None => return Err("TYPE=value is missing".to_owned()),
        }
    }
    let text = text.trim_matches(' ');
    let descriptor = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if !descriptor && !is_oid(text) {
        return Err(format!("{text:?} is no attribute type"));
    }
    Ok(match text.to_ascii_uppercase().as_str() {
        "S" => "ST".to_owned(),
        "E" | "EMAIL" => "EMAILADDRESS".to_owned(),
        other => crate::x509::name::short_name(other).unwrap_or(other).to_owned(),
    })
}

fn is_oid(text: &str) -> bool {
    text.contains('.')
        && text.split('.').all(|arc| {
            !arc.is_empty()
                && arc.bytes().all(|b| b.is_ascii_digit())
                && (arc == "0" || !arc.starts_with('0'))
        })
}

/// A value up to an unescaped comma, which is left to be read, or the end.
fn value(rest: &mut Rest<'_>) -> Result<String, String> {
    while rest.next_if_eq(&' ').is_some() {}
    if rest.peek() == Some(&'#') {
        return Err("values in hexadecimal (#…) are not supported".to_owned());
    }
    let mut bytes = Vec::new();
    // How much of it is not trailing space: an escaped space stays.
    let mut kept = 0;
    while let Some(&c) = rest.peek() {
        match c {
            ',' => break,
            ';' => return Err("';' is written '\\;'".to_owned()),
            '+' => return Err("several attributes joined by '+' are not supported; '+' is '\\+'".to_owned()),
            '\0' => return Err("a null character is written '\\00'".to_owned()),
            '\\' => {
                rest.next();
                escaped(rest, &mut bytes)?;
                kept = bytes.len();
            }
            c => {
                bytes.extend(c.encode_utf8(&mut [0; 4]).as_bytes());
                if c != ' ' {
                    kept = bytes.len();
                }
            }
        }
        if c != '\\' {
            rest.next();
        }
    }
    bytes.truncate(kept);
    String::from_utf8(bytes).map_err(|_| "an escaped value is not UTF-8".to_owned())
}

/// What follows a backslash: one of the special characters, or two hexadecimal digits for a byte.
fn escaped(rest: &mut Rest<'_>, out: &mut Vec<u8>) -> Result<(), String> {
    match rest.next() {
        Some(c) if " ,;+\"\\<>=#".contains(c) => out.push(c as u8),
        Some(high) => {
            let low = rest.next();
            match (high.to_digit(16), low.and_then(|l| l.to_digit(16))) {
                (Some(high), Some(low)) => out.push((high * 16 + low) as u8),
                _ => {
                    return Err("'\\' stands before a special character or two hexadecimal digits".to_owned());
                }
            }
        }
        None => return Err("nothing follows the last '\\'".to_owned()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> DistinguishedName {
        DistinguishedName::parse(text).unwrap()
    }

    fn identities(list: &[&str]) -> Result<Identities, (Option<usize>, String)> {
        Identities::parse(&list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>(), true)
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
    fn lists_hold_a_star_alone_or_names_that_do_not_overlap() {
        const A: &str = "x509.subject: C=US, ST=WA, O=a";
        assert_eq!(identities(&["*"]), Ok(Identities::Any));
        assert!(identities(&[A, "x509.subject: C=US, ST=WA, O=b"]).is_ok());
        assert!(identities(&[]).is_err());
        for (bad, at) in [
            (&[A, "*"][..], 1),
            (&[A, A], 1),
            (&[A, "x509.subject: C=US, ST=WA, O=a, OU=x"], 1),
            (&["x509.subject: C=US, ST=WA, O=a, CN=y", "x509.subject: C=US, ST=WA, O=a, OU=x"], 1),
            (&["C=US, ST=WA, O=a"], 0),
            (&["x509.issuer: C=US, ST=WA, O=a"], 0),
            (&[""], 0),
        ] {
            assert_eq!(identities(bad).unwrap_err().0, Some(at), "{bad:?}");
        }
    }

    /// C=US, ST=WA, OU=x+O=acme: the last two in one relative name.
    const MULTI_VALUED: &str = "-----BEGIN CERTIFICATE-----
MIIBuzCCAWGgAwIBAgIUe1KcxrbLxVeGMr1JR8O7R5W8x7MwCgYIKoZIzj0EAwIw
MzELMAkGA1UEBhMCVVMxCzAJBgNVBAgMAldBMRcwCAYDVQQLDAF4MAsGA1UECgwE
YWNtZTAeFw0yNjExMjIwMjQzMDNaFw0zNjExMTkwMjQzMDNaMDMxCzAJBgNVBAYT
AlVTMQswCQYDVQQIDAJXQTEXMAgGA1UECwwBeDALBgNVBAoMBGFjbWUwWTATBgcq
hkjOPQIBBggqhkjOPQMBBwNCAAS6X5HOmeX1t2axtBxv3VC3hRjIZSfncyLed0aB
80ATN2PrJcItetU5Uz4QjpqAIKuPQT481LKAPaNgLvji/zGLo1MwUTAdBgNVHQ4E
FgQUsIJ1srBPmHh3oZJGTqwXy8Xc/oowHwYDVR0jBBgwFoAUsIJ1srBPmHh3oZJG
TqwXy8Xc/oowDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiEA8VoK
BqHveVmP37eULjwM0x81UnvK+q4n3I/kVrZh2cQCIGVhPBJT8CorFfcTKy6Yc50J
UKcdpith8bKfVqZ9Areq
-----END CERTIFICATE-----
";

    #[test]
    fn a_subject_with_joined_attributes_is_nobodys() {
        let certificate = crate::x509::Certificate::all_from(MULTI_VALUED.as_bytes()).unwrap().remove(0);
        assert!(Identities::Any.admit(certificate.subject()));
        for identity in ["x509.subject: C=US, ST=WA, O=acme", "x509.subject: C=US, ST=WA, O=acme, OU=x"] {
            assert!(!identities(&[identity]).unwrap().admit(certificate.subject()), "{identity}");
        }
    }

    /// What RFC 4514 section 2.4 makes of a value.
    fn escape(value: &str, hex: bool) -> String {
        let mut out = String::new();
        let last = value.chars().count() - 1;
        for (at, c) in value.chars().enumerate() {
            let special =
                "\"+,;<>\\".contains(c) || (c == ' ' && (at == 0 || at == last)) || (c == '#' && at == 0);
            if c == '\0' || (hex && !c.is_ascii_alphanumeric()) {
                c.encode_utf8(&mut [0; 4]).bytes().for_each(|b| out.push_str(&format!("\\{b:02x}")));
            } else {
                out.push_str(if special { "\\" } else { "" });
                out.push(c);
            }
        }
        out
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in "\\PC{0,60}") {
            let _ = DistinguishedName::parse(&text);
        }

        #[test]
        fn values_read_as_they_were_escaped(value in "[ -~é\0]{1,20}", hex in any::<bool>()) {
            let read = name(&format!("C=US, ST=WA, O={}", escape(&value, hex)));
            prop_assert_eq!(&read.0["O"], &value);
        }

        #[test]
        fn a_name_reads_as_it_prints(organization in "[ -~]{1,20}", unit in "[ -~]{1,20}") {
            let text = format!("C=US, ST=WA, O={}, OU={}", escape(&organization, false), escape(&unit, true));
            let read = name(&text);
            prop_assert_eq!(name(&read.to_string()), read);
        }
    }
}
