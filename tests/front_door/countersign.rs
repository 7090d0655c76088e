//! Counter-signing: what one proxy allowed, another believes by the organisation's key alone.

#[path = "countersign/killed.rs"]
mod killed;

use std::sync::LazyLock;
use std::time::Duration;

use portcullis::demo::signing::{Identity, Profile, cosign};
use portcullis::demo::{Package, Registry};
use portcullis::oci::Digest;
use serde_json::Value;

use crate::test_proxy::{
    HOST, Running, STRANGER, TestProxy, WABBIT, policy, push_signed, refused, served, signature, signed,
    unsigned,
};

/// The organisation.
static ACME: LazyLock<Identity> =
    LazyLock::new(|| Identity::self_signed(&Profile::of_host("acme-rockets.io")).unwrap());

const ALL: &str = "notation, notation_cose, cosign, cosign_bundle, nv2";

/// A proxy that trusts wabbit, and signs as ACME in these formats.
fn certifying(formats: &str, more: &str) -> TestProxy {
    let counter_sign = format!(
        "{{ key: acme.key, certificate_chain: acme.crt, published_as: \"acme-rockets.io/{{path}}\", \
         formats: [{formats}]{more} }}"
    );
    acme(TestProxy::new()).policy(&format!("require: wabbit, counter_sign: {counter_sign}"))
}

fn acme(proxy: TestProxy) -> TestProxy {
    proxy.file("acme.key", ACME.key().private_pem()).file("acme.crt", ACME.certificate_pem())
}

const WAITING: &str = ", attest: true, before_serving: true";

/// A developer's proxy before the certifying one, which trusts `signer` alone.
async fn developer(certifying: &Running, signer: &str, require: &str) -> Running {
    let upstreams = format!("{{ \"{HOST}\": {{ url: \"{}\", default: true }} }}", certifying.proxy().url());
    acme(TestProxy::new())
        .file("acme.pub", ACME.key().public_pem())
        .file("stranger.crt", STRANGER.certificate_pem())
        .file("trust/x509/ca/acme/acme.crt", ACME.certificate_pem())
        .with("signers", signer)
        .with("upstreams", &upstreams)
        .policy(&format!("require: {require}"))
        .start()
        .await
}

const COSIGN: &str = "{ acme: { cosign: { key: acme.pub, transparency_log: ignore } } }";
const SIGNERS: [(&str, &str); 5] = [
    (
        "notation",
        "{ acme: { notation: { trust_store: \"ca:acme\", trust_store_dir: trust, trusted_identities: [\"*\"] } } }",
    ),
    (
        "notation_cose",
        "{ acme: { notation: { trust_store: \"ca:acme\", trust_store_dir: trust, trusted_identities: [\"*\"] } } }",
    ),
    ("cosign", COSIGN),
    ("cosign_bundle", COSIGN),
    ("nv2", "{ acme: { nv2: { certificates: [acme.crt], names: [acme-rockets.io] } } }"),
];

async fn listed(proxy: &Running, subject: &Digest) -> Vec<Digest> {
    listed_of(proxy, "app", subject).await
}

async fn listed_of(proxy: &Running, name: &str, subject: &Digest) -> Vec<Digest> {
    let list = proxy.path(&format!("/v2/{HOST}/{name}/referrers/{subject}")).await;
    assert_eq!(list.status, 200, "{:?}", list.error_message());
    let list: Value = serde_json::from_slice(&list.body).unwrap();
    let entries = list["manifests"].as_array().unwrap().iter();
    entries.map(|entry| Digest::parse(entry["digest"].as_str().unwrap()).unwrap()).collect()
}

#[tokio::test]
async fn one_key_of_the_organisations_does_for_what_it_certified() {
    for (format, signer) in SIGNERS {
        let certifying = certifying(format, ", before_serving: true")
            .upstream(|registry| {
                signed("app")(registry);
                unsigned("rogue")(registry);
            })
            .start()
            .await;
        let developer = developer(&certifying, signer, "acme").await;
        let image = Package::image("app");
        served(&developer.get("app:1").await, image.bytes());
        served(&developer.blob("app", &image.layer()).await, &image.blobs()[1]);
        assert_ne!(developer.get("rogue:1").await.status, 200, "{format}");
        // It is the key that counts: another's is not believed.
        let others = "{ acme: { nv2: { certificates: [stranger.crt] } } }";
        let stranger = self::developer(&certifying, others, "acme").await;
        refused(&stranger.get("app:1").await, 403, "DENIED", "");
    }
}

#[tokio::test]
async fn a_summary_tells_what_was_verified_by_which_policy() {
    let certifying = certifying("cosign_bundle", WAITING).upstream(signed("app")).start().await;
    let attested = |condition: &str| {
        format!(
            "{{ attested: {{ by: acme, predicate_type: \"https://slsa.dev/verification_summary/v1\", where: '{condition}' }} }}"
        )
    };
    let passed = "predicate.verificationResult == \"PASSED\" && predicate.policy.uri == \"urn:portcullis:policy:strict\"";
    let developer = developer(&certifying, COSIGN, &attested(passed)).await;
    served(&developer.get("app:1").await, Package::image("app").bytes());
    let other = attested("predicate.policy.uri == \"urn:portcullis:policy:lax\"");
    let picky = self::developer(&certifying, COSIGN, &other).await;
    refused(&picky.get("app:1").await, 403, "DENIED", "");
    let line = certifying.audit().into_iter().find(|line| line["event"] == "counter-signed").unwrap();
    assert_eq!(line["subject"], Package::image("app").digest().to_string());
    assert_eq!(line["artifacts"].as_array().unwrap().len(), 2);
    assert_eq!(certifying.metric("portcullis_counter_signatures_total").await, 1.0);
}

#[tokio::test]
async fn it_is_made_once_and_behind_the_answer() {
    let mut proxy = certifying(ALL, ", attest: true").upstream(signed("app")).start().await;
    let image = Package::image("app");
    served(&proxy.get("app:1").await, image.bytes());
    let made =
        "portcullis_counter_signatures_total{policy=\"strict\",registry=\"registry.test\",result=\"made\"}";
    for _ in 0..200 {
        if proxy.metric(made).await > 0.0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let before = listed(&proxy, &image.digest()).await;
    // wabbit's own, four in ACME's formats, and the summary.
    assert_eq!(before.len(), 6);
    // Over renewals and restarts, with the upstream gone too.
    proxy.pass(Duration::from_secs(25 * 3600));
    served(&proxy.get("app:1").await, image.bytes());
    assert_eq!(listed(&proxy, &image.digest()).await, before);
    proxy.stop().await;
    proxy.start_again().await;
    served(&proxy.get(&format!("app@{}", image.digest())).await, image.bytes());
    assert_eq!(listed(&proxy, &image.digest()).await, before);
    for artifact in &before {
        assert_eq!(proxy.get(&format!("app@{artifact}")).await.status, 200);
    }
    assert_eq!(proxy.metric(made).await, 0.0, "nothing is signed again");
}

#[tokio::test]
async fn it_is_withdrawn_when_the_decision_falls_or_the_policy_signs_no_more() {
    for falls in [true, false] {
        let image = Package::image("app");
        let (pushed, signature) = (image.clone(), signature(&WABBIT, image.descriptor()));
        let own = signature.digest();
        let content = move |registry: &Registry| {
            registry.push("app", "1", &pushed);
            registry.push("app", None, &signature);
        };
        let mut proxy = certifying(ALL, WAITING).upstream(content).start().await;
        served(&proxy.get("app:1").await, image.bytes());
        let made = listed(&proxy, &image.digest()).await;
        assert_eq!(made.len(), 6);
        let ours: Vec<_> = made.iter().filter(|artifact| **artifact != own).collect();
        let (policy, status) = if falls {
            assert!(proxy.change("signers", "{ wabbit: { nv2: { certificates: [acme.crt] } } }"));
            (None, 403)
        } else {
            assert!(proxy.change("policies", &policy("require: wabbit")));
            (Some(()), 200)
        };
        assert_eq!(proxy.get("app:1").await.status, status);
        for artifact in ours {
            assert_ne!(proxy.get(&format!("app@{artifact}")).await.status, 200, "falls: {falls}");
        }
        let tag = format!("app:sha256-{}.sig", image.digest().hex());
        assert_ne!(proxy.get(&tag).await.status, 200, "falls: {falls}");
        if policy.is_some() {
            assert_eq!(listed(&proxy, &image.digest()).await, [own]);
        }
        let last = proxy.audit().into_iter().rfind(|line| line["event"] == "withdrawn").unwrap();
        assert_eq!(last["subject"], image.digest().to_string());
        assert_eq!(proxy.metric("portcullis_counter_signatures_total{policy=\"strict\",registry=\"registry.test\",result=\"withdrawn\"}").await, 1.0);
    }
}

#[tokio::test]
async fn nothing_but_enforced_proof_is_counter_signed() {
    let image = Package::image("app");
    let exception = format!(
        "[{{ repository: \"{HOST}/app\", digest: \"{}\", reason: outage, expires: \"2099-01-01T00:00:00Z\" }}]",
        image.digest()
    );
    let excepted =
        certifying(ALL, WAITING).with("exceptions", &exception).upstream(unsigned("app")).start().await;
    served(&excepted.get("app:1").await, image.bytes());
    assert_eq!(listed(&excepted, &image.digest()).await, []);
    assert_eq!(excepted.metric("portcullis_counter_signatures_total").await, 0.0);

    let denied = certifying(ALL, WAITING).upstream(unsigned("app")).start().await;
    refused(&denied.get("app:1").await, 403, "DENIED", "");
    assert_eq!(denied.metric("portcullis_counter_signatures_total").await, 0.0);

    let mut audited = acme(TestProxy::new()).upstream(signed("app")).start().await;
    let counter_sign = "counter_sign: { key: acme.key, formats: [cosign] }";
    assert!(audited.change("policies", &policy(&format!("require: wabbit, {counter_sign}"))));
    assert!(!audited.change("policies", &policy(&format!("mode: audit, require: wabbit, {counter_sign}"))));
}

#[tokio::test]
async fn under_cosigns_tag_it_stands_beside_the_publishers() {
    let image = Package::image("app");
    let pushed = image.clone();
    let proxy = acme(TestProxy::new())
        .file("wabbit.pub", WABBIT.key().public_pem())
        .with("signers", "{ wabbit: { cosign: { key: wabbit.pub, transparency_log: ignore } } }")
        .policy("require: wabbit, counter_sign: { key: acme.key, formats: [cosign], before_serving: true }")
        .upstream(move |registry| {
            registry.push("app", "1", &pushed);
            let payload = cosign::payload("registry.test/app", &pushed.digest());
            let signature = cosign::image(WABBIT.key(), &payload).unwrap();
            registry.push("app", cosign::tag(&pushed.digest()).as_str(), &signature);
        })
        .start()
        .await;
    served(&proxy.get("app:1").await, image.bytes());
    let answer = proxy.get(&format!("app:{}", cosign::tag(&image.digest()))).await;
    assert_eq!(answer.status, 200, "{:?}", answer.error_message());
    let found: Value = serde_json::from_slice(&answer.body).unwrap();
    let layers = found["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 2);
    for layer in layers.iter().chain([&found["config"]]) {
        let digest = Digest::parse(layer["digest"].as_str().unwrap()).unwrap();
        let blob = proxy.blob("app", &digest).await;
        assert!(blob.status == 200 && digest.matches(&blob.body), "{:?}", blob.error_message());
    }
    let developer = developer(&proxy, COSIGN, "acme").await;
    served(&developer.get("app:1").await, image.bytes());
}

#[tokio::test]
async fn a_key_that_cannot_sign_is_told_when_the_configuration_is_read() {
    let image = |registry: &_| push_signed(registry, "app", "1", &Package::image("app"));
    let mut proxy =
        acme(TestProxy::new()).file("other.crt", WABBIT.certificate_pem()).upstream(image).start().await;
    for wrong in [
        "{ key: absent.key, formats: [cosign] }",
        "{ key: acme.crt, formats: [cosign] }",
        "{ key: acme.key, formats: [] }",
        "{ key: acme.key, formats: [notation] }",
        "{ key: acme.key, formats: [nv2] }",
        "{ key: acme.key, certificate_chain: other.crt, formats: [notation] }",
    ] {
        assert!(
            !proxy.change("policies", &policy(&format!("require: wabbit, counter_sign: {wrong}"))),
            "{wrong}"
        );
    }
    served(&proxy.get("app:1").await, Package::image("app").bytes());
}

const MADE: &str =
    "portcullis_counter_signatures_total{policy=\"strict\",registry=\"registry.test\",result=\"made\"}";
const FAILED: &str =
    "portcullis_counter_signatures_total{policy=\"strict\",registry=\"registry.test\",result=\"failed\"}";

/// The certificate does not carry the name that is to be signed, which shows only when it is.
#[tokio::test]
async fn nobody_is_served_before_it_is_signed_where_the_policy_waits() {
    for (waits, status) in [(true, 503), (false, 200)] {
        let counter_sign = format!(
            "require: wabbit, counter_sign: {{ key: acme.key, certificate_chain: acme.crt, \
             published_as: \"elsewhere.example/{{path}}\", formats: [nv2], before_serving: {waits} }}"
        );
        let proxy = acme(TestProxy::new()).policy(&counter_sign).upstream(signed("app")).start().await;
        let image = Package::image("app");
        for _ in 0..2 {
            let answer = proxy.get("app:1").await;
            assert_eq!(answer.status, status, "{:?}", answer.error_message());
            let by_digest = proxy.get(&format!("app@{}", image.digest())).await;
            assert_eq!(by_digest.status, status, "{:?}", by_digest.error_message());
        }
        for _ in 0..200 {
            if proxy.metric(FAILED).await > 0.0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(proxy.metric(FAILED).await > 0.0);
        assert_eq!(proxy.metric(MADE).await, 0.0);
    }
}

#[tokio::test]
async fn an_index_whose_children_are_judged_is_not_signed_itself() {
    let index = Package::multi_arch("app");
    let [good, bad] = [0, 1].map(|at| index.children()[at].clone());
    let exception = format!(
        "[{{ repository: \"{HOST}/app\", digest: \"{}\", reason: outage, expires: \"2099-01-01T00:00:00Z\" }}]",
        good.digest()
    );
    for excepted in [false, true] {
        let (pushed, child) = (index.clone(), good.clone());
        let mut certifying = acme(TestProxy::new()).policy(
            "require: wabbit, index: children, \
             counter_sign: { key: acme.key, formats: [cosign_bundle], before_serving: true }",
        );
        if excepted {
            certifying = certifying.with("exceptions", &exception);
        }
        let content = move |registry: &Registry| {
            registry.push("app", "multi", &pushed);
            if !excepted {
                registry.push("app", None, &signature(&WABBIT, child.descriptor()));
            }
        };
        let certifying = certifying.upstream(content).start().await;
        assert_eq!(certifying.get("app:multi").await.status, 200);
        assert_eq!(certifying.get(&format!("app@{}", bad.digest())).await.status, 403);
        assert_eq!(listed(&certifying, &index.digest()).await, [], "excepted: {excepted}");
        // What was proven is signed, what was excepted is not.
        assert_eq!(certifying.get(&format!("app@{}", good.digest())).await.status, 200);
        let signatures = listed(&certifying, &good.digest()).await.len();
        assert_eq!(signatures, if excepted { 0 } else { 2 });
    }
}

#[tokio::test]
async fn nothing_but_signatures_comes_along_under_the_tag() {
    let (image, rogue) = (Package::image("app"), Package::image("rogue"));
    let (pushed, planted) = (image.clone(), rogue.clone());
    let proxy = acme(TestProxy::new())
        .policy(
            "require: wabbit, referrers: all, \
             counter_sign: { key: acme.key, formats: [cosign], before_serving: true }",
        )
        .upstream(move |registry| {
            push_signed(registry, "app", "1", &pushed);
            registry.push("app", cosign::tag(&pushed.digest()).as_str(), &planted);
        })
        .start()
        .await;
    served(&proxy.get("app:1").await, image.bytes());
    let answer = proxy.get(&format!("app:{}", cosign::tag(&image.digest()))).await;
    let found: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(found["layers"].as_array().unwrap().len(), 1, "{found}");
    assert_eq!(proxy.blob("app", &rogue.layer()).await.status, 404);
}

#[tokio::test]
async fn another_tag_takes_nothing_away() {
    let image = Package::image("app");
    let pushed = image.clone();
    let proxy = acme(TestProxy::new())
        .policy(
            "require: wabbit, signed_name: exact, \
             counter_sign: { key: acme.key, formats: [cosign_bundle], before_serving: true }",
        )
        .upstream(move |registry| {
            push_signed(registry, "app", "1", &pushed);
            registry.tag("app", "2", &pushed.digest());
        })
        .start()
        .await;
    served(&proxy.get("app:1").await, image.bytes());
    let made = listed(&proxy, &image.digest()).await;
    assert_eq!(proxy.get("app:2").await.status, 403);
    assert_eq!(listed(&proxy, &image.digest()).await, made);
    assert_eq!(proxy.metric("portcullis_counter_signatures_total").await, 1.0);
}

#[tokio::test]
async fn a_key_that_is_replaced_signs_anew_and_the_old_signature_is_gone() {
    let image = Package::image("app");
    let proxy = acme(TestProxy::new())
        .policy(
            "require: wabbit, referrers: all, \
             counter_sign: { key: acme.key, formats: [cosign_bundle], before_serving: true }",
        )
        .upstream(signed("app"))
        .start()
        .await;
    served(&proxy.get("app:1").await, image.bytes());
    let before = listed(&proxy, &image.digest()).await;
    proxy.folder.write("acme.key", &WABBIT.key().private_pem()).unwrap();
    assert!(proxy.reload());
    served(&proxy.get("app:1").await, image.bytes());
    let after = listed(&proxy, &image.digest()).await;
    assert_eq!((before.len(), after.len()), (2, 2));
    let gone: Vec<_> = before.iter().filter(|artifact| !after.contains(artifact)).collect();
    assert_eq!(gone.len(), 1);
    assert_ne!(proxy.get(&format!("app@{}", gone[0])).await.status, 200);
}

#[tokio::test]
async fn what_was_made_before_takes_no_room() {
    let image = Package::image("app");
    let mut proxy = acme(TestProxy::new()).policy("require: wabbit").upstream(signed("app")).start().await;
    let held = async |proxy: &Running| {
        served(&proxy.get("app:1").await, image.bytes());
        proxy.metric("portcullis_store_held_bytes").await
    };
    let publishers = held(&proxy).await;
    let signing = "require: wabbit, counter_sign: { key: acme.key, formats: [cosign, cosign_bundle], \
                   attest: true, before_serving: true }";
    assert!(proxy.change("policies", &policy(signing)));
    let first = held(&proxy).await;
    assert!(first > publishers + 1000.0, "{publishers} and {first}");
    proxy.folder.write("acme.key", &WABBIT.key().private_pem()).unwrap();
    assert!(proxy.reload());
    let second = held(&proxy).await;
    // Signatures differ by some bytes.
    assert!((second - first).abs() < 100.0, "{first} and {second}");
    assert!(proxy.change("policies", &policy("require: wabbit")));
    assert_eq!(held(&proxy).await, publishers);
}

#[tokio::test]
async fn an_island_signs_what_it_has() {
    let image = Package::image("app");
    let mut proxy = acme(TestProxy::new()).policy("require: wabbit").upstream(signed("app")).start().await;
    served(&proxy.get("app:1").await, image.bytes());
    let url = proxy.upstream().url();
    let offline = format!("{{ \"{HOST}\": {{ url: \"{url}\", default: true, offline: true }} }}");
    assert!(proxy.change("upstreams", &offline));
    let counter_sign =
        "require: wabbit, counter_sign: { key: acme.key, formats: [cosign], before_serving: true }";
    assert!(proxy.change("policies", &policy(counter_sign)));
    served(&proxy.get("app:1").await, image.bytes());
    assert_eq!(proxy.get(&format!("app:{}", cosign::tag(&image.digest()))).await.status, 200);
}

#[tokio::test]
async fn what_was_lost_is_made_again() {
    let image = Package::image("app");
    let mut proxy =
        certifying("cosign_bundle", ", before_serving: true").upstream(signed("app")).start().await;
    served(&proxy.get("app:1").await, image.bytes());
    let made = listed(&proxy, &image.digest()).await;
    proxy.stop().await;
    let store = proxy.folder.path().join("store/blobs");
    let mut left = vec![store];
    while let Some(folder) = left.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let name = entry.file_name().into_string().unwrap();
            if entry.file_type().unwrap().is_dir() {
                left.push(entry.path());
            } else if made.iter().any(|artifact| artifact.hex().ends_with(&name)) {
                std::fs::remove_file(entry.path()).unwrap();
            }
        }
    }
    proxy.start_again().await;
    served(&proxy.get("app:1").await, image.bytes());
    assert_eq!(listed(&proxy, &image.digest()).await.len(), made.len());
}

#[tokio::test]
async fn what_former_settings_made_is_gone_though_nothing_new_can_be_made() {
    let image = Package::image("app");
    let mut proxy =
        certifying("cosign_bundle", ", before_serving: true").upstream(signed("app")).start().await;
    served(&proxy.get("app:1").await, image.bytes());
    assert_eq!(listed(&proxy, &image.digest()).await.len(), 2);
    let failing = "require: wabbit, counter_sign: { key: acme.key, certificate_chain: acme.crt, \
                   published_as: \"elsewhere.example/{path}\", formats: [nv2] }";
    assert!(proxy.change("policies", &policy(failing)));
    served(&proxy.get("app:1").await, image.bytes());
    assert_eq!(listed(&proxy, &image.digest()).await.len(), 1);
}

/// Runs the program by the proxy's configuration.
async fn code(proxy: &Running, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.args(arguments).env("PORTCULLIS_CONFIG", proxy.folder.path().join("portcullis.yaml"));
    let output = command.kill_on_drop(true).stdin(std::process::Stdio::null()).output();
    let output = tokio::time::timeout(Duration::from_secs(60), output).await.unwrap().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[tokio::test]
async fn who_only_looks_opens_no_key() {
    let mut proxy = certifying(ALL, WAITING).upstream(signed("app")).start().await;
    proxy.stop().await;
    std::fs::remove_file(proxy.folder.path().join("acme.key")).unwrap();
    let reference = format!("{HOST}/app:1");
    for looks in [&["verify", &reference][..], &["store", "stats"], &["store", "verify"], &["store", "gc"]] {
        let (code, said) = code(&proxy, looks).await;
        assert_eq!(code, Some(0), "{looks:?}: {said}");
    }
    let file = proxy.folder.path().join("portcullis.yaml");
    for signs in [&["check", file.to_str().unwrap()][..], &["store", "prefetch", "-"]] {
        let (code, said) = code(&proxy, signs).await;
        assert!(code != Some(0) && said.contains("acme.key"), "{signs:?}: {said}");
    }
}
