//! Pulls as a client does: the manifest, the manifests that it lists, config and layers, each
//! checked against its digest. Stops at the first thing that does not come.

use std::fmt;

use super::client::{Answer, Client, NoAnswer};
use crate::oci::{Digest, Manifest, Reference, Target};

/// What came of a pull.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pulled {
    /// Everything came and was what its digest says.
    Whole {
        /// The digest that the reference names.
        manifest: Digest,
        /// How many manifests came.
        manifests: usize,
        /// How many blobs came.
        blobs: usize,
    },
    /// Something was answered by an error.
    Refused {
        /// The status.
        status: u16,
        /// The error's code, as clients show it.
        code: String,
        /// The error's message, as clients show it.
        message: String,
    },
    /// The connection ended before the content did.
    Broken {
        /// What was being read.
        what: String,
        /// So many bytes came.
        received: usize,
        /// So many were announced.
        announced: String,
    },
    /// Something came that is not what its digest says. The proxy must never let this happen.
    Forged(Digest),
}

/// Pulls a reference, named by its source, through the proxy at `proxy` (a base URL).
///
/// # Errors
/// [`NoAnswer`], where the proxy is not there.
pub async fn pull(client: &Client, proxy: &str, reference: &Reference) -> Result<Pulled, NoAnswer> {
    let repository = format!("{proxy}/v2/{}", reference.repository);
    let mut wanted = vec![format!("manifests/{}", reference.target)];
    let mut expected = match &reference.target {
        Target::Digest(digest) => vec![Some(*digest)],
        Target::Tag(_) => vec![None],
    };
    let (mut named, mut manifests, mut blobs) = (None, 0, 0);
    while let (Some(path), Some(digest)) = (wanted.pop(), expected.pop()) {
        let answer = client.get(&format!("{repository}/{path}")).await?;
        if let Some(failed) = failed(&answer, &path) {
            return Ok(failed);
        }
        let announced = Digest::parse(answer.header("docker-content-digest")).ok();
        let Some(digest) = digest.or(announced).filter(|digest| digest.matches(&answer.body)) else {
            return Ok(Pulled::Forged(Digest::sha256(&answer.body)));
        };
        if path.starts_with("blobs/") {
            blobs += 1;
            continue;
        }
        manifests += 1;
        named = named.or(Some(digest));
        let Ok(manifest) = Manifest::parse_expecting(answer.body, &digest) else {
            return Ok(Pulled::Forged(digest));
        };
        for blob in manifest.config().into_iter().chain(manifest.blobs()) {
            wanted.push(format!("blobs/{}", blob.digest));
            expected.push(Some(blob.digest));
        }
        for child in manifest.manifests() {
            wanted.push(format!("manifests/{}", child.digest));
            expected.push(Some(child.digest));
        }
    }
    let manifest = named.unwrap_or_else(|| Digest::sha256(b""));
    Ok(Pulled::Whole { manifest, manifests, blobs })
}

fn failed(answer: &Answer, path: &str) -> Option<Pulled> {
    if !answer.status.is_success() {
        return Some(Pulled::Refused {
            status: answer.status.as_u16(),
            code: answer.error_code().unwrap_or_default(),
            message: answer.error_message().unwrap_or_default(),
        });
    }
    let broken = || Pulled::Broken {
        what: path.to_owned(),
        received: answer.body.len(),
        announced: answer.header("content-length").to_owned(),
    };
    (!answer.complete).then(broken)
}

impl fmt::Display for Pulled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole { manifest, manifests, blobs } => {
                let s = |n: &usize| if *n == 1 { "" } else { "s" };
                write!(f, "{manifests} manifest{} and {blobs} blob{}, {manifest}", s(manifests), s(blobs))
            }
            Self::Refused { status, code, message } => write!(f, "{status} {code}: {message}"),
            Self::Broken { what, received, announced } => {
                write!(f, "connection closed after {received} of {announced} bytes of {what}")
            }
            Self::Forged(digest) => write!(f, "FORGED CONTENT CAME THROUGH: {digest}"),
        }
    }
}
