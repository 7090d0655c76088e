//! containerd by `ctr`, with a `hosts.toml` that names the proxy. Needs root.

use super::content;
use super::process::{Daemon, Outcome, run};
use super::proxy::Proxy;
use super::signing::Proof;
use super::stand::{SIGNED, Stand, UNSIGNED};
use super::upstream::Kind;

/// A containerd of the stand's own, whose every registry is the proxy.
fn start(stand: &Stand, proxy: &Proxy) -> Daemon {
    let home = stand.home().display();
    // `server` alone would do for newer ones; 1.6 wants a host beside it.
    let hosts = format!(
        "server = \"http://{0}\"\n[host.\"http://{0}\"]\n  capabilities = [\"pull\", \"resolve\"]\n",
        proxy.address()
    );
    stand.file("hosts/_default/hosts.toml", &hosts);
    let config = format!(
        "version = 2\nroot = \"{home}/containerd\"\nstate = \"{home}/containerd-state\"\n\
         disabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\n  address = \"{home}/containerd.sock\"\n"
    );
    let config = stand.file("containerd.toml", &config);
    let mut containerd = stand.command("containerd");
    containerd.arg("--config").arg(config);
    Daemon::start(&containerd, stand.home()).ready_when(|_| ctr(stand, &["version"]).code == Some(0))
}

fn ctr(stand: &Stand, arguments: &[&str]) -> Outcome {
    run(stand.command("ctr").args(["--address", "containerd.sock"]).args(arguments))
}

fn pull(stand: &Stand, name: &str) -> Outcome {
    ctr(stand, &["images", "pull", "--hosts-dir", "hosts", "--snapshotter", "native", name])
}

#[test]
#[ignore = "needs containerd"]
fn needs_containerd_a_signed_image_pulls_and_an_unsigned_one_does_not() {
    for stand in Stand::each() {
        let proxy = stand.proxy();
        let _containerd = start(&stand, &proxy);
        pull(&stand, &format!("docker.io/{SIGNED}:v1")).passed();
        // This one asks with HEAD alone, so that it has the status and not the reason.
        pull(&stand, &format!("docker.io/{UNSIGNED}:v1")).failed().says("403 Forbidden");
    }
}

#[test]
#[ignore = "needs containerd"]
fn needs_containerd_one_platform_of_a_signed_index_pulls() {
    let stand = Stand::new(Kind::TagSchema);
    let digest = stand.push("wabbit-networks/multi", content::index);
    stand.sign(Proof::NotationJws, "wabbit-networks/multi", &digest);
    let proxy = stand.proxy();
    let _containerd = start(&stand, &proxy);
    pull(&stand, "docker.io/wabbit-networks/multi:v1").passed();
}

#[test]
#[ignore = "needs containerd"]
fn needs_containerd_a_registry_that_is_not_configured_is_not_found() {
    let stand = Stand::with_images(Kind::TagSchema, Proof::CosignTag);
    let proxy = stand.proxy();
    let _containerd = start(&stand, &proxy);
    pull(&stand, &format!("quay.io/{SIGNED}:v1")).failed();
}
