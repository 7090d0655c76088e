//! What the settings of all modules share: how a fault names its key. Reads no file.

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

    /// The same fault, seen from the key above.
    #[must_use]
    pub fn under(mut self, parent: impl Into<String>) -> Self {
        self.path.insert(0, parent.into());
        self
    }
}
