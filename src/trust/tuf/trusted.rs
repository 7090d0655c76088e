//! What is believed, step by step (TUF 1.0.34, sections 5.3 to 5.7): each step takes bytes and gives them
//! back proven, or says why not. Fetches nothing, keeps nothing, knows no clock.

use std::time::SystemTime;

use super::error::Refusal;
use super::folder::Kept;
use super::metadata::{Body, Pin, Root, Signed, Snapshot, Target, Targets, Timestamp};
use super::role::Role;
use super::target::TRUSTED_ROOT;
use crate::telemetry::Untrusted;

/// The root in use: all else is judged by it.
#[derive(Debug)]
pub(super) struct Trusted {
    root: Signed<Root>,
}

impl Trusted {
    /// Begins with the root that the operator trusts. It may have expired: those after it may not.
    ///
    /// # Errors
    /// Malformed, or not signed by its own keys.
    pub(super) fn anchored(bytes: &[u8]) -> Result<Self, Refusal> {
        let root: Signed<Root> = Signed::read(&Role::Root.file(), bytes)?;
        root.signed_by(&root)?;
        Ok(Self { root })
    }

    pub(super) fn root(&self) -> &Signed<Root> {
        &self.root
    }

    /// The name of the next root, if there is one. `None` after the last number.
    pub(super) fn next(&self) -> Option<String> {
        self.root.version.checked_add(1).map(|version| format!("{version}.{}", Role::Root.file()))
    }

    /// Goes on to the next root: the keys of both sign it (5.3.4), and its number is the next (5.3.5).
    ///
    /// # Errors
    /// [`Refusal`].
    pub(super) fn advance(&mut self, file: &str, bytes: &[u8]) -> Result<(), Refusal> {
        let next: Signed<Root> = Signed::read(file, bytes)?;
        next.signed_by(&self.root)?;
        next.signed_by(&next)?;
        let expected = self.root.version.saturating_add(1);
        if next.version != expected {
            return Err(Refusal::Version { file: next.file, expected, found: next.version });
        }
        self.root = next;
        Ok(())
    }

    /// What was believed before and counts still. Once the keys of the timestamp or the snapshot are
    /// others, what the old ones signed holds nothing back any more: whoever stole them could have counted
    /// far ahead (5.3.11).
    pub(super) fn still_counts(&self, kept: Kept) -> Kept {
        let timestamp = kept.timestamp.as_ref().is_none_or(|kept| kept.signed_by(&self.root).is_ok());
        let snapshot = kept.snapshot.as_ref().is_none_or(|kept| kept.signed_by(&self.root).is_ok());
        if timestamp && snapshot { kept } else { Kept::default() }
    }

    /// The timestamp (5.4).
    ///
    /// # Errors
    /// [`Refusal`].
    pub(super) fn timestamp(
        &self,
        bytes: &[u8],
        kept: Option<&Signed<Timestamp>>,
        now: SystemTime,
    ) -> Result<Signed<Timestamp>, Refusal> {
        let new: Signed<Timestamp> = Signed::read(&Role::Timestamp.file(), bytes)?;
        new.signed_by(&self.root)?;
        if let Some(kept) = kept {
            new.follows(kept)?;
            let (before, found) = (kept.body.snapshot().version, new.body.snapshot().version);
            new.no_older(&Role::Snapshot.file(), before, found)?;
        }
        new.alive(now)?;
        Ok(new)
    }

    /// The snapshot that the timestamp names (5.5).
    ///
    /// # Errors
    /// [`Refusal`].
    pub(super) fn snapshot(
        &self,
        bytes: &[u8],
        timestamp: &Signed<Timestamp>,
        kept: Option<&Signed<Snapshot>>,
        now: SystemTime,
    ) -> Result<Signed<Snapshot>, Refusal> {
        let new: Signed<Snapshot> = self.pinned(bytes, timestamp.body.snapshot())?;
        if let Some(kept) = kept {
            new.follows(kept)?;
            nothing_gone(&new, kept)?;
        }
        new.alive(now)?;
        Ok(new)
    }

    /// The targets that the snapshot names (5.6).
    ///
    /// # Errors
    /// [`Refusal`].
    pub(super) fn targets(
        &self,
        bytes: &[u8],
        snapshot: &Signed<Snapshot>,
        kept: Option<&Signed<Targets>>,
        now: SystemTime,
    ) -> Result<Signed<Targets>, Refusal> {
        let new: Signed<Targets> = self.pinned(bytes, snapshot.targets()?)?;
        kept.map_or(Ok(()), |kept| new.follows(kept))?;
        new.alive(now)?;
        Ok(new)
    }

    /// Metadata that other metadata has named: those bytes, signed by the role's keys, of that version.
    fn pinned<T: Body>(&self, bytes: &[u8], pin: &Pin) -> Result<Signed<T>, Refusal> {
        let file = T::ROLE.file();
        pin.check(&file, bytes)?;
        let new: Signed<T> = Signed::read(&file, bytes)?;
        new.signed_by(&self.root)?;
        if new.version != pin.version {
            return Err(Refusal::Version { file, expected: pin.version, found: new.version });
        }
        Ok(new)
    }
}

impl<T: Body> Signed<T> {
    /// Whether enough keys signed it that this root gives to its role.
    fn signed_by(&self, root: &Signed<Root>) -> Result<(), Refusal> {
        let quorum = root.body.roles.of(T::ROLE);
        quorum.verify(&root.body.keys, &self.canonical, &self.signatures, &self.file)
    }
}

impl Signed<Snapshot> {
    /// Which targets metadata is meant.
    ///
    /// # Errors
    /// None is.
    pub(super) fn targets(&self) -> Result<&Pin, Refusal> {
        let name = Role::Targets.file();
        let missing = || Refusal::malformed(&self.file, format_args!("it does not list {name}"));
        self.body.meta.get(&name).ok_or_else(missing)
    }
}

impl Signed<Targets> {
    /// The trusted root.
    ///
    /// # Errors
    /// The repository has none.
    pub(super) fn trusted_root(&self) -> Result<&Target, Refusal> {
        let missing = || Refusal::malformed(&self.file, format_args!("it does not list {TRUSTED_ROOT}"));
        self.body.targets.get(TRUSTED_ROOT).ok_or_else(missing)
    }
}

/// What was listed is listed still, and none of it is older (5.5.5).
fn nothing_gone(new: &Signed<Snapshot>, kept: &Signed<Snapshot>) -> Result<(), Refusal> {
    for (name, before) in &kept.body.meta {
        let gone = || Refusal::Unlisted { file: new.file.clone(), name: Untrusted::new(name) };
        let pin = new.body.meta.get(name).ok_or_else(gone)?;
        new.no_older(name, before.version, pin.version)?;
    }
    Ok(())
}
