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

fn tamper(stand: &Stand, digest: &str) {
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

#[test]
#[ignore = "needs docker-registry, skopeo"]
fn needs_skopeo_a_changed_layer_does_not_arrive() {
    let stand = Stand::with_images(Kind::TagSchema, Proof::CosignTag);
    let (_, manifest) = manifest(&stand);
    tamper(&stand, manifest["layers"][0]["digest"].as_str().unwrap());
    let proxy = stand.proxy();
    pull(&stand, &proxy).failed();
    // Nor does it stay: the next one is not served from the store either.
    pull(&stand, &proxy).failed();
}

#[test]
#[ignore = "needs docker-registry, skopeo"]
fn needs_skopeo_a_changed_manifest_is_not_judged() {
    let stand = Stand::with_images(Kind::TagSchema, Proof::CosignTag);
    let (digest, _) = manifest(&stand);
    tamper(&stand, &digest);
    let proxy = stand.proxy();
    pull(&stand, &proxy).failed();
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
