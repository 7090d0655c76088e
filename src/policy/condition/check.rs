//! What can be told of an expression before any statement is there: that its types may fit, and that it may be true or false.

use super::operators;
use super::syntax::{Each, Expr, Kind, Mistake, Root};
use super::value::Type;

pub(super) fn check(expr: &Expr) -> Result<(), Mistake> {
    match type_of(expr)? {
        Type::Bool | Type::Any => Ok(()),
        other => {
            Err(Mistake::new(expr.at, format!("the condition is a {other}, and has to be true or false")))
        }
    }
}

fn type_of(expr: &Expr) -> Result<Type, Mistake> {
    let at = |message: String| Mistake::new(expr.at, message);
    Ok(match &expr.kind {
        Kind::Null => Type::Null,
        Kind::Bool(_) => Type::Bool,
        Kind::Int(_) => Type::Int,
        Kind::Double(_) => Type::Double,
        Kind::Text(_) => Type::Text,
        Kind::Root(Root::Predicate) | Kind::Local(_) => Type::Any,
        Kind::Root(Root::PredicateType) => Type::Text,
        Kind::Root(Root::Subject) => Type::List,
        Kind::Root(Root::Statement) => Type::Map,
        Kind::List(items) => {
            items.iter().try_for_each(|item| type_of(item).map(drop))?;
            Type::List
        }
        Kind::Map(entries) => {
            for (key, value) in entries {
                expect(key, &[Type::Text, Type::Int, Type::Bool], "the key of a map")?;
                type_of(value)?;
            }
            Type::Map
        }
        Kind::Select(from, name) => {
            expect(from, &[Type::Map], &format!("what has a field {name}"))?;
            Type::Any
        }
        Kind::Has(from, name) => {
            expect(from, &[Type::Map], &format!("what has a field {name}"))?;
            Type::Bool
        }
        Kind::Index(from, index) => indexed(from, index)?,
        Kind::Not(of) => expect(of, &[Type::Bool], "what ! negates")?,
        Kind::Negate(of) => expect(of, &[Type::Int, Type::Double, Type::Duration], "what - negates")?,
        Kind::And(members) | Kind::Or(members) => {
            for member in members {
                expect(member, &[Type::Bool], "each side of && and ||")?;
            }
            Type::Bool
        }
        Kind::Choose(of) => {
            let (condition, yes, no) = &**of;
            expect(condition, &[Type::Bool], "what stands before ?")?;
            let (yes, no) = (type_of(yes)?, type_of(no)?);
            if yes == no { yes } else { Type::Any }
        }
        Kind::Binary(operator, a, b) => {
            let (a, b) = (type_of(a)?, type_of(b)?);
            operators::type_of(*operator, a, b)
                .ok_or_else(|| at(format!("{} does not take a {a} and a {b}", operator.as_str())))?
        }
        Kind::Call(function, arguments) => {
            for argument in arguments {
                expect(argument, function.takes(), &format!("what {} takes", function.name()))?;
            }
            function.gives()
        }
        Kind::Matches(text, _) => {
            expect(text, &[Type::Text], "what `matches` looks into")?;
            Type::Bool
        }
        Kind::Each(each, range, bodies) => of_each(*each, range, bodies)?,
    })
}

/// The type of an expression that has to be one of several.
fn expect(expr: &Expr, wanted: &[Type], what: &str) -> Result<Type, Mistake> {
    let found = type_of(expr)?;
    if found == Type::Any || wanted.contains(&found) {
        return Ok(if let ([only], Type::Any) = (wanted, found) { *only } else { found });
    }
    let wanted: Vec<String> = wanted.iter().map(ToString::to_string).collect();
    Err(Mistake::new(expr.at, format!("{what} has to be a {}, found a {found}", wanted.join(" or "))))
}

fn indexed(from: &Expr, index: &Expr) -> Result<Type, Mistake> {
    let wanted: &[Type] = match expect(from, &[Type::List, Type::Map], "what is indexed")? {
        Type::List => &[Type::Int, Type::Double],
        Type::Map => &[Type::Text, Type::Int, Type::Bool],
        _ => &[Type::Int, Type::Double, Type::Text, Type::Bool],
    };
    expect(index, wanted, "the index")?;
    Ok(Type::Any)
}

fn of_each(each: Each, range: &Expr, bodies: &[Expr]) -> Result<Type, Mistake> {
    expect(range, &[Type::List, Type::Map], "what a macro goes over")?;
    let conditions = match each {
        // The last one is what each item becomes.
        Each::Map => {
            bodies.split_last().map_or(Ok(bodies), |(result, before)| type_of(result).map(|_| before))?
        }
        _ => bodies,
    };
    for condition in conditions {
        expect(condition, &[Type::Bool], "the condition of a macro")?;
    }
    Ok(if matches!(each, Each::Map | Each::Filter) { Type::List } else { Type::Bool })
}
