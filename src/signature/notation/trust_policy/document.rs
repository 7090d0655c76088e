//! The JSON of a trust policy: every constraint of its statements, with an error that names statement and
//! field (trust-store-trust-policy, "OCI Trust Policy", "OCI Trust Policy Constraints").

use std::collections::{BTreeMap, HashSet};

use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error as WordError, StrDeserializer};
use serde_json::{Map, Value};

use super::super::level::{Action, Level, Validation, VerifyTimestamp};
use super::super::scope::Scope;
use super::super::statement::{Shelf, Statement, Terms};
use crate::oci::json;
use crate::setting::SettingError;

const DOCUMENT: [&str; 2] = ["version", "trustPolicies"];
const STATEMENT: [&str; 5] =
    ["name", "registryScopes", "signatureVerification", "trustStores", "trustedIdentities"];
const VERIFICATION: [&str; 3] = ["level", "override", "verifyTimestamp"];

/// The statements with their scopes, in the file's order.
///
/// # Errors
/// The first rule that is broken.
pub(super) fn statements(
    bytes: &[u8],
    shelf: &Shelf<'_>,
    warnings: &mut Vec<String>,
) -> Result<Vec<(Vec<Scope>, Statement)>, String> {
    let value: Value = json::strict(bytes).map_err(|e| e.to_string())?;
    let document = Object::of(&value, "", &DOCUMENT, warnings)?;
    match document.field::<String>("version")?.as_str() {
        "1.0" => {}
        "" => return Err("version: is missing; it must be \"1.0\"".to_owned()),
        other => return Err(format!("version: {other:?} is not read; it must be \"1.0\"")),
    }
    let raw: Vec<Value> = document.field("trustPolicies")?;
    if raw.is_empty() {
        return Err("trustPolicies: there is no statement".to_owned());
    }
    let mut taken = Taken::default();
    let read = |(at, value)| {
        let place = format!("trustPolicies[{at}]");
        statement(&Object::of(value, &place, &STATEMENT, warnings)?, shelf, &mut taken, warnings)
    };
    raw.iter().enumerate().map(read).collect()
}

/// What may stand in a document once.
#[derive(Default)]
struct Taken {
    names: HashSet<String>,
    scopes: HashSet<Scope>,
}

fn statement(
    raw: &Object<'_>,
    shelf: &Shelf<'_>,
    taken: &mut Taken,
    warnings: &mut Vec<String>,
) -> Result<(Vec<Scope>, Statement), String> {
    let name: String = raw.field("name")?;
    if name.is_empty() {
        return Err(format!("{}: a statement has a name", raw.at("name")));
    }
    if !taken.names.insert(name.clone()) {
        return Err(format!("{}: {name:?} is another statement's name already", raw.at("name")));
    }
    let within = |fault: String| format!("statement {name:?}: {fault}");
    let scopes = scopes(raw, &mut taken.scopes).map_err(within)?;
    let statement = terms(raw, &name, &scopes, shelf, warnings).map_err(within)?;
    Ok((scopes, statement))
}

fn scopes(raw: &Object<'_>, taken: &mut HashSet<Scope>) -> Result<Vec<Scope>, String> {
    let texts: Vec<String> = raw.field("registryScopes")?;
    if texts.is_empty() {
        return Err(format!("{}: name at least one repository, or \"*\"", raw.at("registryScopes")));
    }
    let mut scopes = Vec::new();
    for (at, text) in texts.iter().enumerate() {
        let fault = |why: &str| format!("{}[{at}]: {why}", raw.at("registryScopes"));
        let scope = Scope::parse(text).map_err(|e| fault(&e))?;
        if scope == Scope::Global && texts.len() > 1 {
            return Err(fault("\"*\" stands alone or not at all"));
        }
        if !taken.insert(scope.clone()) {
            return Err(fault(&format!("{scope} stands in the policy twice; one statement applies to it")));
        }
        scopes.push(scope);
    }
    Ok(scopes)
}

fn terms(
    raw: &Object<'_>,
    name: &str,
    scopes: &[Scope],
    shelf: &Shelf<'_>,
    warnings: &mut Vec<String>,
) -> Result<Statement, String> {
    let place = raw.at("signatureVerification");
    let verification = raw.value("signatureVerification").unwrap_or(&Value::Null);
    let verification = match verification {
        Value::Null => return Err(format!("{place}: is missing")),
        there => Object::of(there, &place, &VERIFICATION, warnings)?,
    };
    let level = level(&verification)?;
    // "Note that `skip` cannot be used with a global scope": it would admit everything unseen.
    if level == Level::Skip && scopes.contains(&Scope::Global) {
        return Err(format!("{place}.level: skip cannot be used with the scope \"*\""));
    }
    let (trust_stores, trusted_identities) =
        (raw.field::<Vec<_>>("trustStores")?, raw.field::<Vec<_>>("trustedIdentities")?);
    let terms = Terms {
        level,
        overrides: &overrides(&verification)?,
        verify_timestamp: verify_timestamp(&verification)?,
        trust_stores: &trust_stores,
        trusted_identities: &trusted_identities,
        keeps_other_identities: true,
    };
    let statement = Statement::new(name.to_owned(), &terms, shelf).map_err(|e| in_files_words(raw, &e))?;
    let others = statement.checks.iter().flat_map(|checks| checks.identities.others());
    warnings.extend(others.map(|other| {
        format!(
            "statement {name:?}: {}: {other:?} is for a plugin to understand, and matches nobody here",
            raw.at("trustedIdentities")
        )
    }));
    Ok(statement)
}

fn level(verification: &Object<'_>) -> Result<Level, String> {
    let fault = |why: String| format!("{}: {why}", verification.at("level"));
    match verification.field::<String>("level")?.as_str() {
        "" => Err(fault("is missing; one of strict, permissive, audit and skip".to_owned())),
        text => word(text).map_err(fault),
    }
}

fn overrides(verification: &Object<'_>) -> Result<BTreeMap<Validation, Action>, String> {
    let raw: BTreeMap<String, String> = verification.field("override")?;
    let mut overrides = BTreeMap::new();
    for (validation, action) in &raw {
        let fault = |why: String| format!("{}.{validation}: {why}", verification.at("override"));
        if validation == "integrity" {
            return Err(fault("integrity is always enforced".to_owned()));
        }
        overrides.insert(word(validation).map_err(fault)?, word(action).map_err(fault)?);
    }
    Ok(overrides)
}

fn verify_timestamp(verification: &Object<'_>) -> Result<VerifyTimestamp, String> {
    match verification.field::<String>("verifyTimestamp")?.as_str() {
        "" => Ok(VerifyTimestamp::default()),
        text => word(text).map_err(|why| format!("{}: {why}", verification.at("verifyTimestamp"))),
    }
}

/// Reads one word of a closed set.
fn word<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, String> {
    let word: StrDeserializer<'_, WordError> = text.into_deserializer();
    T::deserialize(word).map_err(|e| e.to_string())
}

/// A fault of the terms, in the field names of the file.
fn in_files_words(raw: &Object<'_>, fault: &SettingError) -> String {
    let mut field = String::new();
    for key in &fault.path {
        match key.as_str() {
            "trust_store" => field.push_str("trustStores"),
            "trusted_identities" => field.push_str("trustedIdentities"),
            "level" | "override" => field.push_str(&format!("signatureVerification.{key}")),
            index if index.bytes().all(|b| b.is_ascii_digit()) => field.push_str(&format!("[{index}]")),
            other => field.push_str(&format!(".{other}")),
        }
    }
    format!("{}: {}", raw.at(&field), fault.message)
}

/// An object of the file, and where it stands.
struct Object<'a> {
    fields: &'a Map<String, Value>,
    place: String,
}

impl<'a> Object<'a> {
    /// Other fields than the known ones are left alone, as by every reader of these files, but not those
    /// that differ in case alone: notation takes them for the known ones.
    fn of(value: &'a Value, place: &str, known: &[&str], warnings: &mut Vec<String>) -> Result<Self, String> {
        let Value::Object(fields) = value else {
            return Err(format!(
                "{}: an object is expected",
                if place.is_empty() { "the file" } else { place }
            ));
        };
        let object = Self { fields, place: place.to_owned() };
        for key in fields.keys().filter(|key| !known.contains(&key.as_str())) {
            match known.iter().find(|known| folded(known) == folded(key)) {
                Some(meant) => return Err(format!("{}: is written {meant:?}", object.at(key))),
                None => warnings.push(format!("{}: is no field of trust policies, ignored", object.at(key))),
            }
        }
        Ok(object)
    }

    /// Where a field of it stands.
    fn at(&self, field: &str) -> String {
        if self.place.is_empty() { field.to_owned() } else { format!("{}.{field}", self.place) }
    }

    fn value(&self, field: &str) -> Option<&'a Value> {
        self.fields.get(field)
    }

    /// A field's value; an absent one and `null`, which is how Go writes empty lists, are empty.
    fn field<T: Deserialize<'a> + Default>(&self, field: &str) -> Result<T, String> {
        match self.value(field) {
            None | Some(Value::Null) => Ok(T::default()),
            Some(value) => T::deserialize(value).map_err(|e| format!("{}: {e}", self.at(field))),
        }
    }
}

/// A key as readers see it that ignore case: Go's fold two letters beyond ASCII too.
fn folded(key: &str) -> String {
    let plain = key.chars().map(|c| match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    });
    plain.collect()
}
