//! One update: the steps in their order, each kept as soon as it is proven.

use std::path::Path;
use std::time::SystemTime;

use super::error::{Error, Refusal};
use super::folder::{Folder, Kept};
use super::metadata::{Root, Signed, Target, Targets};
use super::repository::Repository;
use super::role::Role;
use super::settings::Settings;
use super::target::{Anchor, MAX_BYTES, TRUSTED_ROOT, anchors, check};
use super::trusted::Trusted;
use crate::clock::Clock;
use crate::egress::{self, Environment};
use crate::oci::Digest;
use crate::trust::files::read_within;
use crate::trust::sigstore_root;

/// The most new roots that one update follows: sigstore makes two a year.
const MAX_ROOTS: u64 = 256;

/// What is to be done.
pub struct Order<'a> {
    /// Which repository, and by which root.
    pub settings: &'a Settings,
    /// Where redirects may lead.
    pub egress: &'a egress::Settings,
    /// Where proxies are named.
    pub environment: Environment<'a>,
    /// The file to write the trusted root to. Metadata is kept beside it.
    pub output: &'a Path,
    /// The time.
    pub clock: &'a Clock,
}

/// What came of an update.
#[derive(Debug)]
pub struct Outcome {
    /// The repository's address.
    pub repository: String,
    /// What was kept before, where anything was.
    pub before: Versions,
    /// What is in use now.
    pub after: Versions,
    /// The keys of the timestamp or the snapshot were replaced: their numbers began anew.
    pub began_anew: bool,
    /// Whether the trusted root says something else than before.
    pub changed: bool,
    /// Who is trusted now and was not before.
    pub added: Vec<Anchor>,
    /// Who was trusted before and is not now.
    pub removed: Vec<Anchor>,
    /// When the trusted root of before was last known to be the current one.
    pub known_before: Option<SystemTime>,
}

/// The version of each role's metadata, where there is one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Versions {
    /// Of the root.
    pub root: Option<u64>,
    /// Of the timestamp.
    pub timestamp: Option<u64>,
    /// Of the snapshot.
    pub snapshot: Option<u64>,
    /// Of the targets.
    pub targets: Option<u64>,
}

impl Versions {
    fn of(kept: &Kept) -> Self {
        Self {
            root: kept.root.as_ref().map(|kept| kept.version),
            timestamp: kept.timestamp.as_ref().map(|kept| kept.version),
            snapshot: kept.snapshot.as_ref().map(|kept| kept.version),
            targets: kept.targets.as_ref().map(|kept| kept.version),
        }
    }
}

/// Renews a trusted root from its repository.
///
/// # Errors
/// [`Error`]; the trusted root of before is there still.
pub async fn update(order: &Order<'_>) -> Result<Outcome, Error> {
    let repository = Repository::new(order.settings, order.egress, order.environment)?;
    let trusted = anchor(order.settings)?;
    let folder = Folder::open(order.output)?;
    // One time for the whole update (section 5.1).
    Update { repository, folder, now: order.clock.now() }.run(trusted).await
}

/// The root to begin with, as the operator or the program gives it.
fn anchor(settings: &Settings) -> Result<Trusted, Error> {
    let Some(path) = &settings.root else { return Ok(Trusted::anchored(sigstore_root::TUF_ROOT)?) };
    let wrong = |why: String| Error::Kept { path: path.clone(), why };
    let limit = Role::Root.limit();
    let read = read_within(path, limit).map_err(|e| wrong(e.to_string()))?;
    let bytes = read.ok_or_else(|| wrong(format!("more than {limit} bytes")))?;
    Trusted::anchored(&bytes).map_err(|refusal| wrong(format!("not a TUF root to begin with: {refusal}")))
}

struct Update {
    repository: Repository,
    folder: Folder,
    now: SystemTime,
}

impl Update {
    async fn run(&self, mut trusted: Trusted) -> Result<Outcome, Error> {
        let mut kept = self.folder.kept()?;
        let before = Versions::of(&kept);
        self.roots(&mut trusted, kept.root.take()).await?;
        let kept = trusted.still_counts(kept);
        let (targets, mut after) = self.chain(&trusted, &kept).await?;
        after.root = Some(trusted.root().version);
        let bytes = self.trusted_root(&trusted, targets.trusted_root()?).await?;
        let last = self.folder.trusted_root()?;
        self.folder.keep_trusted_root(&bytes, self.now)?;
        let now = anchors(&bytes)?;
        // What was there may be anybody's file; then everything is new.
        let then = last.as_ref().and_then(|(bytes, _)| anchors(bytes).ok()).unwrap_or_default();
        Ok(Outcome {
            repository: self.repository.base().to_string(),
            began_anew: before.timestamp.is_some() && kept.timestamp.is_none(),
            before,
            after,
            changed: last.as_ref().is_none_or(|(last, _)| *last != bytes),
            added: now.difference(&then).cloned().collect(),
            removed: then.difference(&now).cloned().collect(),
            known_before: last.map(|(_, date)| date),
        })
    }

    /// From the root that the operator trusts to the newest (5.3). The one that was kept is no other
    /// beginning but a bound: the chain has to lead through it, or begin behind it.
    async fn roots(&self, trusted: &mut Trusted, kept: Option<Signed<Root>>) -> Result<(), Error> {
        let matches = |trusted: &Trusted| match &kept {
            Some(kept) if kept.version == trusted.root().version => trusted.root().follows(kept),
            _ => Ok(()),
        };
        matches(trusted)?;
        for followed in 0.. {
            let Some(file) = trusted.next() else { break };
            let Some(bytes) = self.repository.find(&file, Role::Root.limit()).await? else { break };
            if followed == MAX_ROOTS {
                return Err(Refusal::TooManyRoots { limit: MAX_ROOTS }.into());
            }
            trusted.advance(&file, &bytes)?;
            matches(trusted)?;
        }
        kept.as_ref().map_or(Ok(()), |kept| trusted.root().follows(kept))?;
        self.folder.keep(trusted.root(), self.now)?;
        // Only the last one has to be alive (5.3.10).
        Ok(trusted.root().alive(self.now)?)
    }

    /// Timestamp, snapshot, targets (5.4 to 5.6).
    async fn chain(&self, trusted: &Trusted, kept: &Kept) -> Result<(Signed<Targets>, Versions), Error> {
        let bytes = self.repository.file(&Role::Timestamp.file(), Role::Timestamp.limit()).await?;
        let timestamp = trusted.timestamp(&bytes, kept.timestamp.as_ref(), self.now)?;
        self.folder.keep(&timestamp, self.now)?;

        let pin = timestamp.body.snapshot();
        let bytes = self.metadata(trusted, Role::Snapshot, pin.version).await?;
        let snapshot = trusted.snapshot(&bytes, &timestamp, kept.snapshot.as_ref(), self.now)?;
        self.folder.keep(&snapshot, self.now)?;

        let bytes = self.metadata(trusted, Role::Targets, snapshot.targets()?.version).await?;
        let targets = trusted.targets(&bytes, &snapshot, kept.targets.as_ref(), self.now)?;
        self.folder.keep(&targets, self.now)?;

        let versions = Versions {
            root: None,
            timestamp: Some(timestamp.version),
            snapshot: Some(snapshot.version),
            targets: Some(targets.version),
        };
        Ok((targets, versions))
    }

    /// Where snapshots are consistent, names begin with the version (section 6.2).
    async fn metadata(&self, trusted: &Trusted, role: Role, version: u64) -> Result<Vec<u8>, Error> {
        let file = role.file();
        let name = if trusted.root().body.consistent_snapshot { format!("{version}.{file}") } else { file };
        self.repository.file(&name, role.limit()).await
    }

    /// The target itself (5.7).
    async fn trusted_root(&self, trusted: &Trusted, target: &Target) -> Result<Vec<u8>, Error> {
        if target.length > MAX_BYTES {
            return Err(Refusal::TooLarge { file: TRUSTED_ROOT.to_owned(), limit: MAX_BYTES }.into());
        }
        let name = match trusted.root().body.consistent_snapshot {
            true => format!("targets/{}.{TRUSTED_ROOT}", hash(target)?),
            false => format!("targets/{TRUSTED_ROOT}"),
        };
        // One byte more than is right tells a longer file from a right one.
        let bytes = self.repository.file(&name, target.length.saturating_add(1)).await?;
        target.check(TRUSTED_ROOT, &bytes)?;
        check(&bytes)?;
        Ok(bytes)
    }
}

/// The hash that the file is named by, proven to be one.
fn hash(target: &Target) -> Result<String, Refusal> {
    let named =
        ["sha256", "sha512"].iter().find_map(|algorithm| Some((algorithm, target.hashes.get(*algorithm)?)));
    let (algorithm, hash) =
        named.ok_or_else(|| Refusal::malformed(TRUSTED_ROOT, "no SHA-256 or SHA-512 is given"))?;
    let digest =
        Digest::parse(&format!("{algorithm}:{hash}")).map_err(|e| Refusal::malformed(TRUSTED_ROOT, e))?;
    Ok(digest.hex())
}
