//! What names mean: roots, fields, functions, methods.

use super::functions::Function;
use super::pattern::Pattern;
use super::syntax::{Expr, Kind, Mistake, Root};

/// Words that are no names (CEL language definition, "Syntax").
const RESERVED: [&str; 22] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "false",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "namespace",
    "null",
    "package",
    "return",
    "true",
    "var",
    "void",
    "while",
    "__result__",
];

pub(super) fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}

pub(super) fn select(at: usize, from: Expr, name: &str) -> Result<Expr, Mistake> {
    Expr::new(at, Kind::Select(Box::new(from), name.into()))
}

pub(super) fn has(at: usize, mut arguments: Vec<Expr>) -> Result<Expr, Mistake> {
    match arguments.pop() {
        Some(Expr { kind: Kind::Select(from, name), .. }) if arguments.is_empty() => {
            Expr::new(at, Kind::Has(from, name))
        }
        _ => Err(Mistake::new(at, "`has` asks for one field: has(predicate.builder)")),
    }
}

pub(super) fn call(
    at: usize,
    name: &str,
    is_method: bool,
    mut arguments: Vec<Expr>,
) -> Result<Expr, Mistake> {
    if name == "matches" {
        return match (arguments.pop(), arguments.pop()) {
            (Some(Expr { kind: Kind::Text(pattern), at: written, .. }), Some(text))
                if arguments.is_empty() =>
            {
                Expr::new(at, Kind::Matches(Box::new(text), Pattern::compile(written, &pattern)?))
            }
            _ => Err(Mistake::new(at, "`matches` takes one pattern, written as a text in quotes")),
        };
    }
    let function =
        Function::named(name, is_method).ok_or_else(|| Mistake::new(at, unknown(name, is_method)))?;
    let expected = function.arity();
    if arguments.len() != expected {
        let of = usize::from(is_method);
        let (expected, found) = (expected - of, arguments.len() - of);
        return Err(Mistake::new(at, format!("{name} takes {expected} arguments, found {found}")));
    }
    Expr::new(at, Kind::Call(function, arguments))
}

fn unknown(name: &str, is_method: bool) -> String {
    let (what, known) = match is_method {
        true => ("method", "all, exists, exists_one, map, filter, matches, "),
        false => ("function", "has, matches, "),
    };
    format!("no {what} is called {name}; known: {known}{}", Function::names(is_method).join(", "))
}

pub(super) fn root(at: usize, name: &str) -> Result<Root, Mistake> {
    let known = Root::ALL.iter().find(|(known, _)| *known == name).map(|(_, root)| *root);
    known.ok_or_else(|| {
        let names = Root::ALL.map(|(known, _)| known).join(", ");
        Mistake::new(at, format!("nothing is called {name}; known: {names}, and a macro's own variable"))
    })
}
