//! What the settings of all modules share: how a fault names its key, and how durations, sizes and
//! times are written. Reads no file.

pub mod duration;
pub mod size;
pub mod time;

/// A setting that cannot be honoured, named by its keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", .path.join("."))]
pub struct SettingError {
    /// The keys from the outermost to the faulty one, list indices as numbers.
    pub path: Vec<String>,
    /// What was expected, what was found, what to do.
    pub message: String,
}

impl SettingError {
    /// A fault at `path`, which is relative to the reporting module's own key.
    pub fn new(path: impl IntoIterator<Item = impl Into<String>>, message: impl Into<String>) -> Self {
        Self { path: path.into_iter().map(Into::into).collect(), message: message.into() }
    }

    /// A fault of the reporting module's own key as a whole.
    pub fn here(message: impl Into<String>) -> Self {
        Self { path: Vec::new(), message: message.into() }
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
    }
}
