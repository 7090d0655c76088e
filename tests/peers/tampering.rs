//! An upstream whose storage somebody has changed: what it then serves has the old names and other bytes.

use std::path::PathBuf;

use super::process::{Outcome, run};
use super::proxy::Proxy;
use super::signing::Proof;
use super::stand::{SIGNED, Stand};
use super::upstream::Kind;

/// Where docker-registry keeps the bytes of a digest.
fn stored(stand: &Stand, digest: &str) -> PathBuf {
    let hex = digest.strip_prefix("sha256:").unwrap();
    let blobs = stand.home().join("registry/docker/registry/v2/blobs/sha256");
    blobs.join(&hex[..2]).join(hex).join("data")
}

pub fn tamper(stand: &Stand, digest: &str) {
    let path = stored(stand, digest);
    let text = std::fs::read_to_string(&path).unwrap();
    // Of equal length, and still JSON where it was: one hexadecimal digit near the end is another.
    let at = text.rfind(|c: char| c.is_ascii_hexdigit() && c.is_ascii_digit()).unwrap();
    let other = if text.as_bytes()[at] == b'1' { "2" } else { "1" };
    std::fs::write(path, format!("{}{other}{}", &text[..at], &text[at + 1..])).unwrap();
}

fn pull(stand: &Stand, proxy: &Proxy) -> Outcome {
    let source = format!("docker://{}:v1", proxy.name(SIGNED));
    run(stand.command("skopeo").args(["copy", "--src-tls-verify=false", &source, "oci:pulled:v1"]))
}

fn manifest(stand: &Stand) -> (String, serde_json::Value) {
    let name = format!("{}/{SIGNED}:v1", stand.upstream.address());
    let digest = run(stand.command("crane").args(["--insecure", "digest", &name])).passed();
    let text = run(stand.command("crane").args(["--insecure", "manifest", &name])).passed().stdout;
    (digest.stdout.trim().to_owned(), serde_json::from_str(&text).unwrap())
}

/// What curl, which checks no digest, gets from `PREFIX/KIND/NAME`: the status and the bytes.
fn fetch(stand: &Stand, host: &str, prefix: &str, what: &str) -> (Outcome, Vec<u8>) {
    let url = format!("http://{host}/v2/{prefix}{SIGNED}/{what}");
    let _ = std::fs::remove_file(stand.home().join("fetched"));
    let mut curl = stand.command("curl");
    curl.args(["--silent", "--show-error", "--output", "fetched", "--write-out", "%{http_code}"]);
    curl.args(["--header", "Accept: application/vnd.oci.image.manifest.v1+json", &url]);
    let outcome = run(&mut curl);
    (outcome, std::fs::read(stand.home().join("fetched")).unwrap_or_default())
}

#[test]
#[ignore = "needs docker-registry, curl"]
fn needs_registry_a_changed_layer_does_not_arrive_whole() {
    let stand = Stand::with_images(Kind::TagSchema, Proof::CosignTag);
    let layer = manifest(&stand).1["layers"][0]["digest"].as_str().unwrap().to_owned();
    tamper(&stand, &layer);
    let blob = format!("blobs/{layer}");
    let (direct, changed) = fetch(&stand, &stand.upstream.address(), "", &blob);
    assert_eq!(direct.passed().stdout, "200", "the upstream does not notice");
    let proxy = stand.proxy();
    let (admitted, _) = fetch(&stand, &proxy.address(), "docker.io/", "manifests/v1");
    assert_eq!(admitted.passed().stdout, "200");
    // The second is no luckier: nothing of it was kept.
    for _ in 0..2 {
        let (through, some) = fetch(&stand, &proxy.address(), "docker.io/", &blob);
        assert!(through.code != Some(0) || through.stdout != "200", "{}", through.text);
        assert!(some.len() < changed.len(), "the last byte waits for the digest");
    }
}

#[test]
#[ignore = "needs docker-registry, curl"]
fn needs_registry_a_changed_manifest_is_not_served() {
    let stand = Stand::with_images(Kind::TagSchema, Proof::CosignTag);
    let (digest, _) = manifest(&stand);
    tamper(&stand, &digest);
    let by_digest = format!("manifests/{digest}");
    let (direct, changed) = fetch(&stand, &stand.upstream.address(), "", &by_digest);
    assert_eq!(direct.passed().stdout, "200", "the upstream does not notice");
    let proxy = stand.proxy();
    for name in ["manifests/v1", &by_digest] {
        let (through, answer) = fetch(&stand, &proxy.address(), "docker.io/", name);
        assert_ne!(through.stdout, "200", "{name}: {}", through.text);
        assert_ne!(answer, changed);
    }
}

#[test]
#[ignore = "needs docker-registry, skopeo"]
fn needs_skopeo_what_was_kept_is_served_while_the_upstream_is_down() {
    let mut stand = Stand::with_images(Kind::TagSchema, Proof::NotationCose);
    let proxy = stand.proxy();
    pull(&stand, &proxy).passed();
    stand.upstream.stop();
    std::fs::remove_dir_all(stand.home().join("pulled")).unwrap();
    pull(&stand, &proxy).passed();
}
