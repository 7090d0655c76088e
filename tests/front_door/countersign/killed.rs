//! Ends in the middle of counter-signing: what is there afterwards is whole, and what is not is made.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::process::Stdio;
use std::time::Duration;

use portcullis::demo::Package;
use portcullis::demo::client::Client;
use portcullis::demo::signing::cosign;
use portcullis::oci::Digest;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::process::{Child, Command};
use tokio::time::sleep;

use super::{ALL, certifying, developer, listed_of};
use crate::test_proxy::{HOST, Running, push_signed, served};

const ROUNDS: u64 = 6;
/// So many are pulled at once each time.
const PULLS: u64 = 3;
/// The publisher's signature, four of ours in formats that are referrers, and the summary.
const REFERRERS: usize = 6;

fn name(round: u64, pull: u64) -> String {
    format!("app{round}-{pull}")
}

/// The program itself, by the configuration of a proxy that was stopped, once it answers.
async fn program(proxy: &Running, url: &str) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.args(["serve", "--config"]).arg(proxy.folder.path().join("portcullis.yaml"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let child = command.spawn().unwrap();
    for _ in 0..2000 {
        if Client::new().get(&format!("{url}/v2/")).await.is_ok() {
            break;
        }
        sleep(Duration::from_millis(5)).await;
    }
    child
}

/// Begins pulls, and ends the program with SIGKILL after a while.
async fn pulled_and_killed(proxy: &Running, url: &str, round: u64) {
    let mut child = program(proxy, url).await;
    let pulls: Vec<_> = (0..PULLS)
        .map(|pull| {
            let url = format!("{url}/v2/{HOST}/{}/manifests/1", name(round, pull));
            tokio::spawn(async move { Client::new().get(&url).await.map(drop) })
        })
        .collect();
    // Some before the first answer, some after the last signature.
    sleep(Duration::from_millis(20 + round * 50 + fastrand::u64(0..50))).await;
    child.kill().await.unwrap();
    for pull in pulls {
        // It may have been answered or not.
        let _ = pull.await.unwrap();
    }
}

/// Asserts that all that is listed, and what is under the `.sig` tag, can be had byte for byte. Where all referrers are
/// there, the tag is too.
async fn is_whole(proxy: &Running, app: &str, image: &Package, artifacts: &[Digest]) {
    let tagged = proxy.get(&format!("{app}:{}", cosign::tag(&image.digest()))).await;
    let mut manifests = Vec::new();
    if tagged.status == 200 {
        let signatures: Value = serde_json::from_slice(&tagged.body).unwrap();
        assert_eq!(signatures["layers"].as_array().unwrap().len(), 1, "one signature under the tag");
        manifests.push(signatures);
    }
    assert!(tagged.status == 200 || artifacts.len() < REFERRERS, "{app}: no signature under the tag");
    for artifact in artifacts {
        let answer = proxy.get(&format!("{app}@{artifact}")).await;
        assert!(answer.status == 200 && artifact.matches(&answer.body), "{app}@{artifact}");
        manifests.push(serde_json::from_slice(&answer.body).unwrap());
    }
    for manifest in &manifests {
        for blob in manifest["layers"].as_array().unwrap().iter().chain([&manifest["config"]]) {
            let digest = Digest::parse(blob["digest"].as_str().unwrap()).unwrap();
            let answer = proxy.blob(app, &digest).await;
            assert!(answer.status == 200 && digest.matches(&answer.body), "{app}: {digest} of {manifest}");
        }
    }
}

/// How many signatures of each format are believed by the organisation's key alone.
async fn believed(developer: &Running, app: &str) -> BTreeMap<String, usize> {
    let mut verify = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    verify.args(["verify", "--output", "json", &format!("{HOST}/{app}:1"), "--config"]);
    verify.arg(developer.folder.path().join("portcullis.yaml")).kill_on_drop(true);
    let output = verify.stdin(Stdio::null()).output().await.unwrap();
    let verdict: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut formats = BTreeMap::new();
    for signature in verdict["signatures"].as_array().unwrap() {
        if signature["result"] == "trusted" {
            *formats.entry(signature["format"].as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
    formats
}

fn is_chained(proxy: &Running) {
    let text = std::fs::read_to_string(proxy.folder.path().join("audit.jsonl")).unwrap();
    let mut previous = hex::encode([0; 32]);
    for (at, line) in text.lines().enumerate() {
        let value: Value = serde_json::from_str(line).unwrap();
        assert_eq!((&value["sequence"], &value["previous"]), (&(at + 1).into(), &previous.into()), "{line}");
        previous = hex::encode(Sha256::digest(line));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_killed_while_it_signs_leaves_nothing_half_nothing_lost_and_nothing_twice() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let images = || (0..ROUNDS).flat_map(|round| (0..PULLS).map(move |pull| name(round, pull)));
    let mut proxy = certifying(ALL, ", attest: true")
        .with("listen", &format!("{{ address: \"127.0.0.1:{port}\" }}"))
        .upstream(move |registry| {
            for app in images() {
                push_signed(registry, &app, "1", &Package::image(&app));
            }
        })
        .start()
        .await;
    let url = format!("http://127.0.0.1:{port}");
    proxy.stop().await;
    let mut made: BTreeMap<String, Vec<Digest>> = BTreeMap::new();
    for round in 0..ROUNDS {
        pulled_and_killed(&proxy, &url, round).await;
        proxy.start_again().await;
        for app in (0..PULLS).map(|pull| name(round, pull)) {
            let image = Package::image(&app);
            let there = listed_of(&proxy, &app, &image.digest()).await;
            assert!([1, REFERRERS].contains(&there.len()), "{app}: all or none: {there:?}");
            is_whole(&proxy, &app, &image, &there).await;
            served(&proxy.get(&format!("{app}:1")).await, image.bytes());
            let mut all = there;
            for _ in 0..500 {
                if all.len() == REFERRERS {
                    break;
                }
                sleep(Duration::from_millis(20)).await;
                all = listed_of(&proxy, &app, &image.digest()).await;
            }
            assert_eq!(all.len(), REFERRERS, "{app}: none is lost for good");
            is_whole(&proxy, &app, &image, &all).await;
            made.insert(app, all);
        }
        proxy.stop().await;
        is_chained(&proxy);
    }
    proxy.start_again().await;
    let signers = "{ notation: { notation: { trust_store: \"ca:acme\", trust_store_dir: trust, trusted_identities: [\"*\"] } }, \
                   cosign: { cosign: { key: acme.pub, transparency_log: ignore } }, \
                   nv2: { nv2: { certificates: [acme.crt], names: [acme-rockets.io] } }, \
                   nobody: { nv2: { certificates: [stranger.crt] } } }";
    // Whom nothing satisfies looks at all of it.
    let summary =
        "{ attested: { by: cosign, predicate_type: \"https://slsa.dev/verification_summary/v1\" } }";
    let require = format!("{{ all: [notation, cosign, nv2, {summary}, nobody] }}");
    let developer = developer(&proxy, signers, &require).await;
    for (app, all) in &made {
        assert_eq!(listed_of(&proxy, app, &Package::image(app).digest()).await, *all, "{app}");
        let of = |format: &str, count| (format.to_owned(), count);
        let expected = BTreeMap::from([of("cosign", 3), of("notation", 2), of("nv2", 1)]);
        assert_eq!(believed(&developer, app).await, expected, "{app}");
    }
}
