//! Tagged COSE_Sign1 (signature-envelope-cose; RFC 9052, section 4.2). The header maps are walked by
//! hand: coset's own reader follows countersignatures into themselves without a bound, which a hostile
//! envelope could use to exhaust the stack.

use std::time::{Duration, SystemTime};

use coset::cbor::de::from_reader_with_recursion_limit;
use coset::cbor::value::Value;
use coset::{ProtectedHeader, SignatureContext, sig_structure_data};

use super::{Envelope, certificates, malformed};
use crate::signature::Rejection;
use crate::signature::notation::algorithm::Algorithm;
use crate::signature::notation::attributes::{self, Signed};
use crate::signature::notation::payload::TargetArtifact;

/// The tag of a COSE_Sign1.
const SIGN1: u64 = 18;
/// The tag of a time in seconds since 1970 (RFC 8949, section 3.4.2).
const EPOCH_TIME: u64 = 1;
/// A valid envelope nests five deep; attributes of others may take a few more.
const MAX_DEPTH: usize = 16;
/// A valid header has at most eight labels; the search for duplicates is quadratic.
const MAX_LABELS: usize = 64;
/// A valid envelope has fewer than a hundred items; as values, each takes many times its byte.
const MAX_ITEMS: usize = 4096;
/// The last second of the year 9999, which RFC 3339 can still write.
const MAX_TIME: Duration = Duration::from_secs(253_402_300_799);

const ALG: i128 = 1;
const CRIT: i128 = 2;
const CONTENT_TYPE: i128 = 3;
const X5CHAIN: i128 = 33;

pub(super) fn parse(bytes: &[u8]) -> Result<Envelope, Rejection> {
    let [protected, unprotected, payload, signature] = sign1(read(bytes)?)?;
    let (Value::Bytes(protected), Value::Bytes(payload), Value::Bytes(signature)) =
        (protected, payload, signature)
    else {
        return Err(malformed("protected header, payload and signature are byte strings"));
    };
    let header = Header::new(read(&protected)?, "protected")?;
    let outside = Header::new(unprotected, "unprotected")?;
    // RFC 9052, section 3: no label stands in both; `crit`, which must be protected, included.
    if let Some((label, _)) = outside.0.iter().find(|(l, _)| header.get(l).is_some()) {
        return Err(malformed(format_args!("the unprotected header must not carry {}", label.name())));
    }
    Ok(Envelope {
        attributes: signed(&header)?.check()?,
        target: TargetArtifact::read(&payload)?,
        chain: chain(header.int(X5CHAIN).or_else(|| outside.int(X5CHAIN)))?,
        timestamp: timestamp(&outside)?,
        signed: to_be_signed(protected, &payload),
        signature,
    })
}

/// One CBOR item and nothing after it.
fn read(mut bytes: &[u8]) -> Result<Value, Rejection> {
    if heads(bytes).take(MAX_ITEMS + 1).count() > MAX_ITEMS {
        return Err(malformed(format_args!("it has more than {MAX_ITEMS} CBOR items")));
    }
    let value = from_reader_with_recursion_limit(&mut bytes, MAX_DEPTH)
        .map_err(|e| malformed(format_args!("not CBOR: {e}")))?;
    if bytes.is_empty() { Ok(value) } else { Err(malformed("bytes follow it")) }
}

/// The heads of the items in it (RFC 8949, section 3), in their order and whatever they belong to: each begins where
/// the one before ends, with the text or bytes that it announces. Ends early where they are cut off or no heads.
fn heads(bytes: &[u8]) -> impl Iterator<Item = u8> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (head, behind) = rest.split_first()?;
        let length = match head & 0x1f {
            24 => 1,
            25 => 2,
            26 => 4,
            27 => 8,
            28..=30 => return None,
            _ => 0,
        };
        let (argument, behind) = behind.split_at_checked(length)?;
        let number = argument.iter().fold(0, |number: u64, byte| number << 8 | u64::from(*byte));
        let number = if length == 0 { u64::from(head & 0x1f) } else { number };
        // Bytes and text; those of no fixed length come in pieces, which are items.
        let content = if matches!(head >> 5, 2 | 3) && head & 0x1f != 31 { number } else { 0 };
        rest = behind.get(usize::try_from(content).ok()?..)?;
        Some(*head)
    })
}

fn sign1(value: Value) -> Result<[Value; 4], Rejection> {
    match value {
        Value::Tag(SIGN1, content) => match *content {
            Value::Array(parts) => parts.try_into().map_err(|_| malformed("a COSE_Sign1 has four parts")),
            _ => Err(malformed("a COSE_Sign1 is a list")),
        },
        Value::Tag(other, _) => Err(malformed(format_args!("its tag is {other}, not 18 (COSE_Sign1)"))),
        Value::Array(_) => Err(Rejection::Unsupported { what: "COSE envelope", found: "untagged".into() }),
        _ => Err(malformed("not a COSE_Sign1")),
    }
}

/// RFC 9052, section 4.4, over the protected header's bytes as they came.
fn to_be_signed(protected: Vec<u8>, payload: &[u8]) -> Vec<u8> {
    let protected = ProtectedHeader { original_data: Some(protected), header: coset::Header::default() };
    sig_structure_data(SignatureContext::CoseSign1, protected, None, &[], payload)
}

#[derive(Clone, Debug, PartialEq)]
enum Label {
    Int(i128),
    Text(String),
}

impl Label {
    fn read(value: &Value) -> Option<Self> {
        match value {
            Value::Integer(number) => Some(Self::Int((*number).into())),
            Value::Text(text) => Some(Self::Text(text.clone())),
            _ => None,
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Int(number) => number.to_string(),
            Self::Text(text) => text.clone(),
        }
    }
}

/// A header map whose labels are unique.
struct Header(Vec<(Label, Value)>);

impl Header {
    fn new(value: Value, which: &str) -> Result<Self, Rejection> {
        let Value::Map(pairs) = value else {
            return Err(malformed(format_args!("the {which} header is no map")));
        };
        if pairs.len() > MAX_LABELS {
            return Err(malformed(format_args!("the {which} header has more than {MAX_LABELS} labels")));
        }
        let mut header = Self(Vec::new());
        for (label, value) in pairs {
            let label = Label::read(&label).ok_or_else(|| {
                malformed(format_args!("a label of the {which} header is no number or text"))
            })?;
            if header.get(&label).is_some() {
                return Err(malformed(format_args!("{} stands twice in the {which} header", label.name())));
            }
            header.0.push((label, value));
        }
        Ok(header)
    }

    fn get(&self, label: &Label) -> Option<&Value> {
        self.0.iter().find(|(l, _)| l == label).map(|(_, value)| value)
    }

    fn int(&self, label: i128) -> Option<&Value> {
        self.get(&Label::Int(label))
    }

    fn named(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(l, _)| matches!(l, Label::Text(t) if t == name)).map(|(_, value)| value)
    }
}

fn signed(header: &Header) -> Result<Signed, Rejection> {
    Ok(Signed {
        algorithm: header.int(ALG).map(algorithm).transpose()?,
        content_type: text(header.int(CONTENT_TYPE), "content type")?,
        scheme: text(header.named(attributes::SIGNING_SCHEME), attributes::SIGNING_SCHEME)?,
        signing_time: time(header, attributes::SIGNING_TIME)?,
        authentic_signing_time: time(header, attributes::AUTHENTIC_SIGNING_TIME)?,
        expiry: time(header, attributes::EXPIRY)?,
        critical: critical(header.int(CRIT))?,
        names: header.0.iter().map(|(label, _)| label.name()).collect(),
    })
}

fn algorithm(value: &Value) -> Result<Algorithm, Rejection> {
    let number = value.as_integer().map(i128::from);
    number.and_then(Algorithm::from_cose).ok_or_else(|| Rejection::Unsupported {
        what: "signature algorithm",
        found: number.map_or_else(|| "not a number".to_owned(), |n| n.to_string()).into(),
    })
}

/// A number is as good as a name here: none is one of those that may be critical.
fn critical(value: Option<&Value>) -> Result<Vec<String>, Rejection> {
    let labels = value.and_then(Value::as_array).filter(|labels| !labels.is_empty());
    let labels = labels.and_then(|labels| labels.iter().map(Label::read).collect::<Option<Vec<_>>>());
    let labels = labels.ok_or_else(|| attributes::malformed("crit is no list of labels"))?;
    Ok(labels.iter().map(Label::name).collect())
}

fn text(value: Option<&Value>, name: &str) -> Result<Option<String>, Rejection> {
    match value {
        None => Ok(None),
        Some(Value::Text(text)) => Ok(Some(text.clone())),
        Some(_) => Err(attributes::malformed(&format!("{name} is no text"))),
    }
}

fn time(header: &Header, name: &str) -> Result<Option<SystemTime>, Rejection> {
    let seconds = match header.named(name) {
        None => return Ok(None),
        Some(Value::Tag(EPOCH_TIME, value)) => match **value {
            Value::Integer(number) => u64::try_from(i128::from(number)).ok().map(Duration::from_secs),
            Value::Float(number) => Duration::try_from_secs_f64(number).ok(),
            _ => None,
        },
        Some(_) => None,
    };
    match seconds.filter(|s| *s <= MAX_TIME).and_then(|s| SystemTime::UNIX_EPOCH.checked_add(s)) {
        Some(time) => Ok(Some(time)),
        None => Err(attributes::malformed(&format!("{name} is no time in seconds since 1970 (tag 1)"))),
    }
}

fn chain(value: Option<&Value>) -> Result<Vec<crate::x509::Certificate>, Rejection> {
    let list = value.and_then(Value::as_array).ok_or_else(|| malformed("x5chain is missing or no list"))?;
    let ders: Option<Vec<&[u8]>> = list.iter().map(|v| v.as_bytes().map(Vec::as_slice)).collect();
    certificates(ders.ok_or_else(|| malformed("x5chain is no list of byte strings"))?.into_iter())
}

fn timestamp(header: &Header) -> Result<Option<Vec<u8>>, Rejection> {
    match header.named(attributes::TIMESTAMP) {
        None => Ok(None),
        Some(Value::Bytes(token)) => Ok(Some(token.clone()).filter(|t| !t.is_empty())),
        Some(_) => Err(malformed("the timestamp is no byte string")),
    }
}
