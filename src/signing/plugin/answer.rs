//! What a plug-in answers, read as the contract has it (plugin-extensibility, "Plugin contract").

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Error;
use crate::oci::json;
use crate::telemetry::Untrusted;
use crate::x509::{Algorithm, Certificate, Encoding, Hash, KeyKind, PublicKey};

/// The contract that is spoken. A plug-in with a later one is refused, as the specification asks.
pub(super) const CONTRACT: &str = "1.0";

/// Longer chains are none.
const MAX_CHAIN: usize = 10;

/// `get-plugin-metadata`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    name: String,
    supported_contract_versions: Vec<String>,
    capabilities: Vec<String>,
}

/// `describe-key`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Description {
    key_id: String,
    key_spec: String,
}

/// `generate-signature`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Signed {
    key_id: String,
    signature: String,
    signing_algorithm: String,
    certificate_chain: Vec<String>,
}

/// What a signature comes with.
#[derive(Debug)]
pub struct Made {
    /// As the algorithm has it, elliptic curves with both integers at full length.
    pub signature: Vec<u8>,
    /// The public half, by the first certificate.
    pub public: PublicKey,
    /// The certificates from the signer's to its authority.
    pub chain: Vec<Certificate>,
}

/// An error, as it is written to standard error.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Refusal {
    error_code: String,
    #[serde(default)]
    error_message: String,
}

/// A kind of key that the contract knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spec {
    /// `keySpec`
    pub name: &'static str,
    /// `hashAlgorithm`
    pub hash: &'static str,
    signing: &'static str,
    kind: KeyKind,
    /// What it signs by (signature-specification, "Algorithm Selection").
    pub algorithm: Algorithm,
}

const fn spec(name: &'static str, kind: KeyKind, hash: Hash, elliptic: bool) -> Spec {
    let (hash_name, signing) = match (hash, elliptic) {
        (Hash::Sha256, true) => ("SHA-256", "ECDSA-SHA-256"),
        (Hash::Sha384, true) => ("SHA-384", "ECDSA-SHA-384"),
        (Hash::Sha512, true) => ("SHA-512", "ECDSA-SHA-512"),
        (Hash::Sha256, false) => ("SHA-256", "RSASSA-PSS-SHA-256"),
        (Hash::Sha384, false) => ("SHA-384", "RSASSA-PSS-SHA-384"),
        (Hash::Sha512, false) => ("SHA-512", "RSASSA-PSS-SHA-512"),
    };
    let algorithm = if elliptic { Algorithm::Ecdsa(hash, Encoding::Fixed) } else { Algorithm::RsaPss(hash) };
    Spec { name, hash: hash_name, signing, kind, algorithm }
}

const SPECS: [Spec; 6] = [
    spec("RSA-2048", KeyKind::Rsa { bits: 2048 }, Hash::Sha256, false),
    spec("RSA-3072", KeyKind::Rsa { bits: 3072 }, Hash::Sha384, false),
    spec("RSA-4096", KeyKind::Rsa { bits: 4096 }, Hash::Sha512, false),
    spec("EC-256", KeyKind::P256, Hash::Sha256, true),
    spec("EC-384", KeyKind::P384, Hash::Sha384, true),
    spec("EC-521", KeyKind::P521, Hash::Sha512, true),
];

/// Reads an answer. What it does not name is passed over, as the contract asks; a name twice is not.
///
/// # Errors
/// [`Error::Answer`].
pub fn read<T: DeserializeOwned>(printed: &[u8]) -> Result<T, Error> {
    json::strict(printed).map_err(|e| Error::Answer(Untrusted::new(e.to_string()).to_string()))
}

/// The error that a plug-in wrote before it ended with 1.
pub fn refusal(written: &[u8]) -> Error {
    let Ok(refusal) = json::strict::<Refusal>(written) else {
        return Error::Refused { meaning: "", message: Untrusted::new(String::from_utf8_lossy(written)) };
    };
    let (meaning, message) = (meaning(&refusal.error_code), Untrusted::new(refusal.error_message));
    match refusal.error_code.as_str() {
        "TIMEOUT" | "THROTTLED" => Error::Later { meaning, message },
        _ => Error::Refused { meaning, message },
    }
}

/// "Error codes for describe-key and generate-signature"
fn meaning(code: &str) -> &'static str {
    match code {
        "VALIDATION_ERROR" => "the key's id or a setting is wrong: ",
        "UNSUPPORTED_CONTRACT_VERSION" => "it does not speak version 1.0 of the contract: ",
        "ACCESS_DENIED" => "access to the key is denied: ",
        "TIMEOUT" => "it did not get an answer in time, try again: ",
        "THROTTLED" => "it is asked too often, try again later: ",
        _ => "",
    }
}

fn wrong(what: String) -> Error {
    Error::Answer(what)
}

impl Metadata {
    /// Whether the plug-in of this name signs what it is given.
    ///
    /// # Errors
    /// [`Error::Answer`].
    pub fn check(&self, name: &str) -> Result<(), Error> {
        if self.name != name {
            return Err(wrong(format!("the name {name:?} expected, {} found", Untrusted::new(&self.name))));
        }
        if !self.supported_contract_versions.iter().any(|version| version == CONTRACT) {
            let versions = Untrusted::new(self.supported_contract_versions.join(", "));
            return Err(wrong(format!("version {CONTRACT} of the contract expected, {versions} found")));
        }
        if !self.capabilities.iter().any(|capability| capability == "SIGNATURE_GENERATOR.RAW") {
            let found = Untrusted::new(self.capabilities.join(", "));
            let others = "plug-ins that make whole envelopes, or verify, have no key to sign with here";
            return Err(wrong(format!("SIGNATURE_GENERATOR.RAW expected, {found} found: {others}")));
        }
        Ok(())
    }
}

impl Description {
    /// The key's kind.
    ///
    /// # Errors
    /// [`Error::Answer`].
    pub fn spec(&self, id: &str) -> Result<Spec, Error> {
        same_key(&self.key_id, id)?;
        let found = SPECS.into_iter().find(|spec| spec.name == self.key_spec);
        found.ok_or_else(|| {
            wrong(format!("a key of kind {}, which does not sign here", Untrusted::new(&self.key_spec)))
        })
    }
}

impl Signed {
    /// What was made, by a key of that kind.
    ///
    /// # Errors
    /// [`Error::Answer`].
    pub fn made(&self, id: &str, spec: Spec) -> Result<Made, Error> {
        same_key(&self.key_id, id)?;
        if self.signing_algorithm != spec.signing {
            let found = Untrusted::new(&self.signing_algorithm);
            return Err(wrong(format!("a signature by {} expected, {found} found", spec.signing)));
        }
        let certificate = |text: &String| {
            let der =
                STANDARD.decode(text).map_err(|_| wrong("a certificate that is not base64".to_owned()))?;
            Certificate::from_der(&der).map_err(|e| wrong(format!("a certificate that is {e}")))
        };
        let count = self.certificate_chain.len();
        let bound = || wrong(format!("{count} certificates, 1 to {MAX_CHAIN} expected"));
        if count > MAX_CHAIN {
            return Err(bound());
        }
        let chain = self.certificate_chain.iter().map(certificate).collect::<Result<Vec<_>, _>>()?;
        let public = chain.first().ok_or_else(bound)?.public_key().clone();
        if public.kind() != spec.kind {
            return Err(wrong(format!("a certificate of a {} key, {} expected", public.kind(), spec.kind)));
        }
        let signature = STANDARD.decode(&self.signature);
        let signature = signature.map_err(|_| wrong("a signature that is not base64".to_owned()))?;
        Ok(Made { signature, public, chain })
    }
}

fn same_key(found: &str, id: &str) -> Result<(), Error> {
    if found == id {
        Ok(())
    } else {
        Err(wrong(format!("the key {}, asked about {id:?}", Untrusted::new(found))))
    }
}

#[cfg(test)]
mod tests;
