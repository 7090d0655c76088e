//! `policies[]` as configuration gives it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize};

use super::{CounterSign, Require, Scope};
use crate::oci::{Registry, Repository, SignatureSource};
use crate::signature::notation;

/// One entry of `policies`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// What refusals, metrics and audit lines call it.
    pub name: String,
    /// The repositories it applies to: `docker.io/library/*`, `gcr.io/distroless/**`.
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    pub scopes: Vec<Scope>,
    /// What is done with the verdict.
    #[serde(default)]
    pub mode: Mode,
    /// Who must vouch. Needed in `enforce` and `audit`, unless `from` stands here.
    #[serde(default)]
    pub require: Option<Require>,
    /// A policy file of the ecosystem, in place of `require`.
    #[serde(default)]
    pub from: Option<Source>,
    /// What of a multi-platform index must be signed.
    #[serde(default)]
    pub index: IndexRule,
    /// Which referrers of admitted content are served.
    #[serde(default)]
    pub referrers: ReferrerRule,
    /// What name the signed claim must carry.
    #[serde(default)]
    pub signed_name: SignedName,
    /// Repositories whose name the signed claim may carry instead of the pulled one's.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    pub renamed_from: Vec<Repository>,
    /// How what is allowed is signed again, with the organisation's own key.
    #[serde(default)]
    pub counter_sign: Option<CounterSign>,
    /// Where the keys are acquired: a URL or several, shown in refusals.
    #[serde(default, deserialize_with = "one_or_several")]
    #[cfg_attr(test, schemars(with = "OneOrSeveral"))]
    pub acquire: Vec<String>,
    /// Where else signatures are looked for, beside what the upstream's own settings name.
    #[serde(default)]
    pub signatures: Vec<SignatureSource>,
    /// What the settings of the scopes' upstreams name.
    #[serde(skip)]
    pub upstream_signatures: BTreeMap<Registry, Vec<SignatureSource>>,
    /// Sigstore's trusted root for signers of `from` that name none: `trust.tuf.path` tells.
    #[serde(skip)]
    pub trusted_root: Option<PathBuf>,
}

impl Settings {
    /// Makes the paths in it absolute.
    pub fn resolve(&mut self, base: &Path) {
        if let Some(source) = &mut self.from {
            let path = source.path_mut();
            *path = base.join(&*path);
        }
        self.signatures.iter_mut().for_each(|source| source.resolve(base));
        if let Some(counter_sign) = &mut self.counter_sign {
            counter_sign.resolve(base);
        }
    }

    /// The files and folders that it is read from.
    pub fn paths(&self) -> Vec<PathBuf> {
        let mut paths = match &self.from {
            Some(Source::Notation(folder)) => notation::policy_files(folder),
            Some(source) => vec![source.path().to_owned()],
            None => Vec::new(),
        };
        paths.extend(self.counter_sign.iter().flat_map(CounterSign::paths));
        paths
    }
}

/// What is done with a verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Everything is served, nothing verified.
    Allow,
    /// Everything is verified and served; what would be refused is recorded.
    Audit,
    /// Only what is proven is served.
    #[default]
    Enforce,
    /// Nothing is served.
    Deny,
}

impl Mode {
    /// The name in configuration, metrics and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Audit => "audit",
            Self::Enforce => "enforce",
            Self::Deny => "deny",
        }
    }
}

/// What of an index must be signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum IndexRule {
    /// The index: it admits the manifests that it lists.
    #[default]
    Index,
    /// Each listed manifest itself; those that are not are not unlocked.
    Children,
    /// The index, and each listed manifest too.
    Both,
}

/// Which referrers of admitted content are served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ReferrerRule {
    /// Those that are wholly a signature about the content, or are admitted themselves.
    #[default]
    Proven,
    /// All of them.
    All,
}

/// What name the signed claim must carry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SignedName {
    /// Any or none: the digest alone binds.
    #[default]
    Any,
    /// The repository that is pulled.
    Repository,
    /// The repository and the tag, or the digest, that is pulled.
    Exact,
}

/// A policy file of the ecosystem.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A folder with Notary Project's `trustpolicy.oci.json` or `trustpolicy.json` and
    /// `truststore/`.
    Notation(PathBuf),
    /// A sigstore `ClusterImagePolicy`.
    ClusterImagePolicy(PathBuf),
    /// A containers `policy.json`.
    ContainersPolicy(PathBuf),
}

impl Source {
    /// The key it stands under.
    pub const fn key(&self) -> &'static str {
        match self {
            Self::Notation(_) => "notation",
            Self::ClusterImagePolicy(_) => "cluster_image_policy",
            Self::ContainersPolicy(_) => "containers_policy",
        }
    }

    /// The file or folder.
    pub fn path(&self) -> &Path {
        match self {
            Self::Notation(path) | Self::ClusterImagePolicy(path) | Self::ContainersPolicy(path) => path,
        }
    }

    fn path_mut(&mut self) -> &mut PathBuf {
        match self {
            Self::Notation(path) | Self::ClusterImagePolicy(path) | Self::ContainersPolicy(path) => path,
        }
    }
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged)]
enum OneOrSeveral {
    One(String),
    Several(Vec<String>),
}

fn one_or_several<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(match OneOrSeveral::deserialize(deserializer)? {
        OneOrSeveral::One(url) => vec![url],
        OneOrSeveral::Several(urls) => urls,
    })
}
