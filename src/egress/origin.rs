//! Where a URL points: what credentials are bound to and what lists of hosts are compared with.

use std::fmt;
use std::net::IpAddr;

use http::Uri;
use http::uri::Authority;
use url::Url;

use super::address::Zone;

/// Scheme, host and port (RFC 6454, section 4).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    secure: bool,
    host: String,
    port: u16,
}

impl Origin {
    /// The origin of an `http` or `https` URL; of others none.
    pub fn of(url: &Url) -> Option<Self> {
        Self::new(url.scheme(), url.host_str()?, url.port())
    }

    pub(super) fn of_uri(uri: &Uri) -> Option<Self> {
        Self::new(uri.scheme_str()?, uri.host()?, uri.port_u16())
    }

    fn new(scheme: &str, host: &str, port: Option<u16>) -> Option<Self> {
        let (secure, default) = match scheme {
            "https" => (true, 443),
            "http" => (false, 80),
            _ => return None,
        };
        Some(Self { secure, host: host.to_ascii_lowercase(), port: port.unwrap_or(default) })
    }

    /// Whether it is reached over TLS.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// The host, an IPv6 address in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, explicit or the scheme's.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether both are the same service, whatever the scheme.
    pub fn same_host_and_port(&self, other: &Self) -> bool {
        self.host == other.host && self.port == other.port
    }

    /// The host, if it is written as an address.
    pub(super) fn literal(&self) -> Option<IpAddr> {
        literal(&self.host)
    }

    /// Whether this machine itself is meant, whatever DNS says.
    pub fn says_loopback(&self) -> bool {
        self.is_localhost() || self.literal().map(Zone::of) == Some(Zone::Loopback)
    }

    /// Whether the name itself says loopback (RFC 6761, section 6.3).
    pub(super) fn is_localhost(&self) -> bool {
        let name = self.host.strip_suffix('.').unwrap_or(&self.host);
        name == "localhost" || name.ends_with(".localhost")
    }
}

fn literal(host: &str) -> Option<IpAddr> {
    host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host).parse().ok()
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

/// `host` (any port) or `host:port`, in a list of hosts that are allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern {
    host: String,
    port: Option<u16>,
}

impl HostPattern {
    /// Reads an entry; `None` when it is not one. Wildcards are not: each host is named.
    pub fn parse(text: &str) -> Option<Self> {
        let authority: Authority = text.parse().ok()?;
        let host = authority.host();
        let known = |b: u8| b.is_ascii_alphanumeric() || b"-._[]:".contains(&b);
        let port = authority.port_u16();
        // The authority's own grammar is wider: it knows user names and percent signs.
        let whole = match port {
            Some(port) => text == format!("{host}:{port}"),
            None => text == host,
        };
        (whole && !host.is_empty() && host.bytes().all(known))
            .then(|| Self { host: host.to_ascii_lowercase(), port })
    }

    /// Whether the origin's host and port are meant.
    pub fn matches(&self, origin: &Origin) -> bool {
        self.host == origin.host && self.port.is_none_or(|port| port == origin.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(url: &str) -> Origin {
        Origin::of(&Url::parse(url).unwrap()).unwrap()
    }

    #[test]
    fn default_ports_and_case_do_not_part_origins() {
        assert_eq!(origin("https://A.io/x"), origin("https://a.io:443/y"));
        assert_ne!(origin("https://a.io"), origin("http://a.io:443"));
        assert!(origin("https://a.io").same_host_and_port(&origin("http://a.io:443")));
        assert!(Origin::of(&Url::parse("ftp://a.io").unwrap()).is_none());
    }

    #[test]
    fn patterns_name_one_host() {
        let pattern = |p: &str| HostPattern::parse(p).unwrap();
        assert!(pattern("Auth.corp").matches(&origin("https://auth.corp:8443")));
        assert!(pattern("auth.corp:443").matches(&origin("https://auth.corp")));
        assert!(!pattern("auth.corp:443").matches(&origin("https://auth.corp:8443")));
        assert!(!pattern("corp").matches(&origin("https://auth.corp")));
        assert!(pattern("[::1]:5000").matches(&origin("http://[::1]:5000")));
        for bad in ["", "*", "*.corp", "https://a", "a/b", "u@a", "a:x", "a b", ":80"] {
            assert_eq!(HostPattern::parse(bad), None, "{bad}");
        }
    }
}
