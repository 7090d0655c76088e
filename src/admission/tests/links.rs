//! Links: which roles they answer, and that a record alone opens nothing.

use super::*;
use crate::admission::links::{Leave, Link, Links, Place, Role};
use crate::oci::Descriptor;

fn link(parent: &Package, role: Role, child: &Descriptor) -> Link {
    Link { parent: parent.digest(), role, child: child.clone() }
}

fn parsed(package: &Package) -> Manifest {
    Manifest::parse_expecting(package.bytes().clone(), &package.digest()).unwrap()
}

#[test]
fn a_link_stands_in_the_parents_bytes_or_nowhere() {
    let image = Package::image("app");
    let index = Package::index([image.clone()]);
    let (manifest, list) = (parsed(&image), parsed(&index));
    let (config, layer) = (manifest.config().unwrap().clone(), manifest.blobs()[0].clone());
    assert!(link(&image, Role::Config, &config).stands_in(&manifest));
    assert!(link(&image, Role::Layer, &layer).stands_in(&manifest));
    assert!(link(&index, Role::Child, image.descriptor()).stands_in(&list));
    for wrong in [
        link(&image, Role::Layer, &config),
        link(&image, Role::Config, &layer),
        link(&image, Role::Child, &layer),
        link(&image, Role::Layer, &Descriptor { size: layer.size + 1, ..layer.clone() }),
        link(&index, Role::Layer, &layer),
        link(&image, Role::Referrer, &layer),
    ] {
        assert!(!wrong.stands_in(&manifest), "{wrong:?}");
    }
}

#[tokio::test]
async fn leave_goes_through_links_of_its_own_manifest_and_their_place_only() {
    let stand = Stand::new("require: acme").await;
    let (index, other) = (Package::multi_arch("app"), Package::image("other"));
    stand.push_signed("v1", &index);
    let decision = Arc::clone(stand.pull(":v1").await.unwrap().decision());
    let leave = Leave::of_subject(&decision).unwrap();
    let child = index.children()[0].descriptor();
    assert_eq!(leave.through(&link(&index, Role::Child, child)).unwrap().manifest(), &child.digest);
    assert!(leave.through(&link(&index, Role::Layer, child)).is_none());
    assert!(leave.through(&link(&other, Role::Child, child)).is_none());
    assert!(leave.unlocks_blob(&link(&index, Role::Layer, child)).is_some());
    assert!(leave.unlocks_blob(&link(&index, Role::Child, child)).is_none());
    assert!(leave.unlocks_blob(&link(&other, Role::Layer, child)).is_none());
    assert!(leave.list(&other.digest(), child.digest).is_none());
}

#[tokio::test]
async fn records_that_name_what_no_manifest_names_open_nothing() {
    let stand = Stand::new("require: acme").await;
    let (index, image, evil) = (Package::multi_arch("app"), Package::image("app"), Package::image("evil"));
    stand.push_signed("index", &index);
    stand.push_signed("image", &image);
    stand.push("evil", &evil);
    stand.pull(":index").await.unwrap();
    stand.pull(":image").await.unwrap();
    let links = &stand.memory().links;
    let layer = parsed(&evil).blobs()[0].clone();
    links.write(&repository(), &index.digest(), Role::Child, evil.descriptor());
    links.write(&repository(), &image.digest(), Role::Referrer, evil.descriptor());
    links.write(&repository(), &image.digest(), Role::Layer, &layer);
    // Twice: the image is hot at first, and a denial cools it.
    for _ in 0..2 {
        assert!(is_unknown(stand.blob(&layer.digest).await));
        denial(stand.pull_digest(&evil.digest()).await);
    }
}

#[tokio::test]
async fn the_parent_that_was_served_last_stands_first_among_any_number() {
    let stand = Stand::new("require: acme").await;
    let links = Links::open(stand.memory().store.records());
    let child = Package::image("child");
    let parents: Vec<_> = (0..40).map(|n| Package::unknown(&n.to_string()).digest()).collect();
    for parent in &parents {
        links.write(&repository(), parent, Role::Child, child.descriptor());
        let first = links.parents(&repository(), &child.digest(), Place::Manifests).await.unwrap();
        assert_eq!(first[0].parent, *parent);
    }
    let all = links.parents(&repository(), &child.digest(), Place::Manifests).await.unwrap();
    assert_eq!(all.len(), parents.len(), "each stands there once");
    assert!(links.parents(&repository(), &child.digest(), Place::Blobs).await.unwrap().is_empty());
}

/// A base layer is in many images; that the others are refused by now takes nothing from the one
/// that is not.
#[tokio::test]
async fn one_live_parent_is_enough_among_many_that_lapsed() {
    let mut stand = Stand::new("require: { any: [acme, rival] }").await;
    let layer = bytes::Bytes::from_static(b"a base layer");
    let image = |name: &str| {
        let config = bytes::Bytes::from(format!("{{\"name\":\"{name}\"}}"));
        let kind = "application/vnd.oci.image.layer.v1.tar";
        Package::configured("application/vnd.oci.image.config.v1+json", config, [(kind, layer.clone())])
    };
    let mut images: Vec<_> = (0..14).map(|n| image(&n.to_string())).collect();
    images.sort_by_key(Package::digest);
    let kept = images.pop().unwrap();
    stand.push_signed("kept", &kept);
    stand.pull(":kept").await.unwrap();
    for old in &images {
        stand.push(None, old);
        stand.sign(&stand.rival, old);
        stand.pull_digest(&old.digest()).await.unwrap();
    }
    stand.reload(&["require: acme"], "");
    stand.pull(":kept").await.unwrap();
    assert_eq!(stand.blob(&kept.layer()).await.unwrap().decision().subject(), &kept.digest());
}
