//! `verify --notation-config DIR`: decides as `notation verify` does, by the trust policy and trust
//! stores in its configuration folder. Exits 0 where the content is verified or the policy skips
//! that, and 1 for everything else, as notation does.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};

use super::super::{exit, runtime};
use super::{login, print, target, verdict_of};
use crate::access::Principal;
use crate::admission::Bounds;
use crate::clock::Clock;
use crate::config::Settings;
use crate::engine::{Engine, State};
use crate::oci::{Reference, Registry};
use crate::policy::{self, Mode, Require, Scope, Verdict};
use crate::signature::{Basis, SignerName, SignerSettings, notation};
use crate::upstream;

/// What the one policy and its one signer are called.
const NAME: &str = "notation";
/// Referring artifacts that are looked at to find signatures among them: other kinds may be many.
const MAX_ARTIFACTS: usize = 1024;

#[derive(clap::Args)]
pub(super) struct Flags {
    /// Decide as `notation verify` does, by the trust policy and trust stores in this folder.
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    notation_config: Option<PathBuf>,
    /// Ask the registry over plain HTTP.
    #[arg(long, requires = "notation_config")]
    insecure_registry: bool,
    /// Read an OCI image layout: the reference is PATH:TAG or PATH@DIGEST.
    #[arg(long, requires = "notation_config", requires = "scope")]
    oci_layout: bool,
    /// The repository that the layout stands for in the trust policy: registry.example/app
    #[arg(long, value_name = "REGISTRY/REPOSITORY", requires = "oci_layout")]
    scope: Option<String>,
    /// An annotation that the signature must carry; may be given several times.
    #[arg(short = 'm', long, value_name = "KEY=VALUE", value_parser = pair, requires = "notation_config")]
    user_metadata: Vec<(String, String)>,
    /// The most signatures that are looked at.
    #[arg(long, value_name = "N", default_value = "100", requires = "notation_config")]
    max_signatures: NonZeroUsize,
    /// The account at the registry; without it, docker's own configuration is asked.
    #[arg(short = 'u', long, requires = "notation_config", requires = "password_stdin")]
    username: Option<String>,
    /// Read the account's password from standard input.
    #[arg(long, requires = "username")]
    password_stdin: bool,
}

impl Flags {
    /// The folder, where notation's way is asked for.
    pub(super) fn folder(&self) -> Option<&Path> {
        self.notation_config.as_deref()
    }

    /// What is meant, and the layout that it is in, if it is.
    fn target(&self, text: &str) -> anyhow::Result<(Reference, Option<upstream::Layout>)> {
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
}

/// Verifies and prints what came of it.
pub(super) fn verify(arguments: &super::Arguments, folder: &Path) -> anyhow::Result<u8> {
    let own = &arguments.notation;
    let (reference, layout) = own.target(&arguments.reference)?;
    let settings = settings(own, folder, &reference, layout)?;
    runtime()?.block_on(async {
        let state = State::ephemeral(Clock::system()).await?;
        // The settings are nobody's file: what is wrong with them names its own.
        let engine = Engine::build(settings, &state, None).map_err(|fault| anyhow!(fault.message))?;
        match engine.gate().decide_alone(&reference, &Principal::Process).await {
            Ok(decision) => {
                let basis = basis(&engine, &reference).context("no policy applies")?;
                print::by_notation(arguments, &decision, &basis)?;
                Ok(if decision.verdict() == Verdict::Allow { exit::OK } else { exit::DENIED })
            }
            Err(refusal) => {
                print::refusal(arguments, &reference, &refusal, verdict_of(&refusal))?;
                Ok(exit::DENIED)
            }
        }
    })
}

/// One upstream, one signer, one policy: all that is needed for the one reference.
fn settings(
    flags: &Flags,
    folder: &Path,
    reference: &Reference,
    layout: Option<upstream::Layout>,
) -> anyhow::Result<Settings> {
    let repository = &reference.repository;
    let upstream = flags.upstream(repository.registry(), layout)?;
    let keys = notation::Settings {
        config_dir: Some(folder.to_owned()),
        annotations: annotations(&flags.user_metadata)?,
        ..notation::Settings::default()
    };
    let signer = SignerSettings { notation: Some(keys), ..SignerSettings::default() };
    let name = SignerName(NAME.into());
    let policy = policy::Settings {
        name: NAME.to_owned(),
        scopes: vec![Scope::parse(&repository.to_string())?],
        mode: Mode::Enforce,
        require: Some(Require::Signer(name.clone())),
        from: None,
        index: policy::IndexRule::default(),
        referrers: policy::ReferrerRule::default(),
        signed_name: policy::SignedName::default(),
        renamed_from: Vec::new(),
        acquire: Vec::new(),
    };
    let mut settings = Settings::built_in();
    settings.upstreams = BTreeMap::from([(repository.registry().clone(), upstream)]);
    settings.signers = BTreeMap::from([(name, signer)]);
    settings.policies = vec![policy];
    settings.egress.revocation_everywhere = true;
    settings.bounds = Bounds { artifacts: MAX_ARTIFACTS, signatures: flags.max_signatures.get() };
    Ok(settings)
}

fn annotations(pairs: &[(String, String)]) -> anyhow::Result<BTreeMap<String, String>> {
    let mut annotations = BTreeMap::new();
    for (key, value) in pairs {
        if annotations.insert(key.clone(), value.clone()).is_some_and(|other| other != *value) {
            return Err(anyhow!("the annotation {key:?} is asked for with two values"));
        }
    }
    Ok(annotations)
}

fn basis(engine: &Engine, reference: &Reference) -> Option<Basis> {
    let policy = engine.gate().policies().matching(&reference.repository)?;
    policy.verifiers().find_map(|verifier| verifier.basis(&reference.repository))
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() && !value.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}
