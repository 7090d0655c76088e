//! The ways in which cosign signs.

use super::services::{EMAIL, Sigstore, WORKFLOW};
use crate::content;

/// Who signs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Who {
    Key,
    Email,
    Workflow,
}

/// How a signature is stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Form {
    /// By cosign 2, under the tag `sha256-<hex>.sig`.
    Tag,
    /// The same as a referrer.
    Referrer,
    /// By cosign 3, as a bundle.
    Bundle,
}

/// Who saw it being made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Seen {
    Rekor1,
    /// And by the timestamp authority, since this log tells no time.
    Rekor2,
    /// The timestamp authority alone.
    Stamp,
    Nobody,
}

/// A way of signing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Way(pub Who, pub Form, pub Seen);

impl Way {
    /// All of them. cosign 2 knows no second version of Rekor.
    pub const ALL: [Self; 16] = [
        Self(Who::Key, Form::Tag, Seen::Rekor1),
        Self(Who::Key, Form::Tag, Seen::Nobody),
        Self(Who::Key, Form::Referrer, Seen::Rekor1),
        Self(Who::Key, Form::Bundle, Seen::Rekor1),
        Self(Who::Key, Form::Bundle, Seen::Rekor2),
        Self(Who::Key, Form::Bundle, Seen::Nobody),
        Self(Who::Email, Form::Tag, Seen::Rekor1),
        Self(Who::Email, Form::Tag, Seen::Stamp),
        Self(Who::Email, Form::Bundle, Seen::Rekor1),
        Self(Who::Email, Form::Bundle, Seen::Rekor2),
        Self(Who::Email, Form::Bundle, Seen::Stamp),
        Self(Who::Workflow, Form::Tag, Seen::Rekor1),
        Self(Who::Workflow, Form::Referrer, Seen::Rekor1),
        Self(Who::Workflow, Form::Bundle, Seen::Rekor1),
        Self(Who::Workflow, Form::Bundle, Seen::Rekor2),
        Self(Who::Workflow, Form::Bundle, Seen::Stamp),
    ];

    /// The repository of the image that [`Sigstore::signed`] signs so.
    pub fn repository(self) -> String {
        format!("sigstore/{:?}-{:?}-{:?}", self.0, self.1, self.2).to_lowercase()
    }

    /// Whom the certificate names; a key has none.
    pub fn identity(self) -> Option<(&'static str, &'static str)> {
        match self.0 {
            Who::Key => None,
            Who::Email => Some(EMAIL),
            Who::Workflow => Some(WORKFLOW),
        }
    }
}

impl Sigstore<'_> {
    /// Pushes an image of its own, and signs it: its digest.
    pub fn signed(&self, way: Way) -> String {
        let digest = self.stand.push(&way.repository(), content::image);
        self.sign(way, &way.repository(), &digest);
        digest
    }

    /// Signs what `digest` names in a repository of the upstream.
    pub fn sign(&self, way: Way, repository: &str, digest: &str) {
        self.call("sign", way, &[], &self.stand.reference(repository, digest));
    }

    /// Attests of it what the file says, as SLSA's provenance.
    pub fn attest(&self, way: Way, repository: &str, digest: &str, predicate: &str) {
        let file = self.stand.file("predicate.json", predicate);
        let predicate = ["--type", "slsaprovenance1", "--predicate", file.to_str().unwrap()];
        self.call("attest", way, &predicate, &self.stand.reference(repository, digest));
    }

    fn call(&self, verb: &str, way: Way, arguments: &[&str], reference: &str) {
        let Way(_, form, seen) = way;
        let mut arguments = arguments.to_vec();
        if form == Form::Bundle {
            let services = match seen {
                Seen::Rekor1 => "rekor1",
                Seen::Rekor2 => "rekor2",
                Seen::Stamp => "nolog",
                Seen::Nobody => "none",
            };
            arguments.extend(["--allow-insecure-registry", reference]);
            return self.cosign3(verb, way.identity(), services, &arguments);
        }
        if form == Form::Referrer {
            arguments.push("--registry-referrers-mode=oci-1-1");
        }
        if seen != Seen::Rekor1 {
            arguments.push("--tlog-upload=false");
        }
        arguments.push(reference);
        self.cosign2(verb, way.identity(), &arguments);
    }
}
