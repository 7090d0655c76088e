//! What a new process takes over, and what it proves again.

use super::*;
use crate::engine::Unmatched;

/// A stand whose state is on disk.
struct Lasting {
    stand: Stand,
    folder: tempfile::TempDir,
}

async fn open(folder: &std::path::Path, clock: &Clock) -> Arc<State> {
    let mut settings = config::Settings::built_in();
    settings.store.path = folder.join("store");
    loop {
        // Tasks of the process before may need a moment to end.
        match State::open(&settings, clock.clone(), Unmatched::Refused).await {
            Ok(state) => return state,
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

impl Lasting {
    async fn new(policy: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::manual(SystemTime::now());
        let state = open(folder.path(), &clock).await;
        Self { stand: Stand::over(state, clock, &[policy], "").await, folder }
    }

    /// The same after a restart of the process, under a policy that may be another.
    async fn restarted(self, policy: &str) -> Self {
        let Self { stand: Stand { registry, clock, state, engine, acme, rival }, folder } = self;
        state.close().await;
        drop((engine, state));
        let state = open(folder.path(), &clock).await;
        let settings = configuration(&registry, [&acme, &rival], &[policy], "");
        let engine = Engine::build(settings, &state, None).unwrap();
        Self { stand: Stand { registry, clock, state, engine, acme, rival }, folder }
    }
}

#[tokio::test]
async fn what_is_kept_is_proven_again_without_network() {
    let lasting = Lasting::new("require: acme").await;
    let index = Package::multi_arch("app");
    let child = index.children()[0].clone();
    lasting.stand.push_signed("v1", &index);
    lasting.stand.pull(":v1").await.unwrap();
    lasting.stand.pull_digest(&child.digest()).await.unwrap();
    let Lasting { stand, folder: _folder } = lasting.restarted("require: acme").await;
    stand.registry.fault("", Fault::Status(500, None));
    let asked = stand.registry.seen().len();
    // The child is found through its parent, which nobody has asked for yet.
    assert_eq!(stand.pull_digest(&child.digest()).await.unwrap().decision().subject(), &index.digest());
    stand.pull(":v1").await.unwrap();
    assert!(stand.gate().blob_descriptor(&repository(), &child.layer(), &Principal::Anonymous).await.is_ok());
    assert_eq!(stand.registry.seen().len(), asked);
}

#[tokio::test]
async fn what_is_kept_proves_nothing_under_a_policy_that_does_not_believe_it() {
    let lasting = Lasting::new("require: acme").await;
    let image = Package::image("app");
    lasting.stand.push_signed("v1", &image);
    lasting.stand.pull(":v1").await.unwrap();
    let Lasting { stand, folder: _folder } = lasting.restarted("require: rival").await;
    denial(stand.pull_digest(&image.digest()).await);
    denial(stand.blob(&image.layer()).await);
}

#[tokio::test]
async fn rotten_signatures_and_manifests_prove_nothing() {
    let lasting = Lasting::new("require: acme").await;
    let image = Package::image("app");
    let signature = lasting.stand.push_signed("v1", &image);
    lasting.stand.pull(":v1").await.unwrap();
    let Lasting { stand, folder } = lasting.restarted("require: acme").await;
    stand.registry.fault("", Fault::Status(500, None));
    let file = |digest: &Digest| folder.path().join("store/blobs/sha256").join(digest.hex());
    std::fs::write(file(&signature.layer()), "rotten").unwrap();
    undecided(stand.pull_digest(&image.digest()).await);
    std::fs::write(file(&image.digest()), Package::image("evil").bytes()).unwrap();
    assert!(stand.pull_digest(&image.digest()).await.is_err());
}

#[tokio::test]
async fn a_clock_that_was_set_back_over_the_restart_is_noticed() {
    let lasting = Lasting::new("require: acme").await;
    let image = Package::image("app");
    lasting.stand.push_signed("v1", &image);
    lasting.stand.pull(":v1").await.unwrap();
    lasting.stand.clock.set(SystemTime::now() - 24 * HOUR);
    let Lasting { stand, folder: _folder } = lasting.restarted("require: acme").await;
    let decision = undecided(stand.pull_digest(&image.digest()).await);
    assert_eq!(decision.reasons()[0].code, Code::ClockWentBack);
}

/// Records hold numbers that no clock shows.
#[tokio::test]
async fn damaged_times_in_records_are_survived() {
    let stand = Stand::new("require: acme").await;
    let image = Package::image("app");
    stand.push_signed("v1", &image);
    stand.pull(":v1").await.unwrap();
    let records = stand.memory().store.records();
    let key = crate::store::key::within(&repository(), &image.digest());
    let record = records.table("signatures").get(&key).await.unwrap().unwrap();
    let mut record: serde_json::Value = serde_json::from_slice(&record).unwrap();
    record["discovered"] = u64::MAX.into();
    records.table("signatures").put(key, record.to_string());
    stand.clock.advance(25 * HOUR);
    stand.pull_digest(&image.digest()).await.unwrap();

    records.table("clock").put("latest", [0xff; 8]);
    let memory = Memory::open(
        stand.memory().store.clone(),
        stand.memory().cache.clone(),
        Arc::clone(stand.state.audit()),
        Arc::clone(stand.state.metrics()),
        stand.clock.clone(),
    );
    assert!(memory.await.unwrap().moment().setback.is_some());
}
