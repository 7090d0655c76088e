//! The binary operators: what they take and what they give (CEL standard definitions), at load by type and evaluated by value.

use std::cmp::Ordering;

use super::budget::{Budget, Failure};
use super::compare::{equal, order};
use super::moment;
use super::syntax::Operator;
use super::value::{List, Text, Type, Value};

use Operator::{
    Add, Divide, Equal, Greater, GreaterEqual, In, Less, LessEqual, Multiply, NotEqual, Remainder, Subtract,
};

/// What the arithmetic ones take and give. Equality takes everything, order what has one.
const ARITHMETIC: [(Operator, Type, Type, Type); 17] = [
    (Add, Type::Int, Type::Int, Type::Int),
    (Add, Type::Double, Type::Double, Type::Double),
    (Add, Type::Text, Type::Text, Type::Text),
    (Add, Type::List, Type::List, Type::List),
    (Add, Type::Timestamp, Type::Duration, Type::Timestamp),
    (Add, Type::Duration, Type::Timestamp, Type::Timestamp),
    (Add, Type::Duration, Type::Duration, Type::Duration),
    (Subtract, Type::Int, Type::Int, Type::Int),
    (Subtract, Type::Double, Type::Double, Type::Double),
    (Subtract, Type::Timestamp, Type::Timestamp, Type::Duration),
    (Subtract, Type::Timestamp, Type::Duration, Type::Timestamp),
    (Subtract, Type::Duration, Type::Duration, Type::Duration),
    (Multiply, Type::Int, Type::Int, Type::Int),
    (Multiply, Type::Double, Type::Double, Type::Double),
    (Divide, Type::Int, Type::Int, Type::Int),
    (Divide, Type::Double, Type::Double, Type::Double),
    (Remainder, Type::Int, Type::Int, Type::Int),
];

/// The type of a result; `None` where these never fit.
pub(super) fn type_of(operator: Operator, a: Type, b: Type) -> Option<Type> {
    let is_number = |t: Type| matches!(t, Type::Int | Type::Double);
    let alike = a == b || a == Type::Any || b == Type::Any || (is_number(a) && is_number(b));
    match operator {
        Equal | NotEqual => alike.then_some(Type::Bool),
        Less | LessEqual | Greater | GreaterEqual => {
            let unordered = |t: Type| matches!(t, Type::Null | Type::List | Type::Map);
            (alike && !unordered(a) && !unordered(b)).then_some(Type::Bool)
        }
        In => matches!(b, Type::Any | Type::List | Type::Map).then_some(Type::Bool),
        Add | Subtract | Multiply | Divide | Remainder => {
            let fits = |given: Type, taken: Type| given == Type::Any || given == taken;
            let mut results = ARITHMETIC
                .iter()
                .filter(|(of, left, right, _)| *of == operator && fits(a, *left) && fits(b, *right))
                .map(|(.., result)| *result);
            let first = results.next()?;
            Some(if results.all(|other| other == first) { first } else { Type::Any })
        }
    }
}

pub(super) fn apply<'a>(
    operator: Operator,
    a: &Value<'a>,
    b: &Value<'a>,
    budget: &mut Budget,
) -> Result<Value<'a>, Failure> {
    let ordered = |budget: &mut Budget, wanted: fn(Ordering) -> bool| match (a, b) {
        // NaN is in no order, but it is a number: the answer is no.
        (Value::Int(_) | Value::Double(_), Value::Int(_) | Value::Double(_)) => {
            Ok(Value::Bool(order(a, b, budget)?.is_some_and(wanted)))
        }
        _ => {
            order(a, b, budget)?.map(|order| Value::Bool(wanted(order))).ok_or_else(|| unfit(operator, a, b))
        }
    };
    match operator {
        Equal => equal(a, b, budget).map(Value::Bool),
        NotEqual => equal(a, b, budget).map(|equal| Value::Bool(!equal)),
        Less => ordered(budget, Ordering::is_lt),
        LessEqual => ordered(budget, Ordering::is_le),
        Greater => ordered(budget, Ordering::is_gt),
        GreaterEqual => ordered(budget, Ordering::is_ge),
        In => contains(a, b, budget).map(Value::Bool),
        Add => add(a, b, budget),
        Subtract | Multiply | Divide | Remainder => calculate(operator, a, b),
    }
}

fn unfit(operator: Operator, a: &Value<'_>, b: &Value<'_>) -> Failure {
    Failure::Binary(operator.as_str(), a.kind(), b.kind())
}

fn contains<'a>(item: &Value<'a>, within: &Value<'a>, budget: &mut Budget) -> Result<bool, Failure> {
    match within {
        Value::List(items) => {
            for other in items.iter() {
                if equal(item, &other, budget)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Value::Map(entries) => entries.get(item, budget).map(|found| found.is_some()),
        _ => Err(unfit(In, item, within)),
    }
}

fn add<'a>(a: &Value<'a>, b: &Value<'a>, budget: &mut Budget) -> Result<Value<'a>, Failure> {
    match (a, b) {
        (Value::Text(a), Value::Text(b)) => join(a, b, budget),
        (Value::List(a), Value::List(b)) => {
            budget.build((a.len() + b.len()).saturating_mul(size_of::<Value<'_>>()))?;
            budget.work((a.len() + b.len()) as u64)?;
            Ok(Value::List(List::Built(a.iter().chain(b.iter()).collect())))
        }
        (Value::Int(a), Value::Int(b)) => a.checked_add(*b).map(Value::Int).ok_or(Failure::Overflow("+")),
        (Value::Double(a), Value::Double(b)) => Ok(Value::Double(a + b)),
        (Value::Timestamp(a), Value::Duration(b)) | (Value::Duration(b), Value::Timestamp(a)) => {
            timestamp(a + b, "+")
        }
        (Value::Duration(a), Value::Duration(b)) => duration(a + b, "+"),
        _ => Err(unfit(Add, a, b)),
    }
}

fn join<'a>(a: &Text<'a>, b: &Text<'a>, budget: &mut Budget) -> Result<Value<'a>, Failure> {
    budget.build(a.as_str().len() + b.as_str().len())?;
    Ok(Value::built([a.as_str(), b.as_str()].concat()))
}

fn calculate<'a>(operator: Operator, a: &Value<'a>, b: &Value<'a>) -> Result<Value<'a>, Failure> {
    let overflow = Failure::Overflow(operator.as_str());
    match (operator, a, b) {
        (Divide | Remainder, Value::Int(_), Value::Int(0)) => Err(Failure::DivisionByZero),
        (_, Value::Int(a), Value::Int(b)) => {
            let result = match operator {
                Subtract => a.checked_sub(*b),
                Multiply => a.checked_mul(*b),
                Divide => a.checked_div(*b),
                _ => a.checked_rem(*b),
            };
            result.map(Value::Int).ok_or(overflow)
        }
        (Subtract, Value::Double(a), Value::Double(b)) => Ok(Value::Double(a - b)),
        (Multiply, Value::Double(a), Value::Double(b)) => Ok(Value::Double(a * b)),
        (Divide, Value::Double(a), Value::Double(b)) => Ok(Value::Double(a / b)),
        (Subtract, Value::Timestamp(a), Value::Timestamp(b)) => duration(a - b, "-"),
        (Subtract, Value::Timestamp(a), Value::Duration(b)) => timestamp(a - b, "-"),
        (Subtract, Value::Duration(a), Value::Duration(b)) => duration(a - b, "-"),
        _ => Err(unfit(operator, a, b)),
    }
}

// Both operands are within bounds whose sum is far from that of the type.
fn timestamp<'a>(nanoseconds: i128, operator: &'static str) -> Result<Value<'a>, Failure> {
    moment::timestamp(nanoseconds).map(Value::Timestamp).ok_or(Failure::Overflow(operator))
}

fn duration<'a>(nanoseconds: i128, operator: &'static str) -> Result<Value<'a>, Failure> {
    moment::duration(nanoseconds).map(Value::Duration).ok_or(Failure::Overflow(operator))
}
