//! `trusted_root.json`.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::proto::{self, Bytes, LogId, Timestamp};
use super::{Authority, Error, Inner, Log, MAX_INSTANCES, MAX_SIZE, Window};
use crate::oci::json;
use crate::x509::{Certificate, PublicKey};

/// The media types of the document that are read: both versions have the same fields.
const MEDIA_TYPES: [&str; 2] = [
    "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
    "application/vnd.dev.sigstore.trustedroot.v0.2+json",
];
const SHA256: &str = "SHA2_256";
const PKCS1_RSA: &str = "PKCS1_RSA_PKCS1V5";

// Unknown fields are refused: what they restrict would be lost.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    media_type: String,
    #[serde(default, deserialize_with = "proto::or_default")]
    tlogs: Vec<Instance>,
    #[serde(default, deserialize_with = "proto::or_default")]
    certificate_authorities: Vec<CertificateAuthority>,
    #[serde(default, deserialize_with = "proto::or_default")]
    ctlogs: Vec<Instance>,
    #[serde(default, deserialize_with = "proto::or_default")]
    timestamp_authorities: Vec<CertificateAuthority>,
}

/// `TransparencyLogInstance`
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Instance {
    #[serde(default, deserialize_with = "proto::or_default")]
    base_url: String,
    hash_algorithm: String,
    public_key: Key,
    log_id: LogId,
    checkpoint_key_id: Option<LogId>,
    #[serde(rename = "operator")]
    _operator: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Key {
    raw_bytes: Bytes,
    key_details: String,
    valid_for: Option<TimeRange>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TimeRange {
    start: Option<Timestamp>,
    end: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CertificateAuthority {
    #[serde(rename = "subject")]
    _subject: Option<IgnoredAny>,
    #[serde(default, deserialize_with = "proto::or_default")]
    uri: String,
    cert_chain: Chain,
    valid_for: Option<TimeRange>,
    #[serde(rename = "operator")]
    _operator: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Chain {
    certificates: Vec<RawCertificate>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawCertificate {
    raw_bytes: Bytes,
}

pub(super) fn read(bytes: &[u8]) -> Result<Inner, Error> {
    if bytes.len() as u64 > MAX_SIZE {
        return Err(Error(format!("it is longer than {MAX_SIZE} bytes")));
    }
    let document: Document = json::strict(bytes).map_err(|why| Error(why.to_string()))?;
    if !MEDIA_TYPES.contains(&document.media_type.as_str()) {
        let found = document.media_type.escape_debug();
        return Err(Error(format!("expected mediaType {}, found {found}", MEDIA_TYPES[0])));
    }
    Ok(Inner {
        authorities: all("certificateAuthorities", document.certificate_authorities, authority)?,
        timestamp_authorities: all("timestampAuthorities", document.timestamp_authorities, authority)?,
        ct_logs: all("ctlogs", document.ctlogs, log)?,
        logs: all("tlogs", document.tlogs, log)?,
        material: bytes.to_vec(),
    })
}

fn all<T, U>(name: &str, found: Vec<T>, read: fn(T) -> Result<U, String>) -> Result<Vec<U>, Error> {
    if found.len() > MAX_INSTANCES {
        return Err(Error(format!("{name} has more than {MAX_INSTANCES} entries")));
    }
    let numbered = found.into_iter().enumerate();
    numbered.map(|(i, one)| read(one).map_err(|why| Error(format!("{name}[{i}]: {why}")))).collect()
}

fn log(instance: Instance) -> Result<Log, String> {
    if instance.hash_algorithm != SHA256 {
        return Err(format!(
            "expected hashAlgorithm {SHA256}, found {}",
            instance.hash_algorithm.escape_debug()
        ));
    }
    // The specification has none without a start: a key that always counted would count before it was a log's.
    let window = window(instance.public_key.valid_for);
    if window.start.is_none() {
        return Err("publicKey.validFor.start is missing".to_owned());
    }
    let raw = &instance.public_key.raw_bytes.0;
    let key = match instance.public_key.key_details.as_str() {
        PKCS1_RSA => PublicKey::from_pkcs1_der(raw),
        _ => PublicKey::from_spki_der(raw),
    };
    let id = instance.log_id.key_id.0;
    let checkpoint_id = instance.checkpoint_key_id.map_or_else(|| id.clone(), |other| other.key_id.0);
    if id.is_empty() || checkpoint_id.len() < 4 {
        return Err("logId.keyId or checkpointKeyId.keyId is too short".to_owned());
    }
    let key = key.map_err(|why| format!("publicKey: {why}"))?;
    Ok(Log { id, checkpoint_id, url: instance.base_url, key, window })
}

fn authority(found: CertificateAuthority) -> Result<Authority, String> {
    let chain = found.cert_chain.certificates.iter().map(|c| Certificate::from_der(&c.raw_bytes.0));
    let certificates = chain.collect::<Result<Vec<_>, _>>().map_err(|why| format!("certChain: {why}"))?;
    if certificates.is_empty() {
        return Err("certChain.certificates is empty".to_owned());
    }
    Ok(Authority { certificates, name: found.uri, window: window(found.valid_for) })
}

fn window(range: Option<TimeRange>) -> Window {
    let at = |time: Option<Timestamp>| time.map(|Timestamp(at)| at);
    range.map_or_else(Window::default, |range| Window { start: at(range.start), end: at(range.end) })
}
