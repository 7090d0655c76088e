//! Where answers come from: the network, and what the operator carried in.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};

use super::brought::Brought;
use super::carried::Carried;
use super::fetch;
use crate::egress::{self, Client, Environment, Revocation};
use crate::setting::SettingError;
use crate::trust::Settings;

/// Who may be asked and what is given. Built with an engine; cheap to clone.
#[derive(Clone, Debug)]
pub struct RevocationSources(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// None: nobody is asked.
    respondent: Option<Respondent>,
    carried: Carried,
    ttl: Duration,
    grace: Duration,
}

/// Who answers.
#[derive(Clone, Debug)]
pub(super) enum Respondent {
    /// The servers that certificates name.
    Servers(Box<Client>),
    /// Somebody who carried answers here.
    Brought(Brought),
}

impl RevocationSources {
    /// Reads the CRLs that were carried in. Contacts nobody. Proxies are taken from the environment.
    ///
    /// # Errors
    /// The key that cannot be honoured, from the file's root on.
    pub fn build(trust: &Settings, egress: &egress::Settings) -> Result<Self, SettingError> {
        Self::build_in(&|variable| std::env::var(variable).ok(), trust, egress)
    }

    /// As [`Self::build`], in an environment that is given.
    ///
    /// # Errors
    /// As [`Self::build`].
    pub fn build_in(
        environment: Environment<'_>,
        trust: &Settings,
        egress: &egress::Settings,
    ) -> Result<Self, SettingError> {
        let carried = match &trust.crls {
            Some(folder) => Carried::read(folder)
                .map_err(|fault| SettingError::new(["trust", "crls"], fault.to_string()))?,
            None => Carried::default(),
        };
        let respondent = match (&trust.brought, egress.revocation) {
            (Some(brought), _) => Some(Respondent::Brought(brought.clone())),
            (None, Revocation::Fetch) => {
                let client = Client::for_revocation(egress, fetch::TIMEOUTS, environment)
                    .map_err(|fault| fault.under("egress"))?;
                Some(Respondent::Servers(Box::new(client)))
            }
            (None, Revocation::Local) => None,
        };
        // What was brought may be newer than what was kept a moment ago.
        let ttl = trust.brought.as_ref().map_or(trust.revocation_ttl, |_| Duration::ZERO);
        let grace = trust.dangerous_revocation_grace;
        Ok(Self(Arc::new(Inner { respondent, carried, ttl, grace })))
    }

    /// Nobody is asked, and nothing was carried in: what is stored is all.
    pub fn local() -> Self {
        Self(Arc::default())
    }

    /// SHA-256 over what the operator gave that statuses depend on. Who is asked, and when, is no part:
    /// that changes what is known, not what it means.
    pub fn revision(&self) -> [u8; 32] {
        let grace = self.0.grace.as_nanos().to_be_bytes();
        Sha256::new().chain_update(self.0.carried.hash()).chain_update(grace).finalize().into()
    }

    /// What the operator should know at `now`: CRLs that have ended, files that were passed over.
    pub fn warnings(&self, now: SystemTime) -> Vec<String> {
        self.0.carried.warnings(now)
    }

    pub(super) fn respondent(&self) -> Option<&Respondent> {
        self.0.respondent.as_ref()
    }

    pub(super) fn carried(&self) -> &Carried {
        &self.0.carried
    }

    pub(super) fn ttl(&self) -> Duration {
        self.0.ttl
    }

    pub(super) fn grace(&self) -> Duration {
        self.0.grace
    }
}
