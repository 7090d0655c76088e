//! The policies as built from settings: which one applies, and what its signers are.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use super::terms::Terms;
use super::{
    Demand, Exception, IndexRule, Mode, PredicateType, Reason, ReferrerRule, Require, Revision, Scope,
    Settings, SignedName, message,
};
use crate::oci::{Digest, Repository, SignatureSource};
use crate::setting::SettingError;
use crate::signature::{Format, SignerName, Strength, Verifier};

mod build;

/// Who may vouch.
#[derive(Clone)]
pub struct Signer {
    /// Decides whether a signature is this signer's.
    pub verifier: Arc<dyn Verifier>,
    /// Where its key is acquired.
    pub acquire: Option<String>,
}

/// One policy with its signers.
#[derive(Clone)]
pub struct Policy {
    name: Arc<str>,
    settings: Settings,
    terms: Terms,
    signers: BTreeMap<SignerName, Signer>,
    revision: Revision,
}

impl Policy {
    /// What refusals, metrics and audit lines call it.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The mode for a repository: the configured one, unless the only signer insists on less, or the policy's
    /// file does. A level that only logs makes `enforce` an `audit`, one that skips makes it an `allow`.
    pub fn mode(&self, repository: &Repository) -> Mode {
        let (_, mode) = self.terms.of(repository);
        let strength = self
            .require(repository)
            .and_then(|require| self.signers.get(require.sole()?))
            .map_or(Strength::Enforced, |signer| signer.verifier.strength(repository));
        let at_most = match strength {
            Strength::Enforced => mode,
            Strength::Logged => mode.min(Mode::Audit),
            Strength::Skipped => Mode::Allow,
        };
        match self.settings.mode {
            Mode::Deny => Mode::Deny,
            mode => mode.min(at_most),
        }
    }

    /// What is demanded of content of a repository.
    pub fn demand(&self, repository: &Repository) -> Demand<'_> {
        self.terms.of(repository).0
    }

    /// Who must vouch for content of a repository, where anybody can.
    pub fn require(&self, repository: &Repository) -> Option<Cow<'_, Require>> {
        match self.demand(repository) {
            Demand::Require(require) => Some(require),
            Demand::Never(_) | Demand::Nothing => None,
        }
    }

    /// Whether signatures of content of a repository are looked at.
    pub fn verifies(&self, repository: &Repository) -> bool {
        let modes = [Mode::Enforce, Mode::Audit];
        self.require(repository).is_some() && modes.contains(&self.mode(repository))
    }

    /// What of an index must be signed.
    pub fn index(&self) -> IndexRule {
        self.settings.index
    }

    /// Which referrers are served.
    pub fn referrers(&self) -> ReferrerRule {
        self.settings.referrers
    }

    /// What name the signed claim must carry.
    pub fn signed_name(&self) -> SignedName {
        self.settings.signed_name
    }

    /// Repositories whose name it may carry instead.
    pub fn renamed_from(&self) -> &[Repository] {
        &self.settings.renamed_from
    }

    /// The policy's own URLs of keys.
    pub fn acquire(&self) -> &[String] {
        &self.settings.acquire
    }

    /// Where signatures of content of a repository are looked for beside the repository itself.
    pub fn signature_sources<'a>(
        &'a self,
        repository: &'a Repository,
    ) -> impl Iterator<Item = &'a SignatureSource> {
        let of_upstream = self.settings.upstream_signatures.get(repository.registry());
        let of_file = self.terms.sources_of(repository);
        self.settings.signatures.iter().chain(of_file).chain(of_upstream.into_iter().flatten())
    }

    /// What decisions under it depend on.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The signers that it names, for whatever repository.
    pub fn signers(&self) -> impl Iterator<Item = (&SignerName, &Signer)> {
        self.signers.iter()
    }

    /// The verifiers of those that it names for a repository.
    pub fn verifiers(&self, repository: &Repository) -> impl Iterator<Item = &Arc<dyn Verifier>> {
        let require = self.require(repository);
        let named = self.signers.iter().filter(move |(name, _)| {
            require.as_ref().is_some_and(|require| require.signers().contains(name))
        });
        named.map(|(_, signer)| &signer.verifier)
    }

    /// The kinds of attestation that it asks for of a repository.
    pub fn predicate_types(&self, repository: &Repository) -> BTreeSet<PredicateType> {
        let require = self.require(repository);
        let attested = require.as_ref().map(|require| require.attested()).unwrap_or_default();
        attested.into_iter().map(|wanted| wanted.predicate_type.clone()).collect()
    }

    /// The formats that they read.
    pub fn formats(&self, repository: &Repository) -> BTreeSet<Format> {
        self.verifiers(repository).map(|verifier| verifier.format()).collect()
    }

    /// Whether evidence of this signer counts for content of this repository: it is one of ours, and
    /// it insists on the proof or stands alone (and then the mode is weakened instead).
    pub(super) fn counts(&self, signer: &SignerName, repository: &Repository) -> bool {
        let Some(require) = self.require(repository).filter(|require| require.signers().contains(signer))
        else {
            return false;
        };
        let alone = require.sole() == Some(signer);
        self.signers
            .get(signer)
            .is_some_and(|known| alone || known.verifier.strength(repository) == Strength::Enforced)
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("name", &self.name)
            .field("revision", &self.revision)
            .finish_non_exhaustive()
    }
}

/// All policies and exceptions.
#[derive(Debug, Default)]
pub struct Policies {
    /// The most specific scope first.
    scopes: Vec<(Scope, Arc<Policy>)>,
    exceptions: Vec<Exception>,
    audit_everything: bool,
    warnings: Vec<String>,
}

impl Policies {
    /// Builds all policies. Paths in errors start at the file's root.
    ///
    /// # Errors
    /// The first setting that cannot be honoured: ties, unknown signers, empty lists, contradictions.
    pub fn build(
        policies: &[Settings],
        exceptions: &[Exception],
        signers: &BTreeMap<SignerName, Signer>,
    ) -> Result<Self, SettingError> {
        build::build(policies, exceptions, signers)
    }

    /// The same policies, but what none of them covers is served with a warning and recorded as
    /// would-deny (`serve --audit`).
    #[must_use]
    pub fn audit_everything(mut self) -> Self {
        self.audit_everything = true;
        self
    }

    /// The same, of which every decision depends on this trust material as well.
    #[must_use]
    pub fn resting_on(mut self, material: &[u8; 32]) -> Self {
        for (_, policy) in &mut self.scopes {
            *policy =
                Arc::new(Policy { revision: policy.revision.resting_on(material), ..(**policy).clone() });
        }
        self
    }

    /// Whether what no policy covers is served.
    pub fn audits_everything(&self) -> bool {
        self.audit_everything
    }

    /// The signers that policies name, each as often as it is named.
    pub fn signers(&self) -> impl Iterator<Item = (&SignerName, &Signer)> {
        self.scopes.iter().flat_map(|(_, policy)| policy.signers())
    }

    /// The policy that applies: the one with the most specific scope.
    pub fn matching(&self, repository: &Repository) -> Option<&Arc<Policy>> {
        self.scopes.iter().find(|(scope, _)| scope.matches(repository)).map(|(_, policy)| policy)
    }

    /// Where policies' files say that signatures lie, with each policy's name.
    pub fn sources_of_files(&self) -> impl Iterator<Item = (&Arc<str>, &SignatureSource)> {
        let policies = self.scopes.iter().map(|(_, policy)| policy);
        policies.flat_map(|policy| policy.terms.sources().into_iter().map(|source| (&policy.name, source)))
    }

    /// The exception that covers a manifest at this moment.
    pub fn exception(&self, repository: &Repository, digest: &Digest, now: SystemTime) -> Option<&Exception> {
        self.exceptions.iter().find(|e| e.repository == *repository && e.digest == *digest && now < e.expires)
    }

    /// What decisions on content of this repository depend on.
    pub fn revision(&self, repository: &Repository) -> Revision {
        match self.matching(repository) {
            Some(policy) => policy.revision(),
            None => Revision::without_policy(
                self.audit_everything,
                self.exceptions.iter().filter(|e| e.repository == *repository),
            ),
        }
    }

    /// Why nothing of this repository can be admitted, whatever is found there, and by which policy: its mode is `deny`,
    /// or there is none, and no exception is made in the repository.
    pub fn closed(&self, repository: &Repository) -> Option<(Option<&Arc<str>>, Reason)> {
        match self.matching(repository) {
            Some(policy) if policy.mode(repository) == Mode::Deny => {
                Some((Some(&policy.name), message::mode_deny()))
            }
            Some(_) => None,
            None => {
                let excepted = self.exceptions.iter().any(|e| e.repository == *repository);
                (!self.audit_everything && !excepted).then(|| (None, message::no_policy(repository)))
            }
        }
    }

    /// What an operator should know at start, though nothing is wrong.
    pub fn warnings(&self) -> Vec<String> {
        self.warnings.clone()
    }
}
