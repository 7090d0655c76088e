//! What the real cosigns signed, behind a running proxy: signatures, attestations with conditions, and the chains
//! that publishers make of both. The layouts of `tests/fixtures/sigstore` are put into a registry as they are.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use portcullis::demo::{Package, Registry};
use portcullis::oci::Digest;
use serde_json::Value;

use super::test_proxy::*;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sigstore")
}

/// A fixture's layout.
struct Layout {
    folder: PathBuf,
    index: Value,
}

impl Layout {
    fn of(case: &str) -> Self {
        let folder = fixtures().join(case).join("oci");
        let index = serde_json::from_slice(&fs::read(folder.join("index.json")).unwrap()).unwrap();
        Self { folder, index }
    }

    fn blob(&self, digest: &str) -> Bytes {
        fs::read(self.folder.join("blobs").join(digest.replace(':', "/"))).unwrap().into()
    }

    fn manifest(&self, digest: &str) -> Value {
        serde_json::from_slice(&self.blob(digest)).unwrap()
    }

    fn package(&self, digest: &str) -> Package {
        let manifest = self.manifest(digest);
        let named = |key: &str| manifest[key].as_array().cloned().unwrap_or_default();
        let digests = |all: Vec<Value>| all.into_iter().map(|d| d["digest"].as_str().unwrap().to_owned());
        let config = manifest["config"]["digest"].as_str().map(str::to_owned);
        let blobs = config.into_iter().chain(digests(named("layers"))).map(|d| self.blob(&d)).collect();
        let children = digests(named("manifests")).map(|d| self.package(&d)).collect();
        Package::made(self.blob(digest), blobs, children).unwrap()
    }

    /// Puts everything into a repository, under the tags that it has here.
    fn push(&self, registry: &Registry, repository: &str) {
        for entry in self.index["manifests"].as_array().unwrap() {
            let tag = entry["annotations"]["org.opencontainers.image.ref.name"].as_str();
            registry.push(repository, tag, &self.package(entry["digest"].as_str().unwrap()));
        }
    }

    fn tagged(&self, tag: &str) -> String {
        let named = |m: &&Value| m["annotations"]["org.opencontainers.image.ref.name"] == tag;
        let entry = self.index["manifests"].as_array().unwrap().iter().find(named).unwrap();
        entry["digest"].as_str().unwrap().to_owned()
    }

    /// The platforms that the index `v1` lists, by architecture, and the attestation manifests beside them.
    fn platforms(&self) -> (BTreeMap<String, String>, Vec<String>) {
        let listed = self.manifest(&self.tagged("v1"))["manifests"].as_array().unwrap().clone();
        let (attestations, platforms): (Vec<_>, Vec<_>) =
            listed.into_iter().partition(|m| m["annotations"]["vnd.docker.reference.type"].is_string());
        let digest = |m: &Value| m["digest"].as_str().unwrap().to_owned();
        let named = |m: &Value| m["platform"]["architecture"].as_str().unwrap().to_owned();
        (platforms.iter().map(|m| (named(m), digest(m))).collect(), attestations.iter().map(digest).collect())
    }
}

const BUILDER: &str = r#"keyless: { issuer: "https://token.actions.githubusercontent.com",
    identity_regexp: "https://github\\.com/docker/github-builder/\\.github/workflows/.*" }"#;

/// Signers by what the fixtures' keys, identities and services are.
fn signers(cosign: &str) -> String {
    let root = fixtures().join("pki/trusted_root.json");
    format!("{{ them: {{ cosign: {{ {cosign}, trusted_root: {} }} }} }}", root.display())
}

fn key(name: &str) -> String {
    format!("key: {}, transparency_log: ignore", fixtures().join(format!("pki/key-{name}.pub")).display())
}

/// A proxy before a registry that holds the fixture's layout as `app`.
async fn proxy(case: &str, cosign: &str, policy: &str) -> (Running, Layout) {
    let (layout, pushed) = (Layout::of(case), Layout::of(case));
    let running = TestProxy::new()
        .with("signers", &signers(cosign))
        .policy(policy)
        .upstream(move |registry| {
            // Where a layout has the referrers tag, its registry had no API.
            registry.referrers_api(!pushed.index.to_string().contains("\"sha256-"));
            pushed.push(registry, "app");
        })
        .start()
        .await;
    (running, layout)
}

const PROVENANCE: &str = "attested: { by: them, predicate_type: slsaprovenance1 }";

fn by_children() -> String {
    format!("index: children, require: {{ {PROVENANCE} }}")
}

#[tokio::test]
async fn a_signature_lets_pass_what_an_attestation_does_not() {
    let email = r#"keyless: { issuer: "https://issuer.example.test", identity: "dev@example.test" }"#;
    for case in [
        "keyless-email-legacy",
        "keyless-email-bundle-rekor1",
        "keyless-email-bundle-rekor2",
        "bundle-v0.1",
        "bundle-v0.2",
    ] {
        let (proxy, layout) = proxy(case, email, "require: them").await;
        let answer = proxy.get("app:v1").await;
        served(&answer, &layout.blob(&layout.tagged("v1")));
        let line = &proxy.audit()[0]["signatures"][0];
        assert_eq!(
            (&line["identity"], &line["format"]),
            (&"dev@example.test".into(), &"cosign".into()),
            "{case}"
        );
    }
    let stranger = r#"keyless: { issuer: "https://issuer.example.test", identity: "eve@example.test" }"#;
    let (strange, _) = proxy("keyless-email-legacy", stranger, "require: them").await;
    refused(
        &strange.get("app:v1").await,
        403,
        "DENIED",
        "dev@example.test (issuer https://issuer.example.test)",
    );
    for case in ["attest-email-legacy", "attest-email-legacy-intoto"] {
        let (attested, _) = proxy(case, email, "require: them").await;
        refused(&attested.get("app:v1").await, 403, "DENIED", "attestation");
    }
    let (bundle, _) = proxy("attest-key-bundle-rekor1", &key("p256"), "require: them").await;
    refused(&bundle.get("app:v1").await, 403, "DENIED", "attestation");
}

#[tokio::test]
async fn one_attestation_must_meet_all_that_is_asked() {
    let case = "attest-key-bundle-rekor1";
    let statement = {
        let (probe, _) = proxy(case, &key("p256"), &format!("require: {{ {PROVENANCE} }}")).await;
        let answer = probe.get("app:v1").await;
        assert_eq!(answer.status, 200, "{:?}", answer.error_message());
        probe.audit()[0]["signatures"].clone()
    };
    assert!(statement.to_string().contains("https://slsa.dev/provenance/v1"), "{statement}");
    let holds = "require: { attested: { by: them, predicate_type: slsaprovenance1, where: \"has(predicate.runDetails.builder.id)\" } }";
    let (met, _) = proxy(case, &key("p256"), holds).await;
    assert_eq!(met.get("app:v1").await.status, 200);
    for (policy, words) in [
        (
            "require: { attested: { by: them, predicate_type: slsaprovenance1, where: \"predicate.runDetails.builder.id == 'x'\" } }",
            "builder.id",
        ),
        (
            "require: { attested: { by: them, predicate_type: slsaprovenance1, where: \"predicate.absent.x == 1\" } }",
            "absent",
        ),
        ("require: { attested: { by: them, predicate_type: vuln } }", "https://spdx.dev/Document"),
    ] {
        let (unmet, _) = proxy(case, &key("p256"), policy).await;
        refused(&unmet.get("app:v1").await, 403, "DENIED", words);
    }
    let (other, _) = proxy(case, &key("p384"), &format!("require: {{ {PROVENANCE} }}")).await;
    assert_eq!(other.get("app:v1").await.status, 403);
}

/// Each way of Docker's builder: the attestation manifests are signed, or what lies with them names the platforms.
#[tokio::test]
async fn dockers_builder_reaches_the_platforms_that_its_statements_name() {
    for case in [
        "builder-signed-subject",
        "builder-signed-bare",
        "builder-signed-legacy",
        "builder-signed-rekor2",
        "builder-signed-tags",
        "builder-attested",
        "builder-attested-all",
    ] {
        let (proxy, layout) = proxy(case, BUILDER, &by_children()).await;
        let answer = proxy.get("app:v1").await;
        assert_eq!(answer.status, 200, "{case}: {:?}", answer.error_message());
        let (platforms, attestations) = layout.platforms();
        for digest in platforms.values() {
            let answer = proxy.get(&format!("app@{digest}")).await;
            assert_eq!(answer.status, 200, "{case}: {:?}", answer.error_message());
        }
        // They are no platform of anybody's, and nothing names them.
        for digest in attestations {
            assert_eq!(proxy.get(&format!("app@{digest}")).await.status, 403, "{case}");
        }
    }
}

#[tokio::test]
async fn only_the_platform_that_is_named_is_admitted_and_the_way_to_it_is_told() {
    let (mut proxy, layout) = proxy("builder-signed-one", BUILDER, &by_children()).await;
    let (platforms, attestations) = layout.platforms();
    assert_eq!(proxy.get("app:v1").await.status, 200);
    assert_eq!(proxy.get(&format!("app@{}", platforms["amd64"])).await.status, 200);
    refused(&proxy.get(&format!("app@{}", platforms["arm64"])).await, 403, "DENIED", "strict");
    let about = |line: &&Value| line["digest"] == *platforms["amd64"] && line["outcome"] == "allow";
    let audit = proxy.audit();
    let chain = audit.iter().find(about).unwrap()["signatures"][0]["chain"].clone();
    let steps: Vec<_> = chain.as_array().unwrap().iter().map(|s| s["what"].as_str().unwrap()).collect();
    assert_eq!(steps, ["signature", "attestation manifest", "statement", "subject"]);
    assert_eq!(
        (&chain[1]["digest"], &chain[3]["digest"]),
        (&attestations[0].clone().into(), &platforms["amd64"].clone().into())
    );

    // Judged again from what is kept: without the upstream, in another process.
    proxy.stop().await;
    proxy.upstream().fault("/v2/app/", portcullis::demo::Fault::Status(503, None));
    proxy.start_again().await;
    proxy.pass(Duration::from_secs(90));
    let again = proxy.get(&format!("app@{}", platforms["amd64"])).await;
    assert_eq!(again.status, 200, "{:?}", again.error_message());
}

#[tokio::test]
async fn another_builder_reaches_nothing() {
    let (proxy, layout) = proxy("builder-signed-stranger", BUILDER, &by_children()).await;
    refused(&proxy.get("app:v1").await, 403, "DENIED", "none of its 4 manifests is allowed itself");
    let (platforms, _) = layout.platforms();
    refused(
        &proxy.get(&format!("app@{}", platforms["amd64"])).await,
        403,
        "DENIED",
        "none of the trusted identities",
    );
}

#[tokio::test]
async fn hardened_images_are_reached_over_what_refers_to_their_platforms() {
    for case in ["hardened-rekor1", "hardened-nolog"] {
        let (proxy, layout) = proxy(case, &key("p256"), &by_children()).await;
        let answer = proxy.get("app:v1").await;
        assert_eq!(answer.status, 200, "{case}: {:?}", answer.error_message());
        for digest in layout.platforms().0.values() {
            assert_eq!(proxy.get(&format!("app@{digest}")).await.status, 200, "{case}");
        }
    }
    let (one, layout) = proxy("hardened-one", &key("p256"), &by_children()).await;
    let (platforms, _) = layout.platforms();
    assert_eq!(one.get("app:v1").await.status, 200);
    assert_eq!(one.get(&format!("app@{}", platforms["amd64"])).await.status, 200);
    assert_eq!(one.get(&format!("app@{}", platforms["arm64"])).await.status, 403);
    let (stranger, _) = proxy("hardened-stranger", &key("p256"), &by_children()).await;
    assert_eq!(stranger.get("app:v1").await.status, 403);
    // The index itself is not signed by anybody.
    let (index, _) = proxy("hardened-rekor1", &key("p256"), "require: them").await;
    refused(&index.get("app:v1").await, 403, "DENIED", "none found");
}

/// A statement is unsigned by itself: another one under the signed manifest's name opens nothing.
#[tokio::test]
async fn a_forged_statement_opens_nothing() {
    let layout = Layout::of("hardened-one");
    let (platforms, _) = layout.platforms();
    let of = |digest: &str| layout.manifest(digest)["subject"]["digest"].as_str().map(str::to_owned);
    let entries = layout.index["manifests"].as_array().unwrap();
    let about_arm = entries
        .iter()
        .map(|m| m["digest"].as_str().unwrap())
        .find(|d| of(d) == Some(platforms["arm64"].clone()));
    let unsigned = layout.manifest(about_arm.unwrap());
    let (proxy, _) = proxy("hardened-one", &key("p256"), &by_children()).await;
    // The signed statement's bytes become those about the other platform.
    let about_amd = entries
        .iter()
        .map(|m| m["digest"].as_str().unwrap())
        .find(|d| of(d) == Some(platforms["amd64"].clone()));
    let signed = layout.manifest(about_amd.unwrap());
    let digest = Digest::parse(signed["layers"][0]["digest"].as_str().unwrap()).unwrap();
    let other = layout.blob(unsigned["layers"][0]["digest"].as_str().unwrap());
    proxy.upstream().forge_blob("app", &digest, &other);
    assert_ne!(proxy.get(&format!("app@{}", platforms["amd64"])).await.status, 200);
    assert_ne!(proxy.get(&format!("app@{}", platforms["arm64"])).await.status, 200);
}

/// What more indexes list than are looked through may be vouched for beside one of the others: that is not known, and
/// not denied.
#[tokio::test]
async fn a_platform_of_many_indexes_is_not_called_unsigned() {
    let layout = Layout::of("builder-signed-one");
    let index = layout.manifest(&layout.tagged("v1"));
    let children: Vec<Package> = index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| layout.package(m["digest"].as_str().unwrap()))
        .collect();
    let numbered = move |n: usize| {
        let mut index = index.clone();
        index["annotations"] = serde_json::json!({ "number": n.to_string() });
        Package::made(Bytes::from(index.to_string()), Vec::new(), children.clone()).unwrap()
    };
    let proxy = TestProxy::new()
        .with("signers", &signers(BUILDER))
        .policy(&by_children())
        .upstream(move |registry| {
            Layout::of("builder-signed-one").push(registry, "app");
            for n in 0..5 {
                let tag = format!("v1.{n}");
                registry.push("app", Some(tag.as_str()), &numbered(n));
            }
        })
        .start()
        .await;
    let (platforms, _) = layout.platforms();
    let unsigned = format!("app@{}", platforms["arm64"]);
    for n in 0..4 {
        assert_eq!(proxy.get(&format!("app:v1.{n}")).await.status, 200);
    }
    proxy.pass(Duration::from_secs(60));
    refused(&proxy.get(&unsigned).await, 403, "DENIED", "strict");
    assert_eq!(proxy.get("app:v1.4").await.status, 200);
    proxy.pass(Duration::from_secs(60));
    refused(&proxy.get(&unsigned).await, 503, "UNAVAILABLE", "more indexes list it than the 4");
}

/// A statement that lies with an attestation manifest counts for the platform though it names the manifest too.
#[tokio::test]
async fn a_statement_may_name_the_platform_and_what_it_lies_with() {
    use base64::Engine as _;
    use rcgen::SigningKey as _;
    let layout = Layout::of("builder-signed-stranger");
    let (platforms, attestations) = layout.platforms();
    let key = rcgen::KeyPair::generate().unwrap();
    let hex = |digest: &str| digest.trim_start_matches("sha256:").to_owned();
    let subjects = [&attestations[0], &platforms["amd64"]]
        .map(|digest| serde_json::json!({ "digest": { "sha256": hex(digest) } }));
    let statement = serde_json::json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subjects,
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {},
    })
    .to_string();
    const IN_TOTO: &str = "application/vnd.in-toto+json";
    let signed = format!("DSSEv1 {} {IN_TOTO} {} {statement}", IN_TOTO.len(), statement.len());
    let encoded = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
    let envelope = serde_json::json!({
        "payloadType": IN_TOTO,
        "payload": encoded(statement.as_bytes()),
        "signatures": [{ "sig": encoded(&key.sign(signed.as_bytes()).unwrap()) }],
    })
    .to_string();
    let described = |media_type: &str, bytes: &[u8]| serde_json::json!({ "mediaType": media_type, "digest": Digest::sha256(bytes), "size": bytes.len() });
    let manifest = "application/vnd.oci.image.manifest.v1+json";
    let artifact = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": manifest,
        "config": described("application/vnd.oci.empty.v1+json", b"{}"),
        "layers": [described("application/vnd.dsse.envelope.v1+json", envelope.as_bytes())],
        "subject": described(manifest, &layout.blob(&attestations[0])),
    });
    let blobs = vec![Bytes::from_static(b"{}"), Bytes::from(envelope)];
    let package = Package::made(Bytes::from(artifact.to_string()), blobs, Vec::new()).unwrap();
    let signer =
        format!("{{ them: {{ cosign: {{ key: {:?}, transparency_log: ignore }} }} }}", key.public_key_pem());
    let proxy = TestProxy::new()
        .with("signers", &signer)
        .policy(&by_children())
        .upstream(move |registry| {
            Layout::of("builder-signed-stranger").push(registry, "app");
            registry.push("app", None, &package);
        })
        .start()
        .await;
    let answer = proxy.get("app:v1").await;
    assert_eq!(answer.status, 200, "{:?}", answer.error_message());
    assert_eq!(proxy.get(&format!("app@{}", platforms["amd64"])).await.status, 200);
    assert_eq!(proxy.get(&format!("app@{}", platforms["arm64"])).await.status, 403);
}
