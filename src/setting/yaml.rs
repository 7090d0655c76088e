//! YAML as every file of ours is read: strict, bounded, and with the place of each key, so that a fault can
//! be shown where it stands. Reads no file.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, Error, NonFiniteFloatPolicy, Options, Spanned};

/// Strict where YAML is loose, and bounded: depth, nodes, and what aliases may grow to.
pub fn options() -> Options {
    serde_saphyr::options! {
        with_snippet: false,
        strict_booleans: true,
        reject_unsupported_tags: true,
        reject_tagged_field_names: true,
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 10_000, max_replay_stack_depth: 4 },
        budget: serde_saphyr::budget! { max_depth: 32, max_nodes: 100_000, max_aliases: 1_000 },
    }
}

/// Where the parser found a fault.
pub fn place_of(fault: &Error) -> Option<Place> {
    fault.location().map(|at| (at.line(), at.column())).filter(|(line, _)| *line > 0)
}

/// What is wrong with `text`: the parser's words without its own naming of the place and of its options, or ours where
/// they do not say what was expected and found.
pub fn words(fault: &Error, text: &str) -> String {
    let found = || found(text, place_of(fault));
    match fault {
        Error::DuplicateMappingKey { .. } => return "the key is written twice".to_owned(),
        Error::InvalidBooleanStrict { .. } => return format!("expected true or false, found {}", found()),
        Error::Unexpected { expected: "mapping start", .. } => {
            return format!("expected keys with values (`key: value`), found {}", found());
        }
        Error::Unexpected { expected: "sequence start", .. } => {
            return format!("expected a list (`[one, two]`), found {}", found());
        }
        _ => {}
    }
    let words = fault.to_string();
    match words.rfind(" at line ") {
        Some(end) => words[..end].to_owned(),
        None => words,
    }
}

/// What stands at a place, for people.
fn found(text: &str, place: Option<Place>) -> String {
    /// More of a line helps nobody.
    const SHOWN: usize = 40;
    let from_one = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).saturating_sub(1);
    let (line, column) = place.unwrap_or((1, 1));
    let line = text.lines().nth(from_one(line)).unwrap_or_default();
    let rest: String = line.chars().skip(from_one(column)).collect();
    let ends = |(at, c): (usize, char)| {
        let space_before = at > 0 && rest[..at].ends_with(' ');
        (matches!(c, ',' | '}' | ']') && !rest.starts_with(['"', '\''])) || (c == '#' && space_before)
    };
    let end = rest.char_indices().find(|at| ends(*at)).map_or(rest.len(), |(at, _)| at);
    let value = rest[..end].trim();
    match rest.chars().next() {
        Some('[') => "a list".to_owned(),
        Some('-') if rest[1..].starts_with(' ') || rest.len() == 1 => "a list".to_owned(),
        Some('{') => "keys with values".to_owned(),
        _ if matches!(value, "" | "~" | "null") => "nothing".to_owned(),
        _ => format!("{:?}", value.chars().take(SHOWN).collect::<String>()),
    }
}

/// Line and column, from 1.
pub type Place = (u64, u64);

/// Where each key of a document stands. Built only when there is a fault to place.
#[derive(Clone, Debug, Default)]
pub struct Places(BTreeMap<Vec<String>, Entry>);

#[derive(Clone, Copy, Debug)]
struct Entry {
    key: Place,
    value: Place,
}

impl Places {
    /// Those of a text of one document. A text that does not parse has no places; its fault has one of its
    /// own.
    pub fn of(text: &str) -> Self {
        let root = serde_saphyr::from_str_with_options::<Spanned<Node>>(text, lenient());
        root.map(|root| Self::under((1, 1), &root)).unwrap_or_default()
    }

    /// Those of each document of a text, empty documents left out as by the parser.
    pub fn of_each(text: &str) -> Vec<Self> {
        let roots = serde_saphyr::from_multiple_with_options::<Spanned<Node>>(text, lenient());
        roots.unwrap_or_default().iter().map(|root| Self::under(place(root), root)).collect()
    }

    /// Where a key stands, or the nearest one above it that is written.
    pub fn of_key(&self, path: &[String]) -> Option<Place> {
        (0..=path.len()).rev().find_map(|end| self.0.get(&path[..end])).map(|entry| entry.key)
    }

    /// Where the value of a key begins.
    pub fn of_value(&self, path: &[String]) -> Option<Place> {
        self.0.get(path).map(|entry| entry.value)
    }

    /// The key that stands at a place, or whose value does.
    pub fn key_at(&self, place: Place) -> Option<&[String]> {
        let at = self.0.iter().filter(|(_, entry)| entry.key == place || entry.value == place);
        at.map(|(path, _)| path.as_slice()).max_by_key(|path| path.len())
    }

    fn under(start: Place, root: &Spanned<Node>) -> Self {
        let mut places = Self::default();
        places.add(Vec::new(), start, root);
        places
    }

    fn add(&mut self, path: Vec<String>, key: Place, node: &Spanned<Node>) {
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
        self.0.insert(path, Entry { key, value: place(node) });
    }
}

/// What is wrong with a text shows elsewhere.
fn lenient() -> Options {
    let mut options = options();
    options.duplicate_keys = DuplicateKeyPolicy::PassThrough;
    options.non_finite_float_policy = NonFiniteFloatPolicy::AsString;
    options
}

fn place<T>(spanned: &Spanned<T>) -> Place {
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
