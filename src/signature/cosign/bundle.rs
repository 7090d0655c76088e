//! Sigstore bundles (sigstore/protobuf-specs, `sigstore_bundle.proto`), versions 0.1 to 0.3, in JSON.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::claim::{Claim, Content, Form, Hashed, MadeBy, malformed, unsupported};
use super::dsse::Envelope;
use super::log::{Entry, Proof};
use super::statement::Statement;
use crate::oci::json;
use crate::signature::Rejection;
use crate::trust::sigstore::proto::{self, Bytes, Int64, LogId};
use crate::x509::{Certificate, chain};

/// More witnesses than any client asks.
const MAX_WITNESSES: usize = 32;
const WHAT: &str = "sigstore bundle";

/// A bundle's version: what must be in it changed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Version {
    V01,
    V02,
    V03,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    media_type: String,
    verification_material: Material,
    message_signature: Option<MessageSignature>,
    dsse_envelope: Option<Envelope>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Material {
    public_key: Option<KeyHint>,
    x509_certificate_chain: Option<Chain>,
    certificate: Option<RawCertificate>,
    #[serde(default, deserialize_with = "proto::or_default")]
    tlog_entries: Vec<LogEntry>,
    timestamp_verification_data: Option<Timestamps>,
}

/// Which key it is: unsigned, so that it is read and not relied upon.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyHint {
    #[serde(default, rename = "hint")]
    _hint: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Chain {
    #[serde(default, deserialize_with = "proto::or_default")]
    certificates: Vec<RawCertificate>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawCertificate {
    raw_bytes: Bytes,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Timestamps {
    #[serde(default, deserialize_with = "proto::or_default")]
    rfc3161_timestamps: Vec<SignedTimestamp>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SignedTimestamp {
    signed_timestamp: Bytes,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MessageSignature {
    message_digest: Option<MessageDigest>,
    signature: Bytes,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MessageDigest {
    algorithm: String,
    digest: Bytes,
}

/// `TransparencyLogEntry`. Zero is left out in JSON.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LogEntry {
    #[serde(default, deserialize_with = "proto::or_default")]
    log_index: Int64,
    log_id: LogId,
    kind_version: KindVersion,
    #[serde(default, deserialize_with = "proto::or_default")]
    integrated_time: Int64,
    inclusion_promise: Option<Promise>,
    inclusion_proof: Option<InclusionProof>,
    canonicalized_body: Bytes,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KindVersion {
    kind: String,
    version: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Promise {
    signed_entry_timestamp: Bytes,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct InclusionProof {
    #[serde(default, deserialize_with = "proto::or_default")]
    log_index: Int64,
    root_hash: Bytes,
    tree_size: Int64,
    #[serde(default, deserialize_with = "proto::or_default")]
    hashes: Vec<Bytes>,
    checkpoint: Checkpoint,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Checkpoint {
    envelope: String,
}

/// Reads a bundle.
///
/// # Errors
/// [`Rejection::Malformed`], or [`Rejection::Unsupported`] for versions and contents that are not read.
pub(super) fn read(bytes: &[u8]) -> Result<Claim, Rejection> {
    let document: Document = json::strict(bytes).map_err(|e| malformed(WHAT, e))?;
    let version = Version::of(&document.media_type)?;
    let content = content(document.message_signature, document.dsse_envelope)?;
    let Material {
        public_key,
        x509_certificate_chain,
        certificate,
        tlog_entries,
        timestamp_verification_data,
    } = document.verification_material;
    let made_by = made_by(version, public_key, certificate, x509_certificate_chain)?;
    let stamps = timestamp_verification_data.map(|data| data.rfc3161_timestamps).unwrap_or_default();
    if tlog_entries.len() > MAX_WITNESSES || stamps.len() > MAX_WITNESSES {
        return Err(malformed(
            WHAT,
            format_args!("it has more than {MAX_WITNESSES} log entries or timestamps"),
        ));
    }
    let entries = tlog_entries.into_iter().map(|entry| entry.read(version)).collect::<Result<_, _>>()?;
    let timestamps = stamps.into_iter().map(|stamp| stamp.signed_timestamp.0).collect();
    Ok(Claim { form: Form::Bundle, content, made_by, entries, timestamps, stamped: None })
}

impl Version {
    fn of(media_type: &str) -> Result<Self, Rejection> {
        Ok(match media_type {
            "application/vnd.dev.sigstore.bundle+json;version=0.1" => Self::V01,
            "application/vnd.dev.sigstore.bundle+json;version=0.2" => Self::V02,
            "application/vnd.dev.sigstore.bundle+json;version=0.3"
            | "application/vnd.dev.sigstore.bundle.v0.3+json" => Self::V03,
            other => return Err(unsupported("sigstore bundle version", other)),
        })
    }
}

fn content(message: Option<MessageSignature>, envelope: Option<Envelope>) -> Result<Content, Rejection> {
    match (message, envelope) {
        (Some(MessageSignature { message_digest, signature }), None) => {
            let digest = message_digest.map(|d| Hashed { algorithm: d.algorithm, digest: d.digest.0 });
            Ok(Content::Artifact { digest, signature: signature.0 })
        }
        (None, Some(envelope)) => {
            envelope.check()?;
            let says = Statement::read(&envelope.payload.0)?;
            Ok(Content::Statement { envelope, says })
        }
        _ => Err(malformed(WHAT, "expected one of messageSignature and dsseEnvelope")),
    }
}

fn made_by(
    version: Version,
    key: Option<KeyHint>,
    certificate: Option<RawCertificate>,
    chain: Option<Chain>,
) -> Result<MadeBy, Rejection> {
    let certificates = match (key, certificate, chain) {
        (Some(_), None, None) => return Ok(MadeBy::Key),
        (None, Some(certificate), None) => vec![certificate],
        (None, None, Some(_)) if version == Version::V03 => {
            return Err(malformed(WHAT, "version 0.3 has one certificate, not a chain"));
        }
        (None, None, Some(chain)) => chain.certificates,
        _ => return Err(malformed(WHAT, "expected one of publicKey, certificate and x509CertificateChain")),
    };
    if certificates.len() > chain::MAX_LENGTH {
        return Err(malformed(
            WHAT,
            format_args!("its chain has more than {} certificates", chain::MAX_LENGTH),
        ));
    }
    let parsed = certificates.iter().map(|c| Certificate::from_der(&c.raw_bytes.0));
    let mut all = parsed.collect::<Result<Vec<_>, _>>().map_err(|e| malformed("certificate", e))?.into_iter();
    let leaf = all.next().ok_or_else(|| malformed(WHAT, "its certificate chain is empty"))?;
    let others: Vec<Certificate> = all.collect();
    // sigstore_bundle.proto: "The chain MUST NOT include a root": it would be no anchor, and seem to be one.
    if others.iter().any(Certificate::is_self_signed) {
        return Err(malformed(WHAT, "its certificate chain contains a root"));
    }
    Ok(MadeBy::Certificates { leaf, others })
}

impl LogEntry {
    fn read(self, version: Version) -> Result<Entry, Rejection> {
        let promise = self.inclusion_promise.map(|promise| promise.signed_entry_timestamp.0);
        // The first version's clients relied on promises, later ones on proofs.
        if version == Version::V01 && promise.is_none() {
            return Err(malformed("log entry", "bundles of version 0.1 need an inclusion promise"));
        }
        if version > Version::V01 && self.inclusion_proof.is_none() {
            return Err(malformed("log entry", "bundles after version 0.1 need an inclusion proof"));
        }
        Ok(Entry {
            log_id: self.log_id.key_id.0,
            index: natural("logIndex", self.log_index)?,
            kind: Some((self.kind_version.kind, self.kind_version.version)),
            integrated_time: natural("integratedTime", self.integrated_time)?,
            promise,
            proof: self.inclusion_proof.map(InclusionProof::read).transpose()?,
            body: self.canonicalized_body.0,
        })
    }
}

impl InclusionProof {
    fn read(self) -> Result<Proof, Rejection> {
        Ok(Proof {
            index: natural("inclusionProof.logIndex", self.log_index)?,
            size: natural("treeSize", self.tree_size)?,
            root: self.root_hash.0,
            hashes: self.hashes.into_iter().map(|hash| hash.0).collect(),
            checkpoint: self.checkpoint.envelope,
        })
    }
}

fn natural(field: &str, number: Int64) -> Result<u64, Rejection> {
    u64::try_from(number.0).map_err(|_| malformed("log entry", format_args!("its {field} is {}", number.0)))
}
