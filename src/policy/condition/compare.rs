//! Equality and order (CEL language definition, "Equality" and "Ordering"): numbers by their value whatever their type,
//! values of different types unequal.

use std::cmp::Ordering;

use super::budget::{Budget, Failure};
use super::value::{List, Map, Value};

/// JSON is at most 128 deep as it is read, and expressions add less than this.
const MAX_DEPTH: usize = 256;

pub(super) fn equal<'a>(a: &Value<'a>, b: &Value<'a>, budget: &mut Budget) -> Result<bool, Failure> {
    equal_within(a, b, budget, 0)
}

fn equal_within<'a>(
    a: &Value<'a>,
    b: &Value<'a>,
    budget: &mut Budget,
    depth: usize,
) -> Result<bool, Failure> {
    if depth == MAX_DEPTH {
        return Err(Failure::TooDeep);
    }
    budget.work(1)?;
    match (a, b) {
        (Value::Null, Value::Null) => Ok(true),
        (Value::List(a), Value::List(b)) => equal_lists(a, b, budget, depth + 1),
        (Value::Map(a), Value::Map(b)) => equal_maps(a, b, budget, depth + 1),
        _ => Ok(order(a, b, budget)? == Some(Ordering::Equal)),
    }
}

fn equal_lists<'a>(a: &List<'a>, b: &List<'a>, budget: &mut Budget, depth: usize) -> Result<bool, Failure> {
    if a.len() != b.len() {
        return Ok(false);
    }
    for (a, b) in a.iter().zip(b.iter()) {
        if !equal_within(&a, &b, budget, depth)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn equal_maps<'a>(a: &Map<'a>, b: &Map<'a>, budget: &mut Budget, depth: usize) -> Result<bool, Failure> {
    if a.len() != b.len() {
        return Ok(false);
    }
    for (key, value) in a.entries() {
        match b.get(&key, budget)? {
            Some(other) if equal_within(&value, &other, budget, depth)? => {}
            _ => return Ok(false),
        }
    }
    Ok(true)
}

/// The order of two values; `None` where they have none, as NaN and values of different types.
pub(super) fn order(a: &Value<'_>, b: &Value<'_>, budget: &mut Budget) -> Result<Option<Ordering>, Failure> {
    Ok(match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::Double(a), Value::Double(b)) => a.partial_cmp(b),
        (Value::Int(a), Value::Double(b)) => whole_to_fraction(*a, *b),
        (Value::Double(a), Value::Int(b)) => whole_to_fraction(*b, *a).map(Ordering::reverse),
        (Value::Text(a), Value::Text(b)) => {
            let (a, b) = (a.as_str(), b.as_str());
            budget.read(a.len().min(b.len()))?;
            Some(a.cmp(b))
        }
        (Value::Timestamp(a), Value::Timestamp(b)) | (Value::Duration(a), Value::Duration(b)) => {
            Some(a.cmp(b))
        }
        _ => None,
    })
}

/// Exact, though not every int is a double.
fn whole_to_fraction(whole: i64, fraction: f64) -> Option<Ordering> {
    const END: f64 = 9_223_372_036_854_775_808.0;
    if fraction.is_nan() {
        return None;
    }
    if fraction >= END {
        return Some(Ordering::Less);
    }
    if fraction < -END {
        return Some(Ordering::Greater);
    }
    // In this range cutting the fraction off is exact.
    match whole.cmp(&(fraction.trunc() as i64)) {
        Ordering::Equal => 0.0.partial_cmp(&fraction.fract()),
        unequal => Some(unequal),
    }
}
