//! Keeps browsers from changing anything: a page that an operator looks at can send requests to addresses
//! that only the operator reaches. Keeps commands from the wrong server.

use axum::extract::{Request, State as Shared};
use axum::http::header::{CONTENT_TYPE, HOST};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::Parts;
use crate::engine::upkeep::OPENING;

/// Lets pass what says that it is JSON, which no form does and a script of a foreign page may not say unasked,
/// and is meant for this host by a name of its own: a foreign name may lead here by DNS.
pub(super) async fn check(Shared(parts): Shared<Parts>, request: Request, next: Next) -> Response {
    if !is_json(request.headers()) {
        let message = "send a body of the type application/json\n";
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, message).into_response();
    }
    let engine = parts.current.load();
    if !is_ours(request.headers(), engine.settings().admin.url.as_deref()) {
        let message =
            "this host is asked for by a foreign name: use its address, or set admin.url to the name\n";
        return (StatusCode::FORBIDDEN, message).into_response();
    }
    drop(engine);
    next.run(request).await
}

/// Lets pass what means no certain store, or the one that this process has open: a command takes the address
/// from its configuration, where another server may answer.
pub(super) async fn meant(Shared(parts): Shared<Parts>, request: Request, next: Next) -> Response {
    let is_other = |opening: &HeaderValue| opening.as_bytes() != parts.state.opening().as_bytes();
    if request.headers().get_all(OPENING).iter().any(is_other) {
        let path = parts.current.load().settings().store.path.display().to_string();
        let message = format!("this server has the store {path}, and another one is meant\n");
        return (StatusCode::CONFLICT, message).into_response();
    }
    next.run(request).await
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// An address is nobody's name; `localhost` and the name in `admin.url` are ours.
fn is_ours(headers: &HeaderMap, url: Option<&str>) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let Some(host) = host.to_str().ok().and_then(|host| host.parse::<Uri>().ok()) else { return false };
    let Some(host) = host.host() else { return false };
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let own = url.and_then(|url| url::Url::parse(url).ok());
    let own = own.as_ref().and_then(url::Url::host_str);
    address.parse::<std::net::IpAddr>().is_ok()
        || host.eq_ignore_ascii_case("localhost")
        || own.is_some_and(|own| own.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_names_and_addresses_are_ours() {
        let ours = |host: &'static str| {
            let headers = HeaderMap::from_iter([(HOST, host.parse().unwrap())]);
            is_ours(&headers, Some("https://portcullis.corp:9443/x"))
        };
        for host in
            ["127.0.0.1:9090", "10.1.2.3", "[::1]:9090", "localhost:9090", "LOCALHOST", "portcullis.corp"]
        {
            assert!(ours(host), "{host}");
        }
        for host in
            ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "portcullis.corp.evil", ""]
        {
            assert!(!ours(host), "{host}");
        }
        assert!(!is_ours(&HeaderMap::new(), None));
        let twice = [(HOST, "127.0.0.1".parse().unwrap()), (HOST, "evil.example".parse().unwrap())];
        let mut headers = HeaderMap::new();
        for (name, value) in twice {
            headers.append(name, value);
        }
        assert!(!is_ours(&headers, None));
    }

    #[test]
    fn what_a_form_can_send_is_no_json() {
        let json =
            |kind: &'static str| is_json(&HeaderMap::from_iter([(CONTENT_TYPE, kind.parse().unwrap())]));
        assert!(json("application/json") && json("application/json; charset=utf-8"));
        for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""] {
            assert!(!json(kind), "{kind}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }
}
