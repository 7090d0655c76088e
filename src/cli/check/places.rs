//! What `check` can tell of places that `serve` writes to or waits for, without making or changing anything there.

use std::fs::{self, Metadata};
use std::io;
use std::path::Path;

use rustix::fs::{Access, access};

use crate::config::Settings;
use crate::setting::SettingError;

/// Looks at the store's folder and the audit log. Gives back what this user may not write to: the server may run as
/// another one.
///
/// # Errors
/// Something stands there that neither can be.
pub(super) fn look(settings: &Settings) -> Result<Vec<String>, SettingError> {
    let fault = |key: &str| {
        let path = [key.to_owned(), "path".to_owned()];
        move |why: String| SettingError::new(path, why)
    };
    let store = folder(&settings.store.path).map_err(fault("store"))?;
    let audit = log(&settings.audit_path()).map_err(fault("audit"))?;
    let named = |key: &'static str| move |why| format!("{key}: {why}");
    let doubtful = store.map(named("store.path")).into_iter().chain(audit.map(named("audit.path")));
    Ok(doubtful.collect())
}

/// The signers' places that hold no certificate or key yet, or never will, since the name is misspelt.
pub(super) fn empty(settings: &Settings) -> Vec<String> {
    let mut notes = Vec::new();
    for (name, signer) in &settings.signers {
        for named in signer.places() {
            if let (Some(path), Ok([])) = (named.place.path(), named.place.anchors().as_deref()) {
                let state = if path.exists() { "holds nothing" } else { "does not exist" };
                notes.push(format!(
                    "signers.{name}.{}: {} {state}: not acquired yet, and nothing is believed by it",
                    named.key,
                    path.display()
                ));
            }
        }
    }
    notes
}

/// A folder that is there or can be made.
fn folder(path: &Path) -> Result<Option<String>, String> {
    let (at, found) = match nearest(path) {
        Ok(found) => found,
        Err((at, why)) => return Ok(Some(beyond_us(at, &why))),
    };
    if !found.is_dir() {
        return Err(format!("{} is no folder: name another place", at.display()));
    }
    Ok(not_writable(at, Access::WRITE_OK | Access::EXEC_OK))
}

/// A file that is there or can be made. It is opened as no link (docs/AUDIT.md).
fn log(path: &Path) -> Result<Option<String>, String> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_file() => Ok(not_writable(path, Access::READ_OK | Access::WRITE_OK)),
        Ok(_) => Err(format!("{} is a folder, a link or no regular file: name a file", path.display())),
        Err(_) => path.parent().map_or(Ok(None), folder),
    }
}

/// The path itself, or the first above it that is there.
fn nearest(path: &Path) -> Result<(&Path, Metadata), (&Path, io::Error)> {
    let absent =
        |why: &io::Error| matches!(why.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory);
    let mut at = path;
    loop {
        match (fs::metadata(at), at.parent()) {
            (Ok(found), _) => return Ok((at, found)),
            (Err(why), Some(above)) if absent(&why) => at = above,
            (Err(why), _) => return Err((at, why)),
        }
    }
}

fn not_writable(at: &Path, wanted: Access) -> Option<String> {
    Some(beyond_us(at, &access(at, wanted).err()?.into()))
}

fn beyond_us(at: &Path, why: &io::Error) -> String {
    format!("{} cannot be written to by this user ({why}): see that the server's can", at.display())
}
