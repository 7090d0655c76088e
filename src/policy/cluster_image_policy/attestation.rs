//! `attestations[]` of an authority: each must be there, made by one of its signers. With them, plain signatures are
//! not asked for (policy-controller, `ValidatePolicy`).

use std::collections::HashSet;

use serde_json::Value;

use super::super::{Attested, PredicateType, Require};
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
    let attested = |predicate_type: &PredicateType| {
        any(vouchers, |by| {
            Require::Attested(Attested { by, predicate_type: predicate_type.clone(), condition: None })
        })
    };
    Ok(match &predicate_types[..] {
        [] => any(vouchers, Require::Signer),
        [one] => attested(one),
        several => Require::All(several.iter().map(attested).collect()),
    })
}

fn any(vouchers: &[SignerName], each: impl Fn(SignerName) -> Require) -> Require {
    match vouchers {
        [one] => each(one.clone()),
        several => Require::Any(several.iter().cloned().map(each).collect()),
    }
}

fn read(value: &Value) -> Result<(&str, PredicateType), SettingError> {
    let attestation = Object::of(value, &FIELDS)?;
    attestation.refuse(
        "policy",
        &format!("{NO_LANGUAGE}: write the signer under `signers`, and `attested` with a condition in CEL (`where`)"),
    )?;
    let name = attestation.needed_text("name")?;
    let predicate_type = PredicateType::parse(attestation.needed_text("predicateType")?)
        .map_err(|why| SettingError::new(["predicateType"], why))?;
    Ok((name, predicate_type))
}
