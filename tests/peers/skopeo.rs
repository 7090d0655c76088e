//! skopeo.

use super::content;
use super::process::{Outcome, run};
use super::proxy::Proxy;
use super::signing::Proof;
use super::stand::{SIGNED, Stand, UNSIGNED};
use super::upstream::Kind;

fn copy(stand: &Stand, proxy: &Proxy, repository: &str, arguments: &[&str]) -> Outcome {
    let source = format!("docker://{}:v1", proxy.name(repository));
    let mut skopeo = stand.command("skopeo");
    skopeo.args(["copy", "--src-tls-verify=false"]).args(arguments);
    run(skopeo.args([&source, &format!("oci:{}:v1", repository.replace('/', "-"))]))
}

#[test]
#[ignore = "needs skopeo"]
fn needs_skopeo_a_signed_image_is_copied_and_an_unsigned_one_is_explained() {
    for stand in Stand::each() {
        let proxy = stand.proxy();
        copy(&stand, &proxy, SIGNED, &[]).passed();
        copy(&stand, &proxy, UNSIGNED, &[]).explains();
    }
}

#[test]
#[ignore = "needs skopeo"]
fn needs_skopeo_inspect_and_tags_pass_the_gate_too() {
    let stand = Stand::with_images(Kind::TagSchema, Proof::NotationJws);
    let proxy = stand.proxy();
    let inspect = |repository: &str| {
        let name = format!("docker://{}:v1", proxy.name(repository));
        run(stand.command("skopeo").args(["inspect", "--tls-verify=false", &name]))
    };
    inspect(SIGNED).passed().says("\"latest\"").says("\"v1\"");
    inspect(UNSIGNED).explains();
}

#[test]
#[ignore = "needs skopeo"]
fn needs_skopeo_an_index_admits_its_children() {
    for kind in Kind::ALL {
        let stand = Stand::new(kind);
        let digest = stand.push("wabbit-networks/multi", content::index);
        stand.sign(Proof::NotationCose, "wabbit-networks/multi", &digest);
        let proxy = stand.proxy();
        copy(&stand, &proxy, "wabbit-networks/multi", &["--all"]).passed();
    }
}

#[test]
#[ignore = "needs skopeo"]
fn needs_skopeo_nothing_is_pushed() {
    let stand = Stand::with_images(Kind::TagSchema, Proof::CosignTag);
    let proxy = stand.proxy();
    let source = format!("oci:{}:v1", stand.home().join("layouts").join(SIGNED).display());
    let target = format!("docker://{}:new", proxy.name(SIGNED));
    let mut push = stand.command("skopeo");
    run(push.args(["copy", "--dest-tls-verify=false", &source, &target])).failed();
}
