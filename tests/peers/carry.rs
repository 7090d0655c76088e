//! Layouts that were exported, read by the tools that read layouts; and an island, to which nothing leads but a folder.

use std::path::{Path, PathBuf};

use super::content;
use super::namespace::Place;
use super::process::{Outcome, free_port, run};
use super::proxy::{PORTCULLIS, Proxy, config, portcullis};
use super::signing::{NOTATION_IDENTITY, Proof};
use super::stand::{SIGNED, Stand, UNSIGNED};
use super::upstream::Kind;

const MULTI: &str = "wabbit-networks/multi";

/// A signed image, a signed index and an unsigned image, exported to `out`.
fn exported(stand: &Stand, proof: Proof) -> PathBuf {
    stand.push_images(proof);
    let multi = stand.push(MULTI, content::index);
    stand.sign(proof, MULTI, &multi);
    let out = stand.home().join("out");
    let config = config(stand, "export.yaml", "{}");
    let mut export = portcullis(stand);
    export.args(["export", "-o"]).arg(&out).arg("--config").arg(config);
    let references = [SIGNED, MULTI, UNSIGNED].map(|repository| format!("docker.io/{repository}:v1"));
    let outcome = run(export.args(references)).failed();
    assert_eq!(outcome.code, Some(1), "{}", outcome.text);
    outcome
        .says(&format!("docker.io/{SIGNED}:v1: exported"))
        .says(&format!("docker.io/{UNSIGNED}:v1: refused"));
    out
}

/// All content of a layout's folder is, byte for byte, the registry's.
fn same_as_upstream(stand: &Stand, folder: &Path, repository: &str, at_least: usize) {
    let mut compared = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = format!(
            "{}/{repository}@sha256:{}",
            stand.upstream.address(),
            path.file_name().unwrap().to_str().unwrap()
        );
        for kind in ["blob", "manifest"] {
            let there = stand.home().join("there");
            let command = format!("crane --insecure {kind} {name} > {}", there.display());
            if run(stand.command("sh").args(["-c", &command])).code == Some(0) {
                assert!(std::fs::read(&path).unwrap() == std::fs::read(there).unwrap(), "{name}");
                compared += 1;
                break;
            }
        }
    }
    assert!(compared >= at_least, "{repository}: {compared}");
}

#[test]
#[ignore = "needs skopeo and crane"]
fn needs_skopeo_copies_what_was_exported_byte_for_byte() {
    for (kind, proof) in [(Kind::TagSchema, Proof::CosignTag), (Kind::Referrers, Proof::NotationCose)] {
        let stand = Stand::new(kind);
        let out = exported(&stand, proof);
        for (repository, parts) in [(SIGNED, 3), (MULTI, 7)] {
            let source = format!("oci:{}:docker.io/{repository}:v1", out.display());
            let target = format!("docker://{}/copied/{repository}:v1", stand.upstream.address());
            let mut copy = stand.command("skopeo");
            copy.args(["copy", "--all", "--preserve-digests", "--dest-tls-verify=false"]);
            run(copy.args([&source, &target])).passed();
            same_as_upstream(&stand, &out.join("blobs/sha256"), &format!("copied/{repository}"), parts);
            same_as_upstream(&stand, &out.join("blobs/sha256"), repository, parts + 2);
        }
    }
}

#[test]
#[ignore = "needs skopeo"]
fn needs_skopeo_what_it_packed_is_taken_in() {
    let stand = Stand::new(Kind::TagSchema);
    let out = exported(&stand, Proof::CosignTag);
    let name = format!("docker.io/{MULTI}:v1");
    let mut copy = stand.command("skopeo");
    copy.args(["copy", "--all", "--preserve-digests", &format!("oci:{}:{name}", out.display())]);
    run(copy.arg(format!("oci-archive:packed.tar:{name}"))).passed();
    let config = config(&stand, "import.yaml", "{}");
    let mut import = portcullis(&stand);
    // It packs no signatures; the store has them from when it was exported.
    let outcome = run(import.args(["import", "packed.tar", "--config"]).arg(config)).passed();
    outcome.says("no index of contents").says(&format!("{name}: taken in"));
}

#[test]
#[ignore = "needs oras"]
fn needs_oras_finds_signatures_in_what_was_exported() {
    let stand = Stand::new(Kind::Referrers);
    let out = exported(&stand, Proof::NotationJws);
    let reference = format!("docker.io/{SIGNED}:v1");
    let oras = |arguments: &[&str]| run(stand.command("oras").args(arguments));
    let folder = out.to_str().unwrap();
    let digest =
        oras(&["resolve", "--oci-layout-path", folder, &reference]).passed().stdout.trim().to_owned();
    oras(&["discover", "--oci-layout", &format!("{folder}@{digest}")])
        .passed()
        .says("application/vnd.cncf.notary.signature");
    let target = format!("{}/by-oras/{SIGNED}:v1", stand.upstream.address());
    oras(&["copy", "-r", "--from-oci-layout", &format!("{folder}@{digest}"), "--to-plain-http", &target])
        .passed();
    oras(&["discover", "--plain-http", &target]).passed().says("application/vnd.cncf.notary.signature");
}

#[test]
#[ignore = "needs crane"]
fn needs_crane_pushes_what_was_exported() {
    let stand = Stand::new(Kind::Referrers);
    let out = exported(&stand, Proof::NotationJws);
    let target = format!("{}/by-crane:all", stand.upstream.address());
    let mut push = stand.command("crane");
    run(push.args(["--insecure", "push", "--index", out.to_str().unwrap(), &target])).passed();
    same_as_upstream(&stand, &out.join("blobs/sha256"), "by-crane", 12);
}

/// A proxy without a network, that has what may be carried to it.
struct Island {
    place: Place,
    home: tempfile::TempDir,
}

impl Island {
    /// Carries keys and certificates there, which people compare by telephone.
    fn new(mainland: &Stand) -> Self {
        let home = tempfile::Builder::new().prefix("portcullis-").tempdir().unwrap();
        let island = Self { place: Place::apart(&[], home.path()), home };
        island.carry(&mainland.cosign_key(), "cosign.pub");
        island.carry(&mainland.notation_trust_store(), "truststore");
        island
    }

    fn carry(&self, from: &Path, name: &str) -> PathBuf {
        let to = self.home.path().join(name);
        let status = std::process::Command::new("cp").arg("-r").arg(from).arg(&to).status();
        assert!(status.unwrap().success());
        to
    }

    fn config(&self, port: u16) -> PathBuf {
        let text = format!(
            r#"
listen: {{ address: "127.0.0.1:{port}" }}
admin: {{ address: "127.0.0.1:{admin}" }}
store: {{ path: store, max_size: 1GiB }}
upstreams:
  docker.io: {{ default: true, offline: true }}
egress: {{ revocation: local }}
signers:
  wabbit: {{ cosign: {{ key: cosign.pub, transparency_log: ignore }} }}
  acme:
    notation:
      trust_store: "ca:acme-rockets.io"
      trust_store_dir: truststore
      trusted_identities: ["{NOTATION_IDENTITY}"]
policies:
  - {{ name: island, scopes: ["docker.io/**"], require: {{ any: [wabbit, acme] }} }}
"#,
            admin = free_port(),
        );
        let path = self.home.path().join("portcullis.yaml");
        std::fs::write(&path, text).unwrap();
        path
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Outcome {
        run(self.place.command(program, self.home.path()).args(arguments))
    }
}

#[test]
#[ignore = "needs root, skopeo, crane and cosign"]
fn needs_root_an_island_pulls_and_verifies_what_a_folder_carried() {
    for (kind, proof) in [(Kind::TagSchema, Proof::CosignTag), (Kind::Referrers, Proof::NotationCose)] {
        let stand = Stand::apart(kind, &[]);
        let out = exported(&stand, proof);
        let island = Island::new(&stand);
        let carried = island.carry(&out, "carried");
        let port = free_port();
        let config = island.config(port);
        let proxy = Proxy::with_config_at(&island.place, island.home.path(), port, &config);
        let import = ["import", "--config", config.to_str().unwrap(), carried.to_str().unwrap()];
        island.run(PORTCULLIS, &import).passed().says(&format!("docker.io/{MULTI}:v1: taken in"));
        for repository in [SIGNED, MULTI] {
            let source = format!("docker://{}:v1", proxy.name(repository));
            let pulled = island.home.path().join("pulled").join(repository);
            std::fs::create_dir_all(&pulled).unwrap();
            let target = format!("oci:{}:v1", pulled.display());
            let copy = ["copy", "--all", "--preserve-digests", "--src-tls-verify=false", &source, &target];
            island.run("skopeo", &copy).passed();
            for entry in std::fs::read_dir(pulled.join("blobs/sha256")).unwrap() {
                let path = entry.unwrap().path();
                let exported = out.join("blobs/sha256").join(path.file_name().unwrap());
                assert!(
                    std::fs::read(&path).unwrap() == std::fs::read(exported).unwrap(),
                    "{}",
                    path.display()
                );
            }
        }
        if proof == Proof::CosignTag {
            let name = format!("{}:v1", proxy.name(SIGNED));
            let verify =
                ["verify", "--key", "cosign.pub", "--allow-http-registry", "--insecure-ignore-tlog=true"];
            island
                .run("cosign", &[&verify, ["--new-bundle-format=false", &name].as_slice()].concat())
                .passed();
        }
        island.run("crane", &["--insecure", "digest", &format!("{}:v1", proxy.name(UNSIGNED))]).failed();
    }
}

/// The commands of docs/AIRGAP.md, in their order, each on its side; what one side makes is carried by hand.
#[test]
#[ignore = "needs root, docker-registry, skopeo and crane"]
fn needs_root_the_air_gap_walkthrough_holds() {
    const PAGE: &str = include_str!("../../docs/AIRGAP.md");
    let blocks = PAGE.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap().trim());
    let blocks: Vec<&str> = blocks.collect();
    let stand = Stand::apart(Kind::TagSchema, &[]);
    stand.push_images(Proof::CosignTag);
    config(&stand, "mainland.yaml", "{}");
    let island = Island::new(&stand);
    let port = free_port();
    let bin = std::path::Path::new(PORTCULLIS).parent().unwrap().display();
    let sh = |block: &str| ["-ec".to_owned(), format!("PATH={bin}:$PATH; {block}")];
    let mut carried = 0;
    for block in blocks {
        if block.starts_with("portcullis import") {
            for name in ["exporter.pub", "carried", "next.1.tar"] {
                let from = stand.home().join(name);
                if from.exists() && !island.home.path().join(name).exists() {
                    island.carry(&from, name);
                }
            }
            let config = island.config(port);
            let text = std::fs::read_to_string(&config).unwrap();
            let text = format!("{text}trust: {{ import_keys: [exporter.pub] }}\n");
            std::fs::write(island.home.path().join("island.yaml"), text).unwrap();
            let [flag, script] = sh(block);
            let done = island.run("sh", &[&flag, &script]).passed();
            done.says("contents signed by the trusted key").says(&format!("docker.io/{SIGNED}:v1: taken in"));
            carried += 1;
        } else {
            run(stand.command("sh").args(sh(block))).passed();
        }
    }
    assert_eq!(carried, 2);
    let config = island.home.path().join("island.yaml");
    let proxy = Proxy::with_config_at(&island.place, island.home.path(), port, &config);
    island
        .run("crane", &["--insecure", "pull", &format!("{}:v1", proxy.name(SIGNED)), "pulled.tar"])
        .passed();
}
