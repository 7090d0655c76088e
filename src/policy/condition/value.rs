//! The values of an evaluation: what is in the statement is borrowed from it, what is built is shared.

use std::fmt;
use std::rc::Rc;

use serde_json::{Map as JsonMap, Value as Json};

use super::budget::{Budget, Failure};
use super::compare::equal;
use crate::telemetry::Untrusted;

/// The types of the language. `Any` is what is only known when it is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Any,
    Null,
    Bool,
    Int,
    Double,
    Text,
    List,
    Map,
    Timestamp,
    Duration,
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Any => "value",
            Self::Null => "null",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Double => "double",
            Self::Text => "string",
            Self::List => "list",
            Self::Map => "map",
            Self::Timestamp => "timestamp",
            Self::Duration => "duration",
        })
    }
}

#[derive(Clone, Debug)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(Text<'a>),
    List(List<'a>),
    Map(Map<'a>),
    /// Nanoseconds since 1970.
    Timestamp(i128),
    /// Nanoseconds.
    Duration(i128),
}

#[derive(Clone, Debug)]
pub(super) enum Text<'a> {
    Read(&'a str),
    Built(Rc<str>),
}

#[derive(Clone, Debug)]
pub(super) enum List<'a> {
    Read(&'a [Json]),
    Built(Rc<[Value<'a>]>),
}

#[derive(Clone, Debug)]
pub(super) enum Map<'a> {
    Read(&'a JsonMap<String, Json>),
    Built(Rc<[(Value<'a>, Value<'a>)]>),
}

impl<'a> Value<'a> {
    /// A JSON value. Whole numbers of 64 bits are ints, all other numbers doubles.
    pub(super) fn read(json: &'a Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => match number.as_i64() {
                Some(whole) => Self::Int(whole),
                None => Self::Double(number.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => Self::Text(Text::Read(text)),
            Json::Array(items) => Self::List(List::Read(items)),
            Json::Object(entries) => Self::Map(Map::Read(entries)),
        }
    }

    pub(super) fn text(text: &'a str) -> Self {
        Self::Text(Text::Read(text))
    }

    pub(super) fn built(text: String) -> Self {
        Self::Text(Text::Built(text.into()))
    }

    pub(super) fn kind(&self) -> Type {
        match self {
            Self::Null => Type::Null,
            Self::Bool(_) => Type::Bool,
            Self::Int(_) => Type::Int,
            Self::Double(_) => Type::Double,
            Self::Text(_) => Type::Text,
            Self::List(_) => Type::List,
            Self::Map(_) => Type::Map,
            Self::Timestamp(_) => Type::Timestamp,
            Self::Duration(_) => Type::Duration,
        }
    }

    /// A few words for failures.
    pub(super) fn shown(&self) -> Untrusted {
        match self {
            Self::Text(text) => Untrusted::new(text.as_str()),
            Self::Int(number) => Untrusted::new(number.to_string()),
            Self::Double(number) => Untrusted::new(number.to_string()),
            Self::Bool(value) => Untrusted::new(value.to_string()),
            other => Untrusted::new(other.kind().to_string()),
        }
    }

    /// What macros go over: the items of a list, the keys of a map.
    pub(super) fn items(self) -> Result<Box<dyn Iterator<Item = Value<'a>> + 'a>, Failure> {
        Ok(match self {
            Self::List(List::Read(items)) => Box::new(items.iter().map(Value::read)),
            Self::List(List::Built(items)) => Box::new((0..items.len()).map(move |i| items[i].clone())),
            Self::Map(Map::Read(entries)) => Box::new(entries.keys().map(|key| Value::text(key))),
            Self::Map(Map::Built(entries)) => Box::new((0..entries.len()).map(move |i| entries[i].0.clone())),
            other => return Err(Failure::NoMembers(other.kind())),
        })
    }
}

impl Text<'_> {
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Read(text) => text,
            Self::Built(text) => text,
        }
    }
}

impl<'a> List<'a> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Read(items) => items.len(),
            Self::Built(items) => items.len(),
        }
    }

    pub(super) fn get(&self, i: usize) -> Option<Value<'a>> {
        match self {
            Self::Read(items) => items.get(i).map(Value::read),
            Self::Built(items) => items.get(i).cloned(),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Value<'a>> {
        (0..self.len()).filter_map(|i| self.get(i))
    }
}

impl<'a> Map<'a> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Read(entries) => entries.len(),
            Self::Built(entries) => entries.len(),
        }
    }

    /// What stands at a key. Maps of JSON have keys of text alone.
    pub(super) fn get(&self, key: &Value<'a>, budget: &mut Budget) -> Result<Option<Value<'a>>, Failure> {
        match self {
            Self::Read(entries) => match key {
                Value::Text(key) => {
                    budget.read(key.as_str().len())?;
                    Ok(entries.get(key.as_str()).map(Value::read))
                }
                _ => Ok(None),
            },
            Self::Built(entries) => {
                for (known, value) in entries.iter() {
                    if equal(known, key, budget)? {
                        return Ok(Some(value.clone()));
                    }
                }
                Ok(None)
            }
        }
    }

    pub(super) fn entries(&self) -> Box<dyn Iterator<Item = (Value<'a>, Value<'a>)> + '_> {
        match self {
            Self::Read(entries) => {
                Box::new(entries.iter().map(|(key, value)| (Value::text(key), Value::read(value))))
            }
            Self::Built(entries) => Box::new(entries.iter().cloned()),
        }
    }
}
