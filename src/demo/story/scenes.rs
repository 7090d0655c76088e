//! What is told, scene by scene.

use super::{By, Expected, Step};
use crate::demo::Package;
use crate::demo::stage::WABBIT_KEYS;

const HELLO_WORLD: &str = "docker.io/library/hello-world:latest";
const NET_MONITOR: &str = "docker.io/wabbit-networks/net-monitor:v1";
const BUNDLE: &str = "registry.acme-rockets.io/policies/baseline:1";

pub(super) fn before_the_key() -> Vec<Step> {
    use Expected::{Refused, Served};
    vec![
        step(
            "Docker certifies its official images",
            "docker.io/hello-world",
            Served(Some("docker.io/library/hello-world:latest")),
        ),
        step(
            "Nobody here knows Wabbit Networks yet",
            NET_MONITOR,
            Refused(403, &["no trusted signature", WABBIT_KEYS]),
        ),
    ]
}

/// All that is pulled with Wabbit Networks' key and before the theft of another.
pub(super) fn with_the_key() -> Vec<Step> {
    [after_the_key(), attacks(), artifacts(), copies(), certified()].into_iter().flatten().collect()
}

fn after_the_key() -> Vec<Step> {
    use Expected::Served;
    vec![step(
        "The key is acquired; the same pull again",
        NET_MONITOR,
        Served(Some("registry.wabbit-networks.io/net-monitor:v1")),
    )]
}

fn attacks() -> Vec<Step> {
    use Expected::{Broken, Refused};
    let tampered = Package::image("tampered-manifest").digest();
    vec![
        step(
            "Nobody signed it",
            "docker.io/wabbit-networks/unsigned:v1",
            Refused(403, &["no trusted signature: none found"]),
        ),
        step(
            "The registry gives another manifest than was asked for",
            format!("docker.io/wabbit-networks/tampered-manifest@{tampered}"),
            Refused(503, &["content of", "is something else"]),
        ),
        step(
            "The registry gives another layer: its last byte never comes",
            "docker.io/wabbit-networks/tampered-layer:v1",
            Broken,
        ),
        step(
            "A good signature, moved to another image",
            "docker.io/wabbit-networks/moved-signature:v1",
            Refused(403, &["the claim's digest is", "the manifest's is"]),
        ),
        step(
            "The signature ended an hour ago",
            "docker.io/wabbit-networks/expired:v1",
            Refused(403, &["the signature's validity ended at"]),
        ),
    ]
}

fn artifacts() -> Vec<Step> {
    use Expected::{Refused, Served};
    let index = Package::multi_arch("multi-arch");
    let child = index.children().first().map(|child| child.digest().to_string()).unwrap_or_default();
    vec![
        step(
            "A multi-arch index is signed",
            "docker.io/wabbit-networks/multi-arch:v1",
            Served(Some("registry.wabbit-networks.io/multi-arch:v1")),
        ),
        step(
            "Its images come in with it, by digest",
            format!("docker.io/wabbit-networks/multi-arch@{child}"),
            Served(Some("registry.wabbit-networks.io/multi-arch:v1")),
        ),
        step(
            "A bill of materials",
            "docker.io/wabbit-networks/net-monitor:v1-sbom",
            Served(Some("registry.wabbit-networks.io/sbom:v1")),
        ),
        step(
            "A Helm chart, signed by the Notary Project's rules",
            "registry.acme-rockets.io/charts/net-monitor:0.1.0",
            Served(None),
        ),
        step(
            "An OPA bundle, signed with a cosign key",
            BUNDLE,
            Served(Some("registry.acme-rockets.io/policies/baseline")),
        ),
        step(
            "An artifact of a type nobody knows",
            "registry.acme-rockets.io/strange:7",
            Served(Some("acme-rockets.io/strange:7")),
        ),
        step(
            "The same type, unsigned",
            "registry.acme-rockets.io/strange:unsigned",
            Refused(403, &["no trusted signature: none found"]),
        ),
    ]
}

pub(super) fn after_the_theft() -> Step {
    step(
        "The charts' key was stolen: what is cached closes",
        "registry.acme-rockets.io/charts/net-monitor:0.1.0",
        Expected::Refused(403, &["was revoked at", "(keyCompromise)"]),
    )
}

fn copies() -> Vec<Step> {
    let origin = Expected::Served(Some("registry.wabbit-networks.io/dev/net-monitor:v1"));
    vec![
        step("Built for development", "registry.wabbit-networks.io/dev/net-monitor:v1", origin),
        step("Copied to staging", "registry.wabbit-networks.io/staging/net-monitor:v1", origin),
        step("Copied to production", "registry.wabbit-networks.io/production/net-monitor:v1", origin),
        step("Copied to ACME Rockets' registry", "registry.acme-rockets.io/net-monitor:v1", origin),
    ]
}

fn certified() -> Vec<Step> {
    use Expected::{Refused, Served};
    let by_developer =
        |title, reference, expected| Step { by: By::Developer, ..step(title, reference, expected) };
    vec![
        by_developer(
            "A developer trusts ACME alone, which signed what it let in",
            NET_MONITOR,
            Served(Some("acme-rockets.io/wabbit-networks/net-monitor")),
        ),
        by_developer(
            "The same image straight from Wabbit Networks",
            "registry.wabbit-networks.io/dev/net-monitor:v1",
            Refused(403, &["no trusted signature"]),
        ),
    ]
}

/// What ACME exports for an island.
pub(super) fn exported() -> Vec<Step> {
    use Expected::{Carried, Left};
    vec![
        step("ACME exports for an island without a network what it let in", NET_MONITOR, Carried),
        step("… and another image", HELLO_WORLD, Carried),
        step("… and a bundle, whose signer the island does not know", BUNDLE, Carried),
        step(
            "What its gate refuses stays at home",
            "docker.io/wabbit-networks/unsigned:v1",
            Left(&["no trusted signature: none found"]),
        ),
    ]
}

/// What the island takes in of it.
pub(super) fn taken_in() -> Vec<Step> {
    use Expected::{Carried, Left};
    let by_island = |title, reference, expected| Step { by: By::Island, ..step(title, reference, expected) };
    vec![
        by_island("The folder is carried across; the island trusts ACME alone", NET_MONITOR, Carried),
        by_island("On the way a bit of a layer was flipped", HELLO_WORLD, Left(&["is something else"])),
        by_island(
            "ACME did not sign this one, whoever let it leave",
            BUNDLE,
            Left(&["no trusted signature"]),
        ),
    ]
}

/// What machines there get.
pub(super) fn on_the_island() -> Vec<Step> {
    use Expected::{Refused, Served};
    let by_island = |title, reference, expected| Step { by: By::Island, ..step(title, reference, expected) };
    vec![
        by_island(
            "A machine on the island pulls",
            NET_MONITOR,
            Served(Some("acme-rockets.io/wabbit-networks/net-monitor")),
        ),
        by_island("What was damaged did not come in", HELLO_WORLD, Refused(503, &["offline"])),
        by_island(
            "What nobody carried is not there, and nobody is asked for it",
            "docker.io/wabbit-networks/multi-arch:v1",
            Refused(503, &["offline"]),
        ),
    ]
}

fn step(title: &'static str, reference: impl Into<String>, expected: Expected) -> Step {
    Step { title, reference: reference.into(), expected, by: By::Acme }
}
