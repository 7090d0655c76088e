//! Challenges, tokens and logins.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;

use super::server::{Reply, Seen, Server};
use super::{MANIFEST, in_environment, pull, repository, short, tag, upstream};
use crate::egress;
use crate::telemetry::Metrics;
use crate::upstream::{Error, Settings, Upstream};

/// A registry that wants a token; `realm` gives the token server's URL, or this one where it is empty.
async fn registry(realm: &str, token: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Server {
    let realm = realm.to_owned();
    Server::start(move |seen| {
        if seen.target.starts_with("/token") {
            return token(seen);
        }
        if seen.header("authorization").is_some_and(|a| a.starts_with("Bearer good")) {
            return Reply::ok(MANIFEST);
        }
        let host = seen.header("host").unwrap();
        let realm = if realm.is_empty() { format!("http://{host}/token?x=1") } else { realm.clone() };
        // The scope that it suggests is somebody else's repository, and more than reading.
        Reply::unauthorized(format!(
            r#"Negotiate, Basic realm="x", Bearer realm="{realm}",service="the service",scope="repository:other/app:pull,push registry:catalog:*""#
        ))
    })
    .await
}

fn good(_: &Seen) -> Reply {
    Reply::ok(r#"{"token":"good","expires_in":300}"#)
}

fn basic(name_and_password: &str) -> String {
    use base64::Engine as _;
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(name_and_password))
}

#[tokio::test]
async fn the_scope_is_ours_and_a_token_serves_its_repository_until_it_ends() {
    let server = registry("", good).await;
    let upstream = upstream(json!({"url": server.url()}));
    pull(&upstream).await.unwrap();
    pull(&upstream).await.unwrap();
    upstream.manifest(&repository("team/other"), &tag("v1")).await.unwrap();
    let asked: Vec<Seen> = server.seen().into_iter().filter(|s| s.target.starts_with("/token")).collect();
    let targets: Vec<&str> = asked.iter().map(|s| s.target.as_str()).collect();
    assert_eq!(
        targets,
        [
            "/token?x=1&service=the+service&scope=repository%3Ateam%2Fapp%3Apull",
            "/token?x=1&service=the+service&scope=repository%3Ateam%2Fother%3Apull"
        ]
    );
    assert!(asked.iter().all(|s| s.header("authorization").is_none()), "anonymous");
    assert_eq!(server.count("/manifests/"), 5, "each repository is challenged once");
}

#[tokio::test]
async fn a_token_that_has_ended_is_not_sent() {
    let server = registry("", |_| Reply::ok(r#"{"access_token":"good","expires_in":0}"#)).await;
    let upstream = upstream(json!({"url": server.url()}));
    pull(&upstream).await.unwrap();
    pull(&upstream).await.unwrap();
    assert_eq!(server.count("/token"), 2);
    let sent = |s: &Seen| s.target.contains("/manifests/") && s.header("authorization").is_some();
    assert_eq!(server.seen().iter().filter(|s| sent(s)).count(), 2);
}

#[tokio::test]
async fn a_token_server_elsewhere_is_neither_asked_nor_given_our_login() {
    let elsewhere = Server::start(good).await;
    let server = registry(&format!("{}/token", elsewhere.url()), good).await;
    let login = json!({"username": "ann", "password": "secret"});
    let upstream = upstream(json!({"url": server.url(), "credentials": login}));
    let error = pull(&upstream).await.unwrap_err();
    assert!(matches!(&error, Error::Forbidden(why) if why.contains("allowed_hosts")), "{error}");
    assert!(elsewhere.seen().is_empty());
}

#[tokio::test]
async fn an_allowed_token_server_gets_the_login_and_the_registry_the_token() {
    let elsewhere = Server::start(good).await;
    let server = registry(&format!("{}/token", elsewhere.url()), good).await;
    let upstream = upstream(json!({
        "url": server.url(),
        "credentials": {"username": "ann", "password": "secret"},
        "allowed_hosts": [elsewhere.address.to_string()],
    }));
    pull(&upstream).await.unwrap();
    assert_eq!(elsewhere.seen()[0].header("authorization"), Some(basic("ann:secret").as_str()));
    let sent: Vec<_> = server.seen().iter().map(|s| s.header("authorization").map(str::to_owned)).collect();
    assert_eq!(sent, [None, Some("Bearer good".to_owned())]);
}

#[tokio::test]
async fn an_identity_token_is_posted_in_oauth2s_form() {
    let server = registry("", good).await;
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("config.json");
    std::fs::write(&config, r#"{"auths":{"r.test":{"identitytoken":"refresh me"}}}"#).unwrap();
    let upstream = upstream(json!({"url": server.url(), "credentials": {"docker_config": config}}));
    pull(&upstream).await.unwrap();
    let asked = server.seen().into_iter().find(|s| s.method == "POST").unwrap();
    assert_eq!(
        asked.body,
        "grant_type=refresh_token&refresh_token=refresh+me&client_id=portcullis&service=the+service\
         &scope=repository%3Ateam%2Fapp%3Apull"
    );
    assert_eq!(asked.header("authorization"), None);
}

#[tokio::test]
async fn a_credential_helper_gives_the_login() {
    let server = registry("", good).await;
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("config.json");
    std::fs::write(&config, r#"{"credHelpers":{"r.test":"x"}}"#).unwrap();
    // Written by another process: one of ours could inherit the open file and make it "busy".
    let script = r#"printf '#!/bin/sh\necho "{\\"Username\\":\\"ann\\",\\"Secret\\":\\"secret\\"}"\n' > "$1" && chmod +x "$1""#;
    let helper = dir.path().join("docker-credential-x");
    assert!(
        std::process::Command::new("sh").args(["-c", script, "sh"]).arg(&helper).status().unwrap().success()
    );
    let environment = [("PATH", dir.path().to_str().unwrap().to_owned())];
    let settings = json!({"url": server.url(), "credentials": {"docker_config": config}});
    pull(&in_environment(&environment, settings.clone()).unwrap()).await.unwrap();
    let asked = server.seen().into_iter().find(|s| s.target.starts_with("/token")).unwrap();
    assert_eq!(asked.header("authorization"), Some(basic("ann:secret").as_str()));
    let error = pull(&upstream(settings)).await.unwrap_err();
    assert!(matches!(&error, Error::Unavailable(why) if why.contains("docker-credential-x")), "{error}");
}

#[tokio::test]
async fn a_password_is_sent_only_where_it_is_asked_for() {
    let server = Server::start(|seen| match seen.header("authorization") {
        Some("Basic YW5uOnNlY3JldA==") => Reply::ok(MANIFEST),
        _ => Reply::unauthorized(r#"Basic realm="r""#),
    })
    .await;
    let right =
        upstream(json!({"url": server.url(), "credentials": {"username": "ann", "password": "secret"}}));
    pull(&right).await.unwrap();
    assert_eq!(server.seen()[0].header("authorization"), None);
    let wrong = upstream(json!({"url": server.url(), "credentials": {"username": "ann", "password": "x"}}));
    assert!(matches!(pull(&wrong).await, Err(Error::Refused { status: 401, .. })));
    assert_eq!(server.seen().len(), 4, "a login that is refused is not tried again");
    let none = upstream(json!({"url": server.url()}));
    assert!(matches!(pull(&none).await, Err(Error::Refused { status: 401, .. })));
}

#[tokio::test]
async fn a_fresh_token_that_is_refused_is_the_end() {
    let server = registry("", |_| Reply::ok(r#"{"token":"bad"}"#)).await;
    let upstream = upstream(json!({"url": server.url()}));
    assert!(matches!(pull(&upstream).await, Err(Error::Refused { status: 401, .. })));
    assert_eq!((server.count("/manifests/"), server.count("/token")), (2, 1));
}

#[tokio::test]
async fn a_kept_token_that_is_refused_is_replaced_with_the_login_of_now() {
    let current = Arc::new(AtomicUsize::new(0));
    let accepted = current.clone();
    let server = Server::start(move |seen| {
        let number = accepted.load(Ordering::SeqCst);
        let authorization = seen.header("authorization");
        if seen.target.starts_with("/token") {
            let right = authorization == Some(basic(&format!("ann:password{number}")).as_str());
            let token = format!(r#"{{"token":"t{number}"}}"#);
            return if right { Reply::ok(token) } else { Reply::new(401, "") };
        }
        if authorization == Some(format!("Bearer t{number}").as_str()) {
            return Reply::ok(MANIFEST);
        }
        let host = seen.header("host").unwrap();
        Reply::unauthorized(format!(r#"Bearer realm="http://{host}/token""#))
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("password");
    std::fs::write(&file, "password0\n").unwrap();
    let upstream =
        upstream(json!({"url": server.url(), "credentials": {"username": "ann", "password_file": file}}));
    pull(&upstream).await.unwrap();
    current.store(1, Ordering::SeqCst);
    assert!(matches!(pull(&upstream).await, Err(Error::Refused { status: 401, .. })), "the file is old");
    std::fs::write(&file, "password1\n").unwrap();
    pull(&upstream).await.unwrap();
}

#[tokio::test]
async fn a_token_servers_answer_is_bounded_and_must_be_a_token() {
    let large = format!(r#"{{"token":"good","x":"{}"}}"#, "a".repeat(64 * 1024));
    let answers: [(Reply, fn(&Error) -> bool); 7] = [
        (Reply::ok(large), |e| matches!(e, Error::TooLarge { limit: 65536 })),
        (Reply::ok("{}"), |e| matches!(e, Error::Unavailable(_))),
        (Reply::ok("good"), |e| matches!(e, Error::Unavailable(_))),
        (Reply::ok(r#"{"token":"a\nb"}"#), |e| matches!(e, Error::Unavailable(_))),
        (
            Reply::new(403, r#"{"errors":[{"code":"DENIED","message":"no"}]}"#),
            |e| matches!(e, Error::Refused { status: 403, message } if message.to_string().ends_with(": DENIED: no")),
        ),
        // It says nothing about content: who looks for signatures must not take it for "there are none".
        (Reply::new(404, ""), |e| matches!(e, Error::Unavailable(_))),
        // Logins do not travel on.
        (Reply::redirect("/elsewhere"), |e| matches!(e, Error::Unavailable(_))),
    ];
    for (answer, is_expected) in answers {
        let shown = format!("{answer:?}").chars().take(200).collect::<String>();
        let server = registry("", move |_| answer.clone()).await;
        let error = pull(&upstream(json!({"url": server.url()}))).await.unwrap_err();
        assert!(is_expected(&error), "{shown}: {error}");
        let names_it = error.to_string().contains(&format!("its token server {}: ", server.url()));
        assert!(names_it || matches!(error, Error::TooLarge { .. }), "{error}");
        assert_eq!(server.count("/elsewhere"), 0);
    }
}

/// The registry cannot be asked then, but another server has to be looked after.
#[tokio::test]
async fn a_token_server_that_hangs_is_named_and_counted_apart() {
    let hangs = Duration::from_secs(60);
    let elsewhere = Server::start(move |_| Reply::ok(r#"{"token":"good"}"#).late(hangs)).await;
    let server = registry(&format!("{}/token", elsewhere.url()), good).await;
    let (metrics, egress) = (Metrics::new(), egress::Settings::default());
    metrics.know_registries(["r.test"]);
    let settings = json!({
        "url": server.url(), "allowed_hosts": [elsewhere.address.to_string()], "timeouts": short(),
    });
    let settings: Settings = serde_json::from_value(settings).unwrap();
    let name = crate::oci::Registry::parse("r.test").unwrap();
    let upstream = Upstream::build_in(&|_| None, name, &settings, &egress, &metrics, None).unwrap();
    let token_server = format!("its token server {}: ", elsewhere.url());
    let mut asked = 0;
    let left_alone = loop {
        let error = pull(&upstream).await.unwrap_err().to_string();
        assert!(error.contains(&token_server), "{error}");
        if error.contains("left alone") {
            break error;
        }
        asked += 1;
    };
    assert!(left_alone.contains("the last time: its token server"), "{left_alone}");
    let text = metrics.render();
    for line in [
        format!(r#"portcullis_token_requests_total{{code="timeout",registry="r.test"}} {asked}"#),
        format!(r#"portcullis_upstream_requests_total{{code="401",registry="r.test"}} {asked}"#),
    ] {
        assert!(text.contains(&line), "{line}\n{text}");
    }
    assert!(
        text.contains(r#"portcullis_upstream_requests_total{code="timeout",registry="r.test"} 0"#),
        "{text}"
    );
}

#[tokio::test]
async fn callers_at_the_same_time_share_one_token() {
    let server = registry("", |_| Reply::ok(r#"{"token":"good"}"#).late(Duration::from_millis(100))).await;
    let upstream = upstream(json!({"url": server.url()}));
    let pulls = (0..8).map(|_| pull(&upstream));
    assert!(futures_util::future::join_all(pulls).await.iter().all(Result::is_ok));
    assert_eq!(server.count("/token"), 1);
}

#[tokio::test]
async fn a_host_that_we_were_redirected_to_cannot_ask_for_a_login() {
    let elsewhere = Server::start(|seen| {
        let host = seen.header("host").unwrap();
        Reply::unauthorized(format!(r#"Basic realm="r", Bearer realm="http://{host}/token""#))
    })
    .await;
    let to = elsewhere.url();
    let server = Server::start(move |_| Reply::redirect(format!("{to}/x"))).await;
    let upstream = upstream(json!({
        "url": server.url(),
        "credentials": {"username": "ann", "password": "secret"},
        "allowed_hosts": [elsewhere.address.to_string()],
    }));
    assert!(matches!(pull(&upstream).await, Err(Error::Refused { status: 401, .. })));
    assert_eq!(elsewhere.seen().len(), 1);
    assert_eq!(elsewhere.seen()[0].header("authorization"), None);
}

#[tokio::test]
async fn a_challenge_that_is_not_understood_is_a_refusal() {
    for challenge in ["Negotiate", "Bearer realm=\"x\",realm=\"y\"", "Bearer"] {
        let server = Server::start(move |_| Reply::unauthorized(challenge)).await;
        let error = pull(&upstream(json!({"url": server.url()}))).await.unwrap_err();
        assert!(
            matches!(error, Error::Refused { status: 401, .. } | Error::Forbidden(_)),
            "{challenge}: {error}"
        );
    }
}
