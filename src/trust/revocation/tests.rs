mod authority;
mod bounds;
mod carried;
mod keeping;
pub(in crate::trust) mod server;
mod standing;

use std::path::Path;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use super::*;
use crate::egress;
use crate::store;
use crate::trust::Settings;
use crate::x509::revocation::Source;
use authority::{Authority, List, Says};
use server::Server;

/// 2030-01-01T00:00:00Z
static NOW: LazyLock<SystemTime> =
    LazyLock::new(|| SystemTime::UNIX_EPOCH + Duration::from_secs(1_893_456_000));
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A process with a store of its own, a server, and an authority whose certificates name it.
struct Site {
    server: Server,
    authority: Authority,
    clock: Clock,
    metrics: Arc<Metrics>,
    folder: tempfile::TempDir,
    store: Option<Store>,
    revocations: Option<Revocations>,
}

impl Site {
    async fn new() -> Self {
        let mut site = Self {
            server: Server::start().await,
            authority: Authority::new("acme CA"),
            clock: Clock::manual(*NOW),
            metrics: Metrics::new(),
            folder: tempfile::tempdir().unwrap(),
            store: None,
            revocations: None,
        };
        site.restart();
        site
    }

    /// A new process over the same store.
    fn restart(&mut self) {
        self.revocations = None;
        self.store = None;
        let settings = store::Settings { path: self.folder.path().to_owned(), ..store::Settings::default() };
        let store = Store::open(&settings, &self.metrics).unwrap();
        self.revocations = Some(Revocations::open(&store, &self.metrics, &self.clock));
        self.store = Some(store);
    }

    fn revocations(&self) -> &Revocations {
        self.revocations.as_ref().unwrap()
    }

    fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    /// A certificate whose status this server tells by OCSP.
    fn by_ocsp(&self) -> Need {
        self.authority.issue(&[self.server.url("ocsp")], &[])
    }

    /// A certificate whose status this server tells by CRL.
    fn by_crl(&self) -> Need {
        self.authority.issue(&[], &[self.server.url("a.crl")])
    }

    fn by_both(&self) -> Need {
        self.authority.issue(&[self.server.url("ocsp")], &[self.server.url("a.crl")])
    }

    /// Sources that may ask this server.
    fn sources(&self) -> RevocationSources {
        self.sources_with(Settings::default())
    }

    fn sources_with(&self, trust: Settings) -> RevocationSources {
        let egress = egress::Settings { allow: vec![self.server.host()], ..egress::Settings::default() };
        RevocationSources::build_in(&|_| None, &trust, &egress).unwrap()
    }

    async fn status(&self, need: &Need) -> Status {
        self.status_by(need, &self.sources()).await
    }

    async fn status_by(&self, need: &Need, sources: &RevocationSources) -> Status {
        let data = self.revocations().gather(std::slice::from_ref(need), sources).await;
        data.status(&need.certificate, &need.issuer, self.clock.now(), None)
    }

    /// Gives an OCSP answer made now and good for so long.
    fn answers(&self, need: &Need, says: Says, lasting: Duration) {
        let now = self.clock.now();
        self.server.give("ocsp", self.authority.ocsp(need, says, now, Some(now + lasting)));
    }

    fn metric(&self, line: &str) -> bool {
        self.metrics.render().lines().any(|found| found == line)
    }
}

fn in_folder(folder: &Path) -> Settings {
    Settings { crls: Some(folder.to_owned()), ..Settings::default() }
}

#[track_caller]
fn assert_good(status: &Status, until: SystemTime) {
    assert!(matches!(status, Status::Good { until: found, .. } if *found == until), "{status:?}");
}

#[track_caller]
fn assert_revoked(status: &Status) {
    assert!(matches!(status, Status::Revoked { .. }), "{status:?}");
}

#[track_caller]
fn assert_unknown(status: &Status, why: &str) {
    assert!(matches!(status, Status::Unknown { why: found } if found.contains(why)), "{status:?}");
}
