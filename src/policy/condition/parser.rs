//! Tokens → expressions, by recursive descent (CEL language definition, "Grammar"). Names are resolved on the way.

use super::lexer::{Token, tokens};
use super::resolve::{call, has, is_reserved, root, select};
use super::syntax::{Each, Expr, Kind, Mistake, Operator, too_deep};

/// Brackets within brackets: they cost the parser's stack, whatever they hold.
const MAX_BRACKETS: usize = 32;

pub(super) fn parse(text: &str) -> Result<Expr, Mistake> {
    let mut parser = Parser { tokens: tokens(text)?, next: 0, locals: Vec::new(), brackets: 0 };
    let expr = parser.expression()?;
    match parser.peek() {
        Token::End => Ok(expr),
        _ => Err(parser.expected("an operator or the end")),
    }
}

struct Parser {
    tokens: Vec<(usize, Token)>,
    next: usize,
    /// The variables of the macros that are being read.
    locals: Vec<String>,
    brackets: usize,
}

impl Parser {
    fn peek(&self) -> &Token {
        self.tokens.get(self.next).map_or(&Token::End, |(_, token)| token)
    }

    /// Where the next token begins.
    fn at(&self) -> usize {
        self.tokens.get(self.next).or(self.tokens.last()).map_or(0, |(at, _)| *at)
    }

    fn eat(&mut self, mark: &str) -> bool {
        let found = matches!(self.peek(), Token::Mark(found) if *found == mark);
        if found {
            self.next += 1;
        }
        found
    }

    fn expect(&mut self, mark: &str) -> Result<(), Mistake> {
        if self.eat(mark) { Ok(()) } else { Err(self.expected(mark)) }
    }

    fn expected(&self, what: &str) -> Mistake {
        let found = match self.peek() {
            Token::Name(name) => name.clone(),
            Token::Int(_) | Token::Double(_) => "a number".to_owned(),
            Token::Text(_) => "a text".to_owned(),
            Token::Mark(mark) => (*mark).to_owned(),
            Token::End => "the end".to_owned(),
        };
        Mistake::new(self.at(), format!("expected {what}, found {found}"))
    }

    /// `a ? b : c` and all that binds tighter.
    fn expression(&mut self) -> Result<Expr, Mistake> {
        if self.brackets == MAX_BRACKETS {
            return Err(too_deep(self.at()));
        }
        self.brackets += 1;
        let condition = self
            .junction("||", Kind::Or, |parser| parser.junction("&&", Kind::And, |parser| parser.binary(1)))?;
        let at = self.at();
        let expr = if self.eat("?") {
            let yes = self.expression()?;
            self.expect(":")?;
            let no = self.expression()?;
            Expr::new(at, Kind::Choose(Box::new((condition, yes, no))))?
        } else {
            condition
        };
        self.brackets -= 1;
        Ok(expr)
    }

    fn junction(
        &mut self,
        mark: &str,
        kind: fn(Vec<Expr>) -> Kind,
        member: impl Fn(&mut Self) -> Result<Expr, Mistake>,
    ) -> Result<Expr, Mistake> {
        let first = member(self)?;
        let at = self.at();
        let mut members = vec![first];
        while self.eat(mark) {
            members.push(member(self)?);
        }
        match members.pop() {
            Some(only) if members.is_empty() => Ok(only),
            last => Expr::new(at, kind(members.into_iter().chain(last).collect())),
        }
    }

    /// Operators that bind at least so tightly, the left ones first.
    fn binary(&mut self, least: u8) -> Result<Expr, Mistake> {
        let mut left = self.unary()?;
        loop {
            let written = match self.peek() {
                Token::Mark(mark) => *mark,
                Token::Name(name) if name == "in" => "in",
                _ => return Ok(left),
            };
            let known = Operator::ALL.iter().find(|(text, binds, _)| *text == written && *binds >= least);
            let Some((_, binds, operator)) = known else { return Ok(left) };
            let at = self.at();
            self.next += 1;
            let right = self.binary(binds + 1)?;
            left = Expr::new(at, Kind::Binary(*operator, Box::new(left), Box::new(right)))?;
        }
    }

    fn unary(&mut self) -> Result<Expr, Mistake> {
        let mut signs = Vec::new();
        while let Token::Mark(sign @ ("!" | "-")) = *self.peek() {
            signs.push((self.at(), sign));
            self.next += 1;
        }
        // The sign of a number is part of it: the least one has no positive counterpart.
        let negative = signs.last().is_some_and(|(_, sign)| *sign == "-");
        let mut expr = match *self.peek() {
            Token::Int(magnitude) if negative => {
                let (at, _) = signs.pop().unwrap_or_default();
                self.next += 1;
                let number = i64::try_from(-i128::from(magnitude));
                let number = number.map_err(|_| Mistake::new(at, "the number is less than -2^63"))?;
                let literal = Expr::new(at, Kind::Int(number))?;
                self.members(literal)?
            }
            _ => {
                let primary = self.primary()?;
                self.members(primary)?
            }
        };
        while let Some((at, sign)) = signs.pop() {
            let kind = if sign == "!" { Kind::Not } else { Kind::Negate };
            expr = Expr::new(at, kind(Box::new(expr)))?;
        }
        Ok(expr)
    }

    /// What follows a value: fields, indices, methods, macros.
    fn members(&mut self, mut expr: Expr) -> Result<Expr, Mistake> {
        loop {
            let at = self.at();
            if self.eat("[") {
                let index = self.expression()?;
                self.expect("]")?;
                expr = Expr::new(at, Kind::Index(Box::new(expr), Box::new(index)))?;
            } else if self.eat(".") {
                let at = self.at();
                let Token::Name(name) = self.peek().clone() else {
                    return Err(self.expected("a field's name"));
                };
                self.next += 1;
                expr = if self.eat("(") { self.method(at, expr, &name)? } else { select(at, expr, &name)? };
            } else {
                return Ok(expr);
            }
        }
    }

    fn method(&mut self, at: usize, target: Expr, name: &str) -> Result<Expr, Mistake> {
        if let Some(each) = Each::named(name) {
            return self.each(at, each, target);
        }
        let mut arguments = vec![target];
        arguments.extend(self.list(")")?);
        call(at, name, true, arguments)
    }

    /// `list.all(x, …)` after its bracket.
    fn each(&mut self, at: usize, each: Each, range: Expr) -> Result<Expr, Mistake> {
        let variable = match self.peek() {
            Token::Name(name) if !is_reserved(name) => name.clone(),
            _ => return Err(self.expected("the name of a variable")),
        };
        self.next += 1;
        self.locals.push(variable);
        let mut bodies = Vec::new();
        let most = if each == Each::Map { 2 } else { 1 };
        self.expect(",")?;
        bodies.push(self.expression()?);
        while bodies.len() < most && self.eat(",") {
            bodies.push(self.expression()?);
        }
        self.locals.pop();
        self.expect(")")?;
        Expr::new(at, Kind::Each(each, Box::new(range), bodies))
    }

    fn primary(&mut self) -> Result<Expr, Mistake> {
        let at = self.at();
        let kind = match self.peek().clone() {
            Token::Name(name) => {
                self.next += 1;
                return self.named(at, &name);
            }
            Token::Text(text) => Kind::Text(text.into()),
            Token::Double(number) => Kind::Double(number),
            Token::Int(number) => {
                Kind::Int(i64::try_from(number).map_err(|_| Mistake::new(at, "the number is over 2^63 - 1"))?)
            }
            Token::Mark("(") => {
                self.next += 1;
                let expr = self.expression()?;
                self.expect(")")?;
                return Ok(expr);
            }
            Token::Mark("[") => {
                self.next += 1;
                return Expr::new(at, Kind::List(self.list("]")?));
            }
            Token::Mark("{") => {
                self.next += 1;
                return Expr::new(at, Kind::Map(self.entries()?));
            }
            _ => return Err(self.expected("a value")),
        };
        self.next += 1;
        Expr::new(at, kind)
    }

    fn named(&mut self, at: usize, name: &str) -> Result<Expr, Mistake> {
        let kind = match name {
            "true" => Kind::Bool(true),
            "false" => Kind::Bool(false),
            "null" => Kind::Null,
            _ if self.eat("(") => {
                let arguments = self.list(")")?;
                return match name {
                    "has" => has(at, arguments),
                    _ => call(at, name, false, arguments),
                };
            }
            _ => match self.locals.iter().rposition(|local| local == name) {
                Some(local) => Kind::Local(local),
                None => Kind::Root(root(at, name)?),
            },
        };
        Expr::new(at, kind)
    }

    /// Expressions up to a closing bracket; a list may end with a comma.
    fn list(&mut self, close: &str) -> Result<Vec<Expr>, Mistake> {
        let mut items = Vec::new();
        while !self.eat(close) {
            items.push(self.expression()?);
            if !self.eat(",") {
                self.expect(close)?;
                break;
            }
        }
        Ok(items)
    }

    fn entries(&mut self) -> Result<Vec<(Expr, Expr)>, Mistake> {
        let mut entries = Vec::new();
        while !self.eat("}") {
            let key = self.expression()?;
            self.expect(":")?;
            entries.push((key, self.expression()?));
            if !self.eat(",") {
                self.expect("}")?;
                break;
            }
        }
        Ok(entries)
    }
}
