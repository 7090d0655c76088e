//! `keyless.identities[]`: who an authority's certificate must be of.

use serde_json::Value;

use super::object::Object;
use crate::setting::SettingError;
use crate::signature::cosign::{Keyless, anywhere};

const FIELDS: [&str; 4] = ["issuer", "issuerRegExp", "subject", "subjectRegExp"];

/// Reads one identity.
///
/// # Errors
/// An issuer or subject that is missing or given twice, or a pattern that is none.
pub(super) fn read(value: &Value) -> Result<Keyless, SettingError> {
    let identity = Object::of(value, &FIELDS)?;
    let (issuer, issuer_regexp) = one_of(&identity, "issuer", "issuerRegExp")?;
    let (subject, subject_regexp) = one_of(&identity, "subject", "subjectRegExp")?;
    Ok(Keyless {
        issuer,
        issuer_regexp,
        identity: subject,
        identity_regexp: subject_regexp,
        ..Keyless::default()
    })
}

/// A field's name in the file, of the signer's setting that it became.
pub(super) fn field_of(setting: &str) -> Option<&'static str> {
    match setting {
        "issuer" => Some("issuer"),
        "issuer_regexp" => Some("issuerRegExp"),
        "identity" => Some("subject"),
        "identity_regexp" => Some("subjectRegExp"),
        _ => None,
    }
}

type ExactOrPattern = (Option<String>, Option<String>);

fn one_of(identity: &Object<'_>, exact: &str, pattern: &str) -> Result<ExactOrPattern, SettingError> {
    match (identity.text(exact)?, identity.text(pattern)?) {
        (Some(value), None) => Ok((Some(value.to_owned()), None)),
        (None, Some(value)) => {
            let whole = anywhere(value).map_err(|why| SettingError::new([pattern], why))?;
            Ok((None, Some(whole)))
        }
        (None, None) => {
            let message = format!("is missing: one of {exact} and {pattern} is needed");
            Err(SettingError::new([exact], message))
        }
        (Some(_), Some(_)) => {
            Err(SettingError::new([pattern], format!("contradicts {exact}: write one of them")))
        }
    }
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;

    #[test]
    fn a_pattern_matches_anywhere_as_it_does_in_policy_controller() {
        // How the signer matches: the whole of the text.
        let whole = |pattern: &str| Regex::new(&format!("^(?:{})$", anywhere(pattern).unwrap())).unwrap();
        for (pattern, text, expected) in [
            ("acme", "https://github.com/acme/app", true),
            ("^https://github\\.com/acme/", "https://github.com/acme/app", true),
            ("^https://github\\.com/acme/", "x https://github.com/acme/app", false),
            ("app$", "https://github.com/acme/app", true),
            ("app$", "https://github.com/acme/app\n", false),
            ("^a|b$", "a and more", true),
            ("^a|b$", "more and b", true),
            ("^a|b$", "c and d", false),
            ("(?i)ACME", "https://github.com/acme/app", true),
            ("acme", "first\nacme\nlast", true),
            ("nobody", "https://github.com/acme/app", false),
        ] {
            assert_eq!(whole(pattern).is_match(text), expected, "{pattern:?} {text:?}");
            assert_eq!(
                Regex::new(pattern).unwrap().is_match(text),
                expected,
                "{pattern:?} {text:?} as Go has it"
            );
        }
    }

    #[test]
    fn nothing_escapes_the_group() {
        for bad in ["(", "a)|(b", "[", "a{1000000}{1000000}"] {
            assert!(anywhere(bad).unwrap_err().contains("expected a regular expression"), "{bad}");
        }
    }
}
