//! Keys of counter-signing that others keep: when they are asked, and what goes on while nobody answers. A plug-in plays
//! those who keep them, which prints what a file of its request's name holds.

use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis::demo::signing::{Identity, Profile};
use portcullis::demo::{self, folder::Folder};
use portcullis::signing::Key;
use portcullis::x509::{Algorithm, Encoding, Hash};
use serde_json::{Value, json};

use crate::test_proxy::{HOST, Running, TestProxy, policy, signed};

const NONBLOCK: i32 = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();

/// What is signed when a plug-in's key is opened.
const PROBE: &[u8] = b"portcullis asks which key signs this; it vouches for nothing";

pub struct Plugin(tempfile::TempDir);

impl Plugin {
    pub fn new() -> Self {
        let plugin = Self(tempfile::tempdir().unwrap());
        let folder = plugin.path().display();
        let text = format!(
            "#!/bin/sh\ncat > /dev/null\necho $1 >> {folder}/asked\n\
             test ! -e {folder}/next.pem || mv {folder}/next.pem {folder}/import.pem\n\
             test ! -e {folder}/refusal || {{ cat {folder}/refusal >&2; exit 1; }}\ncat {folder}/$1\n"
        );
        // Written by a child: what others fork meanwhile would hold it open for writing, and it could not be run.
        let mut shell = std::process::Command::new("sh");
        let written =
            shell.args(["-c", "printf %s \"$1\" > \"$2\"", "sh", &text]).arg(plugin.program()).status();
        assert!(written.unwrap().success());
        let executable = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(plugin.program(), executable).unwrap();
        let metadata = json!({
            "name": "acme", "supportedContractVersions": ["1.0"], "capabilities": ["SIGNATURE_GENERATOR.RAW"],
        });
        plugin.put("get-plugin-metadata", &metadata);
        plugin.put("describe-key", &json!({ "keyId": "k", "keySpec": "EC-256" }));
        plugin.has(&Identity::self_signed(&Profile::of_host("acme-rockets.io")).unwrap());
        plugin
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    fn program(&self) -> std::path::PathBuf {
        self.path().join("notation-acme")
    }

    fn put(&self, command: &str, answer: &Value) {
        std::fs::write(self.path().join(command), answer.to_string()).unwrap();
    }

    /// From now on this is the key.
    fn has(&self, signer: &Identity) {
        let key =
            Key::from_pem(signer.key().private_pem().as_bytes(), &|| panic!("it is not encrypted")).unwrap();
        let signature = key.sign(Algorithm::Ecdsa(Hash::Sha256, Encoding::Fixed), PROBE).unwrap();
        let answer = json!({
            "keyId": "k", "signature": STANDARD.encode(signature), "signingAlgorithm": "ECDSA-SHA-256",
            "certificateChain": [STANDARD.encode(&signer.chain()[0])],
        });
        self.put("generate-signature", &answer);
    }

    /// From now on it says this instead of an answer.
    fn refuses(&self, code: &str) {
        self.put("refusal", &json!({ "errorCode": code, "errorMessage": "no" }));
    }

    /// From now on it answers to this command when it is let go: what is returned does that.
    pub fn waits(&self, command: &str) -> impl FnOnce() {
        let [pipe, answer] = [command, "answer"].map(|name| self.path().join(name));
        std::fs::rename(&pipe, &answer).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        move || {
            // A pipe that nobody reads from yet cannot be opened.
            let end = std::time::Instant::now() + Duration::from_secs(20);
            let open = || std::fs::File::options().write(true).custom_flags(NONBLOCK).open(&pipe);
            let mut waiting = loop {
                match open() {
                    Ok(waiting) => break waiting,
                    Err(error) => assert!(std::time::Instant::now() < end, "nobody asks: {error}"),
                }
                std::thread::sleep(Duration::from_millis(5));
            };
            std::io::copy(&mut std::fs::File::open(&answer).unwrap(), &mut waiting).unwrap();
            std::fs::rename(answer, pipe).unwrap();
        }
    }

    /// What it was asked so far.
    pub fn was_asked(&self) -> String {
        std::fs::read_to_string(self.path().join("asked")).unwrap_or_default()
    }

    /// What it was asked since it was asked last.
    pub fn asked(&self) -> String {
        let asked = self.was_asked();
        std::fs::write(self.path().join("asked"), "").unwrap();
        asked
    }

    pub fn policy(&self, id: &str, more: &str) -> String {
        let key = format!("plugin:{}?id={id}", self.program().display());
        format!("require: wabbit, counter_sign: {{ key: \"{key}\", formats: [cosign_bundle]{more} }}")
    }

    /// A key that changes when it is asked for the first time; the `trust` that names it.
    pub fn changes_an_import_key(&self) -> String {
        for name in ["import.pem", "next.pem"] {
            let key = demo::signing::Key::generate(demo::signing::KeyKind::P256).unwrap();
            std::fs::write(self.path().join(name), key.public_pem()).unwrap();
        }
        format!("trust: {{ import_keys: [\"{}/import.pem\"] }}\n", self.path().display())
    }

    async fn start(&self) -> Running {
        TestProxy::new().policy(&self.policy("k", "")).upstream(signed("app")).start().await
    }
}

/// Runs the program: its exit code, and what it said.
async fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_portcullis"));
    let output = command.args(arguments).kill_on_drop(true).stdin(std::process::Stdio::null()).output();
    let output = tokio::time::timeout(Duration::from_secs(60), output).await.unwrap().unwrap();
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

/// The revision of the last decision.
fn revision(proxy: &Running) -> Value {
    let line = proxy.audit().into_iter().rfind(|line| line["outcome"] == "allow").unwrap();
    line["policy_revision"].clone()
}

#[tokio::test]
async fn checking_a_configuration_has_no_key_sign() {
    let plugin = Plugin::new();
    let proxy = plugin.start().await;
    assert!(plugin.asked().contains("generate-signature"), "a start learns whose the key is");
    let file = proxy.folder.path().join("portcullis.yaml");
    let check = ["check", file.to_str().unwrap()];
    let (code, said) = run(&check).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("note: counter_sign of the policy strict: the plug-in knows the key"), "{said}");
    assert_eq!(plugin.asked(), "get-plugin-metadata\ndescribe-key\n");
    plugin.put("describe-key", &json!({ "keyId": "other", "keySpec": "EC-256" }));
    let (code, said) = run(&check).await;
    assert!(code == Some(64) && said.contains("policies.0.counter_sign.key: plugin:"), "{said}");
}

#[tokio::test]
async fn a_reload_goes_on_with_the_open_key_while_nobody_answers_for_it() {
    let plugin = Plugin::new();
    let mut proxy = plugin.start().await;
    plugin.refuses("TIMEOUT");
    proxy.get("app:1").await;
    let before = revision(&proxy);
    assert!(proxy.reload(), "what the reload is about has nothing to do with the key");
    proxy.get("app:1").await;
    assert_eq!(revision(&proxy), before);
    assert!(proxy.change("policies", &policy(&plugin.policy("k", ", attest: true"))));
    // Another key was never open, nor this one by another password.
    assert!(!proxy.change("policies", &policy(&plugin.policy("other", ""))));
    assert!(!proxy.change("policies", &policy(&plugin.policy("k", ", key_password_file: other"))));
    // Who answers is asked: a key that was replaced counts.
    assert!(proxy.change("policies", &policy(&plugin.policy("k", ""))));
    std::fs::remove_file(plugin.path().join("refusal")).unwrap();
    plugin.has(&Identity::self_signed(&Profile::of_host("acme-rockets.io")).unwrap());
    assert!(proxy.reload());
    proxy.get("app:1").await;
    assert_ne!(revision(&proxy), before);
}

#[tokio::test]
async fn a_reload_ends_where_the_key_is_refused() {
    let plugin = Plugin::new();
    let proxy = plugin.start().await;
    plugin.refuses("ACCESS_DENIED");
    assert!(!proxy.reload(), "who withdraws a key does not want it to go on");
    plugin.refuses("THROTTLED");
    assert!(proxy.reload());
    std::fs::remove_file(plugin.program()).unwrap();
    assert!(!proxy.reload(), "what is no more on this machine was taken away");
}

#[tokio::test]
async fn a_key_of_several_policies_is_opened_once() {
    let plugin = Plugin::new();
    let mut proxy = plugin.start().await;
    plugin.asked();
    let one = |name: &str| {
        let rest = plugin.policy("k", "");
        format!("{{ name: {name}, scopes: [\"{}/{name}\"], {rest} }}", HOST)
    };
    let several = format!("[{}, {}, {}]", one("a"), one("b"), one("c"));
    assert!(proxy.change("policies", &several));
    assert_eq!(plugin.asked(), "get-plugin-metadata\ndescribe-key\ngenerate-signature\n");
    plugin.refuses("ACCESS_DENIED");
    assert!(!proxy.reload());
    assert_eq!(plugin.asked(), "get-plugin-metadata\n", "nor is a refused one tried again");
}

/// Keys may be in it. Files that do not change hold up nobody.
#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_was_replaced_is_gone_while_files_are_watched() {
    let proxy = TestProxy::new().upstream(signed("app")).watching().start().await;
    let before = Arc::downgrade(&proxy.proxy().engine());
    // Nor do requests that come no more; this one writes no file.
    assert_eq!(proxy.path("/v2/").await.status, 200);
    assert!(proxy.reload());
    for _ in 0..100 {
        if before.upgrade().is_none() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("somebody has it still");
}

/// What is read before the keys are asked for is watched before it is read, though no configuration named it so far. The
/// file itself is out of sight, as behind a link: nothing else has it read again.
#[tokio::test(flavor = "multi_thread")]
async fn what_changes_while_a_reload_asks_for_keys_is_read_after_it() {
    let (plugin, aside) = (Plugin::new(), Folder::new().unwrap());
    let proxy = TestProxy::new().upstream(signed("app")).watching().start().await;
    let text = proxy.moves_its_file(&aside).await.replace("require: wabbit", &plugin.policy("k", ""));
    aside.write("real.yaml", &(text + &plugin.changes_an_import_key())).unwrap();
    assert!(proxy.reload());
    proxy.reloaded(3).await;
}
