//! Signatures that the real cosign keeps in a repository of their own (`COSIGN_REPOSITORY`).

use super::content;
use super::process::{free_port, run};
use super::proxy::{Proxy, config, portcullis};
use super::stand::{SIGNED, Stand, UNSIGNED};
use super::upstream::Kind;

/// Where they are, as cosign and as the configuration name it.
const APART: &str = "signatures/cosign";

fn cosign_sign(stand: &Stand, digest: &str, bundle: bool) {
    let upstream = stand.upstream.address();
    let mut sign = stand.command("cosign");
    sign.env("COSIGN_PASSWORD", "").env("COSIGN_REPOSITORY", format!("{upstream}/{APART}"));
    sign.args([
        "sign",
        "--yes",
        "--key",
        "cosign.key",
        "--allow-http-registry",
        "--use-signing-config=false",
    ]);
    sign.args(["--tlog-upload=false", &format!("--new-bundle-format={bundle}")]);
    run(sign.arg(format!("{upstream}/{SIGNED}@{digest}"))).passed();
}

#[test]
#[ignore = "needs cosign"]
fn needs_cosign_signatures_in_a_repository_of_their_own_are_believed() {
    for (kind, bundle) in [(Kind::TagSchema, false), (Kind::Referrers, false), (Kind::Referrers, true)] {
        let stand = Stand::new(kind);
        let digest = stand.push(SIGNED, content::image);
        stand.push(UNSIGNED, content::image);
        cosign_sign(&stand, &digest, bundle);

        let port = free_port();
        let beside = config(&stand, "beside.yaml", &format!("{{ address: \"127.0.0.1:{port}\" }}"));
        let places = format!("default: true, signatures: [{{ repository: docker.io/{APART} }}]");
        let text = std::fs::read_to_string(&beside).unwrap().replace("default: true", &places);
        let apart = stand.file("apart.yaml", &text);
        let verify = |config: &std::path::Path, repository: &str| {
            let mut command = portcullis(&stand);
            command.args(["verify", "--config"]).arg(config).arg(format!("docker.io/{repository}:v1"));
            run(&mut command).code
        };
        assert_eq!(verify(&apart, SIGNED), Some(0), "{kind:?}, bundle {bundle}");
        assert_eq!(verify(&apart, UNSIGNED), Some(1), "{kind:?}, bundle {bundle}");
        assert_eq!(verify(&beside, SIGNED), Some(1), "{kind:?}, bundle {bundle}");

        // A client of the proxy, which knows nothing of that repository, verifies for itself.
        let proxy = Proxy::with_config(&stand.place, &stand, port, &apart);
        let mut cosign = stand.command("cosign");
        cosign.args([
            "verify",
            "--key",
            "cosign.pub",
            "--allow-http-registry",
            "--insecure-ignore-tlog=true",
        ]);
        cosign.args([format!("--new-bundle-format={bundle}"), format!("{}:v1", proxy.name(SIGNED))]);
        run(&mut cosign).passed().says(&digest);
    }
}
