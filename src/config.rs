//! The configuration file → settings of every module, and faults → file, line and column. Each
//! module owns its settings; the listeners', the log's and the audit file's are kept here.

mod check;
mod error;
pub mod kept;
mod listen;
mod positions;
mod presets;
mod read;
mod registries;
mod unexpanded;
mod warnings;

#[cfg(test)]
mod documented;
#[cfg(test)]
mod schema;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use serde::Deserialize;

pub use error::Error;
pub use listen::{Admin, Audit, Listen, Log, Tls};
pub use read::{complete, load, parse, read};

use crate::oci::Registry;
use crate::policy::{self, Policies, Signer};
use crate::setting::SettingError;
use crate::signature::{self, SignerName, SignerSettings};
use crate::{admission, cache, egress, store, trust, upstream};

/// The registries that are upstreams where the file names none: the well-known public ones, of
/// which Docker Hub is the default.
const PUBLIC: [&str; 5] = ["docker.io", "ghcr.io", "quay.io", "registry.k8s.io", "gcr.io"];

/// Everything that the file says, paths made absolute.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where clients come in.
    pub listen: Listen,
    /// Where operators come in: health, readiness, metrics.
    pub admin: Admin,
    /// What may be asked of the network beside upstreams.
    pub egress: egress::Settings,
    /// What is known of revoked certificates, and for how long; where sigstore's trusted root comes from.
    pub trust: trust::Settings,
    /// Where content is kept and how much of it.
    pub store: store::Settings,
    /// Where decisions are written down.
    pub audit: Audit,
    /// What is logged beside faults.
    pub log: Log,
    /// The registries that content comes from, by their own names: a closed list.
    #[serde(deserialize_with = "registries::deserialize", default = "public")]
    #[cfg_attr(test, schemars(with = "BTreeMap<String, Option<upstream::Settings>>"))]
    pub upstreams: BTreeMap<Registry, upstream::Settings>,
    /// Who may vouch for content.
    #[cfg_attr(test, schemars(with = "BTreeMap<String, SignerSettings>"))]
    pub signers: BTreeMap<SignerName, SignerSettings>,
    /// Which content needs whose word. What no policy covers is refused.
    pub policies: Vec<policy::Settings>,
    /// Digests that are served though their policy refuses them.
    pub exceptions: Vec<policy::Exception>,
    /// How long what upstreams said is believed.
    pub freshness: cache::Freshness,
    /// How long decisions hold.
    pub decisions: policy::Limits,
    /// How much is looked at for one subject. Set by the command line alone.
    #[serde(skip)]
    pub bounds: admission::Bounds,
    /// Whether `counter_sign` opens no key, for who only looks: its policies decide as they do. Set by the command line
    /// alone.
    #[serde(skip)]
    pub signs_nothing: bool,
    /// Serve content whose admission could not be written to the audit log.
    pub dangerous_skip_audit: bool,
    #[serde(skip)]
    source: Arc<positions::Source>,
}

impl Settings {
    /// What holds without a file: as [`Self::built_in`], with policies for the registries whose publishers sign
    /// and say who they are. All else is refused.
    ///
    /// # Errors
    /// None that a released program could give.
    pub fn without_file() -> Result<Self, Error> {
        let mut settings = Self::built_in();
        presets::add(&mut settings)?;
        Ok(settings)
    }

    /// The public registries, the loopback, the user's cache folder. There are no policies, so that everything
    /// is refused until one is written.
    pub fn built_in() -> Self {
        Self { upstreams: public(), ..Self::default() }
    }

    /// Where decisions are written down: by default in the store's folder, beside its content, as
    /// that is the one place that is known to be ours to write to.
    pub fn audit_path(&self) -> PathBuf {
        self.audit.path.clone().unwrap_or_else(|| self.store.path.join("audit.jsonl"))
    }

    /// Reads the trust material of all signers.
    ///
    /// # Errors
    /// The first signer that cannot be honoured, with its place in the file.
    pub fn signers(&self) -> Result<BTreeMap<SignerName, Signer>, Error> {
        let build = |(name, settings): (&SignerName, &SignerSettings)| {
            let mut settings = settings.clone();
            settings.use_trusted_root(self.trust.trusted_root());
            let verifier = signature::build(name, &settings)
                .map_err(|fault| self.locate(&fault.under(&*name.0).under("signers")))?;
            Ok((name.clone(), Signer { verifier, acquire: settings.acquire.clone() }))
        };
        self.signers.iter().map(build).collect()
    }

    /// The policies with their signers, trust material read.
    ///
    /// # Errors
    /// The first setting that cannot be honoured, with its place in the file.
    pub fn policies(&self) -> Result<Policies, Error> {
        let policies: Vec<_> = self.policies.iter().map(|policy| self.completed(policy)).collect();
        let built = Policies::build(&policies, &self.exceptions, &self.signers()?)
            .and_then(|built| check::sources_of_files(self, &built).map(|()| built));
        built.map_err(|fault| self.locate(&fault))
    }

    /// A policy with what other keys say that its decisions depend on.
    fn completed(&self, policy: &policy::Settings) -> policy::Settings {
        let registries: BTreeSet<_> = policy.scopes.iter().map(|scope| scope.registry()).collect();
        let upstreams = self.upstreams.iter().filter(|(name, _)| registries.contains(name));
        let signatures = upstreams.map(|(name, upstream)| (name.clone(), upstream.signatures.clone()));
        policy::Settings {
            trusted_root: self.trust.trusted_root(),
            upstream_signatures: signatures.collect(),
            ..policy.clone()
        }
    }

    /// Where in the file a fault is that a module reported; its path starts at the file's root.
    pub fn locate(&self, fault: &SettingError) -> Error {
        self.source.locate(fault)
    }

    /// Every choice that weakens what is promised, for the log at start and for `check`.
    pub fn warnings(&self, now: SystemTime) -> Vec<String> {
        warnings::of(self, now)
    }

    /// The files and folders that the settings were or will be read from, to be watched.
    pub fn paths(&self) -> Vec<PathBuf> {
        let tls = self.listen.tls.iter().flat_map(Tls::paths);
        let upstreams = self.upstreams.values().flat_map(upstream::Settings::paths);
        let signers = self.signers.values().flat_map(SignerSettings::paths);
        let policies = self.policies.iter().flat_map(policy::Settings::paths);
        let trust = self.trust.paths();
        let files = self.source.file().into_iter().chain(tls).chain(upstreams).chain(signers);
        files.chain(policies).chain(trust).chain(kept::pins(self)).collect()
    }
}

fn public() -> BTreeMap<Registry, upstream::Settings> {
    let registries = PUBLIC.iter().filter_map(|name| Registry::parse(name).ok());
    registries
        .map(|name| {
            let default = name.is_docker_hub();
            (name, upstream::Settings { default, ..upstream::Settings::default() })
        })
        .collect()
}
