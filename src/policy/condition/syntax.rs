//! Expressions as they are read: names resolved, patterns compiled, and no taller than evaluating them may be deep.

use super::functions::Function;
use super::pattern::Pattern;

/// How deep expressions are at most, chains of operators included: everything that walks them recurses.
pub(super) const MAX_HEIGHT: u8 = 64;

/// What is wrong at a byte of the text.
#[derive(Debug)]
pub(super) struct Mistake {
    pub(super) at: usize,
    pub(super) message: String,
}

impl Mistake {
    pub(super) fn new(at: usize, message: impl Into<String>) -> Self {
        Self { at, message: message.into() }
    }
}

/// An expression and the byte of the text that it is reported at.
#[derive(Debug)]
pub(super) struct Expr {
    pub(super) at: usize,
    pub(super) kind: Kind,
    height: u8,
}

#[derive(Debug)]
pub(super) enum Kind {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(Box<str>),
    Root(Root),
    /// The variable of an enclosing macro, the outermost being 0.
    Local(usize),
    List(Vec<Expr>),
    Map(Vec<(Expr, Expr)>),
    Select(Box<Expr>, Box<str>),
    Has(Box<Expr>, Box<str>),
    Index(Box<Expr>, Box<Expr>),
    Not(Box<Expr>),
    Negate(Box<Expr>),
    /// `&&` and `||` of two or more.
    And(Vec<Expr>),
    Or(Vec<Expr>),
    /// `a ? b : c`
    Choose(Box<(Expr, Expr, Expr)>),
    Binary(Operator, Box<Expr>, Box<Expr>),
    Call(Function, Vec<Expr>),
    Matches(Box<Expr>, Pattern),
    /// A macro over a list or the keys of a map; `map` may have a condition before its result.
    Each(Each, Box<Expr>, Vec<Expr>),
}

/// What a condition is about.
#[derive(Clone, Copy, Debug)]
pub(super) enum Root {
    Predicate,
    PredicateType,
    Subject,
    Statement,
}

impl Root {
    pub(super) const ALL: [(&'static str, Self); 4] = [
        ("predicate", Self::Predicate),
        ("predicateType", Self::PredicateType),
        ("subject", Self::Subject),
        ("statement", Self::Statement),
    ];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    In,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl Operator {
    /// How each is written and how tightly it binds.
    pub(super) const ALL: [(&'static str, u8, Self); 12] = [
        ("==", 1, Self::Equal),
        ("!=", 1, Self::NotEqual),
        ("<", 1, Self::Less),
        ("<=", 1, Self::LessEqual),
        (">", 1, Self::Greater),
        (">=", 1, Self::GreaterEqual),
        ("in", 1, Self::In),
        ("+", 2, Self::Add),
        ("-", 2, Self::Subtract),
        ("*", 3, Self::Multiply),
        ("/", 3, Self::Divide),
        ("%", 3, Self::Remainder),
    ];

    pub(super) fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, _, operator)| *operator == self).map_or("", |(text, _, _)| text)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Each {
    All,
    Exists,
    ExistsOne,
    Map,
    Filter,
}

impl Each {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "all" => Self::All,
            "exists" => Self::Exists,
            "exists_one" => Self::ExistsOne,
            "map" => Self::Map,
            "filter" => Self::Filter,
            _ => return None,
        })
    }
}

impl Expr {
    /// # Errors
    /// It is taller than [`MAX_HEIGHT`].
    pub(super) fn new(at: usize, kind: Kind) -> Result<Self, Mistake> {
        let below = kind.children().iter().map(|child| child.height).max().unwrap_or(0);
        if below == MAX_HEIGHT {
            return Err(too_deep(at));
        }
        Ok(Self { at, kind, height: below + 1 })
    }
}

pub(super) fn too_deep(at: usize) -> Mistake {
    Mistake::new(
        at,
        format!("the condition is nested too deeply, or a chain in it is too long: {MAX_HEIGHT} is the most"),
    )
}

impl Kind {
    fn children(&self) -> Vec<&Expr> {
        match self {
            Self::Null | Self::Bool(_) | Self::Int(_) | Self::Double(_) | Self::Text(_) => Vec::new(),
            Self::Root(_) | Self::Local(_) => Vec::new(),
            Self::List(of) | Self::And(of) | Self::Or(of) | Self::Call(_, of) => of.iter().collect(),
            Self::Map(entries) => entries.iter().flat_map(|(key, value)| [key, value]).collect(),
            Self::Select(of, _) | Self::Has(of, _) | Self::Matches(of, _) => vec![of],
            Self::Not(of) | Self::Negate(of) => vec![of],
            Self::Index(a, b) | Self::Binary(_, a, b) => vec![a, b],
            Self::Choose(of) => vec![&of.0, &of.1, &of.2],
            Self::Each(_, range, bodies) => std::iter::once(&**range).chain(bodies).collect(),
        }
    }
}
