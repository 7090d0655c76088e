//! An object of the file: its fields are known, and what is wrong with one is told with its path.

use serde_json::{Map, Value};

use crate::setting::SettingError;

/// See the module. Absent, `null` and, as in Go, empty are the same.
#[derive(Clone, Copy)]
pub(super) struct Object<'a>(&'a Map<String, Value>);

impl<'a> Object<'a> {
    /// The value as an object of no other fields than these.
    ///
    /// # Errors
    /// Something else, or an unknown field: what is not understood is not passed over.
    pub(super) fn of(value: &'a Value, known: &[&str]) -> Result<Self, SettingError> {
        let Value::Object(fields) = value else {
            return Err(SettingError::here(format!("expected an object, found {}", kind(value))));
        };
        match fields.keys().find(|key| !known.contains(&key.as_str())) {
            None => Ok(Self(fields)),
            Some(other) => Err(SettingError::new(
                [other],
                format!("is not a field that is understood here; these are: {}", known.join(", ")),
            )),
        }
    }

    /// A field that is written.
    pub(super) fn value(&self, field: &str) -> Option<&'a Value> {
        self.0.get(field).filter(|value| !value.is_null())
    }

    /// A string.
    pub(super) fn text(&self, field: &str) -> Result<Option<&'a str>, SettingError> {
        match self.value(field) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
            Some(other) => {
                Err(SettingError::new([field], format!("expected a string, found {}; quote it", kind(other))))
            }
        }
    }

    /// A string that must be there.
    pub(super) fn needed_text(&self, field: &str) -> Result<&'a str, SettingError> {
        self.text(field)?.ok_or_else(|| SettingError::new([field], "is missing"))
    }

    /// Whether a flag is set.
    pub(super) fn flag(&self, field: &str) -> Result<bool, SettingError> {
        match self.value(field) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => {
                Err(SettingError::new([field], format!("expected true or false, found {}", kind(other))))
            }
        }
    }

    /// The members of a list.
    pub(super) fn list(&self, field: &str) -> Result<&'a [Value], SettingError> {
        match self.value(field) {
            None => Ok(&[]),
            Some(Value::Array(members)) => Ok(members),
            Some(other) => Err(SettingError::new([field], format!("expected a list, found {}", kind(other)))),
        }
    }

    /// Each member of a list, read by `read`.
    pub(super) fn each<T>(
        &self,
        field: &str,
        mut read: impl FnMut(usize, &'a Value) -> Result<T, SettingError>,
    ) -> Result<Vec<T>, SettingError> {
        let members = self.list(field)?.iter().enumerate();
        members.map(|(i, member)| read(i, member).map_err(|e| e.under(i.to_string()).under(field))).collect()
    }

    /// An object of these fields.
    pub(super) fn object(&self, field: &str, known: &[&str]) -> Result<Option<Object<'a>>, SettingError> {
        self.value(field).map(|value| Self::of(value, known).map_err(|e| e.under(field))).transpose()
    }

    /// Refuses a field that is written: it cannot be honoured.
    pub(super) fn refuse(&self, field: &str, why: &str) -> Result<(), SettingError> {
        match self.value(field) {
            None => Ok(()),
            Some(Value::Array(members)) if members.is_empty() => Ok(()),
            Some(Value::String(text)) if text.is_empty() => Ok(()),
            Some(_) => Err(SettingError::new([field], why)),
        }
    }
}

fn kind(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(_) => "a string".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}
