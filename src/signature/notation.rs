//! Notary Project signatures, by the specifications of notaryproject/specifications. Where the
//! notation CLI is laxer than they are, this follows them; `docs/NOTARY.md` lists each case.

mod algorithm;
pub(crate) mod attributes;
mod course;
mod distinguished_name;
mod envelope;
mod identity;
pub mod layout;
mod level;
mod payload;
mod profile;
mod revocation;
mod scope;
mod settings;
mod statement;
mod timestamp;
mod trust_policy;
mod validations;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};

use self::envelope::Envelope;
use self::trust_policy::TrustPolicy;
use self::validations::Case;
use super::{
    Applying, Basis, Evidence, Format, Rejected, Rejection, Signature, SignerName, Strength, Subject,
    Verifier,
};
use crate::oci::{Descriptor, Repository};
use crate::setting::SettingError;
use crate::trust::{Need, RevocationData};
use crate::x509::Certificate;

pub use level::{Action, Level, Validation, VerifyTimestamp};
pub use settings::{OneOrMore, Settings};
pub use trust_policy::policy_files;

/// The verifier of one signer, its trust stores read.
///
/// # Errors
/// The setting, or the part of the trust policy, that cannot be honoured.
pub fn verifier(name: &SignerName, settings: &Settings) -> Result<impl Verifier + use<>, SettingError> {
    let annotations = settings.annotations.clone();
    Ok(Notation { signer: name.clone(), policy: settings.policy(name)?, annotations })
}

/// A verifier that decides by a folder of notation's configuration as it stands.
///
/// # Errors
/// The part of the trust policy or trust store that cannot be honoured.
pub fn from_config_dir(name: &SignerName, dir: &Path) -> Result<impl Verifier + use<>, SettingError> {
    let annotations = BTreeMap::new();
    Ok(Notation { signer: name.clone(), policy: TrustPolicy::read(dir)?, annotations })
}

/// A verifier by the text of a trust policy alone: its trust stores count as empty, so that it trusts
/// nobody. For judging the text.
///
/// # Errors
/// The rule that the text breaks, with statement and field.
pub fn from_text(name: &SignerName, policy: &[u8]) -> Result<impl Verifier + use<>, String> {
    let policy = TrustPolicy::parse("the trust policy", policy, &statement::Shelf::Nowhere)?;
    Ok(Notation { signer: name.clone(), policy, annotations: BTreeMap::new() })
}

/// Whether a chain may sign, by the profile of its certificates alone: what would be refused on its account is
/// better not signed.
///
/// # Errors
/// Why no verifier may believe it.
pub fn may_sign(chain: &[Certificate]) -> Result<(), Rejection> {
    profile::check(chain, profile::Purpose::CodeSigning)
}

/// Whether the signature parses as a claim about the subject.
///
/// # Errors
/// Why it does not.
pub fn claims(signature: &Signature, subject: &Descriptor) -> Result<(), Rejection> {
    Envelope::parse(signature)?.target.is(subject)
}

/// A trust policy under a signer's name.
#[derive(Debug)]
struct Notation {
    signer: SignerName,
    policy: TrustPolicy,
    /// What must be signed beside the descriptor.
    annotations: BTreeMap<String, String>,
}

impl Notation {
    /// Whatever the level: they were asked for beside the policy.
    fn check_annotations(&self, signature: &Signature) -> Result<(), Rejection> {
        match self.annotations.is_empty() {
            true => Ok(()),
            false => Envelope::parse(signature)?.target.carries(&self.annotations),
        }
    }
}

impl Verifier for Notation {
    fn signer(&self) -> &SignerName {
        &self.signer
    }

    fn format(&self) -> Format {
        Format::Notation
    }

    /// Where no statement applies, every signature is refused.
    fn strength(&self, repository: &Repository) -> Strength {
        self.policy.statement(repository).map_or(Strength::Enforced, statement::Statement::strength)
    }

    fn revision(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        self.policy.hash_into(&mut hash);
        for text in self.annotations.iter().flat_map(|(key, value)| [key, value]) {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        }
        hash.finalize().into()
    }

    fn basis(&self, repository: &Repository) -> Option<Basis> {
        let applying = |s: &statement::Statement| Applying { statement: s.name.clone(), level: s.level() };
        Some(Basis {
            policy: self.policy.source.clone(),
            applying: self.policy.statement(repository).map(applying),
        })
    }

    fn trust_ends(&self) -> Option<SystemTime> {
        self.policy.trust_ends()
    }

    fn needs(&self, subject: &Subject, signature: &Signature, now: SystemTime) -> Vec<Need> {
        self.case(subject, signature, now).map(|case| case.needs()).unwrap_or_default()
    }

    fn verify(
        &self,
        subject: &Subject,
        signature: &Signature,
        revocation: &RevocationData,
        now: SystemTime,
    ) -> Result<Evidence, Rejected> {
        let evidence = self.case(subject, signature, now)?.prove(revocation)?;
        match self.check_annotations(signature) {
            Ok(()) => Ok(evidence),
            Err(rejection) => Err(Rejected { rejection, validations: evidence.validations }),
        }
    }
}

impl Notation {
    /// The signature under the statement that applies to the repository.
    fn case<'a>(
        &'a self,
        subject: &'a Subject,
        signature: &'a Signature,
        now: SystemTime,
    ) -> Result<Case<'a>, Rejection> {
        let Some(statement) = self.policy.statement(&subject.repository) else {
            return Err(Rejection::NoStatement {
                policy: self.policy.source.clone(),
                repository: subject.repository.to_string(),
            });
        };
        match &statement.checks {
            Some(checks) => {
                Ok(Case { checks, statement: &statement.name, signer: &self.signer, subject, signature, now })
            }
            None => {
                let found = format!("skip, by {}: nothing is verified", statement.name);
                Err(Rejection::Unsupported { what: "level", found: found.into() })
            }
        }
    }
}
