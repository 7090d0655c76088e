//! Copies admitted content to another registry, byte for byte, with all that belongs to it: every platform, every
//! signature, every referrer. Asks the gate for each manifest; what is attached goes along unjudged, as it lies in the
//! source. The destination's tag is written last, so that nobody finds half of it there.

mod attached;
mod attaching;
mod blobs;
mod tags;
mod tree;

use std::sync::Arc;

use crate::admission::{Gate, Refusal};
use crate::oci::{Digest, Manifest, Reference, Repository, Tag, Target};
use crate::upstream::{self, Upstream, Writer};

pub use blobs::Blobs;
pub use tags::{Left, Why};

/// So much goes on at once.
const AT_ONCE: usize = 6;

/// What is copied where.
pub struct Promotion<'a> {
    /// Who says what may be copied.
    pub gate: &'a Gate,
    /// The registry that it is written to.
    pub writer: &'a Writer,
    /// What is copied.
    pub source: &'a Reference,
    /// The repository that it is copied to.
    pub destination: &'a Repository,
    /// What it is called there, besides its digest.
    pub tag: Option<&'a Tag>,
    /// Is told how far it is.
    pub tell: &'a (dyn Fn(Step) + Sync),
}

/// How far it is.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// So many bytes of blobs make it up, beside those that were found before.
    Found(u64),
    /// So many of them are there now.
    Copied(u64),
}

/// What was copied.
#[derive(Debug)]
pub struct Promoted {
    /// The digest that it has, here and there.
    pub digest: Digest,
    /// Manifests of the content, and those of them that were written.
    pub manifests: (usize, usize),
    /// Artifacts that refer to it.
    pub referrers: usize,
    /// Tags of signatures and the like.
    pub tags: usize,
    /// Artifacts that are not under their tags, since something else is.
    pub left: Vec<Left>,
    /// The blobs of all of it.
    pub blobs: Blobs,
}

/// Why it was not copied, or not all of it. The destination's tag was not written then.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The gate does not let it through.
    #[error("{0}")]
    Refused(String),
    /// Something could not be read, written or found out. What is there already is skipped the next time.
    #[error("{0}")]
    Trouble(String),
}

impl Error {
    fn trouble(what: impl std::fmt::Display, why: impl std::fmt::Display) -> Self {
        Self::Trouble(format!("{what}: {why}"))
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match &refusal {
            Refusal::Denied(_) | Refusal::Closed { .. } | Refusal::Unknown(_) => {
                Self::Refused(refusal.to_string())
            }
            Refusal::Undecided { .. } | Refusal::Upstream(_) => Self::Trouble(refusal.to_string()),
        }
    }
}

/// A manifest on its way, and whether it comes through the gate, from elsewhere, or from the source's upstream.
#[derive(Clone)]
struct Piece {
    manifest: Arc<Manifest>,
    through_gate: bool,
}

impl Promotion<'_> {
    /// Copies it.
    ///
    /// # Errors
    /// [`Error`]
    pub async fn run(&self) -> Result<Promoted, Error> {
        let tree = self.tree().await?;
        let top = tree.last().ok_or_else(|| Error::Refused("there is nothing to copy".to_owned()))?;
        let mut attached = self.attached(&tree).await?;
        let mut copied = self.copy_attached(&mut attached).await?;
        let early = self.attach(&attached.early()).await?;
        let content = async {
            self.copy_content(&tree, &mut copied).await?;
            self.write(&tree).await
        };
        let (written, ()) = tokio::try_join!(content, self.settled(early.settling))?;
        let taken = self.complete(&attached, &early.refused).await?;
        if let Some(tag) = self.tag {
            self.put(&Target::Tag(tag.clone()), &top.manifest).await?;
        }
        Ok(Promoted {
            digest: *top.manifest.digest(),
            manifests: (tree.len(), written),
            referrers: attached.referrers.len(),
            tags: attached.tagged.len() - taken.len(),
            left: taken.into_iter().chain(tags::left_out(&attached.tagged)).collect(),
            blobs: copied.blobs,
        })
    }

    fn upstream(&self) -> Result<&Arc<Upstream>, Error> {
        let registry = self.source.repository.registry();
        let upstream = self.gate.upstreams().of(registry);
        upstream.ok_or_else(|| Error::Refused(format!("{registry} is none of the configured upstreams")))
    }

    /// Writes what is not there, children before who lists them. Says how many that were.
    async fn write(&self, tree: &[Piece]) -> Result<usize, Error> {
        let mut written = 0;
        for Piece { manifest, .. } in tree {
            let target = Target::Digest(*manifest.digest());
            let present = self.writer.resolve(self.destination, &target).await;
            if present.map_err(|e| self.failed(&target, &e))?.is_none() {
                self.put(&target, manifest).await?;
                written += 1;
            }
        }
        Ok(written)
    }

    async fn put(&self, target: &Target, manifest: &Manifest) -> Result<(), Error> {
        let put = self.writer.put_manifest(self.destination, target, manifest).await;
        put.map(drop).map_err(|e| self.failed(target, &e))
    }

    fn unattached(&self, why: &dyn std::fmt::Display) -> Error {
        Error::trouble(format!("signatures and referrers in {}", self.destination), why)
    }

    fn failed(&self, target: &Target, why: &dyn std::fmt::Display) -> Error {
        let reference = Reference { repository: self.destination.clone(), target: target.clone() };
        Error::trouble(reference, why)
    }
}

/// Nothing is an answer too.
fn found<T>(answer: Result<T, upstream::Error>) -> Result<Option<T>, upstream::Error> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(upstream::Error::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}
