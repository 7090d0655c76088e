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
    let fault = |place, message| Error { file: Some(file.to_owned()), place, key: String::new(), message };
    let mut bytes = Vec::new();
    let opened = File::open(file).map_err(|why| fault(None, format!("cannot be opened: {why}")))?;
    opened
        .take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|why| fault(None, format!("cannot be read: {why}")))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(fault(None, too_long()));
    }
    parse(&text_of(bytes).map_err(|(place, message)| fault(place, message))?, file)
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
        return Err(source.name(None, too_long()));
    }
    let mut settings: Settings = serde_saphyr::from_str_with_options(text, yaml::options())
        .map_err(|fault| source.name(yaml::place_of(&fault), words(&fault, text)))?;
    settings.source = Arc::new(source);
    settings.resolve(&folder_of(file));
    check::all(&settings).map_err(|fault| settings.locate(&fault))?;
    Ok(settings)
}

fn too_long() -> String {
    format!("a configuration file has at most {MAX_BYTES} bytes")
}

fn words(fault: &YamlError, text: &str) -> String {
    match fault {
        YamlError::MultipleDocuments { .. } => "a configuration file holds one document".to_owned(),
        other => yaml::words(other, text),
    }
}

/// The text of a file, which is UTF-8.
///
/// # Errors
/// What else it is, and where that shows.
fn text_of(bytes: Vec<u8>) -> Result<String, (Option<(u64, u64)>, String)> {
    let utf_16 = [[0xff, 0xfe], [0xfe, 0xff]].iter().any(|mark| bytes.starts_with(mark));
    String::from_utf8(bytes).map_err(|fault| {
        let (end, bytes) = (fault.utf8_error().valid_up_to(), fault.as_bytes());
        let before = String::from_utf8_lossy(&bytes[..end]);
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() as u64 + 1;
        let line = before.matches('\n').count() as u64 + 1;
        let found = match bytes.get(end) {
            _ if utf_16 => "UTF-16".to_owned(),
            Some(byte) => format!("the byte 0x{byte:02x}, as in Latin-1"),
            None => "something else".to_owned(),
        };
        (Some((line, column)), format!("expected text in UTF-8, found {found}: save the file as UTF-8"))
    })
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
