//! `portcullis nv2 verify`

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{anyhow, bail};

use super::{file, subject};
use crate::clock::Clock;
use crate::oci::{Registry, Repository};
use crate::signature::nv2::{Settings, verifier};
use crate::signature::{SignerName, Subject, Verifier as _};
use crate::trust::RevocationData;

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
    let signature = file::read(&arguments.signature)?;
    let descriptor = arguments.subject.descriptor()?;
    let digest = descriptor.digest;
    let subject = Subject { repository: nowhere()?, descriptor };
    let verified = verifier.verify(&subject, &signature, &RevocationData::default(), Clock::system().now());
    verified.map_err(|rejected| anyhow!("verification failed: {rejected} ({})", rejected.code().as_str()))?;
    writeln!(std::io::stdout(), "{digest}")?;
    Ok(())
}

/// The prototype binds a signature to bytes and to names in it, not to where the bytes were found.
fn nowhere() -> anyhow::Result<Repository> {
    Ok(Repository::new(Registry::parse("localhost")?, "nv2")?)
}
