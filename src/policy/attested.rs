//! `attested`: an attestation that a signer must have made, and what one attestation says to each.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer};
use url::Url;

use super::Condition;
use crate::setting::SettingError;
use crate::signature::{Attestation, SignerName};

/// The short names of predicate types, as cosign's `--type` has them.
const SHORT_NAMES: [(&str, &str); 10] = [
    ("custom", "https://cosign.sigstore.dev/attestation/v1"),
    ("cyclonedx", "https://cyclonedx.org/bom"),
    ("link", "https://in-toto.io/Link/v1"),
    ("openvex", "https://openvex.dev/ns"),
    ("slsaprovenance", "https://slsa.dev/provenance/v0.2"),
    ("slsaprovenance02", "https://slsa.dev/provenance/v0.2"),
    ("slsaprovenance1", "https://slsa.dev/provenance/v1"),
    ("spdx", "https://spdx.dev/Document"),
    ("spdxjson", "https://spdx.dev/Document"),
    ("vuln", "https://cosign.sigstore.dev/attestation/vuln/v1"),
];

/// One attestation by one signer that is all of this.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Attested {
    /// The signer who must have made it.
    #[cfg_attr(test, schemars(with = "String"))]
    pub by: SignerName,
    /// What kind of statement it must be: a URI, or one of cosign's short names, such as `slsaprovenance1`.
    #[cfg_attr(test, schemars(with = "String"))]
    pub predicate_type: PredicateType,
    /// What must hold of it, in CEL over `predicate`, `predicateType`, `subject` and `statement`. Any statement of the type
    /// will do where this is absent.
    #[serde(default, rename = "where", deserialize_with = "written")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub condition: Option<Condition>,
}

/// `where:` with nothing after it is a mistake, and not the same as no condition.
fn written<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Condition>, D::Error> {
    Condition::deserialize(deserializer).map(Some)
}

impl Attested {
    /// The condition's fault, with its key and its place in the text.
    pub(super) fn check(&self) -> Result<(), SettingError> {
        match self.condition.as_ref().and_then(Condition::fault) {
            Some(fault) => {
                Err(SettingError::new(["where"], fault.message.clone()).within(fault.line, fault.column))
            }
            None => Ok(()),
        }
    }

    /// Whether an attestation that this signer was proven to have made is what is asked for.
    pub(super) fn met_by(&self, attestation: &Attestation) -> Result<(), Unmet> {
        if self.predicate_type.as_str() != attestation.predicate_type() {
            return Err(Unmet::OtherType);
        }
        match self.condition.as_ref().map(|condition| condition.holds(attestation)) {
            None | Some(Ok(true)) => Ok(()),
            Some(Ok(false)) => Err(Unmet::DoesNotHold),
            Some(Err(why)) => Err(Unmet::NotEvaluated(why)),
        }
    }
}

impl fmt::Display for Attested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "attestation {} by {}", self.predicate_type, self.by)?;
        match &self.condition {
            Some(condition) => write!(f, " where ({condition})"),
            None => Ok(()),
        }
    }
}

/// Why an attestation is not what is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unmet {
    /// A statement of another kind.
    OtherType,
    /// The condition is false of it.
    DoesNotHold,
    /// The condition cannot be told of it.
    NotEvaluated(String),
}

/// What kind of predicate a statement has (in-toto Attestation Framework v1, "TypeURI"): compared as it is written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PredicateType(Arc<str>);

impl PredicateType {
    /// Reads a URI, or a short name as cosign has them.
    ///
    /// # Errors
    /// What was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some((_, uri)) = SHORT_NAMES.iter().find(|(name, _)| *name == text) {
            return Ok(Self((*uri).into()));
        }
        let is_plain = text.len() <= 256 && text.chars().all(|c| c.is_ascii_graphic());
        if is_plain && Url::parse(text).is_ok() {
            return Ok(Self(text.into()));
        }
        let names = SHORT_NAMES.map(|(name, _)| name).join(", ");
        Err(format!(
            "expected a predicate type, a URI such as https://slsa.dev/provenance/v1 or one of {names}; found {text:?}"
        ))
    }

    /// The URI.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PredicateType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for PredicateType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}
