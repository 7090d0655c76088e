//! The standard functions that are of use over JSON: their names, what they take and give, and what they do.

use super::budget::{Budget, Failure};
use super::moment;
use super::value::{Text, Type, Value};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Size,
    StartsWith,
    EndsWith,
    Contains,
    String,
    Int,
    Double,
    Bool,
    Timestamp,
    Duration,
}

/// How it is called: `f(x)`, `x.f()`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Function,
    Method,
    Both,
}

const ALL: [(&str, Form, Function); 10] = [
    ("size", Form::Both, Function::Size),
    ("startsWith", Form::Method, Function::StartsWith),
    ("endsWith", Form::Method, Function::EndsWith),
    ("contains", Form::Method, Function::Contains),
    ("string", Form::Function, Function::String),
    ("int", Form::Function, Function::Int),
    ("double", Form::Function, Function::Double),
    ("bool", Form::Function, Function::Bool),
    ("timestamp", Form::Function, Function::Timestamp),
    ("duration", Form::Function, Function::Duration),
];

impl Function {
    pub(super) fn named(name: &str, is_method: bool) -> Option<Self> {
        let found = ALL.iter().find(|(known, form, _)| *known == name && form.fits(is_method));
        found.map(|(.., function)| *function)
    }

    pub(super) fn names(is_method: bool) -> Vec<&'static str> {
        ALL.iter().filter(|(_, form, _)| form.fits(is_method)).map(|(name, ..)| *name).collect()
    }

    pub(super) fn name(self) -> &'static str {
        ALL.iter().find(|(.., function)| *function == self).map_or("", |(name, ..)| name)
    }

    /// How many arguments it takes, that before the dot included.
    pub(super) fn arity(self) -> usize {
        if matches!(self, Self::StartsWith | Self::EndsWith | Self::Contains) { 2 } else { 1 }
    }

    /// What any of its arguments may be.
    pub(super) fn takes(self) -> &'static [Type] {
        match self {
            Self::Size => &[Type::Text, Type::List, Type::Map],
            Self::StartsWith | Self::EndsWith | Self::Contains => &[Type::Text],
            Self::String => {
                &[Type::Text, Type::Int, Type::Double, Type::Bool, Type::Timestamp, Type::Duration]
            }
            Self::Int => &[Type::Int, Type::Double, Type::Text, Type::Timestamp],
            Self::Double => &[Type::Double, Type::Int, Type::Text],
            Self::Bool => &[Type::Bool, Type::Text],
            Self::Timestamp => &[Type::Timestamp, Type::Text, Type::Int],
            Self::Duration => &[Type::Duration, Type::Text],
        }
    }

    pub(super) fn gives(self) -> Type {
        match self {
            Self::Size | Self::Int => Type::Int,
            Self::StartsWith | Self::EndsWith | Self::Contains | Self::Bool => Type::Bool,
            Self::String => Type::Text,
            Self::Double => Type::Double,
            Self::Timestamp => Type::Timestamp,
            Self::Duration => Type::Duration,
        }
    }

    pub(super) fn call<'a>(self, arguments: &[Value<'a>], budget: &mut Budget) -> Result<Value<'a>, Failure> {
        match (self, arguments) {
            (Self::Size, [value]) => size(value, budget),
            (Self::StartsWith | Self::EndsWith | Self::Contains, [Value::Text(text), Value::Text(part)]) => {
                self.search(text.as_str(), part.as_str(), budget)
            }
            (Self::String, [value]) => string(value, budget),
            (_, [value]) if value.kind() == self.gives() => Ok(value.clone()),
            (_, [Value::Text(text)]) => self.parse(text),
            (Self::Int, [Value::Double(number)]) => whole(*number),
            (Self::Int, [Value::Timestamp(at)]) => Ok(Value::Int(moment::to_seconds(*at))),
            (Self::Double, [Value::Int(number)]) => Ok(Value::Double(*number as f64)),
            (Self::Timestamp, [Value::Int(seconds)]) => moment::from_seconds(*seconds)
                .map(Value::Timestamp)
                .ok_or_else(|| Failure::NotA(Type::Timestamp, Value::Int(*seconds).shown())),
            (_, arguments) => Err(self.unfit(arguments)),
        }
    }

    fn unfit(self, arguments: &[Value<'_>]) -> Failure {
        match arguments {
            [a, b] => Failure::Binary(self.name(), a.kind(), b.kind()),
            _ => Failure::Unary(self.name(), arguments.first().map_or(Type::Any, Value::kind)),
        }
    }

    fn search<'a>(self, text: &str, part: &str, budget: &mut Budget) -> Result<Value<'a>, Failure> {
        let read = if self == Self::Contains { text.len() + part.len() } else { part.len() };
        budget.read(read)?;
        Ok(Value::Bool(match self {
            Self::StartsWith => text.starts_with(part),
            Self::EndsWith => text.ends_with(part),
            _ => text.contains(part),
        }))
    }

    /// What a text says in the type that this gives. None is long: what is longer is none.
    fn parse<'a>(self, text: &Text<'a>) -> Result<Value<'a>, Failure> {
        let short = text.as_str().get(..text.as_str().len().min(400)).filter(|short| *short == text.as_str());
        let value = short.and_then(|text| match self {
            Self::Int => text.parse().ok().map(Value::Int),
            Self::Double => text.parse().ok().map(Value::Double),
            Self::Bool => match text {
                "true" | "True" | "TRUE" | "t" | "T" | "1" => Some(Value::Bool(true)),
                "false" | "False" | "FALSE" | "f" | "F" | "0" => Some(Value::Bool(false)),
                _ => None,
            },
            Self::Timestamp => moment::parse_timestamp(text).map(Value::Timestamp),
            Self::Duration => moment::parse_duration(text).map(Value::Duration),
            _ => None,
        });
        value.ok_or_else(|| Failure::NotA(self.gives(), Value::Text(text.clone()).shown()))
    }
}

impl Form {
    fn fits(self, is_method: bool) -> bool {
        self == Self::Both || (self == Self::Method) == is_method
    }
}

fn size<'a>(value: &Value<'a>, budget: &mut Budget) -> Result<Value<'a>, Failure> {
    let size = match value {
        Value::Text(text) => {
            budget.read(text.as_str().len())?;
            text.as_str().chars().count()
        }
        Value::List(items) => items.len(),
        Value::Map(entries) => entries.len(),
        other => return Err(Failure::Unary("size", other.kind())),
    };
    Ok(Value::Int(i64::try_from(size).unwrap_or(i64::MAX)))
}

fn string<'a>(value: &Value<'a>, budget: &mut Budget) -> Result<Value<'a>, Failure> {
    let text = match value {
        Value::Text(_) => return Ok(value.clone()),
        Value::Int(number) => number.to_string(),
        Value::Double(number) => number.to_string(),
        Value::Bool(value) => value.to_string(),
        Value::Timestamp(at) => moment::show_timestamp(*at).ok_or(Failure::Overflow("string"))?,
        Value::Duration(length) => moment::show_duration(*length),
        other => return Err(Failure::Unary("string", other.kind())),
    };
    budget.build(text.len())?;
    Ok(Value::built(text))
}

/// Towards zero (CEL language definition, "Numeric values").
fn whole<'a>(number: f64) -> Result<Value<'a>, Failure> {
    const END: f64 = 9_223_372_036_854_775_808.0;
    if number > -END && number < END { Ok(Value::Int(number as i64)) } else { Err(Failure::Overflow("int")) }
}
