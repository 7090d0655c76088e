//! dockerd, in namespaces of its own: there `registry-1.docker.io` is the proxy, and nothing else of the
//! internet exists. Needs root.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::{Daemon, Outcome, run};
use super::proxy::{KEYS, POLICY, Proxy};
use super::signing::Proof;
use super::stand::{SIGNED, Stand, UNSIGNED};
use super::upstream::Kind;

/// Where dockerd pulls Docker Hub's images from.
const HUB: &str = "registry-1.docker.io";

/// A dockerd of the stand's own that trusts this certificate authority alone, if any is given.
pub fn start(stand: &Stand, arguments: &[&str], authority: Option<&Path>) -> Daemon {
    let home = stand.home().display();
    let mut dockerd = stand.command("dockerd");
    dockerd.args(["--storage-driver", "vfs", "--iptables=false", "--ip6tables=false", "--bridge=none"]);
    dockerd.args([format!("--data-root={home}/docker"), format!("--exec-root={home}/docker-exec")]);
    dockerd.arg(format!("--pidfile={home}/docker.pid"));
    dockerd.arg(format!("--host=unix://{home}/docker.sock")).args(arguments);
    if let Some(authority) = authority {
        dockerd.env("SSL_CERT_FILE", authority);
    }
    Daemon::start(&dockerd, stand.home()).ready_when(|_| run(docker(stand).arg("version")).code == Some(0))
}

fn docker(stand: &Stand) -> Command {
    let mut docker = stand.command("docker");
    docker.arg(format!("--host=unix://{}/docker.sock", stand.home().display()));
    docker
}

pub fn pull(stand: &Stand, name: &str) -> Outcome {
    run(docker(stand).args(["pull", name]))
}

/// A certificate for [`HUB`], which is its own authority, and its key.
fn hub_certificate(stand: &Stand) -> (PathBuf, PathBuf) {
    let certified = rcgen::generate_simple_self_signed([HUB.to_owned()]).unwrap();
    let certificate = stand.file("hub.crt", &certified.cert.pem());
    (certificate, stand.file("hub.key", &certified.signing_key.serialize_pem()))
}

/// The proxy in Docker Hub's place, and the authority to trust.
fn serve_as_hub(stand: &Stand) -> (Proxy, PathBuf) {
    let (certificate, key) = hub_certificate(stand);
    let listen = format!(
        "{{ address: \"127.0.0.1:443\", tls: {{ certificate: \"{}\", key: \"{}\" }}, hosts: {{ {HUB}: docker.io }} }}",
        certificate.display(),
        key.display()
    );
    (Proxy::with_listener(stand, 443, &listen), certificate)
}

/// The upstream's content in Docker Hub's place without any gate, and the authority to trust.
fn serve_ungated_hub(stand: &Stand) -> (Daemon, PathBuf) {
    let (certificate, key) = hub_certificate(stand);
    let mut registry = stand.command("docker-registry");
    registry.env("REGISTRY_HTTP_ADDR", "127.0.0.1:443");
    registry.env("REGISTRY_HTTP_TLS_CERTIFICATE", &certificate).env("REGISTRY_HTTP_TLS_KEY", key);
    registry.arg("serve").arg(stand.home().join("registry.yml"));
    let ready = |_: &Daemon| stand.place.answers(443, stand.home());
    (Daemon::start(&registry, stand.home()).ready_when(ready), certificate)
}

#[test]
#[ignore = "needs dockerd"]
fn needs_dockerd_docker_hub_itself_is_gated_where_its_name_leads_to_the_proxy() {
    for (kind, proof) in [(Kind::TagSchema, Proof::CosignTag), (Kind::Referrers, Proof::NotationJws)] {
        let stand = Stand::apart(kind, &[HUB]);
        stand.push_images(proof);
        let (_proxy, authority) = serve_as_hub(&stand);
        let _dockerd = start(&stand, &[], Some(&authority));
        pull(&stand, &format!("docker.io/{SIGNED}:latest")).passed();
        pull(&stand, &format!("docker.io/{UNSIGNED}:latest")).explains();
    }
}

#[test]
#[ignore = "needs dockerd"]
fn needs_dockerd_the_unsigned_net_monitor_is_refused_with_the_url_of_its_key() {
    let stand = Stand::apart(Kind::TagSchema, &[HUB]);
    stand.push(SIGNED, super::content::image);
    let (_proxy, authority) = serve_as_hub(&stand);
    let _dockerd = start(&stand, &[], Some(&authority));
    pull(&stand, "docker.io/wabbit-networks/net-monitor:latest")
        .failed()
        .says(&format!("policy {POLICY}: docker.io/wabbit-networks/net-monitor@sha256:"))
        .says(KEYS);
}

#[test]
#[ignore = "needs dockerd"]
fn needs_dockerd_without_the_authority_nothing_is_pulled() {
    let stand = Stand::apart(Kind::TagSchema, &[HUB]);
    stand.push_images(Proof::CosignTag);
    let _hub = serve_as_hub(&stand);
    let _dockerd = start(&stand, &[], None);
    pull(&stand, &format!("docker.io/{SIGNED}:latest")).failed().says("x509");
}

#[test]
#[ignore = "needs dockerd"]
fn needs_dockerd_a_name_through_the_proxy_is_gated() {
    let stand = Stand::apart(Kind::Referrers, &[]);
    stand.push_images(Proof::NotationCose);
    let proxy = stand.proxy();
    let _dockerd = start(&stand, &[], None);
    pull(&stand, &format!("{}:v1", proxy.name(SIGNED))).passed();
    pull(&stand, &format!("{}:v1", proxy.name(UNSIGNED))).explains();
}

/// A mirror is no gate: what it refuses, dockerd asks Docker Hub for, and gets it.
#[test]
#[ignore = "needs dockerd"]
fn needs_dockerd_a_registry_mirror_only_caches() {
    let stand = Stand::apart(Kind::TagSchema, &[HUB]);
    stand.push_images(Proof::CosignTag);
    let proxy = stand.proxy();
    let mirror = format!("--registry-mirror=http://{}", proxy.address());
    let (_hub, authority) = serve_ungated_hub(&stand);
    let _dockerd = start(&stand, &[&mirror], Some(&authority));
    pull(&stand, &format!("docker.io/{SIGNED}:v1")).passed();
    pull(&stand, &format!("docker.io/{UNSIGNED}:v1")).passed();
    let refused = std::fs::read_to_string(stand.home().join("audit.jsonl")).unwrap();
    assert!(refused.contains(UNSIGNED), "the mirror was asked first: {refused}");
}
