//! helm, with a chart as OCI artifact.

use super::process::{Outcome, run};
use super::proxy::POLICY;
use super::signing::Proof;
use super::stand::Stand;
use super::upstream::Kind;

/// Packages a new chart and pushes it to `REPOSITORY/net-monitor:1.0.0`: its digest.
fn push_chart(stand: &Stand, repository: &str) -> String {
    let chart = format!(
        "apiVersion: v2\nname: net-monitor\nversion: 1.0.0\ndescription: number {}\n",
        fastrand::u64(..)
    );
    stand.file("net-monitor/Chart.yaml", &chart);
    run(stand.command("helm").args(["package", "net-monitor"])).passed();
    let target = format!("oci://{}/{repository}", stand.upstream.address());
    let mut push = stand.command("helm");
    let pushed = run(push.args(["push", "--plain-http", "net-monitor-1.0.0.tgz", &target])).passed();
    let digest = pushed.text.split_whitespace().find(|word| word.starts_with("sha256:"));
    digest.expect("helm prints the digest").to_owned()
}

fn pull(stand: &Stand, name: &str) -> Outcome {
    let mut pull = stand.command("helm");
    pull.args(["pull", "--plain-http", "--destination", "pulled", "--version", "1.0.0"]);
    run(pull.arg(format!("oci://{name}/net-monitor")))
}

#[test]
#[ignore = "needs helm"]
fn needs_helm_a_signed_chart_pulls_and_an_unsigned_one_is_explained() {
    for kind in Kind::ALL {
        let stand = Stand::new(kind);
        std::fs::create_dir(stand.home().join("pulled")).unwrap();
        let digest = push_chart(&stand, "wabbit-networks/charts");
        stand.sign(Proof::NotationCose, "wabbit-networks/charts/net-monitor", &digest);
        push_chart(&stand, "wabbit-networks/other");
        let proxy = stand.proxy();
        pull(&stand, &proxy.name("wabbit-networks/charts")).passed().says(&digest);
        assert!(stand.home().join("pulled/net-monitor-1.0.0.tgz").is_file());
        pull(&stand, &proxy.name("wabbit-networks/other"))
            .failed()
            .says(&format!("policy {POLICY}: docker.io/wabbit-networks/other/net-monitor@sha256:"));
    }
}
