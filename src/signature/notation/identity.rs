//! Trusted identities: whose certificate may have signed (trust-store-trust-policy, "Trusted
//! Identities Constraints").

use std::fmt;

use super::distinguished_name::{Attributes, DistinguishedName};
use crate::x509::Name;

/// The kind of identity that is understood.
const SUBJECT: &str = "x509.subject";

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

#[cfg(test)]
mod tests;
