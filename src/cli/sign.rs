//! `portcullis sign`: signs a manifest in a registry, and puts the signature where verifiers look for it.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, anyhow, bail};

use super::registry::Registries;
use super::{exit, password, registry, report, runtime};
use crate::clock::Clock;
use crate::oci::{Algorithm, Descriptor, Manifest, Reference, Repository, Target};
use crate::setting::duration;
use crate::signing::{Signed, SigningKey, TimestampAuthority, cosign, notation, nv2};
use crate::trust;
use crate::x509::Certificate;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// How it is signed.
    #[arg(short, long, value_enum)]
    format: Format,
    /// Which form of the format: jws (the default) or cose of notation, bundle (the default) or tag of cosign, jwt (the
    /// default) or json of nv2.
    #[arg(long, value_enum)]
    form: Option<Form>,
    /// The private key: the path of a PEM file, or the name of one that is kept elsewhere (pkcs11:, awskms:, plugin:).
    #[arg(short, long, value_name = "KEY")]
    key: String,
    #[command(flatten)]
    password: password::Flags,
    /// The key's certificate, and what leads from it to its root, in one PEM file; by default what a plug-in has for its
    /// key. notation needs them; nv2 takes them.
    #[arg(long, value_name = "FILE")]
    certificate_chain: Option<PathBuf>,
    /// A timestamp authority (RFC 3161) that stamps the signature, so that it outlives its certificate. For notation
    /// and cosign.
    #[arg(long, value_name = "URL")]
    timestamp_url: Option<url::Url>,
    /// The authority's root certificates: a token by another is not taken.
    #[arg(long, value_name = "FILE", requires = "timestamp_url")]
    timestamp_root: Option<PathBuf>,
    /// What is said of the manifest besides, and signed. For notation and cosign; may be given several times.
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = annotation)]
    annotation: Vec<(String, String)>,
    /// For how long the signature holds. For notation and nv2; by default as long as its certificate is believed.
    #[arg(short, long, value_name = "DURATION", value_parser = duration::parse)]
    expiry: Option<Duration>,
    /// A name that the manifest is published under, as registry.example/app:v1: what nv2 signs. May be given several
    /// times; by default the reference itself.
    #[arg(short, long, value_name = "REFERENCE")]
    reference: Vec<String>,
    /// The repository that the signature is written to; by default the manifest's own.
    #[arg(long, value_name = "REPOSITORY")]
    to: Option<String>,
    #[command(flatten)]
    registry: registry::Flags,
    /// The manifest: registry.example/app:v1, or better by its digest, since a tag may move meanwhile.
    #[arg(value_name = "REFERENCE")]
    subject: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Notation,
    Cosign,
    Nv2,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    Jws,
    Cose,
    Bundle,
    Tag,
    Jwt,
    Json,
}

fn annotation(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    if name.is_empty() { Err("expected a name before =".to_owned()) } else { Ok((name.into(), value.into())) }
}

pub(super) fn run(arguments: &Arguments) -> u8 {
    let signed = arguments.checked().and_then(|form| {
        let reference = Reference::parse(&arguments.subject).with_context(|| arguments.subject.clone())?;
        let to = arguments.destination(&reference)?;
        let registries = arguments.registry.registries(to.registry())?;
        let key = arguments.password.open(&arguments.key)?;
        runtime()?.block_on(arguments.sign(form, reference, &to, &registries, &key))
    });
    match signed {
        Ok(()) => exit::OK,
        Err(error) => {
            report(&error);
            exit::DENIED
        }
    }
}

/// What is signed, read.
struct Subject {
    reference: Reference,
    descriptor: Descriptor,
    now: SystemTime,
}

impl Subject {
    async fn read(reference: Reference, registries: &Registries) -> anyhow::Result<Self> {
        let (repository, target) = (&reference.repository, &reference.target);
        let upstream = registries.upstream(repository.registry())?;
        let bytes = upstream.manifest(repository, target).await.with_context(|| reference.to_string())?;
        let manifest = match target {
            Target::Digest(digest) => Manifest::parse_expecting(bytes, digest)?,
            Target::Tag(_) => Manifest::parse(bytes, Algorithm::Sha256)?,
        };
        let Descriptor { media_type, digest, size, .. } = manifest.descriptor().clone();
        Ok(Self {
            descriptor: Descriptor::new(media_type, digest, size),
            reference,
            now: Clock::system().now(),
        })
    }
}

impl Arguments {
    /// The form, if all flags are for it: one that were passed over would be missed too late.
    fn checked(&self) -> anyhow::Result<Form> {
        let form = match (self.format, self.form) {
            (Format::Notation, None) => Form::Jws,
            (Format::Cosign, None) => Form::Bundle,
            (Format::Nv2, None) => Form::Jwt,
            (Format::Notation, Some(form @ (Form::Jws | Form::Cose)))
            | (Format::Cosign, Some(form @ (Form::Bundle | Form::Tag)))
            | (Format::Nv2, Some(form @ (Form::Jwt | Form::Json))) => form,
            (format, Some(form)) => bail!("--form {form:?} is none of {format:?}'s"),
        };
        let unfit = |flag: &str| bail!("{flag} is not for --format {:?}", self.format);
        match self.format {
            Format::Notation if !self.reference.is_empty() => unfit("--reference")?,
            Format::Cosign if !self.reference.is_empty() => unfit("--reference")?,
            Format::Cosign if self.expiry.is_some() => unfit("--expiry")?,
            Format::Cosign if self.certificate_chain.is_some() => unfit("--certificate-chain")?,
            Format::Nv2 if self.timestamp_url.is_some() => unfit("--timestamp-url")?,
            Format::Nv2 if !self.annotation.is_empty() => unfit("--annotation")?,
            Format::Notation | Format::Cosign | Format::Nv2 => {}
        }
        Ok(form)
    }

    /// Where the signature is written to.
    fn destination(&self, subject: &Reference) -> anyhow::Result<Repository> {
        match &self.to {
            Some(name) => Repository::parse(name).with_context(|| format!("--to {name}")),
            None => Ok(subject.repository.clone()),
        }
    }

    async fn sign(
        &self,
        form: Form,
        reference: Reference,
        to: &Repository,
        registries: &Registries,
        key: &SigningKey,
    ) -> anyhow::Result<()> {
        let subject = Subject::read(reference, registries).await?;
        let signed = self.make(form, key, &subject).await?;
        let writer = registries.writer(to.registry())?;
        let place = signed.publish(&writer, to).await.with_context(|| format!("to {to}"))?;
        let mut out = std::io::stdout().lock();
        writeln!(out, "{}@{}", subject.reference.repository, subject.descriptor.digest)?;
        writeln!(out, "signed by {place}")?;
        Ok(())
    }

    async fn make(&self, form: Form, key: &SigningKey, subject: &Subject) -> anyhow::Result<Signed> {
        let chain = match &self.certificate_chain {
            Some(path) => trust::certificates(std::slice::from_ref(path))?,
            None => key.chain().to_vec(),
        };
        if self.format == Format::Notation && chain.is_empty() {
            bail!(
                "notation signs with certificates: give --certificate-chain, the key's own first, its root last"
            );
        }
        let annotations: BTreeMap<String, String> = self.annotation.iter().cloned().collect();
        let authority = self.authority()?;
        let authority = authority.as_ref();
        Ok(match form {
            Form::Jws => {
                self.notation(notation::Form::Jws, key, &chain, subject, &annotations, authority).await?
            }
            Form::Cose => {
                self.notation(notation::Form::Cose, key, &chain, subject, &annotations, authority).await?
            }
            Form::Bundle => {
                let (subject, now) = (&subject.descriptor, subject.now);
                cosign::bundle(key, subject, &annotations, authority, now).await?.into()
            }
            Form::Tag => {
                let name = subject.reference.repository.to_string();
                let digest = subject.descriptor.digest;
                cosign::sign(key, &name, &digest, &annotations, authority).await?.into()
            }
            Form::Jwt => self.nv2(nv2::Form::Jwt, key, &chain, subject).await?,
            Form::Json => self.nv2(nv2::Form::Json, key, &chain, subject).await?,
        })
    }

    async fn notation(
        &self,
        form: notation::Form,
        key: &SigningKey,
        chain: &[Certificate],
        subject: &Subject,
        annotations: &BTreeMap<String, String>,
        authority: Option<&TimestampAuthority>,
    ) -> anyhow::Result<Signed> {
        let Subject { descriptor: subject, now, .. } = subject;
        let ends = |lasts| now.checked_add(lasts).context("--expiry is too long");
        let expires = self.expiry.map(ends).transpose()?;
        let claim = notation::Claim { subject, annotations, signed: *now, expires };
        let envelope = notation::sign(key, chain, &claim, form, authority).await?;
        let chain = chain.iter().map(Certificate::der);
        Ok(notation::artifact(envelope, form, chain, subject, *now)?.into())
    }

    async fn nv2(
        &self,
        form: nv2::Form,
        key: &SigningKey,
        chain: &[Certificate],
        subject: &Subject,
    ) -> anyhow::Result<Signed> {
        let own = [subject.reference.to_string()];
        let references = if self.reference.is_empty() { &own[..] } else { &self.reference };
        let Subject { descriptor: subject, now, .. } = subject;
        let claim = nv2::Claim { subject, references, issued: *now, lifetime: self.expiry };
        let signature = nv2::sign(key, chain, &claim, form).await?;
        Ok(nv2::artifact(signature, form, subject, *now)?.into())
    }

    fn authority(&self) -> anyhow::Result<Option<TimestampAuthority>> {
        let Some(url) = &self.timestamp_url else { return Ok(None) };
        let roots = trust::certificates(self.timestamp_root.as_slice()).map_err(|why| anyhow!("{why}"))?;
        Ok(Some(TimestampAuthority::new(url.clone(), roots)?))
    }
}
