//! Where each key of a YAML text stands. Built only when there is a fault to place.

mod text;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, NonFiniteFloatPolicy, Spanned};

use super::Error;
use super::read::options;
use crate::setting::SettingError;

/// The text that settings were read from.
#[derive(Clone, Debug, Default)]
pub(super) struct Source {
    file: Option<PathBuf>,
    text: String,
}

impl Source {
    pub(super) fn new(file: PathBuf, text: &str) -> Self {
        Self { file: Some(file), text: text.to_owned() }
    }

    pub(super) fn file(&self) -> Option<PathBuf> {
        self.file.clone()
    }

    /// Places a fault at its key, or at the nearest key above that is written; one within a text at the character, where
    /// the text is written so that it can be found.
    pub(super) fn locate(&self, fault: &SettingError) -> Error {
        let places = Places::of(&self.text);
        let place = (0..=fault.path.len()).rev().find_map(|end| places.0.get(&fault.path[..end]));
        let Some(within) = fault.within else {
            return self.error(place.map(|place| place.key), &fault.path, fault.message.clone());
        };
        let exact = places.0.get(&fault.path).and_then(|at| text::place(&self.text, at.value, within));
        match exact {
            Some(exact) => self.error(Some(exact), &fault.path, fault.message.clone()),
            None => {
                let message =
                    format!("{} (line {}, column {} of the text)", fault.message, within.0, within.1);
                self.error(place.map(|place| place.key), &fault.path, message)
            }
        }
    }

    /// Names the keys at a place that the parser reported.
    pub(super) fn name(&self, place: Option<(u64, u64)>, message: String) -> Error {
        let places = Places::of(&self.text);
        let at = |p: &Place| Some(p.key) == place || Some(p.value) == place;
        let path = places.0.iter().filter(|(_, p)| at(p)).map(|(path, _)| path).max_by_key(|path| path.len());
        self.error(place, path.map(Vec::as_slice).unwrap_or_default(), message)
    }

    fn error(&self, place: Option<(u64, u64)>, path: &[String], message: String) -> Error {
        Error { file: self.file.clone(), place, key: path.join("."), message }
    }
}

struct Places(BTreeMap<Vec<String>, Place>);

#[derive(Clone, Copy)]
struct Place {
    key: (u64, u64),
    value: (u64, u64),
}

impl Places {
    /// A text that does not parse has no places; its fault has one of its own.
    fn of(text: &str) -> Self {
        let mut lenient = options();
        lenient.duplicate_keys = DuplicateKeyPolicy::PassThrough;
        lenient.non_finite_float_policy = NonFiniteFloatPolicy::AsString;
        let mut places = Self(BTreeMap::new());
        if let Ok(root) = serde_saphyr::from_str_with_options::<Spanned<Node>>(text, lenient) {
            places.add(Vec::new(), (1, 1), &root);
        }
        places
    }

    fn add(&mut self, path: Vec<String>, key: (u64, u64), node: &Spanned<Node>) {
        let below = |name: &str| path.iter().cloned().chain([name.to_owned()]).collect();
        match &node.value {
            Node::Scalar => {}
            Node::List(items) => {
                for (i, item) in items.iter().enumerate() {
                    self.add(below(&i.to_string()), place(item), item);
                }
            }
            Node::Map(entries) => {
                for (name, value) in entries {
                    self.add(below(&name.value), place(name), value);
                }
            }
        }
        self.0.insert(path, Place { key, value: place(node) });
    }
}

fn place<T>(spanned: &Spanned<T>) -> (u64, u64) {
    (spanned.referenced.line(), spanned.referenced.column())
}

enum Node {
    Scalar,
    List(Vec<Spanned<Node>>),
    Map(Vec<(Spanned<String>, Spanned<Node>)>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Shape)
    }
}

struct Shape;

impl<'de> Visitor<'de> for Shape {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YAML")
    }

    fn visit_str<E>(self, _: &str) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Node::Map(entries))
    }

    fn visit_bytes<E>(self, _: &[u8]) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Node::Scalar)
    }
}
