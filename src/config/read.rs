//! File → settings: size and parser limits, paths made absolute, everything checked.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_saphyr::Error as YamlError;

use super::positions::Source;
use super::{Error, Settings, check, kept};
use crate::setting::yaml;

/// No configuration written by hand is near it.
const MAX_BYTES: u64 = 1 << 20;

/// Reads, parses and checks a file, trust material excepted (see [`Settings::policies`]).
///
/// # Errors
/// The first fault, with its place.
pub fn load(file: &Path) -> Result<Settings, Error> {
    complete(read(file)?)
}

/// The first half of [`load`]: no file is read but this one, so that those which it names can be watched before.
///
/// # Errors
/// The first fault, with its place.
pub fn read(file: &Path) -> Result<Settings, Error> {
    let whole =
        |message: String| Error { file: Some(file.to_owned()), place: None, key: String::new(), message };
    let mut text = String::new();
    let opened = File::open(file).map_err(|why| whole(format!("cannot be opened: {why}")))?;
    opened
        .take(MAX_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(|why| whole(format!("cannot be read: {why}")))?;
    parse(&text, file)
}

/// The second half of [`load`]: looks at the files that the settings name, and fetches keys that are kept elsewhere.
///
/// # Errors
/// The first fault, with its place.
pub fn complete(mut settings: Settings) -> Result<Settings, Error> {
    check::files(&settings).map_err(|fault| settings.locate(&fault))?;
    kept::fetch(&mut settings).map_err(|fault| settings.locate(&fault))?;
    Ok(settings)
}

/// Parses and checks the text of a file, without reading any other: `file` names it in faults and is
/// what relative paths start from.
///
/// # Errors
/// The first fault, with its place.
pub fn parse(text: &str, file: &Path) -> Result<Settings, Error> {
    let source = Source::new(file.to_owned(), text);
    if text.len() as u64 > MAX_BYTES {
        return Err(source.name(None, format!("a configuration file has at most {MAX_BYTES} bytes")));
    }
    let mut settings: Settings = serde_saphyr::from_str_with_options(text, yaml::options())
        .map_err(|fault| source.name(yaml::place_of(&fault), words(&fault)))?;
    settings.source = Arc::new(source);
    settings.resolve(&folder_of(file));
    check::all(&settings).map_err(|fault| settings.locate(&fault))?;
    Ok(settings)
}

fn words(fault: &YamlError) -> String {
    match fault {
        YamlError::MultipleDocuments { .. } => "a configuration file holds one document".to_owned(),
        other => yaml::words(other),
    }
}

/// Absolute, so that a later change of the working folder moves nothing.
fn folder_of(file: &Path) -> PathBuf {
    let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    absolute.parent().map(Path::to_owned).unwrap_or_default()
}

impl Settings {
    fn resolve(&mut self, base: &Path) {
        if let Some(tls) = &mut self.listen.tls {
            tls.resolve(base);
        }
        if let Some(path) = &mut self.audit.path {
            *path = base.join(&*path);
        }
        self.store.resolve(base);
        self.trust.resolve(base);
        self.upstreams.values_mut().for_each(|upstream| upstream.resolve(base));
        self.signers.values_mut().for_each(|signer| signer.resolve(base));
        self.policies.iter_mut().for_each(|policy| policy.resolve(base));
    }
}
