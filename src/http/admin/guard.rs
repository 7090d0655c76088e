//! Keeps browsers from reading or changing anything: a page that an operator looks at can send requests to addresses
//! that only the operator reaches. Keeps commands from the wrong server, and the store from who may not read it.

use axum::extract::{Request, State as Shared};
use axum::http::header::{CONTENT_TYPE, HOST};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::Parts;
use crate::engine::upkeep::OPENING;
use crate::oci::Digest;

/// Lets pass what is meant for this host by a name of its own: a foreign name may lead here by DNS.
pub(super) async fn is_ours(Shared(parts): Shared<Parts>, request: Request, next: Next) -> Response {
    let engine = parts.current.load();
    if !names_us(&request, engine.settings().admin.url.as_deref()) {
        let message =
            "this host is asked for by a foreign name: use its address, or set admin.url to the name\n";
        return (StatusCode::FORBIDDEN, message).into_response();
    }
    drop(engine);
    next.run(request).await
}

/// Lets pass what says that it is JSON, which no form does and a script of a foreign page may not say unasked.
pub(super) async fn is_json(request: Request, next: Next) -> Response {
    if !says_json(request.headers()) {
        let message = "send a body of the type application/json\n";
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, message).into_response();
    }
    next.run(request).await
}

/// Lets pass what means no certain store, or the one that this process has open: a command takes the address
/// from its configuration, where another server may answer.
pub(super) async fn is_meant(Shared(parts): Shared<Parts>, request: Request, next: Next) -> Response {
    // Nobody finds it out byte by byte.
    let opening = Digest::sha256(parts.state.opening().as_bytes());
    let is_other = |named: &HeaderValue| Digest::sha256(named.as_bytes()) != opening;
    if request.headers().get_all(OPENING).iter().any(is_other) {
        let path = parts.current.load().settings().store.path.display().to_string();
        let message = format!("this server has the store {path}, and another one is meant\n");
        return (StatusCode::CONFLICT, message).into_response();
    }
    next.run(request).await
}

/// Lets pass what names the opening of the store, after [`is_meant`]. It stands in a file that only the server's user may
/// read: who knows it could do the work himself, were the server not there.
pub(super) async fn has_leave(Shared(parts): Shared<Parts>, request: Request, next: Next) -> Response {
    if request.headers().get(OPENING).is_none() {
        let lock = parts.current.load().settings().store.path.join("lock").display().to_string();
        let message = format!(
            "work on the store is done for who may read it: send the header {OPENING} with the second word of {lock}, or \
             use the commands of portcullis as the server's user\n"
        );
        return (StatusCode::FORBIDDEN, message).into_response();
    }
    next.run(request).await
}

fn says_json(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// An address is nobody's name, and a name without a dot is none of the internet's; the name in `admin.url` is ours.
fn names_us(request: &Request, url: Option<&str>) -> bool {
    let mut hosts = request.headers().get_all(HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().ok().and_then(|host| host.parse::<Uri>().ok()),
        // HTTP/2 has it with the path.
        (None, _) => Some(request.uri().clone()),
        _ => None,
    };
    let Some(host) = host.as_ref().and_then(Uri::host) else { return false };
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let own = url.and_then(|url| url::Url::parse(url).ok());
    let own = own.as_ref().and_then(url::Url::host_str);
    address.parse::<std::net::IpAddr>().is_ok()
        || !host.contains('.')
        || own.is_some_and(|own| own.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn names(hosts: &[&str], uri: &str) -> bool {
        let request = Request::get(uri);
        let request = hosts.iter().fold(request, |request, host| request.header(HOST, *host));
        names_us(&request.body(Body::empty()).unwrap(), Some("https://portcullis.corp:9443/x"))
    }

    #[test]
    fn only_own_names_and_addresses_are_ours() {
        for host in [
            "127.0.0.1:9090",
            "10.1.2.3",
            "[::1]:9090",
            "localhost:9090",
            "LOCALHOST",
            "portcullis:9090",
            "portcullis.corp",
        ] {
            assert!(names(&[host], "/metrics"), "{host}");
            assert!(names(&[], &format!("http://{host}/metrics")), "{host}");
        }
        for host in [
            "evil.example",
            "evil.",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "portcullis.corp.evil",
        ] {
            assert!(!names(&[host], "/metrics"), "{host}");
            assert!(!names(&[], &format!("http://{host}/metrics")), "{host}");
            assert!(!names(&[host], "http://127.0.0.1/metrics"), "{host}");
        }
        assert!(!names(&[], "/metrics") && !names(&[""], "/metrics"));
        assert!(!names(&["127.0.0.1", "evil.example"], "/metrics"));
    }

    #[test]
    fn what_a_form_can_send_is_no_json() {
        let json =
            |kind: &'static str| says_json(&HeaderMap::from_iter([(CONTENT_TYPE, kind.parse().unwrap())]));
        assert!(json("application/json") && json("application/json; charset=utf-8"));
        for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""] {
            assert!(!json(kind), "{kind}");
        }
        assert!(!says_json(&HeaderMap::new()));
    }
}
