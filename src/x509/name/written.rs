//! Distinguished names as people write them: RFC 4514, with spaces around the separators, one attribute a relative
//! name.

use super::short_name;

/// Types and values in the order they are written. Types are short names, upper case, where they have one: `S` is
/// `ST`, `E` is `EMAILADDRESS`.
///
/// # Errors
/// The rule that is broken.
pub fn attributes(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut all = Vec::new();
    let mut rest = text.chars().peekable();
    loop {
        let kind = kind(&mut rest)?;
        let value = value(&mut rest)?;
        if value.is_empty() {
            return Err(format!("{kind} has no value"));
        }
        all.push((kind, value));
        if rest.next().is_none() {
            return Ok(all);
        }
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
