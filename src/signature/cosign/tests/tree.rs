//! JSON documents with one thing changed: everything that can be.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

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
    pub(super) document: Value,
}

/// Every mutation of every value in the document.
pub(super) fn mutations(document: &Value) -> Vec<Mutation> {
    let mut all = Vec::new();
    walk(document, String::new(), &mut |pointer, value| {
        for (what, changed) in changes(value) {
            if changed != *value {
                let document = if pointer.is_empty() { changed } else { with(document, pointer, changed) };
                all.push(Mutation { pointer: pointer.to_owned(), what, document });
            }
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
fn changes(value: &Value) -> Vec<(String, Value)> {
    let mut all = match value {
        Value::Null => vec![("empty text".to_owned(), json!("")), ("object".to_owned(), json!({"a": "b"}))],
        Value::Bool(bool) => vec![("not".to_owned(), json!(!bool))],
        Value::Number(number) => {
            numbers(number.as_i64().unwrap()).map(|n| (n.to_string(), json!(n))).to_vec()
        }
        Value::String(text) => strings(text),
        Value::Array(elements) => arrays(elements),
        Value::Object(fields) => {
            let mut all: Vec<(String, Value)> = fields
                .keys()
                .flat_map(|key| {
                    let (mut without, mut emptied) = (fields.clone(), fields.clone());
                    without.remove(key);
                    emptied.insert(key.clone(), Value::Null);
                    [(format!("without {key}"), without), (format!("null {key}"), emptied)]
                        .map(|(what, fields)| (what, Value::Object(fields)))
                })
                .collect();
            let mut more = fields.clone();
            more.insert("unheardOf".to_owned(), json!("x"));
            all.push(("unheardOf".to_owned(), json!(more)));
            all
        }
    };
    all.push(("number".to_owned(), json!(7)));
    all.push(("list".to_owned(), json!([])));
    all
}

fn numbers(number: i64) -> [i64; 5] {
    [number + 1, number - 1, 0, -1, i64::MAX]
}

fn arrays(elements: &[Value]) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    for at in 0..elements.len() {
        let (mut without, mut twice) = (elements.to_vec(), elements.to_vec());
        without.remove(at);
        twice.insert(at, elements[at].clone());
        all.push((format!("without [{at}]"), json!(without)));
        all.push((format!("[{at}] twice"), json!(twice)));
        if at > 0 {
            let mut swapped = elements.to_vec();
            swapped.swap(at - 1, at);
            all.push((format!("[{at}] before [{}]", at - 1), json!(swapped)));
        }
    }
    all
}

fn strings(text: &str) -> Vec<(String, Value)> {
    let mut all = vec![("empty".to_owned(), json!("")), ("longer".to_owned(), json!(format!("{text}A")))];
    let bytes = STANDARD.decode(text).ok();
    if let Ok(number) = text.parse() {
        all.extend(numbers(number).map(|n| (n.to_string(), json!(n.to_string()))));
    } else if let Some(bytes) = &bytes {
        all.extend(flips(bytes).map(|(what, bytes)| (what, json!(STANDARD.encode(bytes)))));
        all.push(("shorter".to_owned(), json!(STANDARD.encode(&bytes[..bytes.len().saturating_sub(1)]))));
    }
    if text.bytes().all(|b| b.is_ascii_hexdigit()) {
        all.push(("upper case".to_owned(), json!(text.to_uppercase())));
    }
    let characters: Vec<char> = text.chars().collect();
    for at in places(characters.len(), if bytes.is_some() { 60 } else { 400 }) {
        let mut changed = characters.clone();
        changed[at] = another(changed[at]);
        all.push((format!("character {at}"), json!(changed.into_iter().collect::<String>())));
    }
    all
}

/// A character of the same class.
fn another(character: char) -> char {
    match character {
        '0'..='8' | 'a'..='y' | 'A'..='Y' => char::from_u32(u32::from(character) + 1).unwrap(),
        '\n' => ' ',
        '=' => 'A',
        _ => 'a',
    }
}

/// So many places at most, all over something so long, the last one among them.
fn places(length: usize, most: usize) -> impl Iterator<Item = usize> {
    let step = length.div_ceil(most).max(1);
    (0..length).step_by(step).chain(length.checked_sub(1).filter(|last| last % step != 0))
}

/// One bit of many bytes, all over them.
fn flips(bytes: &[u8]) -> impl Iterator<Item = (String, Vec<u8>)> + '_ {
    places(bytes.len(), 160).map(|at| {
        let mut flipped = bytes.to_vec();
        flipped[at] ^= 1 << (at % 8);
        (format!("bit of byte {at}"), flipped)
    })
}
