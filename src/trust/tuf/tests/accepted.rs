//! What is believed.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn shown(anchors: &[Anchor]) -> Vec<String> {
    anchors.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn the_first_update_keeps_everything_that_later_ones_are_compared_with() {
    let site = Site::new().await;
    let outcome = site.update().await.unwrap();
    let first = Some(1);
    let after = Versions { root: first, timestamp: first, snapshot: first, targets: first };
    assert_eq!((outcome.before, outcome.after), (Versions::default(), after));
    assert!(outcome.changed && !outcome.began_anew && outcome.known_before.is_none());
    assert_eq!(shown(&outcome.added), ["transparency log https://log.example (log id AAAAAA==)"]);
    assert_eq!(site.in_use().unwrap(), site.repository.target);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(site.output().parent().unwrap()).unwrap() {
        let entry = entry.unwrap();
        let metadata = entry.metadata().unwrap();
        assert_eq!((metadata.permissions().mode() & 0o777, metadata.modified().unwrap()), (0o644, *NOW));
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["root.json", "snapshot.json", "targets.json", "timestamp.json", TRUSTED_ROOT]);
}

#[tokio::test]
async fn what_is_current_already_only_gets_a_new_date() {
    let site = Site::believed().await;
    let hour = DAY / 24;
    site.clock.advance(hour);
    let outcome = site.update().await.unwrap();
    assert!(!outcome.changed && outcome.added.is_empty() && outcome.removed.is_empty());
    assert_eq!((outcome.before, outcome.known_before), (outcome.after, Some(*NOW)));
    let dated = std::fs::metadata(site.output()).unwrap().modified().unwrap();
    assert_eq!(dated, *NOW + hour);
}

#[tokio::test]
async fn a_newer_one_takes_its_place_and_what_differs_is_told() {
    let mut site = Site::believed().await;
    site.repository.target = trusted_root(&["https://log2.example"]);
    site.repository.renew();
    site.publish();
    let outcome = site.update().await.unwrap();
    assert_eq!(shown(&outcome.added), ["transparency log https://log2.example (log id AAAAAA==)"]);
    assert_eq!(shown(&outcome.removed), ["transparency log https://log.example (log id AAAAAA==)"]);
    assert_eq!((outcome.before.targets, outcome.after.targets), (Some(1), Some(2)));
    assert_eq!(site.in_use().unwrap(), site.repository.target);
}

#[tokio::test]
async fn roots_are_followed_one_by_one_and_only_the_last_has_to_be_alive() {
    let mut site = Site::new().await;
    // The middle one has ended long ago.
    site.repository.rotate(Role::Root, vec![Key::p256("root-b")]);
    site.repository.expires.insert(Role::Root, *NOW - DAY);
    site.publish();
    site.repository.rotate(Role::Root, vec![Key::p256("root-c")]);
    site.repository.expires.insert(Role::Root, *NOW + DAY);
    site.publish();
    assert_eq!(site.update().await.unwrap().after.root, Some(3));
    assert_eq!(site.kept(Role::Root), 3);
    // A next update begins with the operator's root again, and has to come by the kept one.
    site.repository.rotate(Role::Targets, vec![Key::p256("targets-b")]);
    site.repository.renew();
    site.publish();
    assert_eq!(site.update().await.unwrap().after.root, Some(4));
}

#[tokio::test]
async fn a_newer_root_of_the_operators_goes_before_the_kept_one() {
    let mut site = Site::believed().await;
    site.repository.rotate(Role::Root, vec![Key::p256("root-b")]);
    site.repository.rotate(Role::Root, vec![Key::p256("root-c")]);
    std::fs::write(site.settings.root.as_ref().unwrap(), site.repository.root()).unwrap();
    site.publish();
    assert_eq!(site.update().await.unwrap().after.root, Some(3));
    assert_eq!(site.server.count("2.root.json"), 1, "only by the update before");
}

#[tokio::test]
async fn repositories_without_consistent_snapshots_and_with_hashes_are_followed_too() {
    let mut repository = Repository::new();
    (repository.consistent, repository.pinned) = (false, true);
    let mut site = Site::with(repository).await;
    site.update().await.unwrap();
    site.repository.renew();
    site.publish();
    assert_eq!(site.update().await.unwrap().after.snapshot, Some(2));
}

#[tokio::test]
async fn all_kinds_of_keys_count() {
    let mut repository = Repository::new();
    repository.keys.insert(Role::Root, vec![Key::p384("root-p384")]);
    repository.keys.insert(Role::Timestamp, vec![Key::ed25519("timestamp-ed25519")]);
    repository.keys.insert(Role::Targets, vec![Key::pss("targets-rsa"), Key::p256("targets-p256")]);
    repository.threshold.insert(Role::Targets, 2);
    Site::with(repository).await.update().await.unwrap();
}

#[tokio::test]
async fn keys_of_unknown_kinds_stand_in_nobodys_way() {
    let mut repository = Repository::new();
    repository.edit = repository::only(Role::Root, |signed| {
        let odd = serde_json::json!({"keytype": "odd", "scheme": "odd", "keyval": {"identity": "x"}});
        signed["keys"]["odd"] = odd;
        signed["roles"]["targets"]["keyids"].as_array_mut().unwrap().push("odd".into());
    });
    Site::with(repository).await.update().await.unwrap();
}

#[tokio::test]
async fn a_repository_may_lie_below_a_path() {
    let mut site = Site::new().await;
    site.settings.url = site.server.url("sigstore/tuf");
    assert!(matches!(site.update().await, Err(Error::Unreachable { .. })));
    site.give(
        site.repository.files().into_iter().map(|(name, bytes)| (format!("sigstore/tuf/{name}"), bytes)),
    );
    site.update().await.unwrap();
}
