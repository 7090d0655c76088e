//! Section by section: endpoints, names, encoding, parameters; then what must hold for any input.

use proptest::prelude::*;

use super::*;

fn registry(name: &str) -> Registry {
    Registry::parse(name).unwrap()
}

fn names() -> Names {
    Names::new(
        ["docker.io", "ghcr.io", "quay.io", "localhost:5001", "internal"].map(registry),
        Some(registry("docker.io")),
        [
            ("docker.proxy.corp".to_owned(), registry("docker.io")),
            ("Registry-1.Docker.IO".to_owned(), registry("docker.io")),
            ("quay.proxy.corp:8443".to_owned(), registry("quay.io")),
        ],
    )
}

fn get(host: Option<&str>, target: &str) -> Result<Route, RouteError> {
    let (path, query) = target.split_once('?').map_or((target, None), |(p, q)| (p, Some(q)));
    route(&Method::GET, host, path, query, &names())
}

fn repository(host: Option<&str>, target: &str) -> Result<String, RouteError> {
    match get(host, target)? {
        Route::Content(content) => Ok(content.repository.to_string()),
        Route::Base => panic!("{target} is the base"),
    }
}

fn endpoint(target: &str) -> Result<Endpoint, RouteError> {
    match get(None, target)? {
        Route::Content(content) => Ok(content.endpoint),
        Route::Base => panic!("{target} is the base"),
    }
}

#[test]
fn endpoints() {
    let digest = Digest::sha256(b"x");
    let tag = |t: &str| Target::parse(t).unwrap();
    assert_eq!(get(None, "/v2/"), Ok(Route::Base));
    assert_eq!(get(None, "/v2"), Ok(Route::Base));
    assert_eq!(get(None, "/v2/?ns=docker.io"), Ok(Route::Base));
    assert_eq!(endpoint("/v2/a/manifests/v1"), Ok(Endpoint::Manifest(tag("v1"))));
    assert_eq!(
        endpoint(&format!("/v2/a/manifests/{digest}")),
        Ok(Endpoint::Manifest(Target::Digest(digest)))
    );
    assert_eq!(endpoint(&format!("/v2/a/b/c/blobs/{digest}")), Ok(Endpoint::Blob(digest)));
    assert_eq!(endpoint("/v2/a/tags/list"), Ok(Endpoint::Tags { n: None, last: None }));
    assert_eq!(
        endpoint(&format!("/v2/a/referrers/{digest}?artifactType=application/spdx+json")),
        Ok(Endpoint::Referrers { subject: digest, artifact_type: Some("application/spdx+json".to_owned()) })
    );
}

#[test]
fn names_nest() {
    let digest = Digest::sha256(b"x");
    for (target, expected) in [
        ("/v2/blobs/manifests/manifests/tags".to_owned(), "docker.io/blobs/manifests"),
        ("/v2/tags/list/tags/list".to_owned(), "docker.io/tags/list"),
        (format!("/v2/a/blobs/uploads/blobs/{digest}"), "docker.io/a/blobs/uploads"),
        ("/v2/manifests/manifests/manifests".to_owned(), "docker.io/library/manifests"),
    ] {
        assert_eq!(repository(None, &target).as_deref(), Ok(expected), "{target}");
    }
}

#[test]
fn what_is_no_endpoint() {
    for target in [
        "/",
        "/v1/a",
        "/v2x",
        "/v2x/a/manifests/v1",
        "/v2/_catalog",
        "/v2/a",
        "/v2/a/",
        "/v2/manifests/v1",
        "/v2/a/manifests/",
        "/v2/a/manifests/v1/",
        "/v2/a/tags/all",
        "/v2/a/blobs/uploads/1",
        "/v2/token",
    ] {
        assert_eq!(get(None, target), Err(RouteError::NoEndpoint), "{target}");
    }
}

#[test]
fn what_writes_is_refused_wherever_it_goes() {
    for method in [Method::PUT, Method::POST, Method::PATCH, Method::DELETE, Method::OPTIONS] {
        for path in ["/v2/", "/v2/a/blobs/uploads/", "/v2/a/manifests/v1", "/v2/nonsense"] {
            assert_eq!(route(&method, None, path, None, &names()), Err(RouteError::Method));
        }
    }
    assert!(route(&Method::HEAD, None, "/v2/a/manifests/v1", None, &names()).is_ok());
}

#[test]
fn four_ways_to_name_an_upstream() {
    for (host, target, expected) in [
        // 1. the host
        (Some("docker.proxy.corp"), "/v2/library/nginx/manifests/v1", "docker.io/library/nginx"),
        (Some("DOCKER.proxy.corp:5000"), "/v2/a/b/manifests/v1", "docker.io/a/b"),
        (Some("registry-1.docker.io"), "/v2/a/b/manifests/v1", "docker.io/a/b"),
        (Some("quay.proxy.corp:8443"), "/v2/a/manifests/v1", "quay.io/a"),
        // only that port is mapped
        (Some("quay.proxy.corp"), "/v2/a/b/manifests/v1", "docker.io/a/b"),
        (Some("quay.proxy.corp:8444"), "/v2/a/b/manifests/v1", "docker.io/a/b"),
        // 2. ns
        (None, "/v2/a/manifests/v1?ns=ghcr.io", "ghcr.io/a"),
        (None, "/v2/library/nginx/manifests/v1?ns=index.docker.io", "docker.io/library/nginx"),
        (None, "/v2/a/manifests/v1?ns=localhost:5001", "localhost:5001/a"),
        (None, "/v2/a/manifests/v1?ns=localhost%3A5001", "localhost:5001/a"),
        // 3. the first segment
        (None, "/v2/docker.io/library/nginx/manifests/v1", "docker.io/library/nginx"),
        (None, "/v2/registry-1.docker.io/a/b/manifests/v1", "docker.io/a/b"),
        (None, "/v2/ghcr.io/a/manifests/v1", "ghcr.io/a"),
        (None, "/v2/localhost:5001/a/manifests/v1", "localhost:5001/a"),
        (None, "/v2/internal/a/manifests/v1", "internal/a"),
        // 4. the default
        (None, "/v2/nginx/manifests/v1", "docker.io/library/nginx"),
        (None, "/v2/a/b/manifests/v1", "docker.io/a/b"),
        (Some("proxy:5000"), "/v2/a/b/manifests/v1", "docker.io/a/b"),
        // a prefix equal to what is chosen is stripped, once
        (Some("docker.proxy.corp"), "/v2/docker.io/a/b/manifests/v1", "docker.io/a/b"),
        (None, "/v2/docker.io/a/b/manifests/v1?ns=docker.io", "docker.io/a/b"),
        (None, "/v2/ghcr.io/ghcr.io/b/manifests/v1", "ghcr.io/ghcr.io/b"),
        // a dot in a chosen upstream's own name is no host
        (None, "/v2/a.b/c/manifests/v1?ns=quay.io", "quay.io/a.b/c"),
        // library is Docker Hub's alone
        (None, "/v2/docker.io/nginx/manifests/v1", "docker.io/library/nginx"),
        (None, "/v2/quay.io/nginx/manifests/v1", "quay.io/nginx"),
    ] {
        assert_eq!(repository(host, target).as_deref(), Ok(expected), "{host:?} {target}");
    }
}

#[test]
fn an_unknown_registry_never_falls_to_the_default() {
    for target in [
        "/v2/evil.example/library/nginx/manifests/v1",
        "/v2/localhost/a/manifests/v1",
        "/v2/ghcr.io:444/a/manifests/v1",
        "/v2/ghcr.io%3A444/a/manifests/v1",
        "/v2/a/manifests/v1?ns=evil.example",
        "/v2/a/manifests/v1?ns=",
        "/v2/a/manifests/v1?ns=a/b",
    ] {
        assert!(matches!(get(None, target), Err(RouteError::UnknownRegistry(_))), "{target}");
    }
    let none = Names::new([registry("ghcr.io")], None, []);
    assert_eq!(route(&Method::GET, None, "/v2/a/manifests/v", None, &none), Err(RouteError::NoDefault));
}

#[test]
fn two_upstreams_in_one_request_are_refused() {
    for (host, target) in [
        (None, "/v2/ghcr.io/a/manifests/v1?ns=docker.io"),
        (Some("docker.proxy.corp"), "/v2/ghcr.io/a/manifests/v1"),
        (Some("docker.proxy.corp"), "/v2/a/b/manifests/v1?ns=quay.io"),
        (Some("quay.proxy.corp:8443"), "/v2/docker.io/a/b/manifests/v1?ns=quay.io"),
    ] {
        assert!(matches!(get(host, target), Err(RouteError::TwoRegistries(..))), "{host:?} {target}");
    }
    for target in ["/v2/a/manifests/v1?ns=ghcr.io&ns=ghcr.io", "/v2/a/manifests/v1?ns=ghcr.io&n%73=quay.io"] {
        assert_eq!(get(None, target), Err(RouteError::Repeated("ns")), "{target}");
    }
}

#[test]
fn grammar_of_names_tags_and_digests() {
    for target in [
        "/v2/A/manifests/v1",
        "/v2/a//b/manifests/v1",
        "/v2//a/manifests/v1",
        "/v2/../a/manifests/v1",
        "/v2/a/../../b/manifests/v1",
        "/v2/docker.io/manifests/v1",
        "/v2/a:b:c/d/manifests/v1",
    ] {
        assert!(
            matches!(get(None, target), Err(RouteError::Name(_) | RouteError::UnknownRegistry(_))),
            "{target}"
        );
    }
    for target in
        ["/v2/a/blobs/sha256:abc", "/v2/a/manifests/sha256:abc", "/v2/a/blobs/x", "/v2/a/referrers/v1"]
    {
        assert!(matches!(get(None, target), Err(RouteError::Digest(_))), "{target}");
    }
    assert!(matches!(get(None, "/v2/a/manifests/.INVALID"), Err(RouteError::Tag(_))));
}

#[test]
fn percent_encoding_hides_nothing() {
    let digest = Digest::sha256(b"x");
    let encoded = digest.to_string().replace(':', "%3a");
    assert_eq!(endpoint(&format!("/v2/a/blobs/{encoded}")), Ok(Endpoint::Blob(digest)));
    assert_eq!(repository(None, "/v2/%61/b/manifests/v1").as_deref(), Ok("docker.io/a/b"));
    for target in [
        "/v2/a%2fb/manifests/v1",
        "/v2/a%2Fmanifests%2Fv1",
        "/v2/a/manifests/v1%",
        "/v2/a/manifests/v1%2",
        "/v2/a/manifests/v1%zz",
        "/v2/a/manifests/v1%00",
        "/v2/a/manifests/v1%0a",
        "/v2/a/manifests/v1%c3%a9",
        "/v2/a/manifests/v1%\u{e9}",
        "/v2/a/tags/list?last=%0d%0a",
    ] {
        assert_eq!(get(None, target), Err(RouteError::Encoding), "{target}");
    }
    // decoded once only
    assert!(get(None, "/v2/a/manifests/v%2531").is_err());
}

#[test]
fn pages() {
    for (query, expected) in [
        ("n=5", (Some(5), None)),
        ("n=0&last=v1", (Some(0), Some("v1".to_owned()))),
        ("n=&last=", (None, None)),
        ("foo=bar&foo=bar&&=&last=a%2eb", (None, Some("a.b".to_owned()))),
    ] {
        let (n, last) = expected;
        assert_eq!(endpoint(&format!("/v2/a/tags/list?{query}")), Ok(Endpoint::Tags { n, last }), "{query}");
    }
    for query in ["n=-1", "n=+1", "n=x", "n=4294967296", "n=1.5", "last=../x", "last=a/b"] {
        assert_eq!(get(None, &format!("/v2/a/tags/list?{query}")), Err(RouteError::Page), "{query}");
    }
    assert_eq!(get(None, "/v2/a/tags/list?n=1&n=1"), Err(RouteError::Repeated("n")));
}

#[test]
fn ns_is_kept_as_it_was_given() {
    let Ok(Route::Content(content)) = get(None, "/v2/a/b/manifests/v1?ns=index.docker.io") else {
        panic!("not understood")
    };
    assert_eq!(content.namespace.as_deref(), Some("index.docker.io"));
}

proptest! {
    #[test]
    fn any_input_is_answered_and_only_with_configured_upstreams(
        host in proptest::option::of("\\PC{0,20}|docker.proxy.corp(:[0-9]{1,5})?"),
        path in "/v2/\\PC{0,60}|/v2/([a-z0-9.:%/-]{0,12}/){1,4}(manifests|blobs|tags|referrers)/[a-z0-9:.%-]{0,20}",
        query in proptest::option::of("\\PC{0,40}|(ns|n|last)=[a-z0-9.:%&=-]{0,20}"),
    ) {
        let known = ["docker.io", "ghcr.io", "quay.io", "localhost:5001", "internal"];
        if let Ok(Route::Content(c)) = route(&Method::GET, host.as_deref(), &path, query.as_deref(), &names()) {
            prop_assert!(known.contains(&c.repository.registry().as_str()));
        }
    }

    #[test]
    fn every_way_of_naming_leads_to_the_same_repository(
        path in "[a-z0-9]{1,8}(/[a-z0-9]{1,8}){1,3}",
        tag in "[A-Za-z0-9_][A-Za-z0-9._-]{0,20}",
    ) {
        prop_assume!(!path.starts_with("internal/") && !path.starts_with("localhost/"));
        let expected = format!("docker.io/{path}");
        let target = format!("/v2/{path}/manifests/{tag}");
        let prefixed = format!("/v2/docker.io/{path}/manifests/{tag}");
        for (host, target) in [
            (None, target.clone()),
            (None, prefixed.clone()),
            (None, format!("{target}?ns=docker.io")),
            (None, format!("{prefixed}?ns=registry-1.docker.io")),
            (Some("docker.proxy.corp"), target),
            (Some("docker.proxy.corp:443"), prefixed),
        ] {
            prop_assert_eq!(repository(host, &target), Ok(expected.clone()), "{:?} {}", host, target);
        }
    }
}
