//! Expression and statement → value, each node paid for (CEL language definition, "Evaluation").

use serde_json::Value as Json;

use super::budget::{Budget, Failure};
use super::compare::equal;
use super::operators;
use super::syntax::{Each, Expr, Kind, Operator, Root};
use super::value::{List, Map, Type, Value};
use crate::telemetry::Untrusted;

pub(super) struct Evaluation<'a, 'b> {
    statement: &'a Json,
    /// The variables of the macros that are being evaluated.
    locals: Vec<Value<'a>>,
    budget: &'b mut Budget,
}

impl<'a, 'b> Evaluation<'a, 'b> {
    pub(super) fn new(statement: &'a Json, budget: &'b mut Budget) -> Self {
        Self { statement, locals: Vec::new(), budget }
    }

    /// Recurses no deeper than expressions are tall.
    pub(super) fn evaluate(&mut self, expr: &'a Expr) -> Result<Value<'a>, Failure> {
        self.budget.work(1)?;
        match &expr.kind {
            Kind::Null => Ok(Value::Null),
            Kind::Bool(value) => Ok(Value::Bool(*value)),
            Kind::Int(number) => Ok(Value::Int(*number)),
            Kind::Double(number) => Ok(Value::Double(*number)),
            Kind::Text(text) => Ok(Value::text(text)),
            Kind::Root(root) => self.root(*root),
            Kind::Local(i) => self.locals.get(*i).cloned().ok_or(Failure::NotCompiled),
            Kind::List(items) => self.list(items),
            Kind::Map(entries) => self.map(entries),
            Kind::Select(from, name) => {
                self.field(from, name)?.ok_or_else(|| Failure::Absent(Untrusted::new(name)))
            }
            Kind::Has(from, name) => self.field(from, name).map(|found| Value::Bool(found.is_some())),
            Kind::Index(from, index) => self.index(from, index),
            Kind::Not(of) => self.truth(of).map(|truth| Value::Bool(!truth)),
            Kind::Negate(of) => self.evaluate(of).and_then(|value| negated(&value)),
            Kind::And(members) => self.junction(members, false),
            Kind::Or(members) => self.junction(members, true),
            Kind::Choose(of) => {
                let chosen = if self.truth(&of.0)? { &of.1 } else { &of.2 };
                self.evaluate(chosen)
            }
            Kind::Binary(Operator::In, item, list) => self.is_in(item, list),
            Kind::Binary(operator, a, b) => {
                let (a, b) = (self.evaluate(a)?, self.evaluate(b)?);
                operators::apply(*operator, &a, &b, self.budget)
            }
            Kind::Call(function, arguments) => {
                let values = self.values(arguments)?;
                function.call(&values, self.budget)
            }
            Kind::Matches(text, pattern) => match self.evaluate(text)? {
                Value::Text(text) => pattern.matches(text.as_str(), self.budget).map(Value::Bool),
                other => Err(Failure::Unary("matches", other.kind())),
            },
            Kind::Each(each, range, bodies) => self.each(*each, range, bodies),
        }
    }

    fn truth(&mut self, expr: &'a Expr) -> Result<bool, Failure> {
        match self.evaluate(expr)? {
            Value::Bool(truth) => Ok(truth),
            other => Err(Failure::NotBool(other.kind())),
        }
    }

    fn values(&mut self, exprs: &'a [Expr]) -> Result<Vec<Value<'a>>, Failure> {
        exprs.iter().map(|expr| self.evaluate(expr)).collect()
    }

    fn root(&self, root: Root) -> Result<Value<'a>, Failure> {
        let name = match root {
            Root::Statement => return Ok(Value::read(self.statement)),
            Root::Predicate => "predicate",
            Root::PredicateType => "predicateType",
            Root::Subject => "subject",
        };
        self.statement.get(name).map(Value::read).ok_or_else(|| Failure::Absent(Untrusted::new(name)))
    }

    fn list(&mut self, items: &'a [Expr]) -> Result<Value<'a>, Failure> {
        self.budget.build(items.len() * size_of::<Value<'_>>())?;
        Ok(Value::List(List::Built(self.values(items)?.into())))
    }

    fn map(&mut self, entries: &'a [(Expr, Expr)]) -> Result<Value<'a>, Failure> {
        self.budget.build(entries.len() * size_of::<(Value<'_>, Value<'_>)>())?;
        let mut map: Vec<(Value<'a>, Value<'a>)> = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let key = self.evaluate(key)?;
            if !matches!(key, Value::Text(_) | Value::Int(_) | Value::Bool(_)) {
                return Err(Failure::NoKey(key.kind()));
            }
            for (other, _) in &map {
                if equal(other, &key, self.budget)? {
                    return Err(Failure::KeyTwice(key.shown()));
                }
            }
            map.push((key, self.evaluate(value)?));
        }
        Ok(Value::Map(Map::Built(map.into())))
    }

    fn field(&mut self, from: &'a Expr, name: &'a str) -> Result<Option<Value<'a>>, Failure> {
        match self.evaluate(from)? {
            Value::Map(entries) => entries.get(&Value::text(name), self.budget),
            other => Err(Failure::NoMembers(other.kind())),
        }
    }

    fn index(&mut self, from: &'a Expr, index: &'a Expr) -> Result<Value<'a>, Failure> {
        let (from, index) = (self.evaluate(from)?, self.evaluate(index)?);
        match (from, index) {
            (Value::Map(entries), key) => {
                entries.get(&key, self.budget)?.ok_or_else(|| Failure::Absent(key.shown()))
            }
            (Value::List(items), Value::Int(i)) => at(&items, i),
            // A whole number is an index whatever JSON's writer made of it.
            (Value::List(items), Value::Double(i)) if i.trunc() == i => at(&items, i as i64),
            (Value::List(_), other) => Err(Failure::Binary("[]", Type::List, other.kind())),
            (other, _) => Err(Failure::NoMembers(other.kind())),
        }
    }

    /// A list that is written out is not built only to be looked through.
    fn is_in(&mut self, item: &'a Expr, list: &'a Expr) -> Result<Value<'a>, Failure> {
        let item = self.evaluate(item)?;
        let Kind::List(items) = &list.kind else {
            let list = self.evaluate(list)?;
            return operators::apply(Operator::In, &item, &list, self.budget);
        };
        let mut found = false;
        for other in items {
            let other = self.evaluate(other)?;
            found |= equal(&item, &other, self.budget)?;
        }
        Ok(Value::Bool(found))
    }

    /// `&&` and `||` in any order: a member that decides absorbs the failures of others.
    fn junction(&mut self, members: &'a [Expr], decisive: bool) -> Result<Value<'a>, Failure> {
        let mut junction = Junction { decisive, failed: None };
        for member in members {
            let truth = self.truth(member);
            if junction.is_decided(truth)? {
                return Ok(Value::Bool(decisive));
            }
        }
        junction.undecided()
    }

    fn each(&mut self, each: Each, range: &'a Expr, bodies: &'a [Expr]) -> Result<Value<'a>, Failure> {
        let items = self.evaluate(range)?.items()?;
        let Some((body, before)) = bodies.split_last() else { return Err(Failure::NotCompiled) };
        match each {
            Each::All => self.junction_of(items, body, false),
            Each::Exists => self.junction_of(items, body, true),
            Each::ExistsOne => {
                let mut count = 0_u64;
                for item in items {
                    count += u64::from(self.with(item, |this| this.truth(body))?);
                }
                Ok(Value::Bool(count == 1))
            }
            Each::Filter => self.collect(items, |this, item| Ok(this.truth(body)?.then_some(item))),
            Each::Map => self.collect(items, |this, _| {
                for condition in before {
                    if !this.truth(condition)? {
                        return Ok(None);
                    }
                }
                this.evaluate(body).map(Some)
            }),
        }
    }

    /// Evaluates with the variable of a macro.
    fn with<T>(&mut self, item: Value<'a>, run: impl FnOnce(&mut Self) -> T) -> T {
        self.locals.push(item);
        let result = run(self);
        self.locals.pop();
        result
    }

    fn junction_of(
        &mut self,
        items: impl Iterator<Item = Value<'a>>,
        body: &'a Expr,
        decisive: bool,
    ) -> Result<Value<'a>, Failure> {
        let mut junction = Junction { decisive, failed: None };
        for item in items {
            let truth = self.with(item, |this| this.truth(body));
            if junction.is_decided(truth)? {
                return Ok(Value::Bool(decisive));
            }
        }
        junction.undecided()
    }

    fn collect(
        &mut self,
        items: impl Iterator<Item = Value<'a>>,
        mut result: impl FnMut(&mut Self, Value<'a>) -> Result<Option<Value<'a>>, Failure>,
    ) -> Result<Value<'a>, Failure> {
        let mut list = Vec::new();
        for item in items {
            if let Some(value) = self.with(item.clone(), |this| result(this, item))? {
                self.budget.build(size_of::<Value<'_>>())?;
                list.push(value);
            }
        }
        Ok(Value::List(List::Built(list.into())))
    }
}

struct Junction {
    decisive: bool,
    failed: Option<Failure>,
}

impl Junction {
    fn is_decided(&mut self, truth: Result<bool, Failure>) -> Result<bool, Failure> {
        match truth {
            Ok(truth) => Ok(truth == self.decisive),
            Err(failure) if failure.is_final() => Err(failure),
            Err(failure) => {
                self.failed.get_or_insert(failure);
                Ok(false)
            }
        }
    }

    fn undecided<'a>(self) -> Result<Value<'a>, Failure> {
        self.failed.map_or(Ok(Value::Bool(!self.decisive)), Err)
    }
}

fn at<'a>(items: &List<'a>, i: i64) -> Result<Value<'a>, Failure> {
    usize::try_from(i).ok().and_then(|i| items.get(i)).ok_or(Failure::OutsideList(i))
}

fn negated<'a>(value: &Value<'a>) -> Result<Value<'a>, Failure> {
    match value {
        Value::Int(number) => number.checked_neg().map(Value::Int).ok_or(Failure::Overflow("-")),
        Value::Double(number) => Ok(Value::Double(-number)),
        Value::Duration(length) => Ok(Value::Duration(-length)),
        other => Err(Failure::Unary("-", other.kind())),
    }
}
