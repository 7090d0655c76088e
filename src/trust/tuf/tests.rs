mod accepted;
mod folder;
mod genuine;
mod mixed;
mod recovery;
mod refused;
mod repository;

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use super::*;
use crate::clock::Clock;
use crate::egress;
use crate::trust::revocation::tests::server::Server;
use repository::{Key, Repository, trusted_root};

/// 2030-01-01T00:00:00Z
static NOW: LazyLock<SystemTime> =
    LazyLock::new(|| SystemTime::UNIX_EPOCH + Duration::from_secs(1_893_456_000));
const DAY: Duration = Duration::from_secs(86_400);

/// A repository on a server, and one who follows it from its first root.
struct Site {
    server: Server,
    repository: Repository,
    clock: Clock,
    folder: tempfile::TempDir,
    settings: Settings,
}

impl Site {
    /// The repository's first state is published, and nobody has looked yet.
    async fn new() -> Self {
        Self::with(Repository::new()).await
    }

    async fn with(repository: Repository) -> Self {
        let (server, folder) = (Server::start().await, tempfile::tempdir().unwrap());
        let root = folder.path().join("first.json");
        std::fs::write(&root, repository.root()).unwrap();
        let settings = Settings { url: server.url(""), root: Some(root), path: None };
        let site = Self { server, repository, clock: Clock::manual(*NOW), folder, settings };
        site.publish();
        site
    }

    /// A repository whose first state is believed and kept.
    async fn believed() -> Self {
        let site = Self::new().await;
        site.update().await.unwrap();
        site
    }

    fn publish(&self) {
        self.give(self.repository.files());
    }

    fn give(&self, files: impl IntoIterator<Item = (String, Vec<u8>)>) {
        files.into_iter().for_each(|(name, bytes)| self.server.give(&name, bytes));
    }

    fn output(&self) -> PathBuf {
        self.folder.path().join("kept").join(TRUSTED_ROOT)
    }

    /// What is in use.
    fn in_use(&self) -> Option<Vec<u8>> {
        std::fs::read(self.output()).ok()
    }

    fn kept(&self, role: Role) -> u64 {
        let file = self.output().with_file_name(role.file());
        let metadata: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        metadata["signed"]["version"].as_u64().unwrap()
    }

    async fn update(&self) -> Result<Outcome, Error> {
        update(&Order {
            settings: &self.settings,
            egress: &egress::Settings::default(),
            environment: &|_| None,
            output: &self.output(),
            clock: &self.clock,
        })
        .await
    }

    /// Why the update is refused. Whatever the reason, what was in use stays.
    async fn refusal(&self) -> Refusal {
        let before = self.in_use();
        let refusal = match self.update().await {
            Err(Error::Refused(refusal)) => refusal,
            other => panic!("not refused: {other:?}"),
        };
        assert_eq!(self.in_use(), before);
        refusal
    }
}
