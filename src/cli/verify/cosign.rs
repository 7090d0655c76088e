//! `verify` with cosign's flags: decides as `cosign verify` does, by a key or an identity given on the command
//! line. Where it decides otherwise: docs/SIGSTORE.md. Nothing is asked but the registry.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};

use super::super::runtime;
use super::one_off::{annotations, pair};
use crate::access::Principal;
use crate::admission::Bounds;
use crate::clock::Clock;
use crate::config::kept::fetched;
use crate::engine::{Engine, State};
use crate::policy::{Attested, Condition, PredicateType, Require};
use crate::signature::cosign::{Keyless, Pem, Pki, Requirement, Roots, Settings, anywhere};
use crate::signature::{SignerName, SignerSettings};

/// What the one policy and its one signer are called.
const NAME: &str = "cosign";

#[derive(clap::Args)]
#[group(skip)]
#[command(group(clap::ArgGroup::new("cosign").multiple(true).args(["key", "certificate_identity", "certificate_identity_regexp"])))]
pub(super) struct Flags {
    /// The public key that must have signed: a PEM file, or the name of a key (pkcs11:…, awskms://…).
    #[arg(long, value_name = "KEY", conflicts_with_all = [
        "certificate_identity", "certificate_identity_regexp", "certificate_oidc_issuer",
        "certificate_oidc_issuer_regexp", "ca_roots", "certificate_chain", "Workflow",
    ])]
    key: Option<PathBuf>,
    /// The identity in the signing certificate, exactly.
    #[arg(long, value_name = "IDENTITY", conflicts_with = "certificate_identity_regexp")]
    certificate_identity: Option<String>,
    /// A pattern that is found in the identity.
    #[arg(long, value_name = "REGEXP")]
    certificate_identity_regexp: Option<String>,
    /// Who vouches for the identity, exactly.
    #[arg(long, value_name = "URL", requires = "cosign", conflicts_with = "certificate_oidc_issuer_regexp")]
    certificate_oidc_issuer: Option<String>,
    /// A pattern that is found in the issuer.
    #[arg(long, value_name = "REGEXP", requires = "cosign")]
    certificate_oidc_issuer_regexp: Option<String>,
    #[command(flatten)]
    workflow: Workflow,
    /// The sigstore trusted root; without one, that of the public instance.
    #[arg(long, value_name = "FILE", requires = "cosign", conflicts_with = "ca_roots")]
    trusted_root: Option<PathBuf>,
    /// Root certificates of a private authority, in place of Fulcio.
    #[arg(long, value_name = "FILE", requires = "cosign")]
    ca_roots: Option<PathBuf>,
    /// Intermediate certificates of a private authority.
    #[arg(long, value_name = "FILE", requires = "ca_roots")]
    ca_intermediates: Option<PathBuf>,
    /// The chain of a private authority: intermediates first, the root last.
    #[arg(long, value_name = "FILE", requires = "cosign", conflicts_with_all = ["ca_roots", "trusted_root"])]
    certificate_chain: Option<PathBuf>,
    /// The chain of the timestamp authority.
    #[arg(long, value_name = "FILE", requires = "cosign", conflicts_with = "trusted_root")]
    timestamp_certificate_chain: Option<PathBuf>,
    /// Fulcio's certificates, in place of the trusted root's.
    #[arg(long, value_name = "FILE", env = "SIGSTORE_ROOT_FILE", hide_env_values = true)]
    fulcio_roots: Option<PathBuf>,
    /// The transparency log's public key, in place of the trusted root's.
    #[arg(long, value_name = "FILE", env = "SIGSTORE_REKOR_PUBLIC_KEY", hide_env_values = true)]
    rekor_public_key: Option<PathBuf>,
    /// The certificate-transparency log's public key, in place of the trusted root's.
    #[arg(long, value_name = "FILE", env = "SIGSTORE_CT_LOG_PUBLIC_KEY_FILE", hide_env_values = true)]
    ct_log_public_key: Option<PathBuf>,
    /// An RFC 3161 timestamp is needed.
    #[arg(long, requires = "cosign")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false)]
    #[arg(action = clap::ArgAction::Set)]
    use_signed_timestamps: bool,
    /// No transparency log's word is needed.
    #[arg(long, requires = "cosign")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false)]
    #[arg(action = clap::ArgAction::Set)]
    insecure_ignore_tlog: bool,
    /// A certificate needs no certificate-transparency log's word.
    #[arg(long, requires = "cosign")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false)]
    #[arg(action = clap::ArgAction::Set)]
    insecure_ignore_sct: bool,
    /// What the signature must say beside the digest; may be given several times.
    #[arg(short = 'a', long = "annotations", value_name = "KEY=VALUE", value_parser = pair, requires = "cosign")]
    annotations: Vec<(String, String)>,
    /// An attestation of this predicate type is wanted, in place of a signature: a URI, or cosign's short name.
    #[arg(long = "type", value_name = "TYPE", value_parser = PredicateType::parse, requires = "cosign")]
    predicate_type: Option<PredicateType>,
    /// A condition in CEL that the attestation must meet.
    #[arg(long = "where", value_name = "CONDITION", requires = "predicate_type")]
    condition: Option<String>,
    /// Taken for the sake of scripts: both layouts are always looked for.
    #[arg(long, requires = "cosign", hide = true, num_args = 0..=1, require_equals = true)]
    new_bundle_format: Option<Option<bool>>,
    /// Taken for the sake of scripts: referrers are always asked for.
    #[arg(long, requires = "cosign", hide = true, num_args = 0..=1, require_equals = true)]
    experimental_oci11: Option<Option<bool>>,
    /// Taken for the sake of scripts: nothing is ever asked.
    #[arg(long, requires = "cosign", hide = true, num_args = 0..=1, require_equals = true)]
    offline: Option<Option<bool>>,
}

/// GitHub's part of the certificate.
#[derive(clap::Args)]
struct Workflow {
    /// The workflow's name in the certificate.
    #[arg(long, value_name = "NAME", requires = "cosign")]
    certificate_github_workflow_name: Option<String>,
    /// The ref that the workflow ran on.
    #[arg(long, value_name = "REF", requires = "cosign")]
    certificate_github_workflow_ref: Option<String>,
    /// The workflow's repository.
    #[arg(long, value_name = "OWNER/NAME", requires = "cosign")]
    certificate_github_workflow_repository: Option<String>,
    /// The commit that the workflow ran on.
    #[arg(long, value_name = "SHA", requires = "cosign")]
    certificate_github_workflow_sha: Option<String>,
    /// What set the workflow off.
    #[arg(long, value_name = "EVENT", requires = "cosign")]
    certificate_github_workflow_trigger: Option<String>,
}

impl Workflow {
    fn extensions(&self) -> BTreeMap<String, String> {
        let named = [
            ("github_workflow_name", &self.certificate_github_workflow_name),
            ("github_workflow_ref", &self.certificate_github_workflow_ref),
            ("github_workflow_repository", &self.certificate_github_workflow_repository),
            ("github_workflow_sha", &self.certificate_github_workflow_sha),
            ("github_workflow_trigger", &self.certificate_github_workflow_trigger),
        ];
        named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?))).collect()
    }
}

impl Flags {
    /// Whether cosign's way is asked for.
    pub(super) fn are_given(&self) -> bool {
        self.key.is_some()
            || self.certificate_identity.is_some()
            || self.certificate_identity_regexp.is_some()
    }

    fn settings(&self) -> anyhow::Result<Settings> {
        let identity = self.certificate_identity.clone();
        let pattern =
            |text: &Option<String>| text.as_deref().map(anywhere).transpose().map_err(anyhow::Error::msg);
        let identity_regexp = pattern(&self.certificate_identity_regexp)?;
        let issuer = self.certificate_oidc_issuer.clone();
        let issuer_regexp = pattern(&self.certificate_oidc_issuer_regexp)?;
        let extensions = self.workflow.extensions();
        let private = self.private_roots();
        let by_key = self.key.is_some();
        // A private authority that logs its certificates is a Fulcio of one's own.
        let by_fulcio = !by_key && (private.is_empty() || !self.insecure_ignore_sct);
        let requirement = |needed| if needed { Requirement::Require } else { Requirement::Ignore };
        Ok(Settings {
            key: self.key.as_deref().map(|key| fetched(&pem(key))).transpose().context("--key")?,
            keyless: by_fulcio.then(|| Keyless {
                issuer: issuer.clone(),
                issuer_regexp: issuer_regexp.clone(),
                identity: identity.clone(),
                identity_regexp: identity_regexp.clone(),
                extensions: extensions.clone(),
            }),
            pki: (!by_key && !by_fulcio).then(|| Pki {
                roots: private,
                intermediates: self.ca_intermediates.as_deref().map(pem).into_iter().collect(),
                identity,
                identity_regexp,
                issuer,
                issuer_regexp,
                extensions,
            }),
            transparency_log: requirement(!self.insecure_ignore_tlog),
            timestamps: requirement(self.use_signed_timestamps),
            annotations: annotations(&self.annotations)?,
            trusted_root: self.trusted_root.clone(),
            roots: self.roots()?,
            dangerous_skip_sct: self.insecure_ignore_sct && by_fulcio,
            ..Settings::default()
        })
    }

    /// What the signer must have made.
    fn require(&self, by: SignerName) -> anyhow::Result<Require> {
        let Some(predicate_type) = self.predicate_type.clone() else { return Ok(Require::Signer(by)) };
        let compile = |text: &String| {
            Condition::compile(text).map_err(|fault| {
                anyhow!("--where: line {}, column {}: {}", fault.line, fault.column, fault.message)
            })
        };
        let condition = self.condition.as_ref().map(compile).transpose()?;
        Ok(Require::Attested(Attested { by, predicate_type, condition }))
    }

    fn private_roots(&self) -> Vec<Pem> {
        self.ca_roots.iter().chain(&self.certificate_chain).map(|path| pem(path)).collect()
    }

    /// The trusted root in parts; a whole one decides alone, as in cosign.
    fn roots(&self) -> anyhow::Result<Option<Roots>> {
        let several = |path: &Option<PathBuf>| path.iter().map(|path| pem(path)).collect::<Vec<_>>();
        let roots = Roots {
            fulcio: match (self.private_roots(), &self.ca_intermediates) {
                (private, _) if private.is_empty() => several(&self.fulcio_roots),
                (private, None) => private,
                (private, Some(below)) => {
                    vec![joined(private.iter().filter_map(Pem::path).chain([&**below]))?]
                }
            },
            rekor: several(&self.rekor_public_key),
            ct_logs: several(&self.ct_log_public_key),
            timestamps: several(&self.timestamp_certificate_chain),
        };
        Ok((self.trusted_root.is_none() && roots != Roots::default()).then_some(roots))
    }
}

fn pem(path: &Path) -> Pem {
    Pem(path.to_string_lossy().into_owned())
}

/// What is a chain only together: the settings have each in a file of its own.
fn joined<'a>(paths: impl Iterator<Item = &'a Path>) -> anyhow::Result<Pem> {
    let read = |path: &Path| std::fs::read_to_string(path).with_context(|| path.display().to_string());
    Ok(Pem(paths.map(read).collect::<anyhow::Result<Vec<_>>>()?.join("\n")))
}

/// Verifies and prints what came of it.
pub(super) fn verify(arguments: &super::Arguments) -> anyhow::Result<u8> {
    let own = &arguments.cosign;
    let (reference, layout) = arguments.place.target(&arguments.reference)?;
    let signer = SignerSettings { cosign: Some(own.settings()?), ..SignerSettings::default() };
    let require = own.require(SignerName(NAME.into()))?;
    let settings = arguments.place.settings(NAME, signer, require, &reference, layout, Bounds::default())?;
    runtime()?.block_on(async {
        let state = State::ephemeral(Clock::system()).await?;
        // The settings are nobody's file: what is wrong with them names its own.
        let engine = Engine::build(settings, &state, None).map_err(|fault| anyhow!(fault.message))?;
        let outcome = engine.gate().decide_alone(&reference, &Principal::Process).await;
        super::conclude(arguments, &reference, outcome)
    })
}
