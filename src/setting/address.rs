//! Addresses to listen on as configuration writes them: `127.0.0.1:5000`, `[::1]:5000`. For `#[serde(with)]`.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize as _, Deserializer};

/// Reads an IP address and a port.
///
/// # Errors
/// What was expected, what stands there and what to write.
pub fn parse(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        let hint = hint(text);
        format!(
            "expected an IP address and a port such as 127.0.0.1:5000 or [::1]:5000, found {text:?}: {hint}"
        )
    })
}

fn hint(text: &str) -> String {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if is_number(text) {
        return format!(
            "write 127.0.0.1:{text} for this machine alone, or 0.0.0.0:{text} for all of its addresses"
        );
    }
    if text.parse::<IpAddr>().is_ok() {
        return "the port is missing".to_owned();
    }
    match text.rsplit_once(':') {
        Some((_, port)) if !is_number(port) => "the port is a number".to_owned(),
        Some((_, port)) if port.parse::<u16>().is_err() => "ports go up to 65535".to_owned(),
        Some(("", port)) => format!("write 0.0.0.0:{port} for all addresses of this machine"),
        Some((host, _)) if host.contains(':') => "an IPv6 address stands in brackets".to_owned(),
        _ => "names are not looked up here".to_owned(),
    }
}

/// See [`parse`].
///
/// # Errors
/// As [`parse`].
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_none_says_what_to_write() {
        assert_eq!(parse("[::1]:5000"), Ok(SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 5000))));
        for (text, hint) in [
            ("localhost:5000", "names are not looked up"),
            ("localhost", "names are not looked up"),
            ("", "names are not looked up"),
            (":5000", "write 0.0.0.0:5000 for all"),
            ("5000", "write 127.0.0.1:5000 for this machine"),
            ("127.0.0.1:99999", "ports go up to 65535"),
            ("127.0.0.1", "the port is missing"),
            ("127.0.0.1:http", "the port is a number"),
            ("::1:5000", "the port is missing"),
            ("fe80::z:5000", "in brackets"),
        ] {
            let told = parse(text).unwrap_err();
            let start = format!(
                "expected an IP address and a port such as 127.0.0.1:5000 or [::1]:5000, found {text:?}: "
            );
            assert!(told.strip_prefix(&start).is_some_and(|rest| rest.contains(hint)), "{told}");
        }
    }
}
