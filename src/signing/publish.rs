//! Where signatures go: to a registry, as the subject's referrers or under its tag.

use super::cosign::Layer;
use super::{Artifact, Error};
use crate::oci::{Manifest, Repository, Tag};
use crate::upstream::{Amendment, Writer};

/// A signature that is ready to be published.
#[derive(Clone, Debug)]
pub enum Signed {
    /// A referrer of its subject.
    Referrer(Box<Artifact>),
    /// A layer of the image under the subject's `.sig` tag.
    Tagged(Box<Layer>),
}

impl From<Artifact> for Signed {
    fn from(artifact: Artifact) -> Self {
        Self::Referrer(Box::new(artifact))
    }
}

impl From<Layer> for Signed {
    fn from(layer: Layer) -> Self {
        Self::Tagged(Box::new(layer))
    }
}

impl Signed {
    /// Writes it to a repository, and sees to it that it is found from its subject. Tells where it is: a tag or a
    /// digest.
    ///
    /// # Errors
    /// [`Error`]
    pub async fn publish(&self, writer: &Writer, repository: &Repository) -> Result<String, Error> {
        match self {
            Self::Referrer(artifact) => {
                for blob in &artifact.blobs {
                    writer.put_bytes(repository, blob).await?;
                }
                writer.attach(repository, &artifact.manifest).await?;
                Ok(format!("{repository}@{}", artifact.manifest.digest()))
            }
            Self::Tagged(layer) => {
                let tag = Tag::about(&layer.subject, ".sig");
                let change = |present: Option<Manifest>| layer.missing_in(present.as_ref());
                writer.amend(repository, vec![Amendment::new(tag.clone(), change)]).await?.settled().await?;
                Ok(format!("{repository}:{tag}"))
            }
        }
    }
}
