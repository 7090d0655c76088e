//! The read side of OCI distribution-spec 1.1: each rule that the conformance suite checks.

use http::Method;
use http::header::{ACCEPT, IF_MATCH, RANGE};
use portcullis::demo::Package;
use portcullis::demo::signing::nv2;
use portcullis::oci::{Algorithm, Digest};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::test_proxy::{TestProxy, WABBIT, push_signed, refused, served, signed};

#[tokio::test]
async fn the_base_answers() {
    let proxy = TestProxy::new().start().await;
    let base = proxy.path("/v2/").await;
    assert_eq!(base.status, 200);
    assert_eq!(base.header("docker-distribution-api-version"), "registry/2.0");
}

#[tokio::test]
async fn manifests_come_by_tag_and_digest_with_their_exact_bytes() {
    let image = Package::image("app");
    let proxy = TestProxy::new().upstream(signed("app")).start().await;
    for reference in ["app:1".to_owned(), format!("app@{}", image.digest())] {
        let got = proxy.get(&reference).await;
        served(&got, image.bytes());
        let head = proxy.head(&reference).await;
        assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
        for answer in [got, head] {
            assert_eq!(answer.header("content-type"), &*image.descriptor().media_type);
            assert_eq!(answer.header("docker-content-digest"), image.digest().to_string());
            assert_eq!(answer.header("content-length"), image.bytes().len().to_string());
        }
    }
}

#[tokio::test]
async fn blobs_come_whole_and_in_ranges() {
    let image = Package::image("app");
    let (layer, digest) = (image.blobs().last().unwrap().clone(), image.layer());
    let proxy = TestProxy::new().upstream(signed("app")).start().await;
    proxy.get("app:1").await;
    let path = format!("/v2/registry.test/app/blobs/{digest}");
    // The first is arriving, the second is kept: both must say the same.
    for _ in 0..2 {
        let whole = proxy.blob("app", &digest).await;
        served(&whole, &layer);
        assert_eq!(whole.header("docker-content-digest"), digest.to_string());
        assert_eq!(whole.header("accept-ranges"), "bytes");
    }
    let size = layer.len();
    for (asked, from, to) in [("bytes=0-9", 0, 10), ("bytes=5-", 5, size), ("bytes=-7", size - 7, size)] {
        let part = proxy.send(Method::GET, &path, &[(RANGE, asked)]).await;
        assert_eq!(part.status, 206, "{asked}");
        assert_eq!(part.body, layer.slice(from..to), "{asked}");
        assert_eq!(part.header("content-range"), format!("bytes {from}-{}/{size}", to - 1));
    }
    let beyond = proxy.send(Method::GET, &path, &[(RANGE, &format!("bytes={size}-"))]).await;
    assert_eq!(beyond.status, 416);
    let head = proxy.send(Method::HEAD, &path, &[]).await;
    assert_eq!((head.status.as_u16(), head.header("content-length")), (200, &*size.to_string()));
}

#[tokio::test]
async fn the_head_of_a_blob_asks_no_upstream() {
    let image = Package::image("app");
    let proxy = TestProxy::new().upstream(signed("app")).start().await;
    proxy.get("app:1").await;
    let path = format!("/v2/registry.test/app/blobs/{}", image.layer());
    assert_eq!(proxy.send(Method::HEAD, &path, &[]).await.status, 200);
    assert_eq!(proxy.upstream().count("/blobs/sha256:"), proxy.upstream().count("GET /v2/app/blobs/"));
    assert_eq!(proxy.upstream().count(&image.layer().to_string()), 0);
}

#[tokio::test]
async fn tags_are_listed_in_pages() {
    let proxy = TestProxy::new()
        .upstream(|registry| {
            registry.page_size(2);
            for tag in ["a", "b", "c", "d", "e"] {
                registry.push("app", tag, &Package::image("app"));
            }
        })
        .start()
        .await;
    let list = async |query: &str| {
        let answer = proxy.path(&format!("/v2/registry.test/app/tags/list{query}")).await;
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(body["name"], "registry.test/app", "the name that the client used");
        (body["tags"].clone(), answer.header("link").to_owned())
    };
    let (all, link) = list("").await;
    assert_eq!((all, link.as_str()), (json!(["a", "b", "c", "d", "e"]), ""));
    let (page, link) = list("?n=3").await;
    assert_eq!(page, json!(["a", "b", "c"]));
    assert!(link.contains("last=c") && link.contains("n=3") && link.contains("rel=\"next\""), "{link}");
    assert!(link.starts_with("</v2/registry.test/app/tags/list?"), "the name that the client used: {link}");
    let (rest, link) = list("?n=3&last=c").await;
    assert_eq!((rest, link.as_str()), (json!(["d", "e"]), ""));
    assert_eq!(list("?n=0").await.0, json!([]));
}

#[tokio::test]
async fn what_is_not_there_has_its_own_code() {
    let proxy = TestProxy::new().upstream(signed("app")).start().await;
    proxy.get("app:1").await;
    let none = Digest::sha256(b"none");
    refused(&proxy.get("app:2").await, 404, "MANIFEST_UNKNOWN", "");
    refused(&proxy.get(&format!("app@{none}")).await, 404, "MANIFEST_UNKNOWN", "");
    refused(&proxy.get("nothing:1").await, 404, "MANIFEST_UNKNOWN", "");
    refused(&proxy.blob("app", &none).await, 404, "BLOB_UNKNOWN", "");
    let nothing = proxy.path("/v2/registry.test/nothing/tags/list").await;
    refused(&nothing, 404, "NAME_UNKNOWN", "the upstream has no such repository");
    refused(&proxy.path("/v2/none.test/app/tags/list").await, 404, "NAME_UNKNOWN", "is not an upstream");
    assert_eq!(proxy.path("/v1/app").await.status, 404);
    assert_eq!(proxy.path("/v2/app/unheard/of").await.status, 404);
}

#[tokio::test]
async fn malformed_requests_are_named() {
    let proxy = TestProxy::new().start().await;
    for digest in ["sha256:abc", "md5:d41d8cd98f00b204e9800998ecf8427e", "sha256:"] {
        let path = format!("/v2/registry.test/app/blobs/{digest}");
        refused(&proxy.path(&path).await, 400, "DIGEST_INVALID", "");
        let path = format!("/v2/registry.test/app/manifests/{digest}");
        refused(&proxy.path(&path).await, 400, "DIGEST_INVALID", "");
        let path = format!("/v2/registry.test/app/referrers/{digest}");
        refused(&proxy.path(&path).await, 400, "DIGEST_INVALID", "");
    }
    refused(&proxy.path("/v2/registry.test/APP/manifests/1").await, 400, "NAME_INVALID", "");
}

/// Of two, a proxy before this one may have read the other (RFC 9112, section 3.2).
#[tokio::test]
async fn a_request_has_one_host() {
    let proxy = TestProxy::new().upstream(signed("app")).start().await;
    let status = async |head: &str| {
        let mut stream = tokio::net::TcpStream::connect(proxy.proxy().address()).await.unwrap();
        stream.write_all(format!("GET {head}\r\nConnection: close\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer.split(' ').nth(1).unwrap_or_default().to_owned()
    };
    let path = "/v2/registry.test/app/manifests/1";
    for _ in 0..4 {
        for (head, expected) in [
            (format!("{path} HTTP/1.1\r\nHost: proxy:5000"), "200"),
            (format!("{path} HTTP/1.0"), "200"),
            (format!("http://proxy{path} HTTP/1.1\r\nHost: proxy"), "200"),
            (format!("{path} HTTP/1.1"), "400"),
            (format!("http://proxy{path} HTTP/1.1"), "400"),
            (format!("{path} HTTP/1.1\r\nHost: proxy:5000\r\nHost: proxy:5000"), "400"),
            (format!("{path} HTTP/1.1\r\nHost: a b/c"), "400"),
            (format!("{path} HTTP/1.1\r\nHost: somebody@proxy"), "400"),
        ] {
            assert_eq!(status(&head).await, expected, "{head}");
        }
    }
}

/// RFC 9110, section 13.1.1.
#[tokio::test]
async fn what_a_client_wants_under_other_tags_alone_it_does_not_get() {
    let image = Package::image("app");
    let proxy = TestProxy::new().upstream(signed("app")).start().await;
    let layer = image.layer();
    let paths = [
        ("/v2/registry.test/app/manifests/1".to_owned(), image.digest()),
        (format!("/v2/registry.test/app/blobs/{layer}"), layer),
    ];
    for (path, digest) in paths {
        for method in [Method::GET, Method::HEAD] {
            for (tags, status) in [
                (format!("\"x\", \"{digest}\""), 200),
                ("*".to_owned(), 200),
                ("\"x\"".to_owned(), 412),
                (format!("W/\"{digest}\""), 412),
            ] {
                let got = proxy.send(method.clone(), &path, &[(IF_MATCH, &tags)]).await;
                assert_eq!(got.status, status, "{method} {path} {tags}");
            }
        }
        let both = [(IF_MATCH, "\"x\""), (RANGE, "bytes=0-1")];
        refused(&proxy.send(Method::GET, &path, &both).await, 412, "PRECONDITION_FAILED", "If-Match");
    }
}

#[tokio::test]
async fn pushes_and_deletes_are_not_supported() {
    let proxy = TestProxy::new().upstream(signed("app")).start().await;
    for (method, path) in [
        (Method::PUT, "/v2/registry.test/app/manifests/1"),
        (Method::DELETE, "/v2/registry.test/app/manifests/1"),
        (Method::POST, "/v2/registry.test/app/blobs/uploads/"),
        (Method::PATCH, "/v2/registry.test/app/blobs/uploads/1"),
        (Method::DELETE, &format!("/v2/registry.test/app/blobs/{}", Package::image("app").layer())),
    ] {
        refused(&proxy.send(method, path, &[]).await, 405, "UNSUPPORTED", "");
    }
    assert_eq!(proxy.upstream().count("PUT") + proxy.upstream().count("POST"), 0);
}

#[tokio::test]
async fn the_clients_accept_is_applied_and_spoils_nothing() {
    let image = Package::image("app");
    let proxy = TestProxy::new().upstream(signed("app")).start().await;
    let path = "/v2/registry.test/app/manifests/1";
    let docker = "application/vnd.docker.distribution.manifest.v2+json";
    let other = proxy.send(Method::GET, path, &[(ACCEPT, docker)]).await;
    refused(&other, 404, "MANIFEST_UNKNOWN", &image.descriptor().media_type);
    for accept in [&*image.descriptor().media_type, "*/*", "application/*"] {
        served(&proxy.send(Method::GET, path, &[(ACCEPT, accept)]).await, image.bytes());
    }
    served(&proxy.get("app:1").await, image.bytes());
}

#[tokio::test]
async fn dockers_own_manifests_are_served_as_they_are() {
    let list = Package::docker_list([Package::docker_image("app")]);
    let child = list.children()[0].clone();
    let pushed = list.clone();
    let proxy =
        TestProxy::new().upstream(move |registry| push_signed(registry, "app", "1", &pushed)).start().await;
    let got = proxy.get("app:1").await;
    served(&got, list.bytes());
    assert_eq!(got.header("content-type"), "application/vnd.docker.distribution.manifest.list.v2+json");
    let child_got = proxy.get(&format!("app@{}", child.digest())).await;
    served(&child_got, child.bytes());
    assert_eq!(child_got.header("content-type"), "application/vnd.docker.distribution.manifest.v2+json");
}

#[tokio::test]
async fn sha512_names_manifests_too() {
    let image = Package::image("app").digested_by(Algorithm::Sha512);
    let pushed = image.clone();
    let proxy = TestProxy::new()
        .upstream(move |registry| {
            registry.push("app", None, &pushed);
            let token =
                nv2::jwt(&WABBIT, &nv2::Claim::new(&["registry.test/app:1"]), pushed.descriptor()).unwrap();
            registry.push("app", None, &nv2::jwt_artifact(token).about(pushed.descriptor()));
        })
        .start()
        .await;
    let got = proxy.get(&format!("app@{}", image.digest())).await;
    served(&got, image.bytes());
    assert_eq!(got.header("docker-content-digest"), image.digest().to_string());
    let unsigned = Package::image("other").digested_by(Algorithm::Sha512);
    proxy.upstream().push("app", None, &unsigned);
    refused(&proxy.get(&format!("app@{}", unsigned.digest())).await, 403, "DENIED", "none found");
}

#[tokio::test]
async fn upstream_learns_nothing_of_the_client() {
    let proxy = TestProxy::new().upstream(signed("app")).start().await;
    let authorization = http::header::AUTHORIZATION;
    let path = "/v2/registry.test/app/manifests/1?secret=1";
    proxy.send(Method::GET, path, &[(authorization, "Basic c2VjcmV0OnNlY3JldA==")]).await;
    let seen = proxy.upstream().seen();
    assert!(!seen.is_empty());
    assert!(seen.iter().all(|request| request.authorization.is_none()), "{seen:?}");
    assert!(seen.iter().all(|request| !request.line.contains("secret")), "{seen:?}");
}
