//! Sigstore's own metadata, at a time when it was in force.

use std::path::Path;

use super::*;

/// The day after the timestamp was signed: 2026-08-22T19:25:56Z.
const THEN: Duration = Duration::from_secs(1_787_426_756);
const TARGET: &[u8] = include_bytes!("../../../../config/sigstore/public-good/trusted_root.json");

fn file(name: &str) -> Vec<u8> {
    std::fs::read(Path::new("tests/fixtures/tuf").join(name)).unwrap()
}

/// As sigstore's repository was.
async fn site(anchor: Option<&str>) -> Site {
    let mut site = Site::new().await;
    // The made repository of the other tests is not that of these.
    site.server = Server::start().await;
    let root = anchor.map(|name| Path::new("tests/fixtures/tuf").join(name));
    site.settings = Settings { url: site.server.url(""), root, path: None };
    site.clock.set(SystemTime::UNIX_EPOCH + THEN);
    let digest = crate::oci::Digest::sha256(TARGET).hex();
    site.give([
        ("14.root.json".to_owned(), file("14.root.json")),
        ("15.root.json".to_owned(), sigstore_root().to_vec()),
        ("timestamp.json".to_owned(), file("timestamp.json")),
        ("165.snapshot.json".to_owned(), file("snapshot.json")),
        ("14.targets.json".to_owned(), file("targets.json")),
        (format!("targets/{digest}.trusted_root.json"), TARGET.to_vec()),
    ]);
    site
}

fn sigstore_root() -> &'static [u8] {
    crate::trust::sigstore_root::TUF_ROOT
}

#[tokio::test]
async fn the_built_in_root_leads_to_the_built_in_trusted_root() {
    let site = site(None).await;
    let outcome = site.update().await.unwrap();
    let after = Versions { root: Some(15), timestamp: Some(762), snapshot: Some(165), targets: Some(14) };
    assert_eq!(outcome.after, after);
    assert_eq!(site.in_use().unwrap(), TARGET);
    let added: Vec<_> = outcome.added.iter().map(ToString::to_string).collect();
    assert_eq!(added.len(), 7);
    let rekor =
        "transparency log https://rekor.sigstore.dev (log id wNI9atQGlz+VWfO6LRygH4QUfY/8W4RFwiT5i5WRgB0=)";
    assert!(added.iter().any(|anchor| anchor == rekor), "{added:?}");
}

#[tokio::test]
async fn an_older_root_leads_there_too() {
    let site = site(Some("13.root.json")).await;
    assert_eq!(site.update().await.unwrap().after.root, Some(15));
    assert_eq!(std::fs::read(site.output().with_file_name("root.json")).unwrap(), sigstore_root());
}

#[tokio::test]
async fn none_of_it_can_be_changed() {
    for (name, of, from, to) in [
        ("14.root.json", "14.root.json", "\"threshold\": 3", "\"threshold\": 2"),
        ("timestamp.json", "timestamp.json", "\"version\": 165", "\"version\": 166"),
        ("165.snapshot.json", "snapshot.json", "\"version\": 14", "\"version\": 15"),
        ("14.targets.json", "targets.json", "\"length\": 6787", "\"length\": 6788"),
    ] {
        let site = site(Some("13.root.json")).await;
        let changed = String::from_utf8(file(of)).unwrap();
        assert!(changed.contains(from), "{of}");
        site.server.give(name, changed.replacen(from, to, 1));
        let refusal = site.refusal().await;
        assert!(matches!(&refusal, Refusal::Unsigned { found: 0, .. }), "{of}: {refusal}");
    }
}

#[tokio::test]
async fn it_ends_when_it_says() {
    let site = site(None).await;
    // 2026-08-28T19:25:56Z, and the root in November.
    for (at, ended) in
        [(1_787_945_155, None), (1_787_945_156, Some("timestamp.json")), (1_795_183_098, Some("root.json"))]
    {
        site.clock.set(SystemTime::UNIX_EPOCH + Duration::from_secs(at));
        match ended {
            None => drop(site.update().await.unwrap()),
            Some(file) => {
                let refusal = site.refusal().await;
                assert!(
                    matches!(&refusal, Refusal::Expired { file: found, .. } if found == file),
                    "{refusal}"
                );
            }
        }
    }
}
