//! Text → tokens, each with the byte that it begins at (CEL language definition, "Syntax").

use super::syntax::Mistake;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// Keywords too: the parser knows where they are names.
    Name(String),
    /// Without its sign, which is an operator's.
    Int(u64),
    Double(f64),
    Text(String),
    Mark(&'static str),
    End,
}

/// The longest first.
const MARKS: [&str; 25] = [
    "<=", ">=", "==", "!=", "&&", "||", "<", ">", "!", "+", "-", "*", "/", "%", "?", ":", ".", ",", "(", ")",
    "[", "]", "{", "}", "=",
];

/// All tokens of a text; the last is `End`, right after what is written.
pub(super) fn tokens(text: &str) -> Result<Vec<(usize, Token)>, Mistake> {
    let mut lexer = Lexer { text, at: 0 };
    let mut tokens = Vec::new();
    loop {
        let ended = lexer.at;
        lexer.skip();
        let at = lexer.at;
        let token = lexer.token()?;
        if token == Token::End {
            tokens.push((ended, token));
            return Ok(tokens);
        }
        tokens.push((at, token));
    }
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Lexer<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn eat(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let end = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// White space and comments.
    fn skip(&mut self) {
        loop {
            self.take_while(|c| c.is_ascii_whitespace());
            if !self.eat("//") {
                return;
            }
            self.take_while(|c| c != '\n');
        }
    }

    fn token(&mut self) -> Result<Token, Mistake> {
        let begin = self.at;
        let Some(first) = self.peek() else { return Ok(Token::End) };
        if let Some(text) = self.text_literal()? {
            return Ok(Token::Text(text));
        }
        if first.is_ascii_alphabetic() || first == '_' {
            return Ok(Token::Name(self.take_while(is_in_name).to_owned()));
        }
        let is_number = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit());
        if is_number(self.rest()) || self.rest().strip_prefix('.').is_some_and(is_number) {
            return self.number();
        }
        match MARKS.iter().find(|mark| self.eat(mark)) {
            Some(&"=") => Err(Mistake::new(begin, "equality is written ==")),
            Some(mark) => Ok(Token::Mark(mark)),
            None => Err(Mistake::new(begin, format!("{first:?} begins nothing in CEL"))),
        }
    }

    fn number(&mut self) -> Result<Token, Mistake> {
        let begin = self.at;
        let bad = |lexer: &Self, why: &str| {
            Err(Mistake::new(begin, format!("{} is no number: {why}", &lexer.text[begin..lexer.at])))
        };
        if self.eat("0x") || self.eat("0X") {
            let digits = self.take_while(is_in_name);
            return match u64::from_str_radix(digits, 16) {
                Ok(number) => Ok(Token::Int(number)),
                Err(_) => bad(
                    self,
                    "after 0x hexadecimal digits are expected, at most 16, without a u at their end",
                ),
            };
        }
        self.take_while(|c| c.is_ascii_digit());
        let mut whole = true;
        let fraction =
            |rest: &str| rest.strip_prefix('.').is_some_and(|r| r.starts_with(|c: char| c.is_ascii_digit()));
        if fraction(self.rest()) {
            whole = false;
            self.at += 1;
            self.take_while(|c| c.is_ascii_digit());
        }
        if self.eat("e") || self.eat("E") {
            whole = false;
            let _ = self.eat("+") || self.eat("-");
            self.take_while(|c| c.is_ascii_digit());
        }
        if !self.take_while(is_in_name).is_empty() {
            return bad(self, "digits end with a letter (unsigned numbers are not supported)");
        }
        let text = &self.text[begin..self.at];
        if whole {
            return text.parse().map(Token::Int).or_else(|_| bad(self, "it is too large"));
        }
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Token::Double(number)),
            _ => bad(self, "a fraction is written as 1.5 or 1.5e3, and is finite"),
        }
    }

    /// A text in quotes of any kind, where one begins here.
    fn text_literal(&mut self) -> Result<Option<String>, Mistake> {
        let begin = self.at;
        let prefix = self.rest().len() - self.rest().trim_start_matches(['r', 'R', 'b', 'B']).len();
        let quoted = self.rest().get(prefix..).is_some_and(|rest| rest.starts_with(['"', '\'']));
        if prefix > 2 || !quoted {
            return Ok(None);
        }
        let letters = &self.rest()[..prefix];
        if letters.contains(['b', 'B']) {
            return Err(Mistake::new(begin, "bytes (b'…') are not supported: JSON has none"));
        }
        self.at += prefix;
        let quote = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|quote| self.eat(quote)).unwrap_or("'");
        self.quoted(begin, quote, prefix > 0).map(Some)
    }

    fn quoted(&mut self, begin: usize, quote: &str, raw: bool) -> Result<String, Mistake> {
        let mut text = String::new();
        loop {
            if self.eat(quote) {
                return Ok(text);
            }
            let at = self.at;
            match self.bump() {
                Some('\\') if !raw => text.push(self.escape(at)?),
                Some('\n' | '\r') if quote.len() == 1 => {
                    return Err(Mistake::new(begin, format!("the text has no closing {quote} on its line")));
                }
                Some(c) => text.push(c),
                None => return Err(Mistake::new(begin, format!("the text has no closing {quote}"))),
            }
        }
    }

    fn escape(&mut self, at: usize) -> Result<char, Mistake> {
        let unknown = || Mistake::new(at, "no such escape: write \\\\ for a backslash, or the text as r'…'");
        let c = self.bump().ok_or_else(unknown)?;
        let (digits, radix) = match c {
            'a' => return Ok('\u{7}'),
            'b' => return Ok('\u{8}'),
            'f' => return Ok('\u{c}'),
            'n' => return Ok('\n'),
            'r' => return Ok('\r'),
            't' => return Ok('\t'),
            'v' => return Ok('\u{b}'),
            '\\' | '?' | '"' | '\'' | '`' => return Ok(c),
            'x' | 'X' => (2, 16),
            'u' => (4, 16),
            'U' => (8, 16),
            '0'..='3' => {
                self.at -= 1;
                (3, 8)
            }
            _ => return Err(unknown()),
        };
        let code = self.rest().get(..digits).filter(|code| code.chars().all(|c| c.is_digit(radix)));
        let code = code.and_then(|code| u32::from_str_radix(code, radix).ok()).and_then(char::from_u32);
        self.at += digits;
        code.ok_or_else(|| Mistake::new(at, format!("expected {digits} digits that name a character")))
    }
}

fn is_in_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}
