//! What does not belong together, is of another kind or size, or is not there.

use serde_json::Value;

use super::repository::{ROLES, only};
use super::*;

#[tokio::test]
async fn metadata_of_different_states() {
    for (role, pinned) in
        [(Role::Snapshot, true), (Role::Snapshot, false), (Role::Targets, true), (Role::Targets, false)]
    {
        let mut repository = Repository::new();
        repository.pinned = pinned;
        let mut site = Site::with(repository).await;
        site.update().await.unwrap();
        let old = site.repository.files().remove(&format!("1.{}", role.file())).unwrap();
        site.repository.renew();
        site.publish();
        site.server.give(&format!("2.{}", role.file()), old);
        let refusal = site.refusal().await;
        let right = match pinned {
            true => matches!(refusal, Refusal::Digest { .. } | Refusal::Length { .. }),
            false => matches!(refusal, Refusal::Version { expected: 2, found: 1, .. }),
        };
        assert!(right, "{role}: {refusal}");
    }
}

#[tokio::test]
async fn lengths_and_hashes_that_metadata_is_named_by() {
    for role in [Role::Snapshot, Role::Targets] {
        for longer in [true, false] {
            let mut site = Site::new().await;
            site.repository.pinned = true;
            let files = site.repository.files();
            site.give(files.clone());
            let name = format!("1.{}", role.file());
            let mut bytes = files[&name].clone();
            // Space changes nothing that is signed.
            if longer {
                bytes.push(b' ')
            } else {
                *bytes.iter_mut().find(|b| **b == b' ').unwrap() = b'\n'
            }
            site.server.give(&name, bytes);
            let refusal = site.refusal().await;
            let right = match longer {
                true => matches!(refusal, Refusal::Length { expected, found, .. } if found == expected + 1),
                false => matches!(refusal, Refusal::Digest { .. }),
            };
            assert!(right, "{role}: {refusal}");
        }
    }
}

#[tokio::test]
async fn a_target_of_another_length_or_hash() {
    let site = Site::new().await;
    let path = site.repository.files().into_keys().find(|name| name.starts_with("targets/")).unwrap();
    let target = site.repository.target.clone();
    for (bytes, expected) in [
        ([&target[..], b" "].concat(), "bytes, found"),
        ([&target[..], &[b' '; 100]].concat(), "more than"),
        (target[1..].to_vec(), "bytes, found"),
        (String::from_utf8(target).unwrap().replace("log.example", "lag.example").into_bytes(), "sha256:"),
    ] {
        site.server.give(&path, bytes);
        let refusal = site.refusal().await;
        assert!(refusal.to_string().contains(expected), "{refusal}");
    }
}

#[tokio::test]
async fn a_target_that_is_no_trusted_root() {
    for (content, expected) in [
        (&b"{}"[..], "mediaType"),
        (br#"{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.9"}"#, "version=0.1"),
        (br#"{"mediaType":"a","mediaType":"b"}"#, "twice"),
        (b"[]", "trusted_root.json"),
    ] {
        let mut repository = Repository::new();
        repository.target = content.to_vec();
        let refusal = Site::with(repository).await.refusal().await;
        assert!(refusal.to_string().contains(expected), "{refusal}");
    }
}

/// Signed metadata that lacks what it should have.
async fn edited(role: Role, edit: fn(&mut Value)) -> String {
    let mut repository = Repository::new();
    repository.edit = only(role, edit);
    Site::with(repository).await.refusal().await.to_string()
}

#[tokio::test]
async fn what_is_not_listed() {
    let no_target = edited(Role::Targets, |signed| {
        signed["targets"] = serde_json::json!({});
    });
    assert_eq!(no_target.await, "targets.json: it does not list trusted_root.json");
    let no_targets = edited(Role::Snapshot, |signed| {
        signed["meta"].as_object_mut().unwrap().remove("targets.json");
    });
    assert_eq!(no_targets.await, "snapshot.json: it does not list targets.json");
    let no_hash = edited(Role::Targets, |signed| {
        signed["targets"][TRUSTED_ROOT]["hashes"] = serde_json::json!({"md5": "00"});
    });
    assert!(no_hash.await.contains("SHA-256"));
    let no_path = edited(Role::Targets, |signed| {
        signed["targets"][TRUSTED_ROOT]["hashes"]["sha256"] = "../../other".into();
    });
    assert!(no_path.await.contains("64 hexadecimal digits"));
    let vast = edited(Role::Targets, |signed| {
        signed["targets"][TRUSTED_ROOT]["length"] = u64::MAX.into();
    });
    assert!(vast.await.contains("more than 1048576 bytes"));
}

#[tokio::test]
async fn what_was_listed_before() {
    let mut site = Site::believed().await;
    site.repository.renew();
    site.repository.edit = only(Role::Snapshot, |signed| {
        signed["meta"].as_object_mut().unwrap().remove("delegated.json");
    });
    site.publish();
    let refusal = site.refusal().await;
    assert!(
        matches!(&refusal, Refusal::Unlisted { name, .. } if name.as_raw() == "delegated.json"),
        "{refusal}"
    );
}

#[tokio::test]
async fn metadata_that_means_nothing_here() {
    let other_type = edited(Role::Timestamp, |signed| {
        signed["_type"] = "snapshot".into();
    });
    assert!(other_type.await.contains("expected metadata of timestamp, found snapshot"));
    let other_specification = edited(Role::Timestamp, |signed| {
        signed["spec_version"] = "2.0.0".into();
    });
    assert!(other_specification.await.contains("expected TUF's version 1, found 2.0.0"));
    let fraction = edited(Role::Timestamp, |signed| {
        signed["x-weight"] = 0.5.into();
    });
    assert!(fraction.await.contains("no integer"));
    let zeroth = edited(Role::Timestamp, |signed| {
        signed["version"] = 0.into();
    });
    assert!(zeroth.await.contains("from 1 on"));
}

#[tokio::test]
async fn metadata_that_two_readers_would_read_as_two_things() {
    let site = Site::new().await;
    let timestamp = site.repository.files().remove("timestamp.json").unwrap();
    let text = String::from_utf8(timestamp).unwrap();
    site.server.give("timestamp.json", text.replacen("\"signed\"", "\"signed\": {}, \"signed\"", 1));
    assert!(site.refusal().await.to_string().contains("twice"));
}

#[tokio::test]
async fn more_than_is_read() {
    for role in ROLES {
        let site = Site::new().await;
        let name = match role {
            Role::Root => "2.root.json".to_owned(),
            Role::Timestamp => role.file(),
            _ => format!("1.{}", role.file()),
        };
        site.server.give(&name, vec![b' '; usize::try_from(role.limit()).unwrap() + 1]);
        let refusal = site.refusal().await;
        assert!(matches!(&refusal, Refusal::TooLarge { file, .. } if *file == name), "{refusal}");
    }
}
