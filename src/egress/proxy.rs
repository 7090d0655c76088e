//! The operator's forward proxies: `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`.

use std::net::SocketAddr;

use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::Matcher;

use super::origin::Origin;
use super::rules::Rules;

/// Looks a variable of the environment up; injected, so that tests set none.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Which proxy is for which destination.
#[derive(Debug)]
pub(super) struct Proxies(Matcher);

/// How a destination is reached.
pub(super) enum Way {
    /// Without a proxy.
    Direct,
    /// The proxy is asked for the URL itself (plain HTTP).
    Forward(Proxy),
    /// The proxy opens a tunnel (`CONNECT`), to this address where one is given.
    Tunnel(Proxy, Option<SocketAddr>),
}

pub(super) struct Proxy {
    pub(super) uri: Uri,
    pub(super) authorization: Option<HeaderValue>,
}

impl Proxies {
    pub(super) fn from(environment: Environment<'_>) -> Self {
        let first = |name: &str| {
            environment(name).or_else(|| environment(&name.to_ascii_lowercase())).unwrap_or_default()
        };
        let matcher = Matcher::builder()
            .all(first("ALL_PROXY"))
            .http(first("HTTP_PROXY"))
            .https(first("HTTPS_PROXY"))
            .no(first("NO_PROXY"))
            .build();
        Self(matcher)
    }

    pub(super) fn way(&self, to: &Uri, origin: &Origin, rules: &Rules) -> Way {
        // As Go's tools do: this machine is not reached by way of another.
        if rules.is_meant_here(origin) && rules.fixed(origin).is_empty() {
            return Way::Direct;
        }
        let Some(found) = self.0.intercept(to) else { return Way::Direct };
        let proxy = Proxy { uri: found.uri().clone(), authorization: found.basic_auth().cloned() };
        match rules.fixed(origin).first() {
            // The proxy would look the name up where we must not.
            Some(address) => Way::Tunnel(proxy, Some(*address)),
            None if origin.is_secure() => Way::Tunnel(proxy, None),
            None => Way::Forward(proxy),
        }
    }
}
