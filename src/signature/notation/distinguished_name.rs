//! Distinguished names as trusted identities are written (RFC 4514, with the rules of
//! trust-store-trust-policy, "Trusted Identities Constraints").

use std::collections::BTreeMap;
use std::fmt;

use crate::x509::name::{short_name, write_escaped};

/// The longest identity that is read.
const MAX_LENGTH: usize = 4096;
/// What every identity names, by the specification.
const REQUIRED: [(&str, &str); 3] = [("C", "C"), ("ST", "ST or S"), ("O", "O")];

/// Attributes by type, each once. Types are upper case; `S` is `ST`.
pub(super) type Attributes = BTreeMap<String, String>;

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

    /// Whether the subject with these attributes has all of its.
    pub(super) fn is_in(&self, found: &Attributes) -> bool {
        self.0.iter().all(|(kind, value)| found.get(kind) == Some(value))
    }

    /// Whether some subject would match both: there is one unless they contradict each other.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        self.0.iter().all(|(kind, value)| other.0.get(kind).is_none_or(|v| v == value))
    }
}

impl fmt::Display for DistinguishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (kind, value)) in self.0.iter().enumerate() {
            write!(f, "{}{kind}=", if at > 0 { ", " } else { "" })?;
            write_escaped(f, value)?;
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
        other => short_name(other).unwrap_or(other).to_owned(),
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
mod tests;
