//! A verdict without a configuration file: one upstream, one signer, one policy, for one reference.

use std::collections::BTreeMap;

use crate::admission::Bounds;
use crate::config::Settings;
use crate::oci::{Reference, Registry};
use crate::policy::{self, Mode, Require, Scope};
use crate::signature::{SignerName, SignerSettings};
use crate::upstream;

use super::target;
use crate::cli::login;

/// Where the content is.
#[derive(clap::Args)]
pub(super) struct Place {
    /// Ask the registry over plain HTTP.
    #[arg(long, visible_aliases = ["allow-insecure-registry", "allow-http-registry"], requires = "one_off")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false)]
    #[arg(action = clap::ArgAction::Set)]
    insecure_registry: bool,
    /// Read an OCI image layout: the reference is PATH:TAG or PATH@DIGEST.
    #[arg(long, requires = "one_off", requires = "scope")]
    oci_layout: bool,
    /// The repository that the layout stands for: registry.example/app
    #[arg(long, value_name = "REGISTRY/REPOSITORY", requires = "oci_layout")]
    scope: Option<String>,
    /// The account at the registry; without it, docker's own configuration is asked.
    #[arg(short = 'u', long, requires = "one_off", requires = "password_stdin")]
    username: Option<String>,
    /// Read the account's password from standard input.
    #[arg(long, requires = "username")]
    password_stdin: bool,
}

impl Place {
    /// What is meant, and the layout that it is in, if it is.
    pub(super) fn target(&self, text: &str) -> anyhow::Result<(Reference, Option<upstream::Layout>)> {
        let Some(scope) = self.scope.as_deref().filter(|_| self.oci_layout) else {
            return Ok((target::in_registry(text)?, None));
        };
        let (folder, reference) = target::in_layout(text, scope)?;
        let repository = reference.repository.clone();
        Ok((reference, Some(upstream::Layout { folder, repository })))
    }

    fn upstream(
        &self,
        registry: &Registry,
        layout: Option<upstream::Layout>,
    ) -> anyhow::Result<upstream::Settings> {
        if layout.is_some() {
            return Ok(upstream::Settings { layout, ..upstream::Settings::default() });
        }
        let plain = self.insecure_registry || registry.as_str().starts_with("localhost:");
        Ok(upstream::Settings {
            url: plain.then(|| format!("http://{registry}")),
            credentials: login::credentials(self.username.as_deref())?,
            ..upstream::Settings::default()
        })
    }

    /// Settings that are nobody's file: `require` of the one signer, for the one reference.
    pub(super) fn settings(
        &self,
        name: &str,
        signer: SignerSettings,
        require: Require,
        reference: &Reference,
        layout: Option<upstream::Layout>,
        bounds: Bounds,
    ) -> anyhow::Result<Settings> {
        let repository = &reference.repository;
        let upstream = self.upstream(repository.registry(), layout)?;
        let policy = policy::Settings {
            counter_sign: None,
            name: name.to_owned(),
            scopes: vec![Scope::parse(&repository.to_string())?],
            mode: Mode::Enforce,
            require: Some(require),
            from: None,
            index: policy::IndexRule::default(),
            referrers: policy::ReferrerRule::default(),
            signed_name: policy::SignedName::default(),
            renamed_from: Vec::new(),
            acquire: Vec::new(),
            signatures: Vec::new(),
            upstream_signatures: BTreeMap::new(),
            trusted_root: None,
        };
        let mut settings = Settings::built_in();
        settings.upstreams = BTreeMap::from([(repository.registry().clone(), upstream)]);
        settings.signers = BTreeMap::from([(SignerName(name.into()), signer)]);
        settings.policies = vec![policy];
        settings.egress.revocation_everywhere = true;
        settings.bounds = bounds;
        Ok(settings)
    }
}

/// `KEY=VALUE`
pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() && !value.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}

/// Pairs without contradiction.
pub(super) fn annotations(pairs: &[(String, String)]) -> anyhow::Result<BTreeMap<String, String>> {
    let mut annotations = BTreeMap::new();
    for (key, value) in pairs {
        if annotations.insert(key.clone(), value.clone()).is_some_and(|other| other != *value) {
            anyhow::bail!("the annotation {key:?} is asked for with two values");
        }
    }
    Ok(annotations)
}
