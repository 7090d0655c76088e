//! What was made for a subject, and when it is let go.

use std::time::Instant;

use super::*;
use crate::store::key::within;

/// A gate that signs with the key in the folder before it answers.
async fn signing(folder: &std::path::Path) -> Stand {
    let stand = Stand::new("require: acme").await;
    sign_with(stand, folder, "")
}

fn sign_with(mut stand: Stand, folder: &std::path::Path, rest: &str) -> Stand {
    let key = folder.join("corp.key");
    std::fs::write(&key, Key::generate(KeyKind::P256).unwrap().private_pem()).unwrap();
    let key = key.display();
    let counter_sign = format!("{{ key: \"{key}\", formats: [cosign], before_serving: true }}");
    stand.reload(&[&format!("require: acme, counter_sign: {counter_sign}")], rest);
    stand
}

impl Stand {
    async fn is_counter_signed(&self, subject: &Digest) -> bool {
        let record = self.memory().countersigned.table().get(&within(&repository(), subject)).await;
        record.unwrap().is_some()
    }
}

/// None of it is served any more, so that nobody need wait for who signs at this moment; it is taken back all the same.
#[tokio::test]
async fn a_decision_that_fell_waits_only_a_moment_for_what_was_made_before() {
    let folder = tempfile::tempdir().unwrap();
    let mut stand = signing(folder.path()).await;
    let image = Package::image("app");
    stand.push_signed("1", &image);
    stand.pull(":1").await.unwrap();
    assert!(stand.is_counter_signed(&image.digest()).await);

    let memory = Arc::clone(stand.memory());
    let turn = memory.countersigned.turn(&image.digest()).lock().await;
    stand.reload(&["require: rival"], "");
    let begun = Instant::now();
    let pulled = tokio::time::timeout(Duration::from_secs(20), stand.pull(":1")).await;
    denial(pulled.expect("it waits for another's turn"));
    let waited = begun.elapsed();
    assert!((Duration::from_millis(900)..Duration::from_secs(10)).contains(&waited), "{waited:?}");
    assert!(stand.is_counter_signed(&image.digest()).await, "it is another's turn");
    drop(turn);
    stand.until(async |stand| !stand.is_counter_signed(&image.digest()).await).await;
    let maker = countersign::maker(&repository(), &image.digest());
    stand.until(async |_| memory.store.holdings_now(&maker).unwrap().is_empty()).await;
}

/// What a crash left without a record costs the first signature nothing, and goes with the next.
#[tokio::test]
async fn only_what_is_on_record_is_let_go() {
    let folder = tempfile::tempdir().unwrap();
    let stand = signing(folder.path()).await;
    let image = Package::image("app");
    stand.push_signed("1", &image);
    let (maker, left) = (countersign::maker(&repository(), &image.digest()), Digest::sha256(b"left"));
    stand.memory().store.write_held(vec![(left, b"left"[..].into())], &maker).await.unwrap();
    stand.pull(":1").await.unwrap();
    let held = |stand: &Stand| stand.memory().store.holdings_now(&maker).unwrap();
    let first = held(&stand);
    assert!(first.len() > 1 && first.contains(&left), "{first:?}");
    let stand = sign_with(stand, folder.path(), "");
    stand.pull(":1").await.unwrap();
    let second = held(&stand);
    assert!(!second.is_empty() && !second.contains(&left), "{second:?}");
    // But for the empty config, nothing of the former ones either.
    let both: Vec<_> = second.iter().filter(|digest| first.contains(digest)).collect();
    assert!(both.len() < first.len() - 1, "{first:?} {second:?}");
}

/// Neither served nor kept, though the decision itself may do without the log.
#[tokio::test]
async fn what_cannot_be_written_down_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let stand =
        sign_with(Stand::logging_in(folder.path()).await, folder.path(), "dangerous_skip_audit: true");
    let image = Package::image("app");
    stand.push_signed("1", &image);
    let maker = countersign::maker(&repository(), &image.digest());
    take_log_away(folder.path());
    for _ in 0..2 {
        let Err(Refusal::Upstream(Trouble::Internal { message, .. })) = stand.pull(":1").await else {
            panic!("it is served")
        };
        assert!(message.contains("could not be counter-signed: audit log"), "{message}");
        assert_eq!(stand.memory().store.holdings_now(&maker).unwrap(), []);
        assert!(!stand.is_counter_signed(&image.digest()).await);
    }
    std::fs::remove_dir(folder.path().join("audit.jsonl")).unwrap();
    stand.pull(":1").await.unwrap();
    assert_ne!(stand.memory().store.holdings_now(&maker).unwrap(), []);
    let log = std::fs::read_to_string(folder.path().join("audit.jsonl")).unwrap();
    assert_eq!(log.matches("\"counter-signed\"").count(), 1, "{log}");
}

/// What the key has signed stands in the log, and that it is not in use.
#[tokio::test]
async fn what_cannot_be_kept_is_withdrawn() {
    let folder = tempfile::tempdir().unwrap();
    let stand = Stand::logging_in(folder.path()).await;
    let image = Package::image("app");
    stand.push_signed("1", &image);
    stand.pull(":1").await.unwrap();
    std::fs::remove_dir(folder.path().join("store/incoming")).unwrap();
    let stand = sign_with(stand, folder.path(), "");
    let Err(Refusal::Upstream(Trouble::Internal { message })) = stand.pull(":1").await else {
        panic!("it is served")
    };
    assert!(message.contains("could not be counter-signed: "), "{message}");
    let maker = countersign::maker(&repository(), &image.digest());
    assert_eq!(stand.memory().store.holdings_now(&maker).unwrap(), []);
    assert!(!stand.is_counter_signed(&image.digest()).await);
    // Another evaluation may be at it behind the answer.
    stand
        .until(async |_| {
            let log = std::fs::read_to_string(folder.path().join("audit.jsonl")).unwrap();
            let events = ["\"counter-signed\"", "\"withdrawn\""].map(|event| log.matches(event).count());
            events[0] > 0 && events[0] == events[1]
        })
        .await;
}
