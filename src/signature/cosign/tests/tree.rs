//! JSON documents with one thing changed: everything that can be.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// The document with another value there.
pub(super) fn with(document: &Value, pointer: &str, value: Value) -> Value {
    let mut changed = document.clone();
    *changed.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer}")) = value;
    changed
}

/// A document with one change.
pub(super) struct Mutation {
    /// Where.
    pub(super) pointer: String,
    /// What was done there.
    pub(super) what: String,
    /// Which bytes of the value were changed, or of what it encodes, where it is text and as long as before.
    pub(super) bytes: Option<Range<usize>>,
    pub(super) document: Value,
}

/// One value changed.
struct Change {
    what: String,
    bytes: Option<Range<usize>>,
    value: Value,
}

impl Change {
    fn new(what: impl Into<String>, value: impl Into<Value>) -> Self {
        Self { what: what.into(), bytes: None, value: value.into() }
    }
}

/// Every mutation of every value in the document.
pub(super) fn mutations(document: &Value) -> Vec<Mutation> {
    let mut all = Vec::new();
    walk(document, String::new(), &mut |pointer, value| {
        for Change { what, bytes, value: changed } in changes(value).into_iter().filter(|c| c.value != *value)
        {
            let document = if pointer.is_empty() { changed } else { with(document, pointer, changed) };
            all.push(Mutation { pointer: pointer.to_owned(), what, bytes, document });
        }
    });
    all
}

fn walk(value: &Value, pointer: String, visit: &mut impl FnMut(&str, &Value)) {
    visit(&pointer, value);
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                walk(value, format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1")), visit);
            }
        }
        Value::Array(elements) => {
            for (at, value) in elements.iter().enumerate() {
                walk(value, format!("{pointer}/{at}"), visit);
            }
        }
        _ => {}
    }
}

/// What can be made of one value.
fn changes(value: &Value) -> Vec<Change> {
    let mut all = match value {
        Value::Null => vec![Change::new("empty text", ""), Change::new("object", json!({"a": "b"}))],
        Value::Bool(bool) => vec![Change::new("not", !bool)],
        Value::Number(number) => {
            numbers(number.as_i64().unwrap()).map(|n| Change::new(n.to_string(), n)).into()
        }
        Value::String(text) => strings(text),
        Value::Array(elements) => arrays(elements),
        Value::Object(fields) => objects(fields),
    };
    all.extend([Change::new("number", 7), Change::new("list", json!([]))]);
    all
}

fn objects(fields: &Map<String, Value>) -> Vec<Change> {
    let mut all = Vec::new();
    for key in fields.keys() {
        let (mut without, mut emptied) = (fields.clone(), fields.clone());
        without.remove(key);
        emptied.insert(key.clone(), Value::Null);
        all.push(Change::new(format!("without {key}"), without));
        all.push(Change::new(format!("null {key}"), emptied));
    }
    let mut more = fields.clone();
    more.insert("unheardOf".to_owned(), json!("x"));
    all.push(Change::new("unheardOf", more));
    all
}

fn numbers(number: i64) -> [i64; 5] {
    [number + 1, number - 1, 0, -1, i64::MAX]
}

fn arrays(elements: &[Value]) -> Vec<Change> {
    let mut all = Vec::new();
    for at in 0..elements.len() {
        let (mut without, mut twice) = (elements.to_vec(), elements.to_vec());
        without.remove(at);
        twice.insert(at, elements[at].clone());
        all.push(Change::new(format!("without [{at}]"), without));
        all.push(Change::new(format!("[{at}] twice"), twice));
        if at > 0 {
            let mut swapped = elements.to_vec();
            swapped.swap(at - 1, at);
            all.push(Change::new(format!("[{at}] before [{}]", at - 1), swapped));
        }
    }
    all
}

fn strings(text: &str) -> Vec<Change> {
    let mut all = vec![Change::new("empty", ""), Change::new("longer", format!("{text}A"))];
    let decoded = STANDARD.decode(text).ok().filter(|_| text.parse::<i64>().is_err());
    if let Ok(number) = text.parse() {
        all.extend(numbers(number).map(|n| Change::new(n.to_string(), n.to_string())));
    }
    if let Some(bytes) = &decoded {
        all.extend(flips(bytes));
        let shorter = STANDARD.encode(&bytes[..bytes.len().saturating_sub(1)]);
        all.push(Change::new("shorter", shorter));
    }
    if text.bytes().all(|b| b.is_ascii_hexdigit()) {
        all.push(Change::new("upper case", text.to_uppercase()));
    }
    all.extend(characters(text, decoded.is_some()));
    all
}

/// Each character, or some all over the text: another of its class.
fn characters(text: &str, encoded: bool) -> impl Iterator<Item = Change> {
    let all: Vec<(usize, char)> = text.char_indices().collect();
    places(all.len(), if encoded { 40 } else { 400 }).map(move |n| {
        let (at, found) = all[n];
        let other = match found {
            '0'..='8' | 'a'..='y' | 'A'..='Y' => char::from_u32(u32::from(found) + 1).unwrap(),
            '\n' => ' ',
            '=' => 'A',
            _ => 'a',
        };
        let changed = all.iter().map(|(i, c)| if *i == at { other } else { *c }).collect::<String>();
        let bytes = if encoded { at * 6 / 8..(at * 6 + 5) / 8 + 1 } else { at..at + found.len_utf8() };
        Change { bytes: Some(bytes), ..Change::new(format!("character at {at}"), changed) }
    })
}

/// One bit of many bytes, all over them.
fn flips(bytes: &[u8]) -> impl Iterator<Item = Change> + '_ {
    places(bytes.len(), 100).map(|at| {
        let mut flipped = bytes.to_vec();
        flipped[at] ^= 1 << (at % 8);
        Change {
            bytes: Some(at..at + 1),
            ..Change::new(format!("bit of byte {at}"), STANDARD.encode(flipped))
        }
    })
}

/// So many places at most, all over something so long, the last one among them.
fn places(length: usize, most: usize) -> impl Iterator<Item = usize> {
    let step = length.div_ceil(most).max(1);
    (0..length).step_by(step).chain(length.checked_sub(1).filter(move |last| last % step != 0))
}
