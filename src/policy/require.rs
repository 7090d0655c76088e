//! `require`: a tree of signers.

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use crate::setting::SettingError;
use crate::signature::SignerName;

/// Real policies are two deep; the bound keeps hostile files off the stack.
const MAX_DEPTH: usize = 8;

/// Which signers must vouch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Require {
    /// This one.
    Signer(SignerName),
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
            Self::Signer(name) => BTreeSet::from([name]),
            Self::All(members) | Self::Any(members) | Self::AtLeast { of: members, .. } => {
                members.iter().flat_map(Self::signers).collect()
            }
        }
    }

    /// The only signer, where the whole tree is one.
    pub fn sole(&self) -> Option<&SignerName> {
        match self {
            Self::Signer(name) => Some(name),
            _ => None,
        }
    }

    /// Checks what the grammar cannot say, and each signer with `known`.
    ///
    /// # Errors
    /// The first fault, with the keys that lead to it.
    pub(super) fn check(
        &self,
        known: &dyn Fn(&SignerName) -> Result<(), String>,
    ) -> Result<(), SettingError> {
        self.check_within(known, 0)
    }

    fn check_within(
        &self,
        known: &dyn Fn(&SignerName) -> Result<(), String>,
        depth: usize,
    ) -> Result<(), SettingError> {
        let path: &[&str] = match self {
            Self::Signer(name) => return known(name).map_err(SettingError::here),
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
            Self::Signer(_) => &[],
            Self::All(members) | Self::Any(members) | Self::AtLeast { of: members, .. } => members,
        }
    }
}

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

struct Tree;

impl<'de> Visitor<'de> for Tree {
    type Value = Require;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a signer's name, or one of all: […], any: […], at_least: {count, of: […]}")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Require, E> {
        Ok(Require::Signer(SignerName(name.into())))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Require, A::Error> {
        let Some(key) = map.next_key::<String>()? else {
            return Err(A::Error::custom("expected one of all, any, at_least"));
        };
        let tree = match key.as_str() {
            "all" => Require::All(map.next_value()?),
            "any" => Require::Any(map.next_value()?),
            "at_least" => {
                let AtLeast { count, of } = map.next_value()?;
                Require::AtLeast { count, of }
            }
            "attested" => {
                return Err(A::Error::custom("attestations (`attested`) are not verified by this version"));
            }
            _ => return Err(A::Error::unknown_field(&key, &["all", "any", "at_least"])),
        };
        match map.next_entry::<String, IgnoredAny>()? {
            None => Ok(tree),
            Some((second, _)) => Err(A::Error::custom(format!(
                "{key:?} and {second:?} stand side by side: a node is one of all, any, at_least; nest them"
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
    use super::{AtLeast, Require};

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
