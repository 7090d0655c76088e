//! What the settings of all modules share: how a fault names its key, how addresses, durations, sizes and times
//! are written, and how YAML is read. Reads no file.

pub mod address;
pub mod duration;
pub mod size;
pub mod time;
pub mod yaml;

/// A setting that cannot be honoured, named by its keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}{}", .path.join("."), in_text(*.within))]
pub struct SettingError {
    /// The keys from the outermost to the faulty one, list indices as numbers.
    pub path: Vec<String>,
    /// What was expected, what was found, what to do.
    pub message: String,
    /// Line and character within the value, from 1, where it is a text with a grammar of its own.
    pub within: Option<(u64, u64)>,
}

fn in_text(within: Option<(u64, u64)>) -> String {
    within.map_or_else(String::new, |(line, column)| format!(" (line {line}, column {column} of the text)"))
}

impl SettingError {
    /// A fault at `path`, which is relative to the reporting module's own key.
    pub fn new(path: impl IntoIterator<Item = impl Into<String>>, message: impl Into<String>) -> Self {
        Self { path: path.into_iter().map(Into::into).collect(), message: message.into(), within: None }
    }

    /// A fault of the reporting module's own key as a whole.
    pub fn here(message: impl Into<String>) -> Self {
        Self { path: Vec::new(), message: message.into(), within: None }
    }

    /// The same fault, at a line and character of the value's text.
    #[must_use]
    pub fn within(self, line: u64, column: u64) -> Self {
        Self { within: Some((line, column)), ..self }
    }

    /// The same fault, seen from the key above.
    #[must_use]
    pub fn under(mut self, parent: impl Into<String>) -> Self {
        self.path.insert(0, parent.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_named_from_the_outermost_key() {
        let fault =
            SettingError::new(["notation", "trust_store"], "no such folder").under("acme").under("signers");
        assert_eq!(fault.to_string(), "signers.acme.notation.trust_store: no such folder");
        assert_eq!(SettingError::here("one of nv2, notation, cosign").under("acme").path, ["acme"]);
        let fault = SettingError::here("expected )").within(2, 7).under("where");
        assert_eq!(fault.to_string(), "where: expected ) (line 2, column 7 of the text)");
    }
}
