use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use super::service::endpoint;
use super::*;
use crate::signing::{Key, KeyError, SigningKey};
use crate::x509::{Encoding, KeyKind};

const P256: Algorithm = Algorithm::Ecdsa(Hash::Sha256, Encoding::Fixed);

/// A server that gives these answers, one a connection, and then ends: where it is, and what it was asked.
pub(super) fn serving(answers: Vec<(u16, String)>) -> (Url, std::thread::JoinHandle<Vec<String>>) {
    serving_at(TcpListener::bind("127.0.0.1:0").unwrap(), answers)
}

/// As [`serving`]. Who asks more, while another holds the listener open, is not answered.
pub(super) fn serving_at(
    listener: TcpListener,
    answers: Vec<(u16, String)>,
) -> (Url, std::thread::JoinHandle<Vec<String>>) {
    let endpoint = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    let serve = move || {
        let answer = |(status, body): (u16, String)| {
            let mut stream = accepted(&listener);
            let mut asked = String::new();
            while !is_whole(&asked) {
                let mut piece = [0; 4096];
                let read = stream.read(&mut piece).unwrap();
                assert_ne!(read, 0, "the request ends too early");
                asked.push_str(std::str::from_utf8(&piece[..read]).unwrap());
            }
            let length = body.len();
            let head =
                format!("HTTP/1.1 {status} x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
            stream.write_all((head + &body).as_bytes()).unwrap();
            asked
        };
        answers.into_iter().map(answer).collect()
    };
    (endpoint, std::thread::spawn(serve))
}

/// The next connection; nobody is waited for longer than a test may take.
fn accepted(listener: &TcpListener) -> std::net::TcpStream {
    const LONGEST: Duration = Duration::from_secs(20);
    listener.set_nonblocking(true).unwrap();
    let end = Instant::now() + LONGEST;
    let stream = loop {
        match listener.accept() {
            Ok((stream, _)) => break stream,
            Err(e) => assert!(e.kind() == ErrorKind::WouldBlock && Instant::now() < end, "nobody asks: {e}"),
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(LONGEST)).unwrap();
    stream
}

fn is_whole(request: &str) -> bool {
    let Some((head, body)) = request.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    body.len() >= length.map_or(0, |length| length.parse().unwrap())
}

/// KMS, which gives these answers.
fn answering(answers: Vec<(u16, String)>) -> (Service, std::thread::JoinHandle<Vec<String>>) {
    let (endpoint, server) = serving(answers);
    let environment = variables(|name| match name {
        "AWS_REGION" => Some("eu-west-1".to_owned()),
        "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => Some("s3cret".to_owned()),
        "AWS_SESSION_TOKEN" => Some("t0ken".to_owned()),
        _ => None,
    });
    let reference = Reference { endpoint: Some(endpoint), key: "k".to_owned() };
    (Service::of(&reference, environment).unwrap(), server)
}

fn variables(of: fn(&str) -> Option<String>) -> super::credentials::Variables {
    std::sync::Arc::new(of)
}

fn public(key: &Key, usage: &str) -> (u16, String) {
    let answer = json!({
        "KeyId": "k", "PublicKey": STANDARD.encode(key.public().spki()), "KeyUsage": usage,
        "SigningAlgorithms": ["ECDSA_SHA_256"],
    });
    (200, answer.to_string())
}

fn signed(key: &Key, message: &[u8]) -> (u16, String) {
    let signature = key.sign(Algorithm::Ecdsa(Hash::Sha256, Encoding::Asn1), message).unwrap();
    (200, json!({ "KeyId": "k", "Signature": STANDARD.encode(signature) }).to_string())
}

fn key() -> Key {
    Key::generate(KeyKind::P256, None).unwrap().0
}

#[tokio::test]
async fn kms_is_given_a_digest_and_what_it_signs_is_checked() {
    let (own, other) = (key(), key());
    let answers = vec![
        public(&own, "SIGN_VERIFY"),
        signed(&own, b"message"),
        signed(&other, b"message"),
        signed(&own, b"another"),
    ];
    let (service, server) = answering(answers);
    let kms = SigningKey::Kms(Box::new(Kms::asked(service, "k".to_owned()).await.unwrap()));
    assert_eq!(kms.public(), own.public());
    let signature = kms.sign(P256, b"message").await.unwrap();
    assert_eq!(signature.len(), 64);
    own.public().verify(P256, b"message", &signature).unwrap();
    for _ in 0..2 {
        assert!(matches!(kms.sign(P256, b"message").await, Err(KeyError::Foreign)));
    }
    // Of these it is not even asked.
    let other_hash = kms.sign(Algorithm::Ecdsa(Hash::Sha384, Encoding::Fixed), b"message").await;
    assert!(matches!(other_hash, Err(KeyError::Unfit { .. })));
    let asked = server.join().unwrap();
    let has = |request: &str, words: &[&str]| {
        assert!(words.iter().all(|word| request.contains(word)), "{request}");
    };
    has(
        &asked[0],
        &["POST / HTTP/1.1", "x-amz-target: TrentService.GetPublicKey", "x-amz-security-token: t0ken"],
    );
    let digest = STANDARD.encode(Hash::Sha256.of(b"message"));
    has(
        &asked[1],
        &["TrentService.Sign", "\"MessageType\":\"DIGEST\"", "ECDSA_SHA_256", &digest, "\"KeyId\":\"k\""],
    );
    has(&asked[1], &["authorization: AWS4-HMAC-SHA256 Credential=s3cret/", "/eu-west-1/kms/aws4_request"]);
}

#[tokio::test]
async fn an_answer_that_is_none_says_so() {
    let own = key();
    let refusal = |body: &str| (400, body.to_owned());
    for (answer, why) in [
        (public(&own, "ENCRYPT_DECRYPT"), "the key is for ENCRYPT_DECRYPT"),
        (
            refusal(r#"{"__type":"com.amazonaws.kms#AccessDeniedException","Message":"no\u001b"}"#),
            "AccessDeniedException: no\\u{1b}",
        ),
        (refusal("<html>"), "KMS refused GetPublicKey: status 400"),
        ((200, "{}".to_owned()), "KMS answered GetPublicKey with missing field"),
        ((302, String::new()), "status 302"),
        ((200, format!("\"{}\"", "a".repeat(300_000))), "larger than 262144 bytes"),
    ] {
        let (service, server) = answering(vec![answer]);
        let error = Kms::asked(service, "k".to_owned()).await.unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
        server.join().unwrap();
    }
}

#[tokio::test]
async fn a_refusal_is_told_from_silence() {
    let of = |code: &str| (400, json!({ "__type": code, "message": "no" }).to_string());
    for (answer, is_silence) in [
        (of("AccessDeniedException"), false),
        (of("DisabledException"), false),
        (of("NotFoundException"), false),
        ((403, String::new()), false),
        (of("ThrottlingException"), true),
        ((503, "<html>".to_owned()), true),
    ] {
        let (service, server) = answering(vec![answer]);
        let error = Kms::asked(service, "k".to_owned()).await.unwrap_err();
        assert_eq!(KeyError::from(error).is_unanswered(), is_silence);
        server.join().unwrap();
    }
    let (service, server) = answering(Vec::new());
    server.join().unwrap();
    assert!(Kms::asked(service, "k".to_owned()).await.unwrap_err().is_unanswered(), "nobody is there");
}

#[tokio::test]
async fn a_key_signs_only_as_kms_says() {
    let (service, server) =
        answering(vec![(200, public(&key(), "SIGN_VERIFY").1.replace("ECDSA_SHA_256", "SM2DSA"))]);
    let kms = Kms::asked(service, "k".to_owned()).await.unwrap();
    server.join().unwrap();
    let error = kms.sign(P256, b"message").await.unwrap_err().to_string();
    assert_eq!(error, "the key does not sign by ECDSA-SHA256; it does by SM2DSA");
}

fn endpoint_with(region: &str, variables: &[(&str, &str)]) -> Result<String, String> {
    let set = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
    endpoint("kms", region, &set).map(String::from).map_err(|e| e.to_string())
}

#[test]
fn a_region_has_its_own_service_unless_the_environment_names_one() {
    assert_eq!(endpoint_with("eu-west-1", &[]).unwrap(), "https://kms.eu-west-1.amazonaws.com/");
    assert_eq!(endpoint_with("cn-north-1", &[]).unwrap(), "https://kms.cn-north-1.amazonaws.com.cn/");
    let both = [("AWS_ENDPOINT_URL", "http://127.0.0.1:1"), ("AWS_ENDPOINT_URL_KMS", "http://127.0.0.1:2")];
    assert_eq!(endpoint_with("eu", &both).unwrap(), "http://127.0.0.1:2/");
    assert_eq!(endpoint_with("eu", &both[..1]).unwrap(), "http://127.0.0.1:1/");
    let sts = |variables: &'static [(&str, &str)]| {
        let set = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        endpoint("sts", "eu-west-1", &set).unwrap().to_string()
    };
    assert_eq!(
        sts(&[("AWS_ENDPOINT_URL_KMS", "http://127.0.0.1:2")]),
        "https://sts.eu-west-1.amazonaws.com/"
    );
    assert_eq!(sts(&[("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:3")]), "http://127.0.0.1:3/");
    for own in ["https://kms.corp", "http://localhost:4566", "http://[::1]:1"] {
        assert_eq!(endpoint_with("eu", &[("AWS_ENDPOINT_URL", own)]).unwrap(), format!("{own}/"));
    }
    // What is sent there, and what STS gives, is for nobody on the way.
    for open in ["http://kms.corp", "http://10.0.0.1"] {
        assert!(endpoint_with("eu", &[("AWS_ENDPOINT_URL_KMS", open)]).is_err(), "{open}");
        let set = |name: &str| (name == "AWS_ENDPOINT_URL_STS").then(|| open.to_owned());
        assert!(endpoint("sts", "eu", &set).is_err(), "{open}");
    }
    for wrong in [
        "127.0.0.1:1",
        "https://user:s3cret@host/",
        "https://:s3cret@host/",
        "https://host/?s3cret",
        "https://host/#s3cret",
        "https://host/path",
    ] {
        let error = endpoint_with("eu", &[("AWS_ENDPOINT_URL", wrong)]).unwrap_err();
        assert!(
            error.contains("expected an https URL, or an http URL of this machine")
                && !error.contains("s3cret"),
            "{error}"
        );
    }
}

#[test]
fn algorithms_have_the_names_of_kms() {
    let named = |algorithm| name_of(algorithm).map(|(name, _)| name);
    assert_eq!(named(Algorithm::Ecdsa(Hash::Sha384, Encoding::Fixed)).as_deref(), Some("ECDSA_SHA_384"));
    assert_eq!(named(Algorithm::RsaPkcs1(Hash::Sha512)).as_deref(), Some("RSASSA_PKCS1_V1_5_SHA_512"));
    assert_eq!(named(Algorithm::RsaPss(Hash::Sha256)).as_deref(), Some("RSASSA_PSS_SHA_256"));
    assert_eq!(named(Algorithm::Ed25519), None);
    assert_eq!(named(Algorithm::RsaPssLongest(Hash::Sha256)), None);
}

#[test]
fn without_a_region_nobody_is_asked() {
    let alias = Reference::parse("awskms:///alias/a").unwrap();
    assert!(matches!(Service::of(&alias, variables(|_| None)), Err(Error::Region)));
    let odd = variables(|name| (name == "AWS_REGION").then(|| "evil.example/".to_owned()));
    assert!(matches!(Service::of(&alias, odd.clone()), Err(Error::Region)));
    let arn = Reference::parse("awskms:///arn:aws:kms:eu-west-1:1:alias/a").unwrap();
    assert_eq!(Service::of(&arn, odd).unwrap().region, "eu-west-1");
}
