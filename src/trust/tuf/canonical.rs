//! The bytes that TUF signs: canonical JSON as OLPC defined it. Keys in order, no space, only `\` and `"`
//! escaped, whole numbers alone. (Not RFC 8785, which escapes line feeds; keys in PEM are full of them.)

use serde_json::Value;

/// The canonical form; `None` where a number is no integer, which has none.
pub(super) fn canonical(value: &Value) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    write(value, &mut bytes)?;
    Some(bytes)
}

fn write(value: &Value, to: &mut Vec<u8>) -> Option<()> {
    match value {
        Value::Null => to.extend_from_slice(b"null"),
        Value::Bool(true) => to.extend_from_slice(b"true"),
        Value::Bool(false) => to.extend_from_slice(b"false"),
        Value::Number(number) if number.is_f64() => return None,
        Value::Number(number) => to.extend_from_slice(number.to_string().as_bytes()),
        Value::String(text) => string(text, to),
        Value::Array(items) => {
            to.push(b'[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    to.push(b',');
                }
                write(item, to)?;
            }
            to.push(b']');
        }
        Value::Object(members) => {
            // By code point, which is how UTF-8 compares too.
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_unstable_by_key(|(name, _)| *name);
            to.push(b'{');
            for (i, (name, member)) in sorted.into_iter().enumerate() {
                if i > 0 {
                    to.push(b',');
                }
                string(name, to);
                to.push(b':');
                write(member, to)?;
            }
            to.push(b'}');
        }
    }
    Some(())
}

fn string(text: &str, to: &mut Vec<u8>) {
    to.push(b'"');
    for byte in text.bytes() {
        if matches!(byte, b'"' | b'\\') {
            to.push(b'\\');
        }
        to.push(byte);
    }
    to.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<String> {
        canonical(&serde_json::from_str(text).unwrap()).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn keys_are_sorted_space_is_dropped_and_little_is_escaped() {
        let text = r#" { "b" : [ 1, -2, true, false, null ], "a": "1\n\u00e9\"\\\/\t", "B": {} } "#;
        assert_eq!(
            of(text).unwrap(),
            "{\"B\":{},\"a\":\"1\n\u{e9}\\\"\\\\/\t\",\"b\":[1,-2,true,false,null]}"
        );
        assert_eq!(of("18446744073709551615").unwrap(), "18446744073709551615");
    }

    #[test]
    fn what_is_no_integer_has_no_form() {
        for text in ["1.0", "[1e3]", r#"{"a":-0}"#, "18446744073709551616"] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
