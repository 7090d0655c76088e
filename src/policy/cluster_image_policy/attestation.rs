//! `attestations[]` of an authority: each must be there, made by one of its signers. With them, plain signatures are
//! not asked for (policy-controller, `ValidatePolicy`).

use std::collections::HashSet;

use serde_json::Value;

use super::super::Require;
use super::object::Object;
use crate::setting::SettingError;
use crate::signature::SignerName;

const FIELDS: [&str; 3] = ["name", "predicateType", "policy"];
pub(super) const NO_LANGUAGE: &str = "CUE and Rego are not evaluated";

/// What an authority of these signers requires.
///
/// # Errors
/// An attestation that is not understood or whose policy cannot be evaluated.
pub(super) fn require(authority: &Object<'_>, vouchers: &[SignerName]) -> Result<Require, SettingError> {
    let mut names = HashSet::new();
    let predicate_types = authority.each("attestations", |_, value| {
        let (name, predicate_type) = read(value)?;
        match names.insert(name) {
            true => Ok(predicate_type),
            false => Err(SettingError::new(["name"], "is another attestation's name already")),
        }
    })?;
    match predicate_types.is_empty() {
        true => Ok(any(vouchers, Require::Signer)),
        false => attested(vouchers, &predicate_types),
    }
}

/// NOT YET: until requirements know attestations. Then it gives `Require::All` of, for each type,
/// `any(vouchers, |by| Require::Attested(Attested { by, predicate_type, where: None }))`.
fn attested(_vouchers: &[SignerName], predicate_types: &[String]) -> Result<Require, SettingError> {
    let message = format!("are not verified by this version ({})", predicate_types.join(", "));
    Err(SettingError::new(["attestations"], message))
}

fn any(vouchers: &[SignerName], each: impl Fn(SignerName) -> Require) -> Require {
    match vouchers {
        [one] => each(one.clone()),
        several => Require::Any(several.iter().cloned().map(each).collect()),
    }
}

fn read(value: &Value) -> Result<(&str, String), SettingError> {
    let attestation = Object::of(value, &FIELDS)?;
    attestation.refuse(
        "policy",
        &format!("{NO_LANGUAGE}: write the signer under `signers`, and `attested` with a condition in CEL (`where`)"),
    )?;
    let name = attestation.needed_text("name")?;
    let written = attestation.needed_text("predicateType")?;
    match uri(written) {
        Some(uri) => Ok((name, uri)),
        None => {
            let message = format!("expected a URI or one of cosign's short names, found {written:?}");
            Err(SettingError::new(["predicateType"], message))
        }
    }
}

/// cosign's short names, and URIs as they stand.
fn uri(written: &str) -> Option<String> {
    let known = match written {
        "custom" => "https://cosign.sigstore.dev/attestation/v1",
        "slsaprovenance" | "slsaprovenance02" => "https://slsa.dev/provenance/v0.2",
        "slsaprovenance1" => "https://slsa.dev/provenance/v1",
        "spdx" | "spdxjson" => "https://spdx.dev/Document",
        "cyclonedx" => "https://cyclonedx.org/bom",
        "link" => "https://in-toto.io/Link/v1",
        "vuln" => "https://cosign.sigstore.dev/attestation/vuln/v1",
        "openvex" => "https://openvex.dev/ns",
        other => return url::Url::parse(other).is_ok().then(|| other.to_owned()),
    };
    Some(known.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_are_cosigns_and_the_rest_are_uris() {
        assert_eq!(uri("slsaprovenance").as_deref(), Some("https://slsa.dev/provenance/v0.2"));
        assert_eq!(uri("vuln").as_deref(), Some("https://cosign.sigstore.dev/attestation/vuln/v1"));
        assert_eq!(uri("https://spdx.dev/Document/v2.3").as_deref(), Some("https://spdx.dev/Document/v2.3"));
        assert_eq!(uri("sbom"), None);
    }
}
