//! `require`: a tree of signers and attestations.

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use super::Attested;
use crate::setting::SettingError;
use crate::signature::SignerName;

/// Real policies are two deep; the bound keeps hostile files off the stack.
const MAX_DEPTH: usize = 8;

/// Which signers must vouch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Require {
    /// This one, by a signature: an attestation is none.
    Signer(SignerName),
    /// This one, by one attestation.
    Attested(Attested),
    /// Each of these.
    All(Vec<Require>),
    /// At least one of these.
    Any(Vec<Require>),
    /// At least so many of these, each with keys and identities of its own.
    AtLeast {
        /// How many.
        count: usize,
        /// Of which.
        of: Vec<Require>,
    },
}

impl Require {
    /// All signers named in it.
    pub fn signers(&self) -> BTreeSet<&SignerName> {
        match self {
            Self::Signer(name) | Self::Attested(Attested { by: name, .. }) => BTreeSet::from([name]),
            Self::All(members) | Self::Any(members) | Self::AtLeast { of: members, .. } => {
                members.iter().flat_map(Self::signers).collect()
            }
        }
    }

    /// All attestations asked for in it.
    pub(super) fn attested(&self) -> Vec<&Attested> {
        match self {
            Self::Attested(attested) => vec![attested],
            _ => self.members().iter().flat_map(Self::attested).collect(),
        }
    }

    /// Whether a signature of this signer is asked for in it.
    pub(super) fn asks_to_sign(&self, signer: &SignerName) -> bool {
        match self {
            Self::Signer(name) => name == signer,
            _ => self.members().iter().any(|member| member.asks_to_sign(signer)),
        }
    }

    /// The only signer, where the whole tree is one.
    pub fn sole(&self) -> Option<&SignerName> {
        match self {
            Self::Signer(name) => Some(name),
            _ => None,
        }
    }

    /// Checks what the grammar cannot say, and each signer, for what is asked of it, with `known`.
    ///
    /// # Errors
    /// The first fault, with the keys that lead to it.
    pub(super) fn check(&self, known: &Known<'_>) -> Result<(), SettingError> {
        self.check_within(known, 0)
    }

    fn check_within(&self, known: &Known<'_>, depth: usize) -> Result<(), SettingError> {
        let path: &[&str] = match self {
            Self::Signer(name) => return known(name, Asked::Signature).map_err(SettingError::here),
            Self::Attested(attested) => {
                let by = known(&attested.by, Asked::Attestation);
                let checked =
                    by.map_err(|why| SettingError::new(["by"], why)).and_then(|()| attested.check());
                return checked.map_err(|fault| fault.under("attested"));
            }
            Self::All(_) => &["all"],
            Self::Any(_) => &["any"],
            Self::AtLeast { .. } => &["at_least", "of"],
        };
        let members = self.members();
        if depth == MAX_DEPTH {
            return Err(SettingError::here(format!("a tree is at most {MAX_DEPTH} deep")));
        }
        if members.is_empty() {
            return Err(SettingError::new(
                path.iter().copied(),
                "the list is empty: name at least one signer",
            ));
        }
        if let Self::AtLeast { count, of } = self {
            check_count(*count, of)?;
        }
        for (i, member) in members.iter().enumerate() {
            member.check_within(known, depth + 1).map_err(|fault| {
                path.iter().rev().fold(fault.under(i.to_string()), |fault, key| fault.under(*key))
            })?;
        }
        Ok(())
    }

    pub(super) fn members(&self) -> &[Require] {
        match self {
            Self::Signer(_) | Self::Attested(_) => &[],
            Self::All(members) | Self::Any(members) | Self::AtLeast { of: members, .. } => members,
        }
    }
}

/// What a leaf asks of its signer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Signature,
    Attestation,
}

/// Whether a signer can give what is asked of it.
pub(super) type Known<'a> = dyn Fn(&SignerName, Asked) -> Result<(), String> + 'a;

fn check_count(count: usize, of: &[Require]) -> Result<(), SettingError> {
    let fault = |key: &str, message: String| Err(SettingError::new(["at_least", key], message));
    if count == 0 || count > of.len() {
        return fault("count", format!("expected 1 to {} (as many as `of` lists), found {count}", of.len()));
    }
    match of.iter().enumerate().find(|(i, member)| of[..*i].contains(member)) {
        Some((_, twice)) => fault("of", format!("{twice} is listed twice, but counts once")),
        None => Ok(()),
    }
}

impl fmt::Display for Require {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signer(name) => return write!(f, "{name}"),
            Self::Attested(attested) => return write!(f, "{attested}"),
            Self::All(_) => f.write_str("all of (")?,
            Self::Any(_) => f.write_str("any of (")?,
            Self::AtLeast { count, .. } => write!(f, "at least {count} of (")?,
        }
        for (i, member) in self.members().iter().enumerate() {
            write!(f, "{}{member}", if i > 0 { ", " } else { "" })?;
        }
        f.write_str(")")
    }
}

impl<'de> Deserialize<'de> for Require {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Tree)
    }
}

const KEYS: [&str; 4] = ["all", "any", "at_least", "attested"];

struct Tree;

impl<'de> Visitor<'de> for Tree {
    type Value = Require;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a signer's name, or one of all: […], any: […], at_least: {count, of: […]}, attested: {by, predicate_type, where}")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Require, E> {
        Ok(Require::Signer(SignerName(name.into())))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Require, A::Error> {
        let Some(key) = map.next_key::<String>()? else {
            return Err(A::Error::custom(format!("expected one of {}", KEYS.join(", "))));
        };
        let tree = match key.as_str() {
            "all" => Require::All(map.next_value()?),
            "any" => Require::Any(map.next_value()?),
            "at_least" => {
                let AtLeast { count, of } = map.next_value()?;
                Require::AtLeast { count, of }
            }
            "attested" => Require::Attested(map.next_value()?),
            _ => return Err(A::Error::unknown_field(&key, &KEYS)),
        };
        match map.next_entry::<String, IgnoredAny>()? {
            None => Ok(tree),
            Some((second, _)) => Err(A::Error::custom(format!(
                "{key:?} and {second:?} stand side by side: a node is one of {}; nest them",
                KEYS.join(", ")
            ))),
        }
    }
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct AtLeast {
    count: usize,
    of: Vec<Require>,
}

/// For the schema alone: the shape that the visitor reads.
#[cfg(test)]
mod schema {
    use super::{AtLeast, Attested, Require};

    #[derive(schemars::JsonSchema)]
    #[schemars(untagged, rename = "Require")]
    #[allow(dead_code, reason = "describes the shape to schemars")]
    enum Shape {
        /// A signer's name.
        Signer(String),
        /// A node.
        Node(Node),
    }

    #[derive(schemars::JsonSchema)]
    #[schemars(rename_all = "snake_case")]
    #[allow(dead_code, reason = "describes the shape to schemars")]
    enum Node {
        /// Each of these must vouch.
        All(Vec<Require>),
        /// At least one of these must vouch.
        Any(Vec<Require>),
        /// At least so many of these must vouch, each with keys and identities of its own.
        AtLeast(AtLeast),
        /// One attestation must be all of this.
        Attested(Attested),
    }

    impl schemars::JsonSchema for Require {
        fn schema_name() -> std::borrow::Cow<'static, str> {
            Shape::schema_name()
        }
        fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
            Shape::json_schema(generator)
        }
    }
}

#[cfg(test)]
mod tests;
