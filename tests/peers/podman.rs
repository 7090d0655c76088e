//! podman, with its storage in the stand's folder.

use super::process::{Outcome, run};
use super::stand::{SIGNED, Stand, UNSIGNED};

fn pull(stand: &Stand, arguments: &[&str]) -> Outcome {
    let mut podman = stand.command("podman");
    podman.args(["--root", "podman/root", "--runroot", "podman/run", "--storage-driver", "vfs", "pull"]);
    podman.env("CONTAINERS_REGISTRIES_CONF", stand.home().join("registries.conf"));
    run(podman.args(arguments))
}

#[test]
#[ignore = "needs podman"]
fn needs_podman_a_signed_image_pulls_and_an_unsigned_one_is_explained() {
    for stand in Stand::each() {
        let proxy = stand.proxy();
        stand.file("registries.conf", "");
        pull(&stand, &["--tls-verify=false", &format!("{}:v1", proxy.name(SIGNED))]).passed();
        pull(&stand, &["--tls-verify=false", &format!("{}:v1", proxy.name(UNSIGNED))]).explains();
    }
}

#[test]
#[ignore = "needs podman"]
fn needs_podman_a_registry_prefix_leads_the_source_name_through_the_gate() {
    for stand in Stand::each() {
        let proxy = stand.proxy();
        let registries = format!(
            "[[registry]]\nprefix = \"docker.io\"\nlocation = \"{}/docker.io\"\ninsecure = true\n",
            proxy.address()
        );
        stand.file("registries.conf", &registries);
        pull(&stand, &[&format!("docker.io/{SIGNED}:v1")]).passed();
        pull(&stand, &[&format!("docker.io/{UNSIGNED}:v1")]).explains();
    }
}
