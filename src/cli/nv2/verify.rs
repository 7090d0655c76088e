//! `portcullis nv2 verify`

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, anyhow, bail};
use bytes::Bytes;

use super::subject;
use crate::clock::Clock;
use crate::oci::media_type::{NV2_CONFIG_JSON, NV2_CONFIG_JWT};
use crate::oci::{Digest, Registry, Repository};
use crate::signature::nv2::{Settings, verifier};
use crate::signature::{Format, Signature, SignerName, Subject, Verifier as _};
use crate::trust::{RevocationData, files};

/// A signature is at most so long, as an artifact's config is.
const MAX_SIGNATURE: u64 = 4 * 1024 * 1024;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The signature.
    #[arg(short = 'f', short_alias = 's', long, value_name = "FILE")]
    signature: PathBuf,
    /// A certificate whose key may have signed; may be given several times.
    #[arg(short, long, value_name = "FILE")]
    cert: Vec<PathBuf>,
    /// The certificate of an authority that issues to signers; may be given several times.
    #[arg(long, value_name = "FILE")]
    ca_cert: Vec<PathBuf>,
    #[command(flatten)]
    subject: subject::Flags,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    if arguments.cert.is_empty() && arguments.ca_cert.is_empty() {
        bail!(
            "nobody is trusted: give the signer's certificate with -c, or its authority's with --ca-cert, as you got it \
             from whom you trust"
        );
    }
    let settings = Settings {
        certificates: arguments.cert.clone(),
        ca_certificates: arguments.ca_cert.clone(),
        names: None,
    };
    let verifier =
        verifier(&SignerName("nv2".into()), &settings).map_err(|fault| anyhow!("{}", fault.message))?;
    let signature = signature(arguments)?;
    let descriptor = arguments.subject.descriptor()?;
    let digest = descriptor.digest;
    let subject = Subject { repository: nowhere()?, descriptor };
    let verified = verifier.verify(&subject, &signature, &RevocationData::default(), Clock::system().now());
    verified.map_err(|rejected| anyhow!("verification failed: {rejected} ({})", rejected.code().as_str()))?;
    writeln!(std::io::stdout(), "{digest}")?;
    Ok(())
}

/// The form shows itself: a JWT begins with no brace.
fn signature(arguments: &Arguments) -> anyhow::Result<Signature> {
    let shown = || arguments.signature.display().to_string();
    let text = files::read_within(&arguments.signature, MAX_SIGNATURE).with_context(shown)?;
    let text = text.with_context(|| format!("{}: longer than {MAX_SIGNATURE} bytes", shown()))?;
    let payload = Bytes::from(text.trim_ascii().to_vec());
    let media_type = if payload.starts_with(b"{") { NV2_CONFIG_JSON } else { NV2_CONFIG_JWT };
    Ok(Signature {
        format: Format::Nv2,
        digest: Digest::sha256(&payload),
        media_type: media_type.into(),
        payload,
        annotations: Default::default(),
    })
}

/// The prototype binds a signature to bytes and to names in it, not to where the bytes were found.
fn nowhere() -> anyhow::Result<Repository> {
    Ok(Repository::new(Registry::parse("localhost")?, "nv2")?)
}
