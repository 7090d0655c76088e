use arc_swap::ArcSwap;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;

use super::super::Front;
use super::super::tests::outlet;
use super::*;
use crate::access::Principal;
use crate::clock::Clock;
use crate::config::{Settings, Tls, parse};
use crate::demo::package::Package;
use crate::demo::registry::Registry;
use crate::demo::signing::{Key, KeyKind};
use crate::engine::{Current, Engine, State, tls_files};

/// A front door before an upstream whose images nobody signed. All on one thread.
pub(in crate::http) struct Stand {
    pub(in crate::http) registry: Registry,
    key: Key,
    state: Arc<State>,
    current: Current,
    pub(in crate::http) front: Arc<Front>,
}

impl Stand {
    pub(in crate::http) async fn new() -> Self {
        let (registry, key) = (Registry::start().await.unwrap(), Key::generate(KeyKind::P256).unwrap());
        let state = State::ephemeral(Clock::system()).await.unwrap();
        let engine = Engine::build(settings(&registry, &key, "audit"), &state, None).unwrap();
        let current: Current = Arc::new(ArcSwap::from_pointee(engine));
        Self { front: Front::new(&current), registry, key, state, current }
    }

    fn reload(&self, change: impl FnOnce(&mut Settings), mode: &str) {
        let mut settings = settings(&self.registry, &self.key, mode);
        change(&mut settings);
        let engine = Engine::build(settings, &self.state, Some(&self.current.load())).unwrap();
        self.current.store(Arc::new(engine));
    }

    pub(in crate::http) async fn ask(&self, request: Request<()>, who: Principal) -> (StatusCode, Vec<u8>) {
        let (parts, body) = self.front.answer(request, &Arc::new(who), &outlet(), None).await.into_parts();
        (parts.status, body.collect().await.unwrap().to_bytes().to_vec())
    }

    async fn is_served(&self, host: &str, target: &str, image: &Package) {
        let answer = self.ask(get(host, target), Principal::Anonymous).await;
        assert!(answer == (StatusCode::OK, image.bytes().to_vec()), "{host} {target}: {answer:?}");
    }

    /// Whether the thread would answer from what it keeps.
    fn keeps(&self, host: &str, target: &str) -> bool {
        let (engine, (parts, ())) = (self.current.load(), get(host, target).into_parts());
        let prepared = self.front.prepared(&engine);
        Question::of(&parts, &prepared).unwrap().recall(|_| Some(())).is_some()
    }
}

fn settings(registry: &Registry, key: &Key, mode: &str) -> Settings {
    let pem = serde_json::to_string(&key.public_pem()).unwrap();
    let text = format!(
        "listen: {{ hosts: {{ a.proxy: one.test, b.proxy: two.test }} }}\n\
         upstreams:\n  one.test: {{ url: \"{url}\" }}\n  two.test: {{ url: \"{url}\" }}\n\
         signers: {{ acme: {{ cosign: {{ key: {pem}, transparency_log: ignore }} }} }}\n\
         policies: [{{ name: p, scopes: [\"one.test/**\", \"two.test/**\"], mode: {mode}, require: acme }}]\n",
        url = registry.url()
    );
    parse(&text, std::path::Path::new("/nowhere/portcullis.yaml")).unwrap()
}

pub(in crate::http) fn get(host: &str, target: &str) -> Request<()> {
    Request::get(target).header(http::header::HOST, host).body(()).unwrap()
}

#[tokio::test]
async fn what_is_asked_for_again_and_again_is_kept_and_nothing_else() {
    let (stand, image, other) = (Stand::new().await, Package::image("app"), Package::image("other"));
    stand.registry.push("app", "v1", &image);
    stand.registry.push("app", "v2", &other);
    let digest = format!("/v2/app/manifests/{}", image.digest());
    let targets = [("/v2/app/manifests/v1", &image), ("/v2/app/manifests/v2", &other), (&*digest, &image)];
    for (target, image) in targets {
        for _ in 0..6 {
            stand.is_served("a.proxy", target, image).await;
        }
        assert!(stand.keeps("a.proxy", target), "{target}");
        assert!(!stand.keeps("b.proxy", target), "another host is another upstream");
        assert!(!stand.keeps("a.proxy", &format!("{target}?ns=one.test")));
    }
    let torn = get("a.proxy", "/v2/app/manifests/v1?ns=two.test");
    assert_eq!(stand.ask(torn, Principal::Anonymous).await.0, StatusCode::BAD_REQUEST);
    // The layer is asked for as often, and kept elsewhere.
    let blob = format!("/v2/app/blobs/{}", image.layer());
    for _ in 0..4 {
        assert_eq!(stand.ask(get("a.proxy", &blob), Principal::Anonymous).await.0, StatusCode::OK);
    }
    assert!(!stand.keeps("a.proxy", &blob));
    let to = |method| Request::builder().method(method).uri(&*digest).header(http::header::HOST, "a.proxy");
    let head = stand.ask(to(Method::HEAD).body(()).unwrap(), Principal::Anonymous).await;
    assert_eq!(head, (StatusCode::OK, vec![]));
    let put = stand.ask(to(Method::PUT).body(()).unwrap(), Principal::Anonymous).await;
    assert_eq!(put.0, StatusCode::METHOD_NOT_ALLOWED);
}

/// Head and body are those that memory gave before anything was kept.
#[tokio::test]
async fn an_answer_is_the_same_in_every_way_that_is_asked() {
    let (stand, image) = (Stand::new().await, Package::image("app"));
    stand.registry.push("app", "v1", &image);
    let digest = format!("/v2/app/manifests/{}", image.digest());
    let etag = format!("\"{}\"", image.digest());
    let asked = |method: Method, target: &str, header: &'static str, value: &str| {
        let request = Request::builder().method(method).uri(target).header(http::header::HOST, "a.proxy");
        request.header(header, value).body(()).unwrap()
    };
    for target in ["/v2/app/manifests/v1", &digest, &format!("{digest}?ns=one.test")] {
        let each = || {
            [
                asked(Method::GET, target, "x", "y"),
                asked(Method::HEAD, target, "x", "y"),
                asked(Method::GET, target, "if-none-match", &etag),
                asked(Method::GET, target, "accept", "text/html"),
            ]
        };
        let answers = async || {
            let mut all = Vec::new();
            for request in each() {
                let answer =
                    stand.front.answer(request, &Arc::new(Principal::Anonymous), &outlet(), None).await;
                let (mut parts, body) = answer.into_parts();
                parts.headers.remove("x-request-id");
                all.push((parts.status, parts.headers, body.collect().await.unwrap().to_bytes()));
            }
            all
        };
        stand.is_served("a.proxy", target, &image).await;
        assert!(!stand.keeps("a.proxy", target));
        let first = answers().await;
        let statuses: Vec<u16> = first.iter().map(|(status, ..)| status.as_u16()).collect();
        assert_eq!(statuses, [200, 200, 304, 404]);
        assert!(first[0].1.contains_key("warning"), "the policy would refuse it");
        assert_eq!(first[0].1.contains_key("oci-namespace"), target.contains("ns="));
        assert!(stand.keeps("a.proxy", target));
        for _ in 0..3 {
            assert_eq!(answers().await, first);
        }
        assert!(stand.keeps("a.proxy", target));
    }
}

#[tokio::test]
async fn what_one_policy_let_be_kept_is_not_served_under_another() {
    let (stand, image) = (Stand::new().await, Package::image("app"));
    stand.registry.push("app", "v1", &image);
    for target in ["/v2/app/manifests/v1".to_owned(), format!("/v2/app/manifests/{}", image.digest())] {
        for _ in 0..6 {
            stand.is_served("a.proxy", &target, &image).await;
        }
        assert!(stand.keeps("a.proxy", &target));
        stand.reload(|_| {}, "enforce");
        assert!(!stand.keeps("a.proxy", &target));
        assert_eq!(stand.ask(get("a.proxy", &target), Principal::Anonymous).await.0, StatusCode::FORBIDDEN);
        stand.reload(|_| {}, "audit");
    }
}

#[tokio::test]
async fn what_was_kept_for_one_client_is_not_given_to_one_who_may_not_have_it() {
    let (stand, image) = (Stand::new().await, Package::image("app"));
    stand.registry.push("app", "v1", &image);
    let folder = tempfile::tempdir().unwrap();
    let tls = tls_files(&folder);
    let tls = Tls { client_ca: Some(tls.certificate.clone()), ..tls };
    stand.reload(|settings| settings.listen.tls = Some(tls), "audit");
    let target = "/v2/app/manifests/v1";
    let known = || Principal::Certificate { subject: "CN=known".into(), fingerprint: [7; 32] };
    for _ in 0..6 {
        assert_eq!(stand.ask(get("a.proxy", target), known()).await.0, StatusCode::OK);
    }
    assert!(stand.keeps("a.proxy", target));
    assert_eq!(stand.ask(get("a.proxy", target), Principal::Anonymous).await.0, StatusCode::FORBIDDEN);
    assert_eq!(stand.ask(get("a.proxy", target), known()).await.0, StatusCode::OK);
}

/// HTTP/2 names the host in the target, and so does a client that takes us for a proxy (RFC 9112, section 3.2.2).
#[tokio::test]
async fn a_host_in_the_target_counts_and_a_long_target_is_not_kept() {
    let (stand, image) = (Stand::new().await, Package::image("app"));
    stand.registry.push("app", "v1", &image);
    let long = format!("/v2/app/manifests/v1?x={}", "y".repeat(MAX_TARGET_BYTES));
    for _ in 0..6 {
        stand.is_served("b.proxy", "http://a.proxy/v2/app/manifests/v1", &image).await;
        stand.is_served("a.proxy", &long, &image).await;
    }
    assert!(stand.keeps("a.proxy", "/v2/app/manifests/v1"));
    assert!(!stand.keeps("b.proxy", "/v2/app/manifests/v1"));
    let prepared = stand.front.prepared(&stand.current.load());
    assert!(Question::of(&get("a.proxy", &long).into_parts().0, &prepared).is_none());
}

#[tokio::test]
async fn of_two_that_share_a_place_each_gets_its_own() {
    let stand = Stand::new().await;
    let prepared = stand.front.prepared(&stand.current.load());
    let mut places = std::collections::HashMap::new();
    let pair = (0..=PLACES).find_map(|n| {
        let image = Package::image(&format!("app-{n}"));
        let target = format!("/v2/app/manifests/{}", image.digest());
        let (parts, ()) = get("a.proxy", &target).into_parts();
        let place = Question::of(&parts, &prepared).unwrap().place();
        let other = places.insert(place, (image.clone(), target.clone()))?;
        Some([other, (image, target)])
    });
    let [(one, of_one), (another, of_another)] = pair.unwrap();
    for (image, target) in [(&one, &of_one), (&another, &of_another), (&one, &of_one)] {
        stand.registry.push("app", None, image);
        for _ in 0..6 {
            stand.is_served("a.proxy", target, image).await;
        }
        assert!(stand.keeps("a.proxy", target));
    }
    assert!(!stand.keeps("a.proxy", &of_another));

    // Nothing but manifests takes a place.
    for n in 0..=PLACES * 8 {
        for _ in 0..3 {
            stand.ask(get("a.proxy", &format!("/v2/?{n}")), Principal::Anonymous).await;
            stand.ask(get("a.proxy", &format!("/v2/app/manifests/{n}/none")), Principal::Anonymous).await;
        }
    }
    assert!(stand.keeps("a.proxy", &of_one));
}

/// Who walks through more than there is room for pays for no copies.
#[tokio::test]
async fn what_is_asked_for_in_turn_is_not_copied() {
    let stand = Stand::new().await;
    let images: Vec<_> = (0..200).map(|n| Package::image(&format!("app-{n}"))).collect();
    let targets: Vec<_> =
        images.iter().map(|image| format!("/v2/app/manifests/{}", image.digest())).collect();
    for image in &images {
        stand.registry.push("app", None, image);
    }
    for _ in 0..4 {
        for (image, target) in images.iter().zip(&targets) {
            stand.is_served("a.proxy", target, image).await;
        }
    }
    let kept = targets.iter().filter(|target| stand.keeps("a.proxy", target)).count();
    assert!(kept < PLACES / 2, "{kept} have a place to themselves by chance");
}
