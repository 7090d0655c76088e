//! `portcullis verify-bundle`: a sigstore bundle about a file, or about a digest. The flags and exit codes are
//! those of the public conformance suite (sigstore/sigstore-conformance, `docs/cli_protocol.md`): 0 where it
//! holds, 1 for everything else.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use bytes::Bytes;

use super::{exit, report};
use crate::clock::Clock;
use crate::config::kept::fetched;
use crate::oci::{Algorithm, Digest};
use crate::setting::time::show;
use crate::signature::cosign::{self, Artifact, Keyless, Pem, Settings};
use crate::signature::{Evidence, SignerName};
use crate::trust::files;

/// A bundle is at most so long, as a signature's layer is.
const MAX_BUNDLE: u64 = 4 * 1024 * 1024;
/// An artifact is read whole, since some keys sign messages and not digests.
const MAX_ARTIFACT: u64 = 2 * 1024 * 1024 * 1024;

#[derive(clap::Args)]
#[command(group(clap::ArgGroup::new("signer").required(true).args(["key", "certificate_identity"])))]
pub(super) struct Arguments {
    /// The bundle.
    #[arg(long, value_name = "FILE")]
    bundle: PathBuf,
    /// The identity in the signing certificate, exactly.
    #[arg(long, value_name = "IDENTITY", requires = "certificate_oidc_issuer")]
    certificate_identity: Option<String>,
    /// Who vouches for the identity, exactly.
    #[arg(long, value_name = "URL", requires = "certificate_identity")]
    certificate_oidc_issuer: Option<String>,
    /// The public key that signed, in place of an identity: a PEM file, or the name of a key (pkcs11:…, awskms://…).
    #[arg(long, value_name = "KEY", conflicts_with = "certificate_identity")]
    key: Option<PathBuf>,
    /// The trusted root; without one, that of the public instance.
    #[arg(long, value_name = "FILE")]
    trusted_root: Option<PathBuf>,
    /// What was signed: a file, or sha256:HEX where there is no such file.
    #[arg(value_name = "FILE|DIGEST")]
    artifact: String,
}

pub(super) fn run(arguments: &Arguments) -> u8 {
    match verify(arguments) {
        Ok(evidence) => {
            print(&evidence);
            exit::OK
        }
        Err(error) => {
            report(&error);
            exit::DENIED
        }
    }
}

fn verify(arguments: &Arguments) -> anyhow::Result<Evidence> {
    let verifier = cosign::verifier(&SignerName("verify-bundle".into()), &settings(arguments)?)
        .map_err(|fault| anyhow!("{}", fault.message))?;
    let bundle = Bytes::from(read(&arguments.bundle, MAX_BUNDLE)?);
    let content = match digest(&arguments.artifact) {
        Some(_) => None,
        None => Some(read(Path::new(&arguments.artifact), MAX_ARTIFACT)?),
    };
    let artifact = match (&content, digest(&arguments.artifact)) {
        (Some(bytes), _) => Artifact { digest: Digest::sha256(bytes), bytes: Some(bytes) },
        (None, digest) => Artifact { digest: digest.context("no artifact is named")?, bytes: None },
    };
    verifier
        .verify_bundle(&bundle, &artifact, Clock::system().now())
        .map_err(|rejection| anyhow!("{rejection} ({})", rejection.code().as_str()))
}

/// As the protocol has it: a SHA-256 digest that is no path on disk.
fn digest(text: &str) -> Option<Digest> {
    let digest = Digest::parse(text).ok().filter(|digest| digest.algorithm() == Algorithm::Sha256)?;
    (!Path::new(text).exists()).then_some(digest)
}

fn settings(arguments: &Arguments) -> anyhow::Result<Settings> {
    let path = |path: &PathBuf| Pem(path.to_string_lossy().into_owned());
    let keyless = arguments.certificate_identity.clone().map(|identity| Keyless {
        identity: Some(identity),
        issuer: arguments.certificate_oidc_issuer.clone(),
        ..Keyless::default()
    });
    Ok(Settings {
        key: arguments.key.as_ref().map(path).map(|key| fetched(&key)).transpose().context("--key")?,
        keyless,
        trusted_root: arguments.trusted_root.clone(),
        ..Settings::default()
    })
}

fn read(path: &Path, limit: u64) -> anyhow::Result<Vec<u8>> {
    let bytes = files::read_within(path, limit).with_context(|| path.display().to_string())?;
    bytes.with_context(|| format!("{}: longer than {limit} bytes", path.display()))
}

fn print(evidence: &Evidence) {
    use std::io::Write as _;
    let identity = evidence.identity().map_or_else(|| "unknown".to_owned(), ToString::to_string);
    let issuer = evidence.issuer().map_or_else(String::new, |issuer| format!(", issuer {issuer}"));
    let at = evidence.signed_at().map_or_else(String::new, |(at, _)| format!(", at {}", show(at)));
    let _ = writeln!(std::io::stdout(), "verified: {} signed by {identity}{issuer}{at}", evidence.subject());
}
