//! Referrers and tags: pages, fallbacks, and lists that are not what they should be.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::server::{Reply, Seen, Server};
use super::{digest, repository, upstream};
use crate::oci::media_type::OCI_INDEX;
use crate::oci::{Descriptor, Digest, Tag};
use crate::upstream::{Error, TagPage, Upstream};

fn entry(content: &str) -> Value {
    json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": Digest::sha256(content.as_bytes()),
        "size": content.len(), "artifactType": "application/x"})
}

fn index(entries: &[Value]) -> Reply {
    Reply::ok(json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}).to_string())
        .header("content-type", OCI_INDEX)
}

fn missing() -> Reply {
    Reply::new(404, "")
}

async fn asked(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> (Server, Arc<Upstream>) {
    let server = Server::start(answer).await;
    let upstream = upstream(json!({"url": server.url()}));
    (server, upstream)
}

async fn referrers(upstream: &Upstream) -> Result<Vec<Descriptor>, Error> {
    upstream.referrers(&repository("team/app"), &digest()).await
}

async fn tags(upstream: &Upstream, n: Option<u32>, last: Option<&str>) -> Result<(String, bool), Error> {
    let TagPage { tags, more } = upstream.tags(&repository("team/app"), n, last).await?;
    Ok((tags.iter().map(Tag::as_str).collect::<Vec<_>>().join(" "), more))
}

#[tokio::test]
async fn all_pages_of_the_api_are_read() {
    let (server, upstream) = asked(|seen| {
        let path = format!("/v2/team/app/referrers/{}", digest());
        match seen.target.strip_prefix(path.as_str()) {
            Some("") => index(&[entry("a"), entry("b")])
                .header("link", format!("<{}?p=2>; rel=\"next\"", path.replace(':', "%3A"))),
            Some("?p=2") => index(&[entry("c")]),
            _ => missing(),
        }
    })
    .await;
    let found = referrers(&upstream).await.unwrap();
    assert_eq!(found.iter().map(|d| d.size).sum::<u64>(), 3);
    assert_eq!(found[2].digest, Digest::sha256(b"c"));
    assert_eq!(found[2].artifact_type.as_deref(), Some("application/x"));
    assert!(server.seen().iter().all(|s| s.header("accept") == Some(OCI_INDEX)));
}

#[tokio::test]
async fn without_the_api_the_tag_schema_is_asked_and_404_means_none() {
    for status in [400, 404, 405, 501] {
        let (server, upstream) = asked(move |seen| {
            if seen.target.contains("/referrers/") { Reply::new(status, "") } else { index(&[entry("a")]) }
        })
        .await;
        assert_eq!(referrers(&upstream).await.unwrap().len(), 1, "{status}");
        let tag = format!("/v2/team/app/manifests/sha256-{}", digest().hex());
        assert_eq!(server.seen()[1].target, tag);
    }
    let (_, upstream) = asked(|_| missing()).await;
    assert_eq!(referrers(&upstream).await.unwrap(), []);
    let (_, upstream) = asked(|_| index(&[])).await;
    assert_eq!(referrers(&upstream).await.unwrap(), []);
}

/// Once the API is known to be missing nobody waits for its 404 first; when it is there it decides.
#[tokio::test]
async fn where_the_api_was_missing_both_are_asked_at_once_and_the_api_decides() {
    let api = Arc::new(Mutex::new(missing()));
    let answer = api.clone();
    let (server, upstream) = asked(move |seen| {
        let by_api = seen.target.contains("/referrers/");
        if by_api { answer.lock().unwrap().clone() } else { index(&[entry("a"), entry("b")]) }
    })
    .await;
    for asked in [2, 4] {
        assert_eq!(referrers(&upstream).await.unwrap().len(), 2);
        assert_eq!(server.seen().len(), asked);
    }
    *api.lock().unwrap() = Reply::new(401, "");
    assert!(referrers(&upstream).await.is_err(), "trouble with the API is no word about referrers");
    *api.lock().unwrap() = index(&[entry("c")]);
    assert_eq!(referrers(&upstream).await.unwrap()[0].digest, Digest::sha256(b"c"));
    let before = server.seen().len();
    assert_eq!(referrers(&upstream).await.unwrap().len(), 1);
    assert_eq!(server.seen().len(), before + 1, "the tag is not asked any more");
}

#[tokio::test]
async fn trouble_is_never_an_empty_list() {
    let html = Reply::ok("<html>").header("content-type", "text/html");
    let untyped = Reply::ok(r#"{"schemaVersion":2,"manifests":[]}"#);
    let typed = |body: &str| Reply::ok(body.to_owned()).header("content-type", OCI_INDEX);
    let twice = typed(r#"{"schemaVersion":2,"manifests":[],"manifests":[]}"#);
    let image = typed(&json!({"schemaVersion": 2, "config": entry("a"), "layers": []}).to_string());
    let bad = [
        html,
        untyped,
        twice,
        image,
        typed("{}"),
        typed("[]"),
        typed(r#"{"schemaVersion":2,"manifests":[{"digest":"sha256:x"}]}"#),
        Reply::new(401, ""),
        Reply::new(403, ""),
        Reply::new(429, ""),
        Reply::new(500, "").header("retry-after", "60"),
        index(&[]).cut().pieces(vec!["{".into()]),
        index(&[]).pieces(vec![vec![b' '; 1 << 20].into(); 5]),
    ];
    for reply in bad {
        let shown = format!("{reply:?}").chars().take(200).collect::<String>();
        for by_tag in [false, true] {
            let reply = reply.clone();
            let answer = move |seen: &Seen| {
                if by_tag && seen.target.contains("/referrers/") { missing() } else { reply.clone() }
            };
            let (_, upstream) = asked(answer).await;
            assert!(referrers(&upstream).await.is_err(), "by tag: {by_tag}, {shown}");
        }
    }
}

#[tokio::test]
async fn a_page_that_fails_fails_the_list() {
    for status in [404, 410, 400, 500] {
        let (_, upstream) = asked(move |seen| match seen.target.split_once('?') {
            None => index(&[entry("a")]).header("link", format!("<{}?p=2>; rel=next", seen.target)),
            Some(_) => Reply::new(status, ""),
        })
        .await;
        let error = referrers(&upstream).await.unwrap_err();
        assert!(!matches!(error, Error::NotFound), "{status}: {error}");
    }
}

#[tokio::test]
async fn a_link_that_cannot_be_read_is_not_the_end_of_a_list() {
    let long = format!("<?p={}>; rel=next", "a".repeat(8 << 10));
    for link in ["</a", "?p=2; rel=next", "<?p=é>; rel=next", &long] {
        let (shown, link) = (link.chars().take(20).collect::<String>(), link.to_owned());
        let (_, upstream) = asked(move |seen| {
            let page = if seen.target.contains("tags") { Reply::ok(r#"{"tags":["a"]}"#) } else { index(&[]) };
            page.header("link", link.clone())
        })
        .await;
        assert!(matches!(referrers(&upstream).await, Err(Error::Unavailable(_))), "{shown}");
        assert!(matches!(tags(&upstream, None, None).await, Err(Error::Unavailable(_))), "{shown}");
    }
}

#[tokio::test]
async fn pages_elsewhere_are_refused_and_endless_ones_bounded() {
    let elsewhere = Server::start(|_| index(&[])).await;
    let links = [
        format!("<{}/v2/team/app/referrers/{}?p=2>; rel=next", elsewhere.url(), digest()),
        format!("</v2/other/app/referrers/{}?p=2>; rel=next", digest()),
        "<//169.254.169.254/?p=2>; rel=next".to_owned(),
    ];
    for link in links {
        let shown = link.clone();
        let (server, upstream) = asked(move |_| index(&[]).header("link", link.clone())).await;
        assert!(matches!(referrers(&upstream).await, Err(Error::Forbidden(_))), "{shown}");
        assert_eq!(server.seen().len(), 1);
    }
    assert!(elsewhere.seen().is_empty());
    let (server, upstream) = asked(|_| index(&[entry("a")]).header("link", "<?again>; rel=next")).await;
    assert!(matches!(referrers(&upstream).await, Err(Error::TooLarge { .. })));
    assert_eq!(server.seen().len(), 16);
}

/// A registry that pages as the specification asks.
fn paged(seen: &Seen) -> Reply {
    let url = url::Url::parse(&format!("http://x{}", seen.target)).unwrap();
    let parameter = |name: &str| url.query_pairs().find(|(n, _)| n == name).map(|(_, v)| v.into_owned());
    let n = parameter("n").map_or(2, |n| n.parse().unwrap()).min(2);
    let last = parameter("last").unwrap_or_default();
    let rest: Vec<&str> = ["a", "b", "c", "d", "e"].into_iter().filter(|tag| *tag > last.as_str()).collect();
    let page = &rest[..n.min(rest.len())];
    let reply = Reply::ok(json!({"name": "team/app", "tags": page}).to_string());
    if page.len() == rest.len() || page.is_empty() {
        return reply;
    }
    reply.header("link", format!("</v2/team/app/tags/list?n={n}&last={}>; rel=\"next\"", page[n - 1]))
}

#[tokio::test]
async fn tags_are_paged_as_asked() {
    let (server, upstream) = asked(paged).await;
    let page = |tags: &str, more| (tags.to_owned(), more);
    assert_eq!(tags(&upstream, None, None).await.unwrap(), page("a b c d e", false));
    assert_eq!(tags(&upstream, Some(2), None).await.unwrap(), page("a b", true));
    assert_eq!(tags(&upstream, Some(3), Some("a")).await.unwrap(), page("b c d", true));
    assert_eq!(tags(&upstream, Some(3), Some("b")).await.unwrap(), page("c d e", false));
    assert_eq!(tags(&upstream, Some(0), None).await.unwrap(), page("", false));
    assert_eq!(tags(&upstream, Some(9), Some("e")).await.unwrap(), page("", false));
    let odd = tags(&upstream, None, Some("a&n=1#/../é")).await.unwrap();
    assert_eq!(odd, page("b c d e", false));
    assert_eq!(server.count("last=a%26n%3D1%23%2F..%2F%C3%A9"), 1);
}

#[tokio::test]
async fn registries_that_do_not_page_are_paged_for() {
    let (_, upstream) = asked(|_| Reply::ok(r#"{"tags":["a","b","c","-not a tag-"]}"#)).await;
    assert_eq!(tags(&upstream, Some(1), None).await.unwrap(), ("a".to_owned(), true));
    assert_eq!(tags(&upstream, Some(5), Some("a")).await.unwrap(), ("b c".to_owned(), false));
    let (_, upstream) = asked(|_| Reply::ok(r#"{"tags":null}"#)).await;
    assert_eq!(tags(&upstream, None, None).await.unwrap(), (String::new(), false));
}

#[tokio::test]
async fn bad_lists_of_tags_are_errors_and_endless_ones_bounded() {
    for body in ["", "[]", r#"{"tags":"a"}"#, r#"{"tags":[1]}"#] {
        let (_, upstream) = asked(move |_| Reply::ok(body)).await;
        assert!(matches!(tags(&upstream, None, None).await, Err(Error::Unavailable(_))), "{body}");
    }
    let (server, upstream) =
        asked(|_| Reply::ok(r#"{"tags":["a"]}"#).header("link", "<?again>; rel=next")).await;
    assert!(tags(&upstream, None, None).await.unwrap().1, "there is more than was read");
    assert_eq!(server.seen().len(), 32);
    let (_, upstream) =
        asked(|_| Reply::ok(r#"{"tags":["a"]}"#).header("link", "<http://x.test/?p=2>; rel=next")).await;
    assert!(matches!(tags(&upstream, None, None).await, Err(Error::Forbidden(_))));
}
