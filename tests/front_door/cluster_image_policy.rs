//! A policy that says `from: {cluster_image_policy: FILE}`: the file decides, and its faults are shown.

use std::process::Command;

use portcullis::demo::signing::{Key, KeyKind, cosign};
use portcullis::demo::{Fault, Package, Registry};

use crate::test_proxy::{HOST, Running, TestProxy, policy, refused, unsigned};

const FROM: &str = "from: { cluster_image_policy: release.yaml }";

/// An image under `name:1`, signed with a key.
fn signed_by(key: &Key, name: &'static str) -> impl FnOnce(&Registry) + use<> {
    let image = Package::image(name);
    let payload = cosign::payload(&format!("{HOST}/{name}"), &image.digest());
    let signature = cosign::image(key, &payload).unwrap();
    move |registry| {
        registry.push(name, "1", &image);
        registry.push(name, cosign::tag(&image.digest()).as_str(), &signature);
    }
}

/// One policy of the file.
fn document(name: &str, glob: &str, rest: &str) -> String {
    format!(
        "---\napiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata:\n  name: {name}\nspec:\n  \
         images:\n  - glob: \"{glob}\"\n  {rest}\n"
    )
}

fn by(keys: &[&Key]) -> String {
    let authority =
        |key: &&Key| format!("{{ key: {{ data: {} }} }}", serde_json::to_string(&key.public_pem()).unwrap());
    format!("authorities: [{}]", keys.iter().map(authority).collect::<Vec<_>>().join(", "))
}

async fn start(proxy: TestProxy, file: &str) -> Running {
    let mut proxy = proxy.start().await;
    proxy.folder.write("release.yaml", file).unwrap();
    assert!(proxy.change("policies", &policy(FROM)), "{file}");
    proxy
}

#[tokio::test]
async fn the_file_decides_what_is_served() {
    let (key, other) = (Key::generate(KeyKind::P256).unwrap(), Key::generate(KeyKind::P256).unwrap());
    let proxy = TestProxy::new()
        .upstream(signed_by(&key, "team/app"))
        .upstream(signed_by(&other, "team/foreign"))
        .upstream(unsigned("team/bare"))
        .upstream(signed_by(&key, "elsewhere/app"));
    let file = document("team", &format!("{HOST}/team/*"), &by(&[&key]));
    let mut proxy = start(proxy, &file).await;
    assert_eq!(proxy.get("team/app:1").await.status, 200);
    refused(&proxy.get("team/foreign:1").await, 403, "DENIED", "has no trusted signature: 1 found");
    let bare = proxy.get("team/bare:1").await;
    refused(&bare, 403, "DENIED", "none found (looked for cosign), needs release/team/authority-0");
    let words = "is covered by no ClusterImagePolicy of release.yaml, which are about registry.test/team/*";
    refused(&proxy.get("elsewhere/app:1").await, 403, "DENIED", words);
    // The other key is an alternative; a further policy is a further demand.
    let either = document("team", &format!("{HOST}/team/*"), &by(&[&key, &other]));
    proxy.folder.write("release.yaml", &either).unwrap();
    assert!(proxy.reload());
    assert_eq!(proxy.get("team/foreign:1").await.status, 200);
    let both = format!("{either}{}", document("all", "**", &by(&[&key])));
    proxy.folder.write("release.yaml", &both).unwrap();
    assert!(proxy.reload());
    refused(&proxy.get("team/foreign:1").await, 403, "DENIED", "lacks signatures that it needs");
    assert_eq!(proxy.get("team/app:1").await.status, 200);
    assert_eq!(proxy.get("elsewhere/app:1").await.status, 200);
    proxy.stop().await;
}

/// `source` of one policy counts for what that policy is about, and for nothing else.
#[tokio::test]
async fn signatures_are_looked_for_where_an_authority_says() {
    let key = Key::generate(KeyKind::P256).unwrap();
    let there = |name: &'static str| {
        let image = Package::image(name);
        let signature = cosign::image(&key, &cosign::payload("x", &image.digest())).unwrap();
        move |registry: &Registry| {
            registry.push("cosign", cosign::tag(&image.digest()).as_str(), &signature);
        }
    };
    let (app, other) = (there("team/app"), there("other/app"));
    let proxy = TestProxy::new().upstream(unsigned("team/app")).upstream(unsigned("other/app")).upstream_at(
        "sigs.test",
        move |registry| {
            app(registry);
            other(registry);
        },
    );
    let source = |oci: &str| by(&[&key]).replace(" }]", &format!(", source: [{{ oci: {oci} }}] }}]"));
    let team = |oci: &str| document("team", &format!("{HOST}/team/*"), &source(oci));
    let file =
        format!("{}{}", team("sigs.test/cosign"), document("all", &format!("{HOST}/other/*"), &by(&[&key])));
    let proxy = start(proxy, &file).await;
    assert_eq!(proxy.get("team/app:1").await.status, 200);
    refused(&proxy.get("other/app:1").await, 403, "DENIED", "none found");
    // Who cannot be asked is not configured, and who does not answer is not taken for one who has none.
    proxy.folder.write("release.yaml", &team("absent.test/cosign")).unwrap();
    assert!(!proxy.reload());
    assert_eq!(proxy.get("team/app:1").await.status, 200);
    proxy.folder.write("release.yaml", &team("sigs.test/other")).unwrap();
    assert!(proxy.reload());
    proxy.at("sigs.test").fault("/v2/other/", Fault::Status(500, None));
    assert_eq!(proxy.get("team/app:1").await.status, 200, "what was proven is kept");
    proxy.upstream().push("team/new", "1", &Package::image("team/new"));
    refused(&proxy.get("team/new:1").await, 503, "UNAVAILABLE", "sigs.test/other");
}

#[tokio::test]
async fn the_files_modes_are_applied_and_recorded() {
    let key = Key::generate(KeyKind::P256).unwrap();
    let proxy =
        TestProxy::new().upstream(unsigned("warn")).upstream(unsigned("pass")).upstream(unsigned("fail"));
    let pass = "authorities: [{ static: { action: pass } }]";
    let fail = "authorities: [{ static: { action: fail, message: retired } }]";
    let file = [
        document("lax", &format!("{HOST}/warn"), &format!("{}\n  mode: warn", by(&[&key]))),
        document("open", &format!("{HOST}/pass"), pass),
        document("shut", &format!("{HOST}/fail"), fail),
    ];
    let mut proxy = start(proxy, &file.concat()).await;
    assert_eq!(proxy.get("warn:1").await.status, 200);
    assert_eq!(proxy.get("pass:1").await.status, 200);
    let words = "is disallowed by ClusterImagePolicy shut (static: fail): retired";
    refused(&proxy.get("fail:1").await, 403, "DENIED", words);
    proxy.stop().await;
    let lines = proxy.audit();
    let of = |name: &str| {
        let line = lines.iter().find(|line| line["repository"] == format!("{HOST}/{name}")).unwrap();
        ["outcome", "mode"].map(|key| line[key].as_str().unwrap().to_owned())
    };
    assert_eq!(of("warn"), ["deny", "audit"]);
    assert_eq!(of("pass"), ["allow", "allow"]);
    assert_eq!(of("fail"), ["deny", "enforce"]);
}

#[tokio::test]
async fn a_file_that_cannot_be_honoured_is_not_taken_and_check_shows_where() {
    let key = Key::generate(KeyKind::P256).unwrap();
    let proxy = TestProxy::new().upstream(signed_by(&key, "app"));
    let mut proxy = start(proxy, &document("all", "**", &by(&[&key]))).await;
    let broken = document("all", "**", "authorities:\n  - key:\n      kms: gcpkms://projects/p");
    proxy.folder.write("release.yaml", &broken).unwrap();
    assert!(!proxy.reload());
    assert_eq!(proxy.get("app:1").await.status, 200, "what was in force stays");
    let config = proxy.folder.path().join("portcullis.yaml");
    let output = Command::new(env!("CARGO_BIN_EXE_portcullis")).arg("check").arg(&config).output().unwrap();
    let shown = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(64), "{shown}");
    let place = format!(
        "policies.0.from.cluster_image_policy: {}:11:7: ClusterImagePolicy all: spec.authorities[0].key.kms: keys of a \
         key management service are not fetched: write the public key in `data`",
        proxy.folder.path().join("release.yaml").display()
    );
    assert!(shown.contains(&place), "{place}\nis not in\n{shown}");
    proxy.stop().await;
}
