//! A fault of the configuration, with its place.

use std::fmt;
use std::path::PathBuf;

/// Displays as `file:line:column: keys: message`, as compilers do, so that editors find the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The file; none where the settings are built in.
    pub file: Option<PathBuf>,
    /// Line and column, from 1; none where the fault is of the file as a whole.
    pub place: Option<(u64, u64)>,
    /// The keys that lead to the fault, joined by dots; empty at the file's root.
    pub key: String,
    /// What was expected, what was found, what to do.
    pub message: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "{}", file.display())?,
            None => f.write_str("built-in settings")?,
        }
        if let Some((line, column)) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for Error {}
