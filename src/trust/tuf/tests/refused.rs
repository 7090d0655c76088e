//! What is not believed, each for its own reason.

use serde_json::Value;

use super::repository::{ROLES, only};
use super::*;

/// A second state whose root is new too, so that every role is read anew.
async fn second(change: impl FnOnce(&mut Repository)) -> Refusal {
    let mut site = Site::believed().await;
    go_on(&mut site.repository);
    change(&mut site.repository);
    site.publish();
    site.refusal().await
}

fn go_on(repository: &mut Repository) {
    repository.rotate(Role::Targets, vec![Key::p256("targets-b"), Key::p256("targets-c")]);
    repository.target = trusted_root(&["https://log2.example"]);
    repository.renew();
}

#[tokio::test]
async fn the_second_state_is_believed_as_it_is() {
    let mut site = Site::believed().await;
    go_on(&mut site.repository);
    site.publish();
    site.update().await.unwrap();
}

/// The same forgery in each role's metadata, by the file that it was found in.
async fn each(forge: fn(&mut Value), expected: impl Fn(&Refusal) -> bool) {
    for role in ROLES {
        let refusal = second(|repository| repository.forge = only(role, forge)).await;
        assert!(expected(&refusal), "{role}: {refusal}");
        assert!(refusal.to_string().contains(&role.file()), "{role}: {refusal}");
    }
}

fn unsigned(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::Unsigned { needed: 1, found: 0, .. })
}

fn signatures(metadata: &mut Value) -> &mut Vec<Value> {
    metadata["signatures"].as_array_mut().unwrap()
}

#[tokio::test]
async fn what_was_changed_after_signing() {
    each(|metadata| metadata["signed"]["x-note"] = "changed".into(), unsigned).await;
}

#[tokio::test]
async fn signatures_that_are_missing_empty_or_anothers() {
    each(|metadata| signatures(metadata).clear(), unsigned).await;
    each(|metadata| signatures(metadata).iter_mut().for_each(|s| s["sig"] = "".into()), unsigned).await;
    let renamed = |metadata: &mut Value| {
        for signature in signatures(metadata) {
            let id = format!("not-{}", signature["keyid"].as_str().unwrap());
            signature["keyid"] = id.into();
        }
    };
    each(renamed, unsigned).await;
}

#[tokio::test]
async fn what_a_stranger_signed_under_the_keys_name() {
    for role in ROLES {
        let refusal = second(|repository| {
            let keys = repository.keys.get_mut(&role).unwrap();
            keys.truncate(1);
            let stranger = Key::p256(&keys[0].id);
            let genuine = std::mem::replace(&mut keys[0], stranger);
            // The root goes on naming the genuine key.
            repository.edit = only(Role::Root, move |root| root["keys"][&genuine.id] = genuine.as_json());
        })
        .await;
        assert!(unsigned(&refusal), "{role}: {refusal}");
    }
}

#[tokio::test]
async fn fewer_signatures_than_are_needed() {
    let one_of_two = |repository: &mut Repository| {
        repository.threshold.insert(Role::Targets, 2);
        repository.forge = only(Role::Targets, |metadata| drop(signatures(metadata).pop()));
    };
    let refusal = second(one_of_two).await;
    assert!(matches!(refusal, Refusal::Unsigned { needed: 2, found: 1, .. }), "{refusal}");
}

#[tokio::test]
async fn a_threshold_of_nothing_is_not_met_by_nothing() {
    let refusal = second(|repository| {
        repository.threshold.insert(Role::Timestamp, 0);
        repository.forge = only(Role::Timestamp, |metadata| signatures(metadata).clear());
    })
    .await;
    assert!(unsigned(&refusal), "{refusal}");
}

#[tokio::test]
async fn one_key_under_two_names_is_one_key() {
    let refusal = second(|repository| {
        repository.threshold.insert(Role::Targets, 2);
        repository.keys.get_mut(&Role::Targets).unwrap().pop();
        repository.edit = only(Role::Root, |root| {
            root["keys"]["alias"] = root["keys"]["targets-b"].clone();
            root["roles"]["targets"]["keyids"].as_array_mut().unwrap().push("alias".into());
        });
        repository.forge = only(Role::Targets, |metadata| {
            let mut again = metadata["signatures"][0].clone();
            again["keyid"] = "alias".into();
            signatures(metadata).push(again);
        });
    })
    .await;
    assert!(matches!(refusal, Refusal::Unsigned { needed: 2, found: 1, .. }), "{refusal}");
}

#[tokio::test]
async fn one_key_that_signs_twice() {
    let twice = |metadata: &mut Value| {
        let again = metadata["signatures"][0].clone();
        signatures(metadata).push(again);
    };
    each(twice, |refusal| matches!(refusal, Refusal::Malformed { .. })).await;
}

#[tokio::test]
async fn older_versions_than_before() {
    for role in [Role::Timestamp, Role::Snapshot, Role::Targets] {
        let mut site = Site::believed().await;
        site.repository.renew();
        site.publish();
        site.update().await.unwrap();
        site.repository.version.insert(role, 1);
        // Whatever is below is new, and what names it too.
        if role != Role::Timestamp {
            site.repository.version.insert(Role::Timestamp, 3);
        }
        if role == Role::Targets {
            site.repository.version.insert(Role::Snapshot, 3);
        }
        site.publish();
        let refusal = site.refusal().await;
        let Refusal::Rollback { file, name, kept: 2, found: 1 } = &refusal else {
            panic!("{role}: {refusal}")
        };
        // What names a file tells first that it is older; of the targets, the first in the list.
        let expected = match role {
            Role::Targets => ("snapshot.json", "delegated.json"),
            _ => ("timestamp.json", &*role.file()),
        };
        assert_eq!((file.as_str(), name.as_raw()), expected);
    }
}

#[tokio::test]
async fn fewer_roots_than_before() {
    let mut site = Site::believed().await;
    site.repository.rotate(Role::Root, vec![Key::p256("root-b")]);
    site.publish();
    site.update().await.unwrap();
    site.server.refuse("2.root.json", 404);
    let refusal = site.refusal().await;
    assert!(matches!(refusal, Refusal::Rollback { kept: 2, found: 1, .. }), "{refusal}");
    assert!(refusal.to_string().contains("a folder of its own"), "{refusal}");
}

#[tokio::test]
async fn other_content_under_a_version_that_was_seen() {
    for role in [Role::Timestamp, Role::Snapshot, Role::Targets] {
        let mut site = Site::believed().await;
        site.repository.expires.insert(role, *NOW + 2 * DAY);
        // Only what names the other one by its hash is newer.
        for above in [Role::Snapshot, Role::Timestamp].iter().take_while(|above| **above < role) {
            *site.repository.version.get_mut(above).unwrap() += 1;
        }
        if role != Role::Timestamp {
            site.repository.version.insert(Role::Timestamp, 2);
        }
        site.publish();
        let refusal = site.refusal().await;
        assert!(matches!(refusal, Refusal::Forked { version: 1, .. }), "{role}: {refusal}");
        assert!(refusal.to_string().contains(&role.file()), "{role}: {refusal}");
    }
}

#[tokio::test]
async fn another_root_under_a_version_that_was_seen() {
    let mut site = Site::believed().await;
    site.repository.rotate(Role::Timestamp, vec![Key::p256("timestamp-b")]);
    site.publish();
    site.update().await.unwrap();
    // The same root keys sign another second root, and a third that goes on from it.
    site.repository.keys.insert(Role::Timestamp, vec![Key::p256("timestamp-c")]);
    site.publish();
    site.repository.version.insert(Role::Root, 3);
    site.publish();
    let refusal = site.refusal().await;
    assert!(matches!(refusal, Refusal::Forked { version: 2, .. }), "{refusal}");
}

#[tokio::test]
async fn roots_that_are_not_the_next_one() {
    let refusal = second(|repository| {
        repository.edit = only(Role::Root, |root| root["version"] = 3.into());
    })
    .await;
    assert!(matches!(refusal, Refusal::Version { expected: 2, found: 3, .. }), "{refusal}");
    // New keys that the old ones did not sign for, and the other way round.
    let usurped = second(|repository| {
        repository.keys.insert(Role::Root, vec![Key::p256("root-b")]);
        repository.former.clear();
    });
    assert!(unsigned(&usurped.await));
    let unwilling = second(|repository| {
        let former = repository.keys.insert(Role::Root, vec![Key::p256("root-b")]).unwrap();
        repository.former = former;
        repository.forge = only(Role::Root, |metadata| drop(signatures(metadata).remove(0)));
    });
    assert!(unsigned(&unwilling.await));
}

#[tokio::test]
async fn roots_without_end() {
    let mut site = Site::new().await;
    for _ in 0..257 {
        *site.repository.version.get_mut(&Role::Root).unwrap() += 1;
        let root = format!("{}.root.json", site.repository.version[&Role::Root]);
        site.server.give(&root, site.repository.root());
    }
    let refusal = site.refusal().await;
    assert_eq!(refusal, Refusal::TooManyRoots { limit: 256 });
}

#[tokio::test]
async fn what_has_ended() {
    for role in ROLES {
        let refusal = second(|repository| {
            repository.expires.insert(role, *NOW);
        })
        .await;
        assert!(
            matches!(refusal, Refusal::Expired { at, now, .. } if at == *NOW && now == *NOW),
            "{role}: {refusal}"
        );
        let shown = refusal.to_string();
        assert!(shown.contains(&role.file()) && shown.contains("expired at 2030-01-01T00:00:00Z"), "{shown}");
    }
}
