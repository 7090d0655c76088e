//! A signer whose certificate is revoked: what it signed stops being served, cached or not, and trouble
//! with asking is never taken for either answer.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use http::Method;
use portcullis::demo::signing::certificate::RevocationList;
use portcullis::demo::signing::{Authority, Identity, Profile, notation};
use portcullis::demo::{Package, Registry};
use portcullis::oci::Descriptor;
use portcullis::signing::notation::Form;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::test_proxy::{Running, TestProxy, refused, served};

pub const HOUR: Duration = Duration::from_secs(3600);

/// A server that hands one list to whoever asks, and counts.
pub struct Lists {
    pub url: String,
    host: String,
    list: Arc<Mutex<Vec<u8>>>,
    asked: Arc<AtomicUsize>,
    serving: JoinHandle<()>,
}

impl Lists {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let (list, asked) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
        let (held, count) = (Arc::clone(&list), Arc::clone(&asked));
        let serving = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                let mut request = [0; 2048];
                let _ = stream.read(&mut request).await;
                let body = held.lock().unwrap().clone();
                let head =
                    format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
                let _ = stream.write_all(&[head.into_bytes(), body].concat()).await;
            }
        });
        Self { url: format!("http://{host}/acme.crl"), host, list, asked, serving }
    }

    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// An authority, somebody whom it certified, and where its list is.
pub struct Acme {
    pub authority: Authority,
    pub signer: Identity,
    pub lists: Lists,
}

impl Acme {
    pub async fn new() -> Self {
        let lists = Lists::start().await;
        let authority = Authority::new("acme-rockets.io").unwrap();
        let profile =
            Profile { crls: vec![lists.url.clone()], ..Profile::of_organization("acme-rockets.io") };
        let signer = authority.issue(&profile).unwrap();
        let acme = Self { authority, signer, lists };
        acme.publish(1, &[], 2 * HOUR);
        acme
    }

    pub fn list(&self, number: u64, revoked: &[&Identity], life: Duration) -> Vec<u8> {
        let now = SystemTime::now();
        self.authority.crl(&RevocationList { number, valid: now - HOUR..now + life, revoked }).unwrap()
    }

    pub fn publish(&self, number: u64, revoked: &[&Identity], life: Duration) {
        *self.lists.list.lock().unwrap() = self.list(number, revoked, life);
    }

    pub fn proxy(&self, level: &str, more: &str) -> TestProxy {
        let signer = format!(
            "{{ acme: {{ notation: {{ trust_store: \"ca:acme\", trusted_identities: [\"*\"], level: {level} }} }} }}"
        );
        TestProxy::new()
            .with("signers", &signer)
            .with("egress", &format!("{{ allow: [\"{}\"]{more} }}", self.lists.host))
            .with("decisions", "{ allow_max_age: 30m }")
            .policy("require: acme")
    }

    pub async fn start(&self, proxy: TestProxy, images: &[&'static str]) -> Running {
        let mut proxy = proxy;
        for &name in images {
            let signature = signature(&self.signer, Package::image(name).descriptor());
            proxy = proxy.upstream(move |registry: &Registry| {
                registry.push(name, "1", &Package::image(name));
                registry.push(name, None, &signature);
            });
        }
        let running = proxy.start().await;
        running.folder.write("truststore/x509/ca/acme/root.pem", &self.authority.certificate_pem()).unwrap();
        assert!(running.reload());
        running
    }
}

pub fn signature(signer: &Identity, subject: &Descriptor) -> Package {
    let envelope = notation::envelope(signer, &notation::Claim::default(), subject, Form::Jws).unwrap();
    notation::artifact(envelope, Form::Jws, signer, subject).unwrap()
}

#[tokio::test]
async fn a_revoked_signers_cached_images_stop_being_served_without_a_restart() {
    let acme = Acme::new().await;
    let proxy = acme.start(acme.proxy("strict", ""), &["first", "second"]).await;
    served(&proxy.get("first:1").await, Package::image("first").bytes());
    assert_eq!(acme.lists.asked(), 1);
    acme.publish(2, &[&acme.signer], 2 * HOUR);
    proxy.pass(Duration::from_secs(20 * 60));
    // The list is younger than its ttl: nobody asks, and this decision holds for half an hour.
    served(&proxy.get("second:1").await, Package::image("second").bytes());
    assert_eq!(acme.lists.asked(), 1);
    proxy.pass(Duration::from_secs(25 * 60));
    served(&proxy.get("second:1").await, Package::image("second").bytes());
    // The first image's decision has ended, and the list is asked for again after an hour.
    proxy.pass(Duration::from_secs(16 * 60));
    let layer = Package::image("second").layer();
    refused(&proxy.get("first:1").await, 403, "DENIED", "was revoked at");
    assert_eq!(proxy.head("first:1").await.status, 403);
    // What was learned on the way closes the second one, whose own decision was not over.
    refused(&proxy.get("second:1").await, 403, "DENIED", "(keyCompromise)");
    assert_eq!(proxy.blob("second", &layer).await.status, 403);
    assert!(proxy.metric("portcullis_verifications_total{").await >= 3.0);
    // A list that forgets it changes nothing: only removeFromCRL would.
    acme.publish(3, &[], 3 * HOUR);
    proxy.pass(Duration::from_secs(61 * 60));
    refused(&proxy.get("first:1").await, 403, "DENIED", "was revoked at");
    let line = proxy.audit().into_iter().find(|line| line["signatures"][0]["code"] == "revoked").unwrap();
    let validations = line["signatures"][0]["validations"].as_array().unwrap();
    let outcome = |name: &str| {
        let check = validations.iter().find(|check| check["name"] == name).unwrap();
        (check["outcome"].as_str().unwrap().to_owned(), check["action"].as_str().unwrap().to_owned())
    };
    for passed in ["integrity", "authenticity", "expiry", "authenticTimestamp"] {
        assert_eq!(outcome(passed), ("passed".to_owned(), "enforce".to_owned()), "{passed}");
    }
    assert_eq!(outcome("revocation"), ("failed".to_owned(), "enforce".to_owned()));
}

#[tokio::test]
async fn a_list_carried_in_by_hand_closes_what_was_admitted() {
    let acme = Acme::new().await;
    let proxy = acme.start(acme.proxy("strict", ", revocation: local"), &["app"]).await;
    // Nobody may be asked, and nothing is known: neither an Allow nor a Deny.
    refused(&proxy.get("app:1").await, 503, "UNAVAILABLE", "cannot be found out");
    assert_eq!(acme.lists.asked(), 0);
    let carry = |list: Vec<u8>| {
        let folder = proxy.folder.path().join("trust/crls");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("acme.crl"), list).unwrap();
        assert!(proxy.reload());
    };
    carry(acme.list(1, &[], 2 * HOUR));
    served(&proxy.get("app:1").await, Package::image("app").bytes());
    carry(acme.list(2, &[&acme.signer], 2 * HOUR));
    refused(&proxy.get("app:1").await, 403, "DENIED", "was revoked at");
    assert_eq!(acme.lists.asked(), 0);
}

#[tokio::test]
async fn a_server_that_is_down_is_trouble_where_revocation_is_enforced() {
    let acme = Acme::new().await;
    acme.lists.serving.abort();
    let strict = acme.start(acme.proxy("strict", ""), &["app"]).await;
    let got = strict.get("app:1").await;
    refused(&got, 503, "UNAVAILABLE", "cannot be judged now");
    assert!(got.error_message().unwrap().contains(&acme.lists.host), "{:?}", got.error_message());
    let permissive = acme.start(acme.proxy("permissive", ""), &["app"]).await;
    served(&permissive.get("app:1").await, Package::image("app").bytes());
    let line = permissive.audit().into_iter().find(|line| line["outcome"] == "allow").unwrap();
    let check = &line["signatures"][0]["validations"][4];
    assert_eq!(
        (&check["name"], &check["action"], &check["outcome"]),
        (&"revocation".into(), &"log".into(), &"failed".into())
    );
}

#[tokio::test]
async fn kept_answers_go_on_over_a_restart_until_they_end() {
    let acme = Acme::new().await;
    let mut proxy = acme.start(acme.proxy("strict", ""), &["app"]).await;
    served(&proxy.get("app:1").await, Package::image("app").bytes());
    acme.lists.serving.abort();
    proxy.stop().await;
    proxy.start_again().await;
    proxy.pass(Duration::from_secs(100 * 60));
    served(&proxy.get("app:1").await, Package::image("app").bytes());
    // The list ends after two hours, and with it the decision, which would hold for longer.
    proxy.pass(Duration::from_secs(21 * 60));
    refused(&proxy.get("app:1").await, 503, "UNAVAILABLE", "cannot be found out");
    assert_eq!(proxy.send(Method::HEAD, "/v2/registry.test/app/manifests/1", &[]).await.status, 503);
}

#[tokio::test]
async fn nobody_is_asked_about_a_signer_who_is_not_trusted() {
    let (acme, stranger) = (Acme::new().await, Acme::new().await);
    let by_stranger = signature(&stranger.signer, Package::image("app").descriptor());
    let proxy = acme
        .proxy("strict", "")
        .with("egress", &format!("{{ allow: [\"{}\", \"{}\"] }}", acme.lists.host, stranger.lists.host));
    let proxy = proxy.upstream(move |registry: &Registry| {
        registry.push("app", "1", &Package::image("app"));
        registry.push("app", None, &by_stranger);
    });
    let proxy = acme.start(proxy, &[]).await;
    refused(&proxy.get("app:1").await, 403, "DENIED", "not in trust store ca:acme");
    assert_eq!((acme.lists.asked(), stranger.lists.asked()), (0, 0));
}

#[tokio::test]
async fn a_server_on_this_machine_is_asked_only_where_egress_names_it() {
    let acme = Acme::new().await;
    let proxy = acme.start(acme.proxy("strict", "").with("egress", "{}"), &["app"]).await;
    refused(&proxy.get("app:1").await, 503, "UNAVAILABLE", "egress.allow");
    assert_eq!(acme.lists.asked(), 0);
}
