//! What a signed statement says beside whom it is about, and the way from a signature to the content
//! where it leads over other artifacts.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::oci::Digest;

/// An in-toto Statement that a trusted signer made about the subject (in-toto Attestation Framework v1,
/// "Statement"). Evidence that carries one is an attestation: it satisfies no `require` of a signature.
#[derive(Clone, Debug)]
pub struct Attestation {
    predicate_type: Arc<str>,
    statement: Arc<Value>,
}

impl Attestation {
    /// Of a statement that was proven.
    pub(in crate::signature) fn new(predicate_type: impl Into<Arc<str>>, statement: Value) -> Self {
        Self { predicate_type: predicate_type.into(), statement: Arc::new(statement) }
    }

    /// The same without its content.
    pub(in crate::signature) fn forget(&mut self) {
        self.statement = Arc::default();
    }

    /// What kind of predicate it is: a URI.
    pub fn predicate_type(&self) -> &str {
        &self.predicate_type
    }

    /// The whole statement: `_type`, `subject`, `predicateType`, `predicate`. Null once it was let go.
    pub fn statement(&self) -> &Value {
        &self.statement
    }
}

/// One step from a signature to the content that it vouches for through other artifacts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// What stands there: `signature`, `attestation manifest`, `statement`, `subject`.
    pub what: &'static str,
    /// Its digest.
    pub digest: Digest,
}
