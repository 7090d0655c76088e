//! Answers without content. Those with content are tested through the front door: nothing here can
//! make an `Admitted`.

use std::collections::HashMap;

use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use super::*;
use crate::admission::Refusal;
use crate::oci::Tag;
use crate::policy::Decision;

struct Seen {
    status: u16,
    headers: HashMap<String, String>,
    body: Vec<u8>,
}

impl Seen {
    async fn of(reply: Reply) -> Self {
        let (parts, body) = reply.into_response().into_parts();
        let header = |(name, value): (&HeaderName, &HeaderValue)| {
            (name.to_string(), value.to_str().unwrap().to_owned())
        };
        Self {
            status: parts.status.as_u16(),
            headers: parts.headers.iter().map(header).collect(),
            body: body.collect().await.unwrap().to_bytes().to_vec(),
        }
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

fn denial() -> Arc<Decision> {
    crate::http::registry::denial()
}

#[tokio::test]
async fn the_base_names_the_api() {
    let seen = Seen::of(Reply::base(false)).await;
    assert_eq!((seen.status, seen.json()), (200, json!({})));
    assert_eq!(seen.header("docker-distribution-api-version"), Some("registry/2.0"));
    assert_eq!(seen.header("x-content-type-options"), Some("nosniff"));
}

#[tokio::test]
async fn a_denial_is_what_clients_show() {
    let decision = denial();
    let problem = Problem::of_refusal(&Refusal::Denied(decision.clone()), None);
    let seen = Seen::of(Reply::problem(&problem, false)).await;
    let id = decision.id().to_string();
    assert_eq!(seen.status, 403);
    assert_eq!(
        seen.json(),
        json!({"errors": [{"code": "DENIED", "message": decision.message(), "detail": id}]})
    );
    assert_eq!(seen.header("content-type"), Some("application/json"));
    assert_eq!(seen.header("portcullis-reason"), Some("no_policy"));
    assert_eq!(seen.header("portcullis-decision"), Some(id.as_str()));
    assert_eq!(seen.header("docker-content-digest"), Some(decision.subject().to_string().as_str()));

    let head = Seen::of(Reply::problem(&problem, true)).await;
    assert_eq!((head.status, head.body.len()), (403, 0));
    assert_eq!(head.headers, seen.headers);
}

#[tokio::test]
async fn problems_carry_the_headers_that_belong_to_them() {
    let wait = std::time::Duration::from_millis(1500);
    let throttled = Refusal::Upstream(crate::admission::Trouble::Throttled { retry_after: Some(wait) });
    let seen = Seen::of(Reply::problem(&Problem::of_refusal(&throttled, None), false)).await;
    assert_eq!((seen.status, seen.header("retry-after")), (429, Some("2")));
    assert_eq!(seen.json()["errors"][0].get("detail"), None);

    let push = Problem::of_route(&crate::http::route::RouteError::Method);
    let seen = Seen::of(Reply::problem(&push, false)).await;
    assert_eq!((seen.status, seen.header("allow")), (405, Some("GET, HEAD")));

    let seen = Seen::of(Reply::problem(&Problem::outside(100), false)).await;
    assert_eq!((seen.status, seen.header("content-range")), (416, Some("bytes */100")));
}

#[tokio::test]
async fn tags_and_their_next_page() {
    let page = TagPage { tags: ["v1", "v2"].map(|t| Tag::parse(t).unwrap()).to_vec(), more: true };
    let next = "/v2/nginx/tags/list?n=2&last=v2".to_owned();
    let seen = Seen::of(Reply::tags("docker.io/nginx", &page, Some(next), false)).await;
    assert_eq!(seen.json(), json!({"name": "docker.io/nginx", "tags": ["v1", "v2"]}));
    assert_eq!(seen.header("link"), Some(r#"</v2/nginx/tags/list?n=2&last=v2>; rel="next""#));
}

#[tokio::test]
async fn nothing_known_is_an_empty_list_of_referrers() {
    let seen = Seen::of(Reply::referrers(None, true, false)).await;
    assert_eq!(seen.json()["manifests"], json!([]));
    assert_eq!(seen.header("content-type"), Some("application/vnd.oci.image.index.v1+json"));
    assert_eq!(seen.header("oci-filters-applied"), Some("artifactType"));
    let head = Seen::of(Reply::referrers(None, false, true)).await;
    assert_eq!(head.header("oci-filters-applied"), None);
    assert_eq!(head.header("content-length"), Some(seen.body.len().to_string().as_str()));
    assert!(head.body.is_empty());
}

#[test]
fn a_client_that_has_the_content_says_so_by_its_tag() {
    let digest = Digest::sha256(b"x");
    let held = |value: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(IF_NONE_MATCH, HeaderValue::from_str(value).unwrap());
        has_unchanged(&headers, &digest)
    };
    assert!(held(&format!("\"{digest}\"")));
    assert!(held(&format!("\"other\", W/\"{digest}\"")));
    assert!(held("*"));
    assert!(!held(&digest.to_string()));
    assert!(!held("\"other\""));
    assert!(!has_unchanged(&HeaderMap::new(), &digest));
}

#[test]
fn the_digest_and_its_tag_are_one_text() {
    let digest = Digest::sha256(b"x");
    let (plain, quoted) = headers::digest_and_etag(&digest);
    assert_eq!(plain, digest.to_string());
    assert_eq!(quoted, format!("\"{digest}\""));
}
