//! `verify --notation-config DIR`: decides as `notation verify` does, by the trust policy and trust
//! stores in its configuration folder. Exits 0 where the content is verified or the policy skips
//! that, and 1 for everything else, as notation does.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};

use super::super::{exit, runtime};
use super::one_off::{annotations, pair};
use super::{print, verdict_of};
use crate::access::Principal;
use crate::admission::Bounds;
use crate::clock::Clock;
use crate::engine::{Engine, State};
use crate::oci::Reference;
use crate::policy::{Require, Verdict};
use crate::signature::{Basis, SignerName, SignerSettings, notation};

/// What the one policy and its one signer are called.
const NAME: &str = "notation";
/// Referring artifacts that are looked at to find signatures among them: other kinds may be many.
const MAX_ARTIFACTS: usize = 1024;

#[derive(clap::Args)]
#[group(skip)]
pub(super) struct Flags {
    /// Decide as `notation verify` does, by the trust policy and trust stores in this folder.
    #[arg(long, value_name = "DIR", conflicts_with = "cosign")]
    notation_config: Option<PathBuf>,
    /// An annotation that the signature must carry; may be given several times.
    #[arg(short = 'm', long, value_name = "KEY=VALUE", value_parser = pair, requires = "notation_config")]
    user_metadata: Vec<(String, String)>,
    /// The most signatures that are looked at.
    #[arg(long, value_name = "N", default_value = "100", requires = "notation_config")]
    max_signatures: NonZeroUsize,
}

impl Flags {
    /// The folder, where notation's way is asked for.
    pub(super) fn folder(&self) -> Option<&Path> {
        self.notation_config.as_deref()
    }
}

/// Verifies and prints what came of it.
pub(super) fn verify(arguments: &super::Arguments, folder: &Path) -> anyhow::Result<u8> {
    let own = &arguments.notation;
    let (reference, layout) = arguments.place.target(&arguments.reference)?;
    let keys = notation::Settings {
        config_dir: Some(folder.to_owned()),
        annotations: annotations(&own.user_metadata)?,
        ..notation::Settings::default()
    };
    let signer = SignerSettings { notation: Some(keys), ..SignerSettings::default() };
    let bounds = Bounds { artifacts: MAX_ARTIFACTS, signatures: own.max_signatures.get() };
    let require = Require::Signer(SignerName(NAME.into()));
    let settings = arguments.place.settings(NAME, signer, require, &reference, layout, bounds)?;
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

fn basis(engine: &Engine, reference: &Reference) -> Option<Basis> {
    let policy = engine.gate().policies().matching(&reference.repository)?;
    policy.verifiers(&reference.repository).find_map(|verifier| verifier.basis(&reference.repository))
}
