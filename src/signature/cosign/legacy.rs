//! cosign's older layout (cosign, `specs/SIGNATURE_SPEC.md`): a layer is the payload, or the envelope of an
//! attestation, and its annotations hold the signature, the certificate and what witnesses said.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::claim::{Claim, Content, Form, MadeBy, malformed};
use super::dsse::Envelope;
use super::layout::{BUNDLE, CERTIFICATE, CHAIN, SIGNATURE, TIMESTAMP};
use super::log::Entry;
use super::payload::Payload;
use super::statement::Statement;
use crate::oci::json;
use crate::signature::{Rejection, Signature};
use crate::trust::sigstore::proto::Bytes;
use crate::x509::{Certificate, chain};

/// Rekor's word, as cosign keeps it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct LogBundle {
    signed_entry_timestamp: Bytes,
    payload: LogPayload,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LogPayload {
    body: Bytes,
    integrated_time: u64,
    log_index: u64,
    #[serde(rename = "logID")]
    log_id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Timestamp {
    #[serde(rename = "SignedRFC3161Timestamp")]
    signed: Bytes,
}

/// A layer that is a simple-signing payload.
pub(super) fn payload(layer: &Signature) -> Result<Claim, Rejection> {
    let Some(encoded) = layer.annotations.get(SIGNATURE) else {
        return Err(malformed("cosign layer", format_args!("it has no annotation {SIGNATURE}")));
    };
    let signature = STANDARD.decode(encoded).map_err(|e| malformed("cosign signature", e))?;
    let says = Payload::read(&layer.payload)?;
    let content = Content::Payload { bytes: layer.payload.clone(), signature, says };
    claim(layer, content)
}

/// A layer that is a DSSE envelope.
pub(super) fn attestation(layer: &Signature) -> Result<Claim, Rejection> {
    let envelope: Envelope = json::strict(&layer.payload).map_err(|e| malformed("DSSE envelope", e))?;
    envelope.check()?;
    let says = Statement::read(&envelope.payload.0)?;
    // cosign has the whole layer stamped.
    Ok(Claim { stamped: Some(layer.payload.clone()), ..claim(layer, Content::Statement { envelope, says })? })
}

fn claim(layer: &Signature, content: Content) -> Result<Claim, Rejection> {
    let entry = annotation::<LogBundle>(layer, BUNDLE)?.map(entry).transpose()?;
    let timestamp = annotation::<Timestamp>(layer, TIMESTAMP)?;
    Ok(Claim {
        form: Form::Legacy,
        content,
        made_by: made_by(layer)?,
        entries: entry.into_iter().collect(),
        timestamps: timestamp.into_iter().map(|stamp| stamp.signed.0).collect(),
        stamped: None,
    })
}

/// The annotation as JSON. Some tools write `null` or nothing for what they have not.
fn annotation<T: DeserializeOwned>(layer: &Signature, name: &'static str) -> Result<Option<T>, Rejection> {
    match layer.annotations.get(name).map(String::as_str) {
        None | Some("" | "null") => Ok(None),
        Some(text) => json::strict(text.as_bytes()).map(Some).map_err(|e| malformed(name, e)),
    }
}

fn entry(bundle: LogBundle) -> Result<Entry, Rejection> {
    let LogPayload { body, integrated_time, log_index, log_id } = bundle.payload;
    Ok(Entry {
        log_id: hex::decode(&log_id).map_err(|e| malformed("log id", e))?,
        index: log_index,
        kind: None,
        integrated_time,
        promise: Some(bundle.signed_entry_timestamp.0),
        proof: None,
        body: body.0,
    })
}

fn made_by(layer: &Signature) -> Result<MadeBy, Rejection> {
    let read = |name: &str| match layer.annotations.get(name).map(|text| text.trim()) {
        None | Some("") => Ok(Vec::new()),
        Some(pem) => Certificate::all_from(pem.as_bytes()).map_err(|e| malformed("certificate", e)),
    };
    let mut leaves = read(CERTIFICATE)?.into_iter();
    let Some(leaf) = leaves.next() else { return Ok(MadeBy::Key) };
    let others: Vec<Certificate> = leaves.chain(read(CHAIN)?).collect();
    if others.len() >= chain::MAX_LENGTH {
        return Err(malformed(
            "certificate chain",
            format_args!("it has more than {} certificates", chain::MAX_LENGTH),
        ));
    }
    Ok(MadeBy::Certificates { leaf, others })
}
