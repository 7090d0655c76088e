//! `portcullis promote` as people run it, from one registry in memory to another.

#[path = "promote/attached.rs"]
mod attached;
#[path = "promote/bounds.rs"]
mod bounds;

use std::process::Command;

use portcullis::demo::client::{Answer, Client};
use portcullis::demo::folder::Folder;
use portcullis::demo::signing::{Key, KeyKind, cosign};
use portcullis::demo::{Fault, Package, Registry};
use portcullis::oci::Digest;
use serde_json::Value;

use crate::test_proxy::*;

const TARGET: &str = "registry.corp";

/// A source, a destination, and a configuration that knows both.
struct Site {
    source: Registry,
    target: Registry,
    folder: Folder,
}

impl Site {
    async fn new(policy: &str) -> Self {
        let (source, target) = (Registry::start().await.unwrap(), Registry::start().await.unwrap());
        let folder = Folder::new().unwrap();
        folder.write("trust/wabbit/wabbit.crt", &WABBIT.certificate_pem()).unwrap();
        let text = format!(
            "store: {{ path: store }}\n\
             upstreams: {{ {HOST}: {{ url: \"{}\" }}, {TARGET}: {{ url: \"{}\" }} }}\n\
             signers: {{ wabbit: {{ nv2: {{ certificates: [trust/wabbit] }} }} }}\n\
             policies: [{{ name: strict, scopes: [\"{HOST}/**\", \"{TARGET}/**\"], {policy} }}]\n",
            source.url(),
            target.url()
        );
        folder.write("portcullis.yaml", &text).unwrap();
        Self { source, target, folder }
    }

    /// Runs the command; its exit code and what it wrote.
    async fn run(&self, arguments: &[&str]) -> (i32, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command.args(&arguments[..1]).arg("--config").arg(self.folder.path().join("portcullis.yaml"));
        command.args(&arguments[1..]).env("HOME", self.folder.path()).env_remove("DOCKER_CONFIG");
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code().unwrap(), text)
    }

    async fn promote(&self, source: &str, to: &str) -> (i32, String) {
        self.run(&["promote", &format!("{HOST}/{source}"), &format!("{TARGET}/{to}")]).await
    }

    async fn there(&self, path: &str) -> Answer {
        Client::new().get(&format!("{}/v2/{path}", self.target.url())).await.unwrap()
    }

    /// Asserts that the destination has a package, its blobs and children, byte for byte.
    async fn holds(&self, repository: &str, package: &Package) {
        let mut left = vec![package];
        while let Some(package) = left.pop() {
            let manifest = self.there(&format!("{repository}/manifests/{}", package.digest())).await;
            assert_eq!((manifest.status.as_u16(), &manifest.body), (200, package.bytes()));
            for blob in package.blobs() {
                let answer = self.there(&format!("{repository}/blobs/{}", Digest::sha256(blob))).await;
                assert_eq!((answer.status.as_u16(), &answer.body), (200, blob));
            }
            left.extend(package.children());
        }
    }

    fn writes(&self) -> usize {
        self.target.count("POST ") + self.target.count("PUT ")
    }
}

/// Every platform, what refers to it, what refers to that, and tags; to registries of both kinds, and what arrives is
/// admitted there.
#[tokio::test(flavor = "multi_thread")]
async fn everything_that_belongs_to_it_goes_along_byte_for_byte() {
    for has_api in [true, false] {
        let site = Site::new("require: wabbit").await;
        site.target.referrers_api(has_api);
        let image = Package::multi_arch("app");
        let sbom = Package::sbom(image.descriptor());
        let of_child = Package::sbom(image.children()[0].descriptor());
        let of_sbom = signature(&WABBIT, sbom.descriptor());
        let own = signature(&WABBIT, image.descriptor());
        site.source.push("team/app", "1", &image);
        for referrer in [&own, &sbom, &of_sbom, &of_child] {
            site.source.push("team/app", None, referrer);
        }
        let key = Key::generate(KeyKind::P256).unwrap();
        let tagged = cosign::image(&key, &cosign::payload("x", &image.digest())).unwrap();
        let tag = cosign::tag(&image.digest());
        site.source.push("team/app", tag.as_str(), &tagged);

        let (code, text) = site.promote("team/app:1", "prod/app").await;
        assert_eq!(code, 0, "{text}");
        assert!(text.contains(&format!("{TARGET}/prod/app@{}", image.digest())), "{text}");
        assert!(text.contains("attached: 4 referrers, 1 tags"), "{text}");
        for package in [&image, &own, &sbom, &of_sbom, &of_child, &tagged] {
            site.holds("prod/app", package).await;
        }
        assert_eq!(site.there("prod/app/manifests/1").await.body, image.bytes());
        assert_eq!(site.there(&format!("prod/app/manifests/{tag}")).await.body, tagged.bytes());
        let (code, text) = site.run(&["verify", &format!("{TARGET}/prod/app:1")]).await;
        assert_eq!(code, 0, "{text}");
        // The tag comes last: whoever finds it finds all the rest.
        let seen = site.target.seen();
        let last = seen.iter().rfind(|request| request.line.starts_with("PUT ")).unwrap();
        assert_eq!(last.line, "PUT /v2/prod/app/manifests/1");
        assert_eq!(site.target.count("PUT /v2/prod/app/manifests/1"), 1);
        // What is there is not sent again.
        let uploads = site.target.count("/blobs/uploads/");
        let (code, text) = site.promote("team/app:1", "prod/app:stable").await;
        assert!(code == 0 && text.contains("0 written") && text.contains("blobs: 0 sent"), "{text}");
        assert_eq!(site.target.count("/blobs/uploads/"), uploads);
        assert_eq!(site.there("prod/app/manifests/stable").await.body, image.bytes());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_policy_refuses_is_not_copied_nor_any_of_it() {
    let site = Site::new("require: wabbit").await;
    site.source.push("app", "1", &Package::image("unsigned"));
    let (code, text) = site.promote("app:1", "prod/app").await;
    assert!(code == 1 && text.contains("policy strict"), "{text}");
    assert_eq!(site.writes(), 0, "nothing is written");
    let (code, text) = site.promote("app:absent", "prod/app").await;
    assert!(code == 1, "{text}");
    let (code, text) = site.promote("app:1", &format!("prod/app@{}", Digest::sha256(b"x"))).await;
    assert!(code == 64 && text.contains("the digest stays what it is"), "{text}");
    site.source.fault("/referrers/", Fault::Status(500, None));
    let (code, text) = site.promote("app:1", "prod/app").await;
    assert!(code == 2, "{text}");
    assert_eq!(site.writes(), 0);

    // What is only served, since nothing is enforced, is not allowed.
    let site = Site::new("require: wabbit, mode: audit").await;
    site.source.push("app", "1", &Package::image("unsigned"));
    let (code, text) = site.promote("app:1", "prod/app").await;
    assert!(code == 1 && text.contains("in mode audit"), "{text}");
    // An index whose platforms must be signed themselves goes with all of them or not at all.
    let site = Site::new("require: wabbit, index: children").await;
    let image = Package::multi_arch("app");
    site.source.push("app", "1", &image);
    site.source.push("app", None, &signature(&WABBIT, image.children()[0].descriptor()));
    let (code, text) = site.promote("app:1", "prod/app").await;
    assert!(code == 1, "{text}");
    assert_eq!(site.writes(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_broke_off_goes_on_where_it_was() {
    let site = Site::new("require: wabbit").await;
    let image = Package::multi_arch("app");
    let own = signature(&WABBIT, image.descriptor());
    site.source.push("app", "1", &image);
    site.source.push("app", None, &own);
    let last = format!("PUT /v2/prod/app/manifests/{}", image.digest());
    site.target.fault(&last, Fault::Status(507, None));
    let (code, text) = site.promote("app:1", "prod/app").await;
    assert!(code != 0, "{text}");
    assert_eq!(site.there("prod/app/manifests/1").await.status, 404, "no tag before all is there");
    let sent = site.target.count("PUT /v2/prod/app/blobs/");
    assert!(sent > 0);
    site.target.heal();
    let (code, text) = site.promote("app:1", "prod/app").await;
    assert_eq!(code, 0, "{text}");
    assert_eq!(site.target.count("PUT /v2/prod/app/blobs/"), sent, "no blob is sent twice");
    site.holds("prod/app", &image).await;
    site.holds("prod/app", &own).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_that_is_something_else_is_not_taken() {
    let site = Site::new("require: wabbit").await;
    let image = Package::image("app");
    push_signed(&site.source, "app", "1", &image);
    let layer = image.blobs().last().unwrap();
    let evil = vec![b'x'; layer.len()];
    site.source.forge_blob("app", &image.layer(), &evil);
    let (code, text) = site.promote("app:1", "prod/app").await;
    assert!(code == 2 && text.contains("is something else"), "{text}");
    assert_eq!(site.there("prod/app/manifests/1").await.status, 404);
    assert_eq!(site.there(&format!("prod/app/manifests/{}", image.digest())).await.status, 404);
}

/// The organisation's signatures at the destination, and what it has under other tags, are not overwritten.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_destination_has_of_its_own_stays() {
    let site = Site::new("require: wabbit").await;
    let image = Package::image("app");
    push_signed(&site.source, "app", "1", &image);
    let key = || Key::generate(KeyKind::P256).unwrap();
    let made = |name: &str| cosign::image(&key(), &cosign::payload(name, &image.digest())).unwrap();
    let (vendors, ours) = (made("vendor"), made("corp"));
    let tag = cosign::tag(&image.digest());
    let bill = format!("sha256-{}.sbom", image.digest().hex());
    site.source.push("app", tag.as_str(), &vendors);
    site.source.push("app", bill.as_str(), &Package::image("theirs"));
    site.target.push("prod/app", tag.as_str(), &ours);
    site.target.push("prod/app", bill.as_str(), &Package::image("ours"));

    let (code, text) = site.promote("app:1", "prod/app").await;
    assert_eq!(code, 0, "{text}");
    assert!(text.contains(&format!("left as it is there: {TARGET}/prod/app:{bill}")), "{text}");
    assert_eq!(site.there(&format!("prod/app/manifests/{bill}")).await.body, Package::image("ours").bytes());
    let layers = || async {
        let answer = site.there(&format!("prod/app/manifests/{tag}")).await;
        let manifest: Value = serde_json::from_slice(&answer.body).unwrap();
        let layers = manifest["layers"].as_array().unwrap().clone();
        layers.iter().map(|layer| layer["digest"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let both = [ours.layer().to_string(), vendors.layer().to_string()];
    assert_eq!(layers().await, both);
    // Once is enough.
    let (code, text) = site.promote("app:1", "prod/app").await;
    assert_eq!(code, 0, "{text}");
    assert_eq!(layers().await, both);
}

/// Within one registry blobs are taken over and not sent, and signatures that lie elsewhere come along.
#[tokio::test(flavor = "multi_thread")]
async fn blobs_are_mounted_and_signatures_from_elsewhere_come_along() {
    let site = Site::new("require: wabbit, signatures: [{ repository: registry.corp/sigs }]").await;
    let image = Package::image("app");
    site.target.push("dev/app", "1", &image);
    let own = signature(&WABBIT, image.descriptor());
    site.target.push("sigs", None, &own);
    let source = format!("{TARGET}/dev/app:1");
    let (code, text) = site.run(&["promote", &source, &format!("{TARGET}/prod/app:2")]).await;
    assert_eq!(code, 0, "{text}");
    assert!(text.contains(&format!("{} mounted", image.blobs().len())), "{text}");
    assert!(text.contains("attached: 1 referrers"), "{text}");
    site.holds("prod/app", &image).await;
    site.holds("prod/app", &own).await;
    assert_eq!(site.there("prod/app/manifests/2").await.body, image.bytes());
    let listed = site.there(&format!("prod/app/referrers/{}", image.digest())).await;
    assert!(String::from_utf8_lossy(&listed.body).contains(&own.digest().to_string()));
}

/// One key of the organisation's does at the destination, with the publisher's signatures beside.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_policy_counter_signs_is_counter_signed_there() {
    let site = Site::new(
        "require: wabbit, counter_sign: { key: acme.key, formats: [cosign, cosign_bundle], attest: true }",
    )
    .await;
    let (acme, publisher) = (Key::generate(KeyKind::P256).unwrap(), Key::generate(KeyKind::P256).unwrap());
    site.folder.write("acme.key", &acme.private_pem()).unwrap();
    let image = Package::image("app");
    push_signed(&site.source, "team/app", "1", &image);
    let payload = cosign::payload("registry.test/team/app", &image.digest());
    let tag = cosign::tag(&image.digest());
    let theirs = cosign::image(&publisher, &payload).unwrap();
    site.source.push("team/app", tag.as_str(), &theirs);
    site.source.push("team/rogue", "1", &Package::image("rogue"));

    let (code, text) = site.promote("team/app:1", "certified/app").await;
    assert_eq!(code, 0, "{text}");
    let (code, text) = site.promote("team/rogue:1", "certified/rogue").await;
    assert_eq!(code, 1, "{text}");
    let signatures = site.there(&format!("certified/app/manifests/{tag}")).await;
    let signatures: Value = serde_json::from_slice(&signatures.body).unwrap();
    assert_eq!(signatures["layers"].as_array().unwrap().len(), 2, "the publisher's and the organisation's");

    for (key, status) in [(&acme, 200), (&publisher, 200), (&Key::generate(KeyKind::P256).unwrap(), 403)] {
        let proxy = TestProxy::new()
            .file("some.pub", key.public_pem())
            .with("signers", "{ some: { cosign: { key: some.pub, transparency_log: ignore } } }")
            .with("upstreams", &format!("{{ {HOST}: {{ url: \"{}\", default: true }} }}", site.target.url()))
            .policy("require: some")
            .start()
            .await;
        assert_eq!(proxy.get("certified/app:1").await.status, status);
    }
}
