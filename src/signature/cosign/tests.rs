//! What is believed and what is not: recorded claims by both cosigns and claims by a Sigstore that is made in
//! memory, each changed in every way that could matter.

#![allow(clippy::indexing_slicing)]

mod bodies;
mod certificates;
mod checkpoints;
mod hostile;
mod identities;
mod keys;
mod mutations;
mod recorded;
mod settings;
mod stand;
mod statements;
mod times;
mod tree;
mod trust;
mod versions;

use std::time::SystemTime;

use super::*;
use crate::oci::Repository;
use crate::signature::{Evidence, Rejected, SignerName, Subject, Verifier as _};
use crate::trust::RevocationData;

fn subject(descriptor: Descriptor) -> Subject {
    Subject { repository: Repository::parse("registry.example.test/app").unwrap(), descriptor }
}

fn built(settings: &Settings) -> Cosign {
    verifier(&SignerName("acme".into()), settings).unwrap()
}

fn judge(
    verifier: &Cosign,
    subject: &Subject,
    signature: &Signature,
    now: SystemTime,
) -> Result<Evidence, Rejected> {
    verifier.verify(subject, signature, &RevocationData::default(), now)
}
