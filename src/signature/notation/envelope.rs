//! Signature envelopes: JWS in flattened JSON, or a tagged COSE_Sign1. Parsed whole before anything
//! in them is believed; nothing is proven here.

mod cose;
mod jws;

use super::attributes::Attributes;
use super::payload::TargetArtifact;
use crate::oci::media_type::{NOTATION_COSE, NOTATION_JWS};
use crate::signature::{Rejection, Signature};
use crate::x509::{Certificate, chain};

/// The largest envelope that is read.
const MAX_ENVELOPE: usize = 4 * 1024 * 1024;

/// An envelope that parses, unproven.
#[derive(Debug)]
pub(super) struct Envelope {
    pub(super) attributes: Attributes,
    pub(super) target: TargetArtifact,
    /// The certificates as they stand, the signer's first.
    pub(super) chain: Vec<Certificate>,
    /// The bytes that the signature covers.
    pub(super) signed: Vec<u8>,
    pub(super) signature: Vec<u8>,
    /// An RFC 3161 timestamp token over `signature`, unverified.
    pub(super) timestamp: Option<Vec<u8>>,
}

impl Envelope {
    /// Reads the payload of a signature as what its media type says.
    pub(super) fn parse(signature: &Signature) -> Result<Self, Rejection> {
        let bytes = &signature.payload;
        if bytes.len() > MAX_ENVELOPE {
            return Err(malformed("more than 4 MiB"));
        }
        match &*signature.media_type {
            NOTATION_JWS => jws::parse(bytes),
            NOTATION_COSE => cose::parse(bytes),
            other => Err(Rejection::Unsupported { what: "signature envelope", found: other.into() }),
        }
    }
}

fn certificates<'a>(ders: impl ExactSizeIterator<Item = &'a [u8]>) -> Result<Vec<Certificate>, Rejection> {
    if ders.len() == 0 || ders.len() > chain::MAX_LENGTH {
        return Err(malformed(format_args!(
            "it carries {} certificates; 1 to {}",
            ders.len(),
            chain::MAX_LENGTH
        )));
    }
    let read = |der| Certificate::from_der(der);
    ders.map(read).collect::<Result<_, _>>().map_err(|e| malformed(format_args!("certificate chain: {e}")))
}

fn malformed(why: impl std::fmt::Display) -> Rejection {
    Rejection::Malformed { what: "signature envelope", why: why.to_string().into() }
}
