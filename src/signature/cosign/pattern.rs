//! What an identity or issuer must be: one value, or a pattern that the whole of it matches.

use std::fmt;

use regex::{Regex, RegexBuilder};

use crate::setting::SettingError;

/// A compiled pattern is at most so large: they come from the operator, and a mistake must not fill memory.
const MAX_COMPILED: usize = 1024 * 1024;

/// See the module.
#[derive(Clone, Debug)]
pub(super) enum Pattern {
    Exact(String),
    Matching { pattern: String, whole: Regex },
}

impl Pattern {
    /// The setting `name`, given in one of two ways: exactly, or as `{name}_regexp`.
    ///
    /// # Errors
    /// Both, neither, an empty one, or a pattern that is none.
    pub(super) fn of(
        name: &str,
        exact: &Option<String>,
        pattern: &Option<String>,
    ) -> Result<Self, SettingError> {
        match (exact.as_deref(), pattern.as_deref()) {
            (Some(""), None) => Err(SettingError::new([name], "the value is empty")),
            (Some(value), None) => Ok(Self::Exact(value.to_owned())),
            (None, Some(pattern)) => {
                Self::matching(pattern).map_err(|why| SettingError::new([format!("{name}_regexp")], why))
            }
            _ => Err(SettingError::new([name], format!("exactly one of {name} and {name}_regexp is needed"))),
        }
    }

    fn matching(pattern: &str) -> Result<Self, String> {
        if pattern.is_empty() {
            return Err("the pattern is empty".to_owned());
        }
        // By itself first, so that no unbalanced parenthesis escapes the anchors.
        compile(pattern)?;
        let whole = compile(&format!("^(?:{pattern})$"))?;
        Ok(Self::Matching { pattern: pattern.to_owned(), whole })
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        match self {
            Self::Exact(value) => value == text,
            Self::Matching { whole, .. } => whole.is_match(text),
        }
    }
}

/// The pattern, of the whole text, for one that other tools look for anywhere in it: cosign and policy-controller do.
///
/// # Errors
/// It is no pattern by itself.
pub fn anywhere(pattern: &str) -> Result<String, String> {
    // By itself first, so that no unbalanced parenthesis escapes the group.
    compile(pattern)?;
    Ok(format!("(?s:.*)(?:{pattern})(?s:.*)"))
}

fn compile(pattern: &str) -> Result<Regex, String> {
    let built = RegexBuilder::new(pattern).size_limit(MAX_COMPILED).dfa_size_limit(MAX_COMPILED).build();
    built.map_err(|why| format!("expected a regular expression (RE2 syntax), found {pattern:?}: {why}"))
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(value) => f.write_str(value),
            Self::Matching { pattern, .. } => write!(f, "/{pattern}/"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Result<Pattern, SettingError> {
        Pattern::of("identity", &None, &Some(text.to_owned()))
    }

    #[test]
    fn the_whole_string_matches_or_nothing_does() {
        let ours = pattern(r"https://github\.com/acme/.*|ci@acme\.example").unwrap();
        assert!(ours.matches("https://github.com/acme/app") && ours.matches("ci@acme.example"));
        for other in
            ["", "xci@acme.example", "ci@acme.example.evil.example", "ci@acme.example\n", "\nci@acme.example"]
        {
            assert!(!ours.matches(other), "{other:?}");
        }
    }

    #[test]
    fn nothing_escapes_the_anchors() {
        let fault = pattern("a)|(b").unwrap_err();
        assert_eq!(fault.path, ["identity_regexp"]);
        for bad in ["", "(", "a{1000000}{1000000}"] {
            assert!(pattern(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn one_way_and_not_two() {
        let some = Some("a".to_owned());
        for (exact, regexp) in [(&None, &None), (&some, &some), (&Some(String::new()), &None)] {
            assert_eq!(Pattern::of("issuer", exact, regexp).unwrap_err().path, ["issuer"]);
        }
        assert!(Pattern::of("issuer", &some, &None).unwrap().matches("a"));
    }
}
