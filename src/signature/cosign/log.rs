//! Entries of Rekor, versions 1 and 2: that the log has the entry, and that the entry is about this
//! signature. Steps as the client specification gives them (sigstore/architecture-docs, `client-spec.md`,
//! section 4.3, "Transparency Log Entry").

mod body;
mod checkpoint;
mod merkle;

use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub(super) use body::{Bound, Signed};

use self::body::Body;
use self::checkpoint::Checkpoint;
use crate::trust::sigstore::{Log, proto};
use crate::x509;

/// An entry and what proves that it was logged; unproven.
#[derive(Debug)]
pub(super) struct Entry {
    /// The log's id.
    pub(super) log_id: Vec<u8>,
    /// The entry's number, over all of the log's trees.
    pub(super) index: u64,
    /// What a bundle says that the body is: kind and version.
    pub(super) kind: Option<(String, String)>,
    /// When it was logged, in Unix seconds; 0 where nothing says so. Only a promise signs it.
    pub(super) integrated_time: u64,
    /// The signed entry timestamp.
    pub(super) promise: Option<Vec<u8>>,
    pub(super) proof: Option<Proof>,
    /// The canonical bytes that were logged.
    pub(super) body: Vec<u8>,
}

/// An inclusion proof.
#[derive(Debug)]
pub(super) struct Proof {
    pub(super) index: u64,
    pub(super) size: u64,
    pub(super) root: Vec<u8>,
    pub(super) hashes: Vec<Vec<u8>>,
    pub(super) checkpoint: String,
}

/// An entry that is proven.
#[derive(Debug)]
pub(super) struct Logged {
    /// Which of the trusted logs has it.
    pub(super) log: Log,
    /// When it was logged, where the log promises it.
    pub(super) at: Option<SystemTime>,
}

impl Logged {
    /// Why the log's word does not count, where it does not. An entry without a time of its own was made when the
    /// signature was stamped; where nothing says when that was, the log's key still counts or does not.
    pub(super) fn uncounted(
        &self,
        stamps: impl Iterator<Item = SystemTime>,
        now: SystemTime,
    ) -> Option<String> {
        let Self { log, at: None } = self else { return None };
        let mut stamps = stamps.peekable();
        if stamps.peek().is_none() {
            let why = || {
                format!("the key of {} does not count now, and nothing tells when it was logged", log.shown())
            };
            return (!log.window.contains(now)).then(why);
        }
        let why = || format!("the key of {} did not count when it was stamped", log.shown());
        stamps.any(|at| !log.window.contains(at)).then(why)
    }
}

impl Entry {
    /// Proves it against the trusted log that it names; `None` where it names none of them. All that it brings
    /// must hold: a wrong proof is no better for a good promise beside it.
    ///
    /// # Errors
    /// What does not hold.
    pub(super) fn prove(
        &self,
        logs: &[Log],
        bound: &Bound<'_>,
        now: SystemTime,
    ) -> Result<Option<Logged>, String> {
        let checkpoint = self.proof.as_ref().map(|proof| Checkpoint::parse(&proof.checkpoint)).transpose()?;
        let Some(log) = logs.iter().find(|log| self.is_of(log, checkpoint.as_ref())) else {
            return Ok(None);
        };
        let body = Body::parse(&self.body)?;
        body.is(self.kind.as_ref())?;
        if self.promise.is_none() && self.proof.is_none() {
            return Err("it has neither an inclusion promise nor an inclusion proof".to_owned());
        }
        if body.is_second_version() && self.proof.is_none() {
            return Err("entries of Rekor v2 need an inclusion proof".to_owned());
        }
        let at = self.promise.as_deref().map(|promise| self.check_promise(promise, log, now)).transpose()?;
        if let (Some(proof), Some(checkpoint)) = (&self.proof, &checkpoint) {
            // The second version has one tree, and one number in it.
            if body.is_second_version() && proof.index != self.index {
                return Err(format!("its logIndex is {}, its proof's {}", self.index, proof.index));
            }
            proof.check(&self.body, log, checkpoint)?;
        }
        body.check(bound)?;
        Ok(Some(Logged { log: log.clone(), at }))
    }

    /// A log whose place nobody told is known by its key alone, or by key and origin.
    fn is_of(&self, log: &Log, checkpoint: Option<&Checkpoint<'_>>) -> bool {
        log.id == self.log_id
            || (log.url.is_empty() && checkpoint.is_some_and(|c| c.key_id(log).as_slice() == self.log_id))
    }

    /// The log's promise to include the entry, over the canonical JSON (RFC 8785) of body, time, id and number.
    fn check_promise(&self, promise: &[u8], log: &Log, now: SystemTime) -> Result<SystemTime, String> {
        let signed = format!(
            r#"{{"body":"{}","integratedTime":{},"logID":"{}","logIndex":{}}}"#,
            STANDARD.encode(&self.body),
            self.integrated_time,
            hex::encode(&self.log_id),
            self.index,
        );
        log.key
            .verify(log.algorithm(), signed.as_bytes(), promise)
            .map_err(|_| format!("its inclusion promise was not signed by the log {}", log.shown()))?;
        let at =
            i64::try_from(self.integrated_time).ok().filter(|seconds| *seconds > 0).and_then(proto::unix);
        let at = at.ok_or_else(|| format!("its integratedTime is {}", self.integrated_time))?;
        x509::not_from_the_future(at, now).map_err(|why| why.to_string())?;
        if !log.window.contains(at) {
            return Err(format!(
                "it was logged at {}, when the key of {} did not count",
                crate::setting::time::show(at),
                log.shown()
            ));
        }
        Ok(at)
    }
}

impl Proof {
    /// The body is in the tree whose head the log signed.
    fn check(&self, body: &[u8], log: &Log, checkpoint: &Checkpoint<'_>) -> Result<(), String> {
        checkpoint.check_signature(log)?;
        if checkpoint.size != self.size {
            return Err(format!("its treeSize is {}, its checkpoint's {}", self.size, checkpoint.size));
        }
        if checkpoint.root != self.root {
            return Err("its rootHash is not its checkpoint's".to_owned());
        }
        let root = merkle::root(merkle::leaf(body), self.index, self.size, &self.hashes)?;
        if root.as_slice() != self.root {
            return Err("its inclusion proof leads to another root than the log's".to_owned());
        }
        Ok(())
    }
}
