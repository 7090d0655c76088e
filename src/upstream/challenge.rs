//! `WWW-Authenticate`: RFC 9110, section 11.6.1. Reads; decides nothing.

/// A header longer than this is refused unread.
const MAX_LENGTH: usize = 8 * 1024;
const MAX_CHALLENGES: usize = 8;
const MAX_PARAMETERS: usize = 16;

/// One way in which a server asks for credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The scheme.
    pub scheme: Scheme,
    parameters: Vec<(String, String)>,
}

/// The scheme of a challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Name and password (RFC 7617).
    Basic,
    /// A token that another server gives (the distribution project's token specification).
    Bearer,
    /// One that is not spoken here.
    Other,
}

/// The header does not follow the grammar, or a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the WWW-Authenticate header is malformed")]
pub struct Malformed;

impl Challenge {
    /// A parameter's value; names are lower case.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// Reads all challenges of one header.
///
/// # Errors
/// [`Malformed`], also when a parameter stands there twice: two readers could take two values.
pub fn parse(header: &str) -> Result<Vec<Challenge>, Malformed> {
    if header.len() > MAX_LENGTH {
        return Err(Malformed);
    }
    let mut reader = Reader { rest: header };
    let mut challenges: Vec<Challenge> = Vec::new();
    loop {
        // Empty list elements are allowed (RFC 9110, section 5.6.1).
        reader.skip_space();
        if reader.take(',') {
            continue;
        }
        if reader.rest.is_empty() {
            return Ok(challenges);
        }
        match reader.parameter() {
            Some(parameter) => challenges.last_mut().ok_or(Malformed)?.add(parameter)?,
            None => {
                if challenges.len() == MAX_CHALLENGES {
                    return Err(Malformed);
                }
                challenges.push(reader.challenge()?);
            }
        }
        reader.skip_space();
        if !reader.rest.is_empty() && !reader.take(',') {
            return Err(Malformed);
        }
    }
}

impl Challenge {
    fn add(&mut self, (name, value): (&str, String)) -> Result<(), Malformed> {
        let name = name.to_ascii_lowercase();
        if self.parameters.len() == MAX_PARAMETERS || self.parameter(&name).is_some() {
            return Err(Malformed);
        }
        self.parameters.push((name, value));
        Ok(())
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    /// A scheme and what belongs to it up to the next comma: a token68, one parameter or nothing.
    fn challenge(&mut self) -> Result<Challenge, Malformed> {
        let scheme = match self.token().ok_or(Malformed)?.to_ascii_lowercase().as_str() {
            "basic" => Scheme::Basic,
            "bearer" => Scheme::Bearer,
            _ => Scheme::Other,
        };
        let mut challenge = Challenge { scheme, parameters: Vec::new() };
        if self.skip_space() {
            match self.parameter() {
                Some(parameter) => challenge.add(parameter)?,
                None => self.skip_token68(),
            }
        }
        Ok(challenge)
    }

    /// `name = value`, or nothing taken.
    fn parameter(&mut self) -> Option<(&'a str, String)> {
        let mut ahead = Reader { rest: self.rest };
        let name = ahead.token()?;
        ahead.skip_space();
        if !ahead.take('=') {
            return None;
        }
        ahead.skip_space();
        let value = if ahead.take('"') { ahead.quoted()? } else { ahead.token()?.to_owned() };
        self.rest = ahead.rest;
        Some((name, value))
    }

    /// What follows an opening quote, up to the closing one.
    fn quoted(&mut self) -> Option<String> {
        let mut value = String::new();
        let mut characters = self.rest.char_indices();
        while let Some((at, c)) = characters.next() {
            match c {
                '"' => {
                    self.rest = &self.rest[at + 1..];
                    return Some(value);
                }
                '\\' => value.push(characters.next().map(|(_, c)| c).filter(|c| !c.is_control())?),
                c if c.is_control() && c != '\t' => return None,
                c => value.push(c),
            }
        }
        None
    }

    fn token(&mut self) -> Option<&'a str> {
        let part = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        let end = self.rest.bytes().position(|b| !part(b)).unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!token.is_empty()).then_some(token)
    }

    fn skip_token68(&mut self) {
        let part = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b);
        let end = self.rest.bytes().position(|b| !part(b)).unwrap_or(self.rest.len());
        self.rest = &self.rest[end..];
    }

    fn skip_space(&mut self) -> bool {
        let before = self.rest.len();
        self.rest = self.rest.trim_start_matches([' ', '\t']);
        self.rest.len() != before
    }

    fn take(&mut self, c: char) -> bool {
        match self.rest.strip_prefix(c) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(header: &str) -> Challenge {
        let mut all = parse(header).unwrap();
        assert_eq!(all.len(), 1, "{header}");
        all.remove(0)
    }

    #[test]
    fn what_registries_send() {
        let hub = one(
            r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#,
        );
        assert_eq!(hub.scheme, Scheme::Bearer);
        assert_eq!(hub.parameter("realm"), Some("https://auth.docker.io/token"));
        assert_eq!(hub.parameter("scope"), Some("repository:a/b:pull,push"));
        assert_eq!(one("basic").scheme, Scheme::Basic);
        assert_eq!(one(r#"BASIC Realm = "a \"b\" , c""#).parameter("realm"), Some(r#"a "b" , c"#));
        assert_eq!(one("Negotiate abc/d==").scheme, Scheme::Other);
    }

    #[test]
    fn several_challenges_in_one_header() {
        let all =
            parse(r#", Negotiate, NTLM dGVzdA==, Bearer realm=r, service="s" ,, Basic realm="x""#).unwrap();
        let schemes: Vec<_> = all.iter().map(|c| c.scheme).collect();
        assert_eq!(schemes, [Scheme::Other, Scheme::Other, Scheme::Bearer, Scheme::Basic]);
        assert_eq!(all[2].parameter("service"), Some("s"));
        assert_eq!(all[3].parameter("realm"), Some("x"));
    }

    #[test]
    fn what_does_not_follow_the_grammar_is_refused() {
        let many = "Basic,".repeat(9);
        let long = format!("Basic realm=\"{}\"", "a".repeat(MAX_LENGTH));
        let wide = format!("Basic {}", (0..17).map(|i| format!("p{i}=1")).collect::<Vec<_>>().join(","));
        for bad in [
            "realm=x",
            r#"Bearer realm="x"#,
            r#"Bearer realm="a",realm="b""#,
            r#"Bearer realm="a",Realm="b""#,
            "Bearer realm=a b",
            "\"x\"",
            "=",
            "Bearer realm=\"a\u{7f}\"",
            "Bearer realm=\"\\",
            &many,
            &long,
            &wide,
        ] {
            assert_eq!(parse(bad), Err(Malformed), "{bad}");
        }
        assert_eq!(parse(" , ,"), Ok(vec![]));
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in "\\PC{0,80}|[A-Za-z =,\"\\\\]{0,80}") {
            let _ = parse(&text);
        }
    }
}
