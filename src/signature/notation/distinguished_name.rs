//! Distinguished names as trusted identities are written (RFC 4514, with the rules of
//! trust-store-trust-policy, "Trusted Identities Constraints").

use std::collections::BTreeMap;
use std::fmt;

use crate::x509::name::{write_escaped, written};

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
        for (kind, value) in written::attributes(text)? {
            if attributes.insert(kind.clone(), value).is_some() {
                return Err(format!("{kind} stands there twice"));
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

#[cfg(test)]
mod tests;
