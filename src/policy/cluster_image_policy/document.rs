//! The file's text → its documents, and faults → line and column.

use serde_json::Value;

use super::object::Object;
use crate::setting::SettingError;
use crate::setting::yaml::{self, Places};

/// No policy written by hand is near it.
pub(super) const MAX_BYTES: u64 = 1 << 20;
/// What Kubernetes writes there beside the name says nothing to a gate.
const METADATA: [&str; 13] = [
    "name",
    "labels",
    "annotations",
    "namespace",
    "generateName",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "finalizers",
    "managedFields",
    "ownerReferences",
    "selfLink",
];
const OBJECT: [&str; 5] = ["apiVersion", "kind", "metadata", "spec", "status"];
const ALPHA: &str = "policy.sigstore.dev/v1alpha1";
const BETA: &str = "policy.sigstore.dev/v1beta1";

/// What a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    ClusterImagePolicy,
    TrustRoot,
}

/// One document of the file.
pub(super) struct Document {
    value: Value,
    /// Which of the file's documents.
    at: usize,
}

/// Its outer shape.
pub(super) struct Head<'a> {
    pub(super) kind: Kind,
    pub(super) name: &'a str,
    pub(super) spec: &'a Value,
}

/// The documents of a text, empty ones left out.
///
/// # Errors
/// What is no YAML, in the parser's words, with the place.
pub(super) fn all(text: &str) -> Result<Vec<Document>, String> {
    if text.len() as u64 > MAX_BYTES {
        return Err(format!(": more than {MAX_BYTES} bytes"));
    }
    let values: Vec<Value> =
        serde_saphyr::from_multiple_with_options(text, yaml::options()).map_err(|fault| {
            let place = yaml::place_of(&fault).map(|(line, column)| format!(":{line}:{column}"));
            format!("{}: {}", place.unwrap_or_default(), yaml::words(&fault, text))
        })?;
    Ok(values.into_iter().enumerate().map(|(at, value)| Document { value, at }).collect())
}

impl Document {
    /// Reads the outer shape.
    ///
    /// # Errors
    /// Something else than a `ClusterImagePolicy` or `TrustRoot` of a known version, or without a name.
    pub(super) fn head(&self) -> Result<Head<'_>, SettingError> {
        let object = Object::of(&self.value, &OBJECT)?;
        let (version, kind) = (object.needed_text("apiVersion")?, object.needed_text("kind")?);
        let kind = match (kind, version) {
            ("ClusterImagePolicy", ALPHA | BETA) => Kind::ClusterImagePolicy,
            ("TrustRoot", ALPHA) => Kind::TrustRoot,
            ("ClusterImagePolicy" | "TrustRoot", other) => {
                let message = format!("expected {BETA} or {ALPHA} (a TrustRoot: {ALPHA}), found {other:?}");
                return Err(SettingError::new(["apiVersion"], message));
            }
            (other, _) => {
                let message =
                    format!("expected ClusterImagePolicy or TrustRoot, found {other:?}: leave it out");
                return Err(SettingError::new(["kind"], message));
            }
        };
        let metadata = object.object("metadata", &METADATA)?;
        let missing = || SettingError::new(["metadata", "name"], "is missing");
        let name = metadata.ok_or_else(missing)?.needed_text("name").map_err(|e| e.under("metadata"))?;
        if !super::is_name(name) {
            return Err(SettingError::new(["metadata", "name"], super::NAME));
        }
        let spec = object.value("spec").ok_or_else(|| SettingError::new(["spec"], "is missing"))?;
        Ok(Head { kind, name, spec })
    }

    /// A fault as compilers show it: `:line:column: [object: ]spec.authorities[0].key.kms: message`.
    pub(super) fn locate(&self, text: &str, object: &str, fault: &SettingError) -> String {
        let place = Places::of_each(text).get(self.at).and_then(|places| places.of_key(&fault.path));
        let place = place.map(|(line, column)| format!(":{line}:{column}")).unwrap_or_default();
        let object = if object.is_empty() { String::new() } else { format!("{object}: ") };
        let mut path = String::new();
        for key in &fault.path {
            match key.bytes().all(|b| b.is_ascii_digit()) {
                true => path.push_str(&format!("[{key}]")),
                false if path.is_empty() => path.push_str(key),
                false => path.push_str(&format!(".{key}")),
            }
        }
        let path = if path.is_empty() { String::new() } else { format!("{path}: ") };
        format!("{place}: {object}{path}{}", fault.message)
    }
}
