//! `portcullis key`: makes private keys, shows what they are called, and asks for their certificates. Never shows one.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::{exit, password, report, runtime};
use crate::signature::nv2;
use crate::signing::Key;
use crate::x509::request::Request;
use crate::x509::{self, Algorithm, KeyKind, Name, PublicKey};

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Make a private key. A file that is there already is not touched.
    Generate {
        /// What kind of key.
        #[arg(long, value_enum, default_value_t = Kind::P256)]
        kind: Kind,
        /// Where the key is written, for its owner alone to read.
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
        /// Encrypt it: with the password in --key-password-file, which asks for this too, else with one that the
        /// terminal is asked for.
        #[arg(long)]
        encrypt: bool,
        #[command(flatten)]
        password: password::Flags,
    },
    /// Show a private key's public half, and the names that it goes by.
    Show {
        /// The private key: the path of a PEM file, or the name of one that is kept elsewhere (pkcs11:, awskms:, plugin:).
        #[arg(value_name = "KEY")]
        key: String,
        #[command(flatten)]
        password: password::Flags,
    },
    /// Print a certification request (PKCS #10, PEM), for an authority to certify the key.
    CertificateRequest {
        /// Whom the certificate is to name, as CN=registry.acme.example,O=ACME,ST=WA,C=US.
        #[arg(long, value_name = "NAME")]
        subject: String,
        /// A DNS name that the certificate is to carry; may be given several times.
        #[arg(long = "name", value_name = "DNS")]
        names: Vec<String>,
        /// The private key: the path of a PEM file, or the name of one that is kept elsewhere (pkcs11:, awskms:, plugin:).
        #[arg(value_name = "KEY")]
        key: String,
        #[command(flatten)]
        password: password::Flags,
    },
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Kind {
    P256,
    P384,
    P521,
    Ed25519,
    Rsa2048,
    Rsa3072,
    Rsa4096,
}

impl From<Kind> for KeyKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::P256 => Self::P256,
            Kind::P384 => Self::P384,
            Kind::P521 => Self::P521,
            Kind::Ed25519 => Self::Ed25519,
            Kind::Rsa2048 => Self::Rsa { bits: 2048 },
            Kind::Rsa3072 => Self::Rsa { bits: 3072 },
            Kind::Rsa4096 => Self::Rsa { bits: 4096 },
        }
    }
}

pub(super) fn run(arguments: &Arguments) -> u8 {
    match act(&arguments.action) {
        Ok(()) => exit::OK,
        Err(error) => {
            report(&error);
            exit::DENIED
        }
    }
}

fn act(action: &Action) -> anyhow::Result<()> {
    match action {
        Action::Generate { kind, output, encrypt, password } => {
            let shown = output.display().to_string();
            let is_wanted = *encrypt || password.is_given();
            let password = is_wanted.then(|| password.choose(&shown)).transpose()?;
            let (key, pem) = Key::generate((*kind).into(), password.as_ref().map(|p| p.as_str()))?;
            write(output, &pem).with_context(|| format!("{shown} (keys are never written over)"))?;
            show(key.public())
        }
        Action::Show { key, password } => show(password.open(key)?.public()),
        Action::CertificateRequest { subject, names, key, password } => {
            let subject = Name::from_text(subject).context("--subject")?;
            let key = password.open(key)?;
            let request = Request::new(&subject, names, key.public())?;
            let request = match key.only_algorithm() {
                Some(pss @ Algorithm::RsaPss(_)) => request.signed_by(pss),
                _ => request,
            };
            let signature = runtime()?.block_on(key.sign(request.algorithm, &request.info))?;
            let pem = x509::to_pem("CERTIFICATE REQUEST", &request.signed(&signature));
            Ok(std::io::stdout().write_all(pem.as_bytes())?)
        }
    }
}

fn write(path: &Path, pem: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(pem.as_bytes())?;
    file.sync_all()
}

fn show(key: &PublicKey) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "kind: {}", key.kind())?;
    writeln!(out, "sha256: {}", hex::encode(key.fingerprint()))?;
    writeln!(out, "nv2 kid: {}", nv2::key_id(key.spki()))?;
    write!(out, "{}", key.to_pem())?;
    Ok(())
}
