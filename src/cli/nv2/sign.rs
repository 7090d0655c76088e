//! `portcullis nv2 sign`

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;

use super::subject;
use crate::cli::{password, runtime};
use crate::clock::Clock;
use crate::setting::duration;
use crate::signing;
use crate::trust;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// How it is signed.
    #[arg(short, long, value_enum, default_value_t = Method::X509)]
    method: Method,
    /// The private key: the path of a PEM file, or the name of one that is kept elsewhere (pkcs11:, awskms:, plugin:).
    #[arg(short, long, value_name = "KEY")]
    key: String,
    #[command(flatten)]
    password: password::Flags,
    /// The key's certificate, with what leads to its authority behind it: it goes along with the signature.
    /// Without one, the signature names its key only, and verifiers need the certificate.
    #[arg(short, long, value_name = "FILE")]
    cert: Option<PathBuf>,
    /// For how long the signature holds; 0s, the default, is as long as its certificate.
    #[arg(short, long, value_name = "DURATION", default_value = "0s", value_parser = duration::parse)]
    expiry: Duration,
    /// A reference that the manifest is published under, as registry.example/app:v1; may be given several times.
    #[arg(short, long, value_name = "REFERENCE")]
    reference: Vec<String>,
    /// Where the signature is written; by default the digest's hex digits and `.nv2`.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Which of the prototype's forms the signature has.
    #[arg(long, value_enum, default_value_t = Form::Jwt)]
    form: Form,
    #[command(flatten)]
    subject: subject::Flags,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Method {
    X509,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Form {
    Jwt,
    Json,
}

impl From<Form> for signing::nv2::Form {
    fn from(form: Form) -> Self {
        match form {
            Form::Jwt => Self::Jwt,
            Form::Json => Self::Json,
        }
    }
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let Method::X509 = arguments.method;
    let key = arguments.password.open(&arguments.key)?;
    let chain = trust::certificates(arguments.cert.as_slice())?;
    let subject = arguments.subject.descriptor()?;
    let claim = signing::nv2::Claim {
        subject: &subject,
        references: &arguments.reference,
        issued: Clock::system().now(),
        lifetime: (!arguments.expiry.is_zero()).then_some(arguments.expiry),
    };
    let signature = signing::nv2::sign(&key, &chain, &claim, arguments.form.into());
    let signature = runtime()?.block_on(signature)?;
    let output = arguments.output.clone().unwrap_or_else(|| format!("{}.nv2", subject.digest.hex()).into());
    std::fs::write(&output, signature).with_context(|| output.display().to_string())?;
    writeln!(std::io::stdout(), "{}", subject.digest)?;
    Ok(())
}
