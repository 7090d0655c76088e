//! The text that settings were read from: faults → places in it.

mod text;

use std::path::PathBuf;

use super::Error;
use crate::setting::SettingError;
use crate::setting::yaml::Places;

/// The text that settings were read from.
#[derive(Clone, Debug, Default)]
pub(super) struct Source {
    file: Option<PathBuf>,
    text: String,
}

impl Source {
    pub(super) fn new(file: PathBuf, text: &str) -> Self {
        Self { file: Some(file), text: text.to_owned() }
    }

    pub(super) fn file(&self) -> Option<PathBuf> {
        self.file.clone()
    }

    /// Places a fault at its key, or at the nearest key above that is written; one within a text at the character, where
    /// the text is written so that it can be found.
    pub(super) fn locate(&self, fault: &SettingError) -> Error {
        let places = Places::of(&self.text);
        let key = places.of_key(&fault.path);
        let Some(within) = fault.within else {
            return self.error(key, &fault.path, fault.message.clone());
        };
        match places.of_value(&fault.path).and_then(|begin| text::place(&self.text, begin, within)) {
            Some(exact) => self.error(Some(exact), &fault.path, fault.message.clone()),
            None => {
                let message =
                    format!("{} (line {}, column {} of the text)", fault.message, within.0, within.1);
                self.error(key, &fault.path, message)
            }
        }
    }

    /// Names the keys at a place that the parser reported.
    pub(super) fn name(&self, place: Option<(u64, u64)>, message: String) -> Error {
        let places = Places::of(&self.text);
        let path = place.and_then(|place| places.key_at(place)).unwrap_or_default();
        self.error(place, path, message)
    }

    fn error(&self, place: Option<(u64, u64)>, path: &[String], message: String) -> Error {
        Error { file: self.file.clone(), place, key: path.join("."), message }
    }
}
