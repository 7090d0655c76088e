//! Signatures that `portcullis sign` makes, verified by the tool of each format, from both kinds of registry.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::content;
use super::notary::pki::{AUTHORITY, Pki, SIGNER};
use super::notary::tool::simple;
use super::process::{Outcome, run};
use super::proxy::{PORTCULLIS, portcullis};
use super::stand::{SIGNED, Stand};
use super::upstream::Kind;

const KINDS: [&str; 6] = ["P-256", "P-384", "P-521", "rsa2048", "rsa3072", "rsa4096"];

fn sign(stand: &Stand, key: &str, format: &str, form: &str) -> Command {
    let mut sign = portcullis(stand);
    sign.args(["sign", "--insecure", "--key", key, "--format", format, "--form", form]);
    sign
}

/// A key of the PKI with its chain in one file.
fn chain(pki: &Pki<'_>, name: &str, issuers: &[&str]) -> [String; 4] {
    let path = pki.path(&format!("{name}.chain"));
    let read = |name: &&str| std::fs::read_to_string(pki.path(&format!("{name}.pem"))).unwrap();
    std::fs::write(&path, [&[name], issuers].concat().iter().map(read).collect::<String>()).unwrap();
    let key = pki.path(&format!("{name}.key"));
    ["--key", key.to_str().unwrap(), "--certificate-chain", path.to_str().unwrap()].map(str::to_owned)
}

/// A new image of this name: its reference by digest.
fn image(stand: &Stand, repository: &str) -> String {
    let digest = stand.push(repository, content::image);
    stand.reference(repository, &digest)
}

#[test]
#[ignore = "needs notation, openssl"]
fn needs_notation_verifies_what_is_signed_here() {
    for kind in Kind::ALL {
        let stand = Stand::new(kind);
        let pki = Pki::new(&stand);
        stand.trust(&pki, "ca/acme", "root");
        stand.policy(&simple(json!({ "level": "strict" }), &["ca:acme"]));
        for key in KINDS {
            let name = key.to_lowercase();
            pki.issue("middle", &name, key, SIGNER, None);
            let [_, path, flag, chain] = chain(&pki, &name, &["middle", "root"]);
            for form in ["jws", "cose"] {
                let reference = image(&stand, &format!("made/{name}-{form}"));
                let mut sign = sign(&stand, &path, "notation", form);
                sign.args([&flag, &chain]).args(["--annotation", "stage=prod", "--expiry", "1h"]);
                run(sign.arg(&reference)).passed().says("signed by");
                let said = ["--user-metadata", "stage=prod"];
                run(stand
                    .command("notation")
                    .args(["verify", "--insecure-registry"])
                    .args(said)
                    .arg(&reference))
                .passed();
                run(stand.command("notation").args([
                    "verify",
                    "--insecure-registry",
                    "--user-metadata",
                    "stage=test",
                    &reference,
                ]))
                .failed();
                run(stand.command("notation").args(["list", "--insecure-registry", &reference]))
                    .passed()
                    .says("sha256:");
                stand.portcullis_verify(&reference).passed();
            }
        }
        // Another root is not trusted: what passed above passed for the chain's sake.
        pki.root("other");
        pki.issue("other", "stranger", "P-256", SIGNER, None);
        let [_, path, flag, chain] = chain(&pki, "stranger", &["other"]);
        let reference = image(&stand, "made/stranger");
        run(sign(&stand, &path, "notation", "jws").args([&flag, &chain, &reference])).passed();
        stand.agree(&reference, false);
        // The timestamp authority's certificate is not one to sign images with.
        pki.issue("middle", "stamper", "P-256", AUTHORITY, None);
        let [_, path, flag, chain] = self::chain(&pki, "stamper", &["middle", "root"]);
        run(sign(&stand, &path, "notation", "jws").args([&flag, &chain, &reference]))
            .failed()
            .says("extended key usage must not contain timeStamping");
    }
}

#[test]
#[ignore = "needs notation, openssl, python3, curl"]
fn needs_notation_believes_the_timestamps_of_what_is_signed_here() {
    const BRIEF: Duration = Duration::from_secs(20);
    let stand = Stand::new(Kind::Referrers);
    let pki = Pki::new(&stand);
    pki.root("tsa-root");
    let publisher = pki.publisher();
    let listed =
        format!("{AUTHORITY}\ncrlDistributionPoints = URI:http://127.0.0.1:{}/crl/tsa", publisher.port);
    pki.issue("tsa-root", "tsa", "P-256", &listed, None);
    pki.publish_crl("tsa-root", "tsa", "");
    pki.issue("middle", "brief", "P-256", SIGNER, Some(BRIEF));
    let end = Instant::now() + BRIEF + Duration::from_secs(1);
    stand.trust(&pki, "ca/acme", "root");
    stand.trust(&pki, "tsa/acme", "tsa-root");
    let [_, path, flag, chain] = chain(&pki, "brief", &["middle", "root"]);
    let url = format!("http://127.0.0.1:{}/tsa/tsa", publisher.port);
    let root = |name: &str| pki.path(&format!("{name}.pem")).to_str().unwrap().to_owned();
    let mut stamped = Vec::new();
    for form in ["jws", "cose"] {
        let reference = image(&stand, &format!("made/stamped-{form}"));
        let mut sign = sign(&stand, &path, "notation", form);
        sign.args([
            &flag,
            &chain,
            "--timestamp-url",
            &url,
            "--timestamp-root",
            &root("tsa-root"),
            &reference,
        ]);
        run(&mut sign).passed();
        stamped.push(reference);
    }
    let plain = image(&stand, "made/plain");
    run(sign(&stand, &path, "notation", "jws").args([&flag, &chain, &plain])).passed();
    let mut elsewhere = sign(&stand, &path, "notation", "jws");
    elsewhere.args([&flag, &chain, "--timestamp-url", &url, "--timestamp-root", &root("root"), &plain]);
    run(&mut elsewhere).failed().says("no timestamp");
    thread::sleep(end.saturating_duration_since(Instant::now()));
    stand.policy(&simple(json!({ "level": "strict" }), &["ca:acme", "tsa:acme"]));
    for reference in stamped {
        stand.agree(&reference, true);
    }
    stand.agree(&plain, false);
}

fn cosign_verify(stand: &Stand, version: &str, key: &str, arguments: &[&str], reference: &str) -> Outcome {
    let mut verify = stand.command(version);
    verify.args(["verify", "--allow-insecure-registry", "--insecure-ignore-tlog=true", "--key", key]);
    run(verify.args(arguments).arg(reference))
}

/// Every kind of key that cosign verifies by SHA-256 or as Ed25519 does, made here; and cosign's own, encrypted.
fn cosign_keys(stand: &Stand) -> Vec<(String, String)> {
    let mut keys = vec![("cosign.key".to_owned(), "cosign.pub".to_owned())];
    for kind in ["p256", "p521", "ed25519", "rsa2048", "rsa4096"] {
        let (private, public) = (format!("{kind}.key"), format!("{kind}.pub"));
        let mut generate = portcullis(stand);
        let shown = run(generate.args(["key", "generate", "--kind", kind, "--output", &private])).passed();
        let (_, pem) = shown.stdout.split_once("-----BEGIN").unwrap();
        stand.file(&public, &format!("-----BEGIN{pem}"));
        keys.push((private, public));
    }
    keys
}

#[test]
#[ignore = "needs cosign 2 and 3"]
fn needs_cosign_verifies_what_is_signed_here() {
    for kind in Kind::ALL {
        let stand = Stand::new(kind);
        stand.file("password", "");
        for (private, public) in cosign_keys(&stand) {
            let name = private.split_once('.').unwrap().0;
            for (form, versions) in [("bundle", &["cosign"][..]), ("tag", &["cosign", "cosign2"])] {
                let reference = image(&stand, &format!("made/{name}-{form}"));
                let mut sign = sign(&stand, &private, "cosign", form);
                sign.args(["--key-password-file", "password", "--annotation", "stage=prod", &reference]);
                run(&mut sign).passed().says("signed by");
                for version in versions {
                    let said = |stage: &'static str| {
                        let bundles = if form == "bundle" { "true" } else { "false" };
                        let bundles = format!("--new-bundle-format={bundles}");
                        let mut said = vec!["--annotations".to_owned(), stage.to_owned()];
                        said.extend((*version == "cosign").then_some(bundles));
                        said
                    };
                    let verify = |key: &str, stage: &'static str| {
                        let said = said(stage);
                        let said: Vec<&str> = said.iter().map(String::as_str).collect();
                        cosign_verify(&stand, version, key, &said, &reference)
                    };
                    verify(&public, "stage=prod").passed();
                    verify(&public, "stage=test").failed();
                    let other = if public == "p256.pub" { "cosign.pub" } else { "p256.pub" };
                    verify(other, "stage=prod").failed();
                }
            }
        }
    }
}

#[test]
#[ignore = "needs cosign"]
fn needs_cosign_signs_beside_what_is_signed_here() {
    let stand = Stand::new(Kind::TagSchema);
    let keys = cosign_keys(&stand);
    let reference = image(&stand, "made/both");
    stand.file("password", "");
    let ours = |key: &str| {
        run(sign(&stand, key, "cosign", "tag").args(["--key-password-file", "password", &reference]))
            .passed();
    };
    ours("p256.key");
    let mut theirs = stand.command("cosign");
    theirs.env("COSIGN_PASSWORD", "").args([
        "sign",
        "--yes",
        "--allow-insecure-registry",
        "--key",
        "cosign.key",
    ]);
    theirs.args([
        "--tlog-upload=false",
        "--use-signing-config=false",
        "--new-bundle-format=false",
        &reference,
    ]);
    run(&mut theirs).passed();
    ours("rsa2048.key");
    for (_, public) in
        keys.iter().filter(|(key, _)| ["cosign.key", "p256.key", "rsa2048.key"].contains(&&**key))
    {
        cosign_verify(&stand, "cosign", public, &["--new-bundle-format=false"], &reference).passed();
    }
    cosign_verify(&stand, "cosign", "ed25519.pub", &["--new-bundle-format=false"], &reference).failed();
}

/// The commands of docs/SIGNING.md, in their order.
#[test]
#[ignore = "needs cosign, notation, openssl"]
fn needs_cosign_and_notation_the_signing_walkthrough_holds() {
    const PAGE: &str = include_str!("../../docs/SIGNING.md");
    let stand = Stand::new(Kind::Referrers);
    stand.push(SIGNED, content::image);
    stand.policy(&simple(json!({ "level": "strict" }), &["ca:acme"]));
    let folder = std::path::Path::new(PORTCULLIS).parent().unwrap().display();
    let blocks: Vec<_> =
        PAGE.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap()).collect();
    assert_eq!(blocks.len(), 3);
    for block in blocks {
        let mut shell = stand.command("sh");
        shell.env("REGISTRY", stand.upstream.address());
        run(shell.args(["-ec", &format!("PATH={folder}:$PATH; {block}")])).passed();
    }
}

#[test]
#[ignore = "needs cosign, oras, docker-registry"]
fn needs_docker_registry_twenty_signers_lose_nothing() {
    let stand = Stand::new(Kind::TagSchema);
    let reference = image(&stand, "made/race");
    run(portcullis(&stand).args(["key", "generate", "--output", "race.key"])).passed();
    for form in ["bundle", "tag"] {
        thread::scope(|scope| {
            for number in 0..20 {
                let (stand, reference) = (&stand, &reference);
                scope.spawn(move || {
                    let mut sign = sign(stand, "race.key", "cosign", form);
                    run(sign.args(["--annotation", &format!("n={number}"), reference])).passed();
                });
            }
        });
    }
    let (name, digest) = reference.split_once('@').unwrap();
    let under = |suffix: &str| -> Value {
        let tag = format!("{name}:{}{suffix}", digest.replace(':', "-"));
        let got = run(stand.command("oras").args(["manifest", "fetch", "--plain-http", &tag])).passed();
        serde_json::from_str(&got.stdout).unwrap()
    };
    assert_eq!(under("")["manifests"].as_array().unwrap().len(), 20);
    assert_eq!(under(".sig")["layers"].as_array().unwrap().len(), 20);
}
