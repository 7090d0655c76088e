//! crane.

use super::content;
use super::process::{Outcome, run};
use super::signing::Proof;
use super::stand::{SIGNED, Stand, UNSIGNED};
use super::upstream::Kind;

fn crane(stand: &Stand, arguments: &[&str]) -> Outcome {
    run(stand.command("crane").arg("--insecure").args(arguments))
}

#[test]
#[ignore = "needs crane"]
fn needs_crane_a_signed_image_pulls_and_an_unsigned_one_is_explained() {
    for stand in Stand::each() {
        let proxy = stand.proxy();
        crane(&stand, &["pull", &format!("{}:v1", proxy.name(SIGNED)), "signed.tar"]).passed();
        crane(&stand, &["pull", &format!("{}:v1", proxy.name(UNSIGNED)), "unsigned.tar"]).explains();
        // It asks with HEAD first.
        crane(&stand, &["digest", &format!("{}:v1", proxy.name(UNSIGNED))]).explains();
        assert_eq!(proxy.stop(), Some(0), "a service manager's SIGTERM ends it well");
    }
}

#[test]
#[ignore = "needs crane"]
fn needs_crane_reads_digest_tags_and_bytes_as_they_are_upstream() {
    for stand in Stand::each() {
        let proxy = stand.proxy();
        let direct = format!("{}/{SIGNED}", stand.upstream.address());
        for (command, suffix) in [("digest", ":v1"), ("manifest", ":v1"), ("config", ":latest")] {
            let through = crane(&stand, &[command, &format!("{}{suffix}", proxy.name(SIGNED))]).passed();
            let direct = crane(&stand, &[command, &format!("{direct}{suffix}")]).passed();
            assert_eq!(through.stdout, direct.stdout, "{command}");
        }
        crane(&stand, &["ls", &proxy.name(SIGNED)]).passed().says("v1").says("latest");
    }
}

#[test]
#[ignore = "needs crane"]
fn needs_crane_no_blob_of_an_unsigned_image_is_served() {
    let stand = Stand::with_images(Kind::TagSchema, Proof::CosignTag);
    let proxy = stand.proxy();
    let manifest = format!("{}/{UNSIGNED}:v1", stand.upstream.address());
    let manifest = crane(&stand, &["manifest", &manifest]).passed().stdout;
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    for descriptor in [&manifest["config"], &manifest["layers"][0]] {
        let digest = descriptor["digest"].as_str().unwrap();
        crane(&stand, &["blob", &format!("{}/{UNSIGNED}@{digest}", stand.upstream.address())]).passed();
        crane(&stand, &["blob", &format!("{}@{digest}", proxy.name(UNSIGNED))]).failed();
        crane(&stand, &["blob", &format!("{}@{digest}", proxy.name(SIGNED))]).failed();
    }
}

#[test]
#[ignore = "needs crane"]
fn needs_crane_a_platform_is_pulled_out_of_a_signed_index() {
    let stand = Stand::new(Kind::Referrers);
    let digest = stand.push("wabbit-networks/multi", content::index);
    stand.sign(Proof::CosignReferrer, "wabbit-networks/multi", &digest);
    let proxy = stand.proxy();
    let name = format!("{}:v1", proxy.name("wabbit-networks/multi"));
    crane(&stand, &["pull", "--platform", "linux/arm64", &name, "arm64.tar"]).passed();
}
