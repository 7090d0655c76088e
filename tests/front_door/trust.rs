//! `portcullis trust update` as people run it: the built program against a TUF repository on loopback; and
//! what a server makes of the trusted root that it wrote.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{SHA256, digest};
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use rcgen::{KeyPair, PublicKeyData as _, SigningKey as _};
use serde_json::{Value, json};

use crate::test_proxy::{TestProxy, signed};

/// Of a signer who needs the trusted root's logs.
const KEY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/sigstore/pki/key-p256.pub");

const ROLES: [&str; 4] = ["root", "timestamp", "snapshot", "targets"];

/// A repository of one key. Without line feeds, serde_json's compact form is the canonical one.
struct Repository {
    key: KeyPair,
    version: u64,
    logs: Vec<&'static str>,
    expires: &'static str,
}

impl Repository {
    fn new() -> Self {
        let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        Self { key, version: 1, logs: vec!["https://log.example"], expires: "2999-01-01T00:00:00Z" }
    }

    fn signed(&self, role: &str, version: u64, mut body: Value) -> Vec<u8> {
        let head =
            json!({"_type": role, "spec_version": "1.0.34", "version": version, "expires": self.expires});
        body.as_object_mut().unwrap().extend(head.as_object().unwrap().clone());
        let signature = hex::encode(self.key.sign(&serde_json::to_vec(&body).unwrap()).unwrap());
        serde_json::to_vec(&json!({"signed": body, "signatures": [{"keyid": "k", "sig": signature}]}))
            .unwrap()
    }

    fn root(&self) -> Vec<u8> {
        let public = hex::encode(self.key.der_bytes());
        let key = json!({"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": public}});
        let roles = ROLES.map(|role| (role, json!({"keyids": ["k"], "threshold": 1})));
        let roles: BTreeMap<_, _> = roles.into();
        self.signed("root", 1, json!({"consistent_snapshot": false, "keys": {"k": key}, "roles": roles}))
    }

    fn target(&self) -> Vec<u8> {
        let log = |url: &&str| {
            json!({
                "baseUrl": url, "hashAlgorithm": "SHA2_256", "logId": {"keyId": "AAAAAA=="},
                "publicKey": {
                    "rawBytes": "MCowBQYDK2VwAyEAt8rlp1knGwjfbcXAYPYAkn0XiLz1x8O4t0YkEhie244=",
                    "keyDetails": "PKIX_ED25519",
                    "validFor": {"start": "2025-09-23T00:00:00Z"},
                },
            })
        };
        let logs: Vec<_> = self.logs.iter().map(log).collect();
        let media_type = "application/vnd.dev.sigstore.trustedroot+json;version=0.1";
        serde_json::to_vec(&json!({"mediaType": media_type, "tlogs": logs})).unwrap()
    }

    async fn serve(&self) -> String {
        let target = self.target();
        let hashes = json!({"sha256": hex::encode(digest(&SHA256, &target))});
        let named = json!({"trusted_root.json": {"length": target.len(), "hashes": hashes}});
        let version = self.version;
        let files: BTreeMap<_, _> = [
            (
                "/timestamp.json",
                self.signed("timestamp", version, json!({"meta": {"snapshot.json": {"version": version}}})),
            ),
            (
                "/snapshot.json",
                self.signed("snapshot", version, json!({"meta": {"targets.json": {"version": version}}})),
            ),
            ("/targets.json", self.signed("targets", version, json!({"targets": named}))),
            ("/targets/trusted_root.json", target),
        ]
        .into();
        let give = |State(files): State<BTreeMap<&'static str, Vec<u8>>>, uri: Uri| async move {
            files.get(uri.path()).cloned().ok_or(StatusCode::NOT_FOUND)
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(give).with_state(files);
        tokio::spawn(async move { axum::serve(listener, app).await });
        url
    }
}

/// Runs `trust update`; its exit code and what it wrote.
async fn update(arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.args(["trust", "update"]).args(arguments).env_remove("PORTCULLIS_CONFIG");
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.code().unwrap(), text)
}

fn written(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_says_what_it_brought_and_refuses_to_go_back() {
    let folder = tempfile::tempdir().unwrap();
    let (root, output) = (folder.path().join("first.json"), folder.path().join("kept/trusted_root.json"));
    let mut repository = Repository::new();
    std::fs::write(&root, repository.root()).unwrap();
    let run = async |url: &str| {
        update(&["--mirror", url, "--root", written(&root), "--output", written(&output)]).await
    };

    let first = repository.serve().await;
    let (code, text) = run(&first).await;
    assert_eq!(code, 0, "{text}");
    for line in ["timestamp: version 1", "added: transparency log https://log.example (log id AAAAAA==)"] {
        assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    }
    assert!(text.contains("trusted_root.json: is new"), "{text}");
    assert_eq!(std::fs::read(&output).unwrap(), repository.target());

    (repository.version, repository.logs) = (2, vec!["https://log2.example"]);
    let second = repository.serve().await;
    let (code, text) = run(&second).await;
    assert_eq!(code, 0, "{text}");
    for line in [
        "timestamp: version 1 -> 2",
        "removed: transparency log https://log.example (log id AAAAAA==)",
        "added: transparency log https://log2.example (log id AAAAAA==)",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    }
    let (code, text) = run(&second).await;
    assert!(code == 0 && text.contains("is still the current one"), "{text}");

    let (code, text) = run(&first).await;
    let why = "timestamp.json: a rollback of timestamp.json: version 2 was seen before, found version 1";
    assert!(code == 1 && text.contains(why), "{text}");
    assert_eq!(std::fs::read(&output).unwrap(), repository.target());

    repository.expires = "2026-01-01T00:00:00Z";
    std::fs::write(&root, repository.root()).unwrap();
    std::fs::remove_dir_all(output.parent().unwrap()).unwrap();
    let (code, text) = run(&repository.serve().await).await;
    assert!(code == 1 && text.contains("expired at 2026-01-01T00:00:00Z"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_reached_or_is_asked_wrongly_has_its_own_code() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("trusted_root.json");
    let (code, text) = update(&["--mirror", "http://127.0.0.1:1", "--output", written(&output)]).await;
    assert_eq!(code, 2, "{text}");
    let (code, text) = update(&[]).await;
    assert!(code == 64 && text.contains("trust.tuf.path"), "{text}");
    let (code, text) = update(&["--mirror", "sigstore", "--output", written(&output)]).await;
    assert!(code == 64 && text.contains("--mirror: expected a URL"), "{text}");
    let absent = folder.path().join("absent.json");
    let (code, text) = update(&["--root", written(&absent), "--output", written(&output)]).await;
    assert!(code == 64 && text.contains("absent.json"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_configuration_says_whom_to_ask_and_where_to_keep_it() {
    let folder = tempfile::tempdir().unwrap();
    let repository = Repository::new();
    let url = repository.serve().await;
    std::fs::write(folder.path().join("first.json"), repository.root()).unwrap();
    let config = folder.path().join("portcullis.yaml");
    let trust = format!("trust: {{ tuf: {{ url: \"{url}\", root: first.json, path: sigstore }} }}\n");
    std::fs::write(&config, &trust).unwrap();
    let check = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        let output = command.args(["check", written(&config)]).output().unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    let before = check();
    let place = "portcullis.yaml:1:";
    assert!(before.contains(place) && before.contains(": trust.tuf.path: "), "{before}");
    let (code, text) = update(&["--config", written(&config)]).await;
    assert_eq!(code, 0, "{text}");
    assert_eq!(std::fs::read(folder.path().join("sigstore/trusted_root.json")).unwrap(), repository.target());
    let unneeded = check();
    assert!(unneeded.contains(": ok (") && !unneeded.contains("known to be current"), "{unneeded}");
    let signers = format!("signers: {{ a: {{ cosign: {{ key: \"{KEY}\" }} }} }}\n");
    let policies = "policies: [{ name: p, scopes: [\"docker.io/**\"], require: a }]\n";
    std::fs::write(&config, [&trust, &signers, policies].concat()).unwrap();
    let after = check();
    assert!(after.contains("sigstore/trusted_root.json, known to be current at 20"), "{after}");
    assert!(after.contains("warning: trust.tuf.url"), "{after}");
}

#[tokio::test]
async fn the_age_of_the_trusted_root_is_measured_and_a_new_one_is_noticed() {
    const AGE: &str = "portcullis_trust_root_age_seconds";
    const DAY: f64 = 86_400.0;
    const ROOT: &str = include_str!("../../config/sigstore/public-good/trusted_root.json");
    let signers = format!("{{ wabbit: {{ cosign: {{ key: \"{KEY}\" }} }} }}");
    let mut proxy = TestProxy::new().upstream(signed("app")).with("signers", &signers).start().await;
    let now = proxy.clock.now();
    // What is built in was current at 2026-08-21T19:25:56Z.
    let built_in = SystemTime::UNIX_EPOCH + Duration::from_secs(1_787_340_356);
    let age = now.duration_since(built_in).unwrap_or_default().as_secs_f64();
    assert!((proxy.metric(AGE).await - age).abs() < 2.0);

    let configured = "{ tuf: { path: trust/sigstore } }";
    assert!(!proxy.change("trust", configured), "there is no trusted root in it");
    let file = proxy.folder.write("trust/sigstore/trusted_root.json", ROOT).unwrap();
    let dated =
        |at: SystemTime| std::fs::File::options().write(true).open(&file).unwrap().set_modified(at).unwrap();
    dated(now - Duration::from_secs(5 * 86_400));
    assert!(proxy.reload());
    assert!((proxy.metric(AGE).await - 5.0 * DAY).abs() < 2.0);
    dated(now);
    assert!(proxy.reload());
    assert!(proxy.metric(AGE).await < 2.0);
}
