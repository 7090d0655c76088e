//! Thieves of online keys may count far ahead: once those keys are replaced, what they signed is forgotten.

use super::*;

const FAR: u64 = 1_000_000;

/// Somebody had a role's key and counted far ahead. Then the numbers are as before again.
async fn run_ahead(role: Role) -> Site {
    let mut site = Site::believed().await;
    for counted in [Role::Timestamp, role] {
        *site.repository.version.get_mut(&counted).unwrap() = FAR;
    }
    site.publish();
    site.update().await.unwrap();
    assert_eq!(site.kept(role), FAR);
    for counted in [Role::Timestamp, Role::Snapshot] {
        site.repository.version.insert(counted, 2);
    }
    site.publish();
    assert!(matches!(site.refusal().await, Refusal::Rollback { kept: FAR, .. }));
    site
}

#[tokio::test]
async fn a_timestamp_that_ran_ahead_is_forgotten_with_its_key() {
    let mut site = run_ahead(Role::Timestamp).await;
    site.repository.rotate(Role::Timestamp, vec![Key::p256("timestamp-b")]);
    site.publish();
    let outcome = site.update().await.unwrap();
    assert!(outcome.began_anew);
    assert_eq!((outcome.before.timestamp, outcome.after.timestamp), (Some(FAR), Some(2)));
    // And the new numbers hold again.
    site.repository.version.insert(Role::Timestamp, 1);
    site.publish();
    let refusal = site.refusal().await;
    assert!(matches!(refusal, Refusal::Rollback { kept: 2, found: 1, .. }), "{refusal}");
}

#[tokio::test]
async fn a_snapshot_that_ran_ahead_is_forgotten_with_its_key() {
    let mut site = run_ahead(Role::Snapshot).await;
    // Another timestamp key alone would forget both too; here it is the snapshot's that is new.
    site.repository.rotate(Role::Snapshot, vec![Key::p256("snapshot-b")]);
    site.publish();
    assert!(site.update().await.unwrap().began_anew);
}

#[tokio::test]
async fn new_keys_of_the_root_or_the_targets_forget_nothing() {
    let mut site = run_ahead(Role::Timestamp).await;
    site.repository.rotate(Role::Root, vec![Key::p256("root-b")]);
    site.publish();
    site.repository.rotate(Role::Targets, vec![Key::p256("targets-b")]);
    site.publish();
    let refusal = site.refusal().await;
    assert!(matches!(refusal, Refusal::Rollback { kept: FAR, found: 2, .. }), "{refusal}");
}
