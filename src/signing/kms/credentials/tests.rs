//! What gives credentials is played by loopback servers, as AWS' documents describe them; moto's is asked in `tests/peers`.

use std::net::TcpListener;
use std::time::SystemTime;

use super::super::tests::{serving, serving_at};
use super::*;

/// A keeper that has these variables, and knows of no machine's own metadata unless they say so.
fn keeper(variables: &[(&str, &str)]) -> Keeper {
    let own = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
    let all: std::collections::HashMap<String, String> =
        [("AWS_EC2_METADATA_DISABLED", "true")].iter().chain(variables).map(own).collect();
    Keeper::new(Arc::new(move |name: &str| all.get(name).cloned()), "eu-west-1".to_owned())
}

/// An answer with the key's id `key`, which counts for so many seconds more.
fn json(key: &str, seconds: u64) -> (u16, String) {
    let ends = humantime::format_rfc3339_seconds(SystemTime::now() + Duration::from_secs(seconds));
    let given = format!(
        r#"{{"AccessKeyId":"{key}","SecretAccessKey":"s3cret","Token":"t0ken","Expiration":"{ends}"}}"#
    );
    (200, given)
}

fn xml(key: &str) -> (u16, String) {
    let ends = humantime::format_rfc3339_seconds(SystemTime::now() + Duration::from_secs(3600));
    let given = format!(
        "<R><Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>s3cret</SecretAccessKey>\
         <SessionToken>t0ken</SessionToken><Expiration>{ends}</Expiration></Credentials></R>"
    );
    (200, given)
}

fn refused(status: u16, body: &str) -> (u16, String) {
    (status, body.to_owned())
}

async fn key_of(keeper: &Keeper) -> Result<String, String> {
    keeper.current().await.map(|by| by.access_key).map_err(|e| e.to_string())
}

fn has(request: &str, words: &[&str]) {
    assert!(words.iter().all(|word| request.contains(word)), "{request}");
}

#[tokio::test]
async fn a_containers_agent_is_told_who_asks_by_the_token_as_it_is_now() {
    let (url, server) = serving(vec![json("A", 60), json("B", 3600)]);
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "first\n").unwrap();
    let keeper = keeper(&[
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &format!("{url}v1/credentials")),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "other"),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token.to_str().unwrap()),
    ]);
    assert_eq!(key_of(&keeper).await.unwrap(), "A");
    std::fs::write(&token, "second").unwrap();
    // Those that end within five minutes are not used on, the others are.
    for _ in 0..3 {
        assert_eq!(key_of(&keeper).await.unwrap(), "B");
    }
    let asked = server.join().unwrap();
    has(&asked[0], &["GET /v1/credentials HTTP/1.1", "authorization: first\r\n"]);
    has(&asked[1], &["authorization: second\r\n"]);
}

#[tokio::test]
async fn many_requests_ask_once_and_use_what_holds_while_nobody_renews_it() {
    let (url, server) = serving(vec![json("A", 120), refused(500, "s3cret")]);
    let keeper = Arc::new(keeper(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", url.as_str())]));
    let first = key_of(&keeper).await.unwrap();
    let second = key_of(&keeper).await.unwrap();
    assert_eq!((first.as_str(), second.as_str()), ("A", "A"));
    assert_eq!(server.join().unwrap().len(), 2);
    let (url, server) = serving(vec![json("A", 3600)]);
    let keeper = Arc::new(self::keeper(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", url.as_str())]));
    let ask = |keeper: Arc<Keeper>| async move { key_of(&keeper).await };
    let together: Vec<_> = (0..16).map(|_| tokio::spawn(ask(keeper.clone()))).collect();
    for caller in together {
        assert_eq!(caller.await.unwrap().unwrap(), "A");
    }
    assert_eq!(server.join().unwrap().len(), 1);
    assert!(!format!("{keeper:?}").contains("s3cret"));
}

#[tokio::test]
async fn what_holds_is_used_while_its_renewal_hangs() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (url, server) = serving_at(listener.try_clone().unwrap(), vec![json("A", 120)]);
    let keeper = Arc::new(keeper(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", url.as_str())]));
    assert_eq!(key_of(&keeper).await.unwrap(), "A");
    server.join().unwrap();
    let renewing = tokio::spawn({
        let keeper = keeper.clone();
        async move { key_of(&keeper).await }
    });
    while keeper.asking.try_lock().is_ok() {
        tokio::task::yield_now().await;
    }
    // Nobody waits for who renews them, nor are they thrown away when that fails, or asked for again at once.
    let soon = Duration::from_secs(2);
    for _ in 0..3 {
        assert_eq!(tokio::time::timeout(soon, key_of(&keeper)).await.unwrap().unwrap(), "A");
    }
    assert_eq!(renewing.await.unwrap().unwrap(), "A");
    assert_eq!(tokio::time::timeout(soon, key_of(&keeper)).await.unwrap().unwrap(), "A");
    drop(listener);
}

#[tokio::test]
async fn who_gave_nothing_is_not_asked_again_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (url, server) = serving_at(listener.try_clone().unwrap(), vec![refused(403, "")]);
    let keeper = keeper(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", url.as_str())]);
    let error = key_of(&keeper).await.unwrap_err();
    server.join().unwrap();
    for _ in 0..3 {
        assert_eq!(key_of(&keeper).await.unwrap_err(), error);
    }
    listener.set_nonblocking(true).unwrap();
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "nobody asked");
}

#[tokio::test]
async fn an_answer_is_told_from_silence() {
    for (answer, is_silence) in
        [(refused(403, ""), false), (refused(503, ""), true), (refused(429, ""), true)]
    {
        let (url, server) = serving(vec![answer]);
        let error =
            keeper(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", url.as_str())]).current().await.unwrap_err();
        assert_eq!(error.is_unanswered(), is_silence, "{error}");
        server.join().unwrap();
    }
    let nobody = keeper(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:9/")]);
    assert!(nobody.current().await.unwrap_err().is_unanswered());
}

#[tokio::test]
async fn an_agent_that_gives_nothing_says_so_without_what_it_said() {
    for (answer, why) in [
        (refused(403, "s3cret"), "status 403"),
        (refused(302, ""), "status 302"),
        (refused(200, "{\"AccessKeyId\":\"s3cret\"}"), "expected credentials in JSON"),
        (json("A", 0), "ended already"),
        (refused(200, &"s3cret".repeat(20_000)), "larger than 65536 bytes"),
    ] {
        let (url, server) = serving(vec![answer]);
        let keeper = keeper(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", url.as_str())]);
        let error = key_of(&keeper).await.unwrap_err();
        assert!(error.starts_with("no AWS credentials from the container's agent at http://127."), "{error}");
        assert!(error.contains(why) && !error.contains("s3cret"), "{error}");
        server.join().unwrap();
    }
    for (url, token, why) in [
        ("http://10.0.0.1/", "t", "found 10.0.0.1: others are asked by https alone"),
        ("http://agent.example/", "t", "found agent.example"),
        ("ftp://127.0.0.1/", "t", "expected an http or https URL"),
        ("http://127.0.0.1:9/", "a\nb: s3cret", "not one line"),
    ] {
        let variables =
            [("AWS_CONTAINER_CREDENTIALS_FULL_URI", url), ("AWS_CONTAINER_AUTHORIZATION_TOKEN", token)];
        let error = key_of(&keeper(&variables)).await.unwrap_err();
        assert!(error.contains(why) && !error.contains("s3cret"), "{error}");
    }
}

/// An instance's metadata service that gives these answers, and a keeper that asks it.
fn instance(answers: Vec<(u16, String)>) -> (Keeper, std::thread::JoinHandle<Vec<String>>) {
    let (url, server) = serving(answers);
    let variables =
        [("AWS_EC2_METADATA_DISABLED", "false"), ("AWS_EC2_METADATA_SERVICE_ENDPOINT", url.as_str())];
    (keeper(&variables), server)
}

#[tokio::test]
async fn an_instance_is_asked_within_a_session_for_its_roles_credentials() {
    let (keeper, server) =
        instance(vec![refused(200, "session=="), refused(200, "signer\nother"), json("A", 3600)]);
    for _ in 0..2 {
        assert_eq!(key_of(&keeper).await.unwrap(), "A");
    }
    let asked = server.join().unwrap();
    let session = "x-aws-ec2-metadata-token: session==\r\n";
    has(&asked[0], &["PUT /latest/api/token HTTP/1.1", "x-aws-ec2-metadata-token-ttl-seconds: 60\r\n"]);
    has(&asked[1], &["GET /latest/meta-data/iam/security-credentials/ HTTP/1.1", session]);
    has(&asked[2], &["GET /latest/meta-data/iam/security-credentials/signer HTTP/1.1", session]);
}

#[tokio::test]
async fn an_instance_without_a_role_or_session_gives_nothing() {
    for (answers, why) in [
        (vec![refused(403, "")], "a session (IMDSv2): status 403"),
        (vec![refused(200, "t"), refused(404, "")], "the instance has no role"),
        (vec![refused(200, "t"), refused(200, "../../user-data")], "a role whose name is none"),
        (vec![refused(200, "t"), refused(200, "r"), refused(200, "{\"Code\":\"Failed\"}")], "in JSON"),
    ] {
        let (keeper, server) = instance(answers);
        let error = key_of(&keeper).await.unwrap_err();
        assert!(
            error.contains("the instance's metadata service at http://127.") && error.contains(why),
            "{error}"
        );
        server.join().unwrap();
    }
    let elsewhere =
        [("AWS_EC2_METADATA_DISABLED", "false"), ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://10.0.0.1/")];
    let error = key_of(&keeper(&elsewhere)).await.unwrap_err();
    assert!(error.contains("found 10.0.0.1"), "{error}");
}

#[tokio::test]
async fn a_web_identity_takes_on_its_role_unsigned() {
    let (url, server) = serving(vec![xml("A")]);
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "a.b+c\n").unwrap();
    let keeper = keeper(&[
        ("AWS_ENDPOINT_URL_STS", url.as_str()),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/signer"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap()),
    ]);
    for _ in 0..2 {
        assert_eq!(key_of(&keeper).await.unwrap(), "A");
    }
    let asked = server.join().unwrap().remove(0);
    has(&asked, &["POST / HTTP/1.1", "Action=AssumeRoleWithWebIdentity&Version=2011-06-15"]);
    has(&asked, &["RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fsigner", "WebIdentityToken=a.b%2Bc"]);
    assert!(!asked.contains("authorization"), "{asked}");
    std::fs::remove_file(&token).unwrap();
    let variables = [
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/signer"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap()),
    ];
    let error = key_of(&self::keeper(&variables)).await.unwrap_err();
    assert!(error.contains("token: No such file"), "{error}");
}

#[tokio::test]
async fn a_profiles_role_is_taken_on_by_who_gave_credentials_before() {
    let error =
        "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>";
    let (agent, agents) = serving(vec![json("A", 3600), json("A", 3600)]);
    let (sts, server) = serving(vec![xml("B"), refused(403, error)]);
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join("config");
    let text = "[default]\nrole_arn = arn:1\ncredential_source = EcsContainer\nrole_session_name = named\n\
        external_id = e\nduration_seconds = 900\n";
    std::fs::write(&config, text).unwrap();
    let variables = [
        ("AWS_ENDPOINT_URL_STS", sts.as_str()),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", agent.as_str()),
        ("AWS_CONFIG_FILE", config.to_str().unwrap()),
    ];
    assert_eq!(key_of(&keeper(&variables)).await.unwrap(), "B");
    let error = key_of(&keeper(&variables)).await.unwrap_err();
    assert_eq!(error, "no AWS credentials from STS (AssumeRole) for arn:1: AccessDenied: no");
    let asked = server.join().unwrap().remove(0);
    has(&asked, &["Action=AssumeRole&", "RoleSessionName=named&ExternalId=e&DurationSeconds=900"]);
    has(&asked, &["x-amz-security-token: t0ken\r\n", "Credential=A/", "/eu-west-1/sts/aws4_request"]);
    has(&asked, &["SignedHeaders=content-type;host;x-amz-date;x-amz-security-token,"]);
    agents.join().unwrap();
}
