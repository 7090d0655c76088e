//! Certificates and keys from the files and folders that the operator names.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use zeroize::Zeroizing;

use crate::x509::{self, Certificate, PublicKey};

/// The longest file that is read: any system's bundle of roots is shorter.
const MAX_FILE: u64 = 2 * 1024 * 1024;
/// A longer password is none.
const MAX_SECRET: u64 = 64 * 1024;
/// The most files that one folder may hold.
const MAX_FILES: usize = 1000;
/// Names that end so are meant as files: absent, they are a mistake and not an empty folder.
const FILE_ENDINGS: [&str; 6] = ["crt", "cer", "cert", "pem", "der", "pub"];

/// A file or folder that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Absent, or not to be read.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Too long, or too many in one folder.
    #[error("{}: more than {limit} {what}", path.display())]
    TooMuch {
        /// Which.
        path: PathBuf,
        /// Of what.
        what: &'static str,
        /// How much is read.
        limit: u64,
    },
    /// Something else than what was expected.
    #[error("{}: {source}", path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        source: x509::Error,
    },
}

/// The certificates in files (PEM or DER) and folders of such files, in the order of `paths` and, in a
/// folder, of names. An empty or absent folder gives none: its keys have not been acquired yet. Names
/// that begin with a dot are passed over, as Kubernetes keeps its own entries so.
///
/// # Errors
/// The first file that is absent, unreadable or something else.
pub fn certificates(paths: &[PathBuf]) -> Result<Vec<Certificate>, Error> {
    let mut all = Vec::new();
    for path in paths {
        for file in files(path)? {
            let found = Certificate::all_from(&read(&file)?);
            all.extend(found.map_err(|source| Error::Malformed { path: file, source })?);
        }
    }
    Ok(all)
}

/// The public key in a PEM file, or in a DER file.
///
/// # Errors
/// Absent, unreadable or something else.
pub fn public_key(path: &Path) -> Result<PublicKey, Error> {
    let bytes = read(path)?;
    let key = if bytes.first() == Some(&0x30) {
        PublicKey::from_spki_der(&bytes)
    } else {
        PublicKey::from_pem(&bytes)
    };
    key.map_err(|source| Error::Malformed { path: path.to_owned(), source })
}

/// Whether a file that is not used yet could be read, so that a mistake shows at once.
///
/// # Errors
/// Absent, unreadable or too long.
pub fn readable(path: &Path) -> Result<(), Error> {
    read(path).map(drop)
}

/// The path itself, or the files of the folder that it is.
pub(super) fn files(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let unreadable = |source| Error::Unreadable { path: path.to_owned(), source };
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => return Ok(vec![path.to_owned()]),
        Err(e) if e.kind() == io::ErrorKind::NotFound && !is_named_as_file(path) => return Ok(Vec::new()),
        Err(e) => return Err(unreadable(e)),
    }
    let mut all = Vec::new();
    for entry in fs::read_dir(path).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if all.len() == MAX_FILES {
            return Err(Error::TooMuch { path: path.to_owned(), what: "files", limit: MAX_FILES as u64 });
        }
        all.push(entry.path());
    }
    all.sort();
    Ok(all)
}

pub(super) fn is_named_as_file(path: &Path) -> bool {
    let ending = path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase);
    ending.is_some_and(|e| FILE_ENDINGS.contains(&e.as_str()))
}

/// The bytes of a file of trust material.
///
/// # Errors
/// Absent, unreadable or too long.
pub fn read(path: &Path) -> Result<Vec<u8>, Error> {
    read_within(path, MAX_FILE)
        .map_err(|source| Error::Unreadable { path: path.to_owned(), source })?
        .ok_or_else(|| Error::TooMuch { path: path.to_owned(), what: "bytes", limit: MAX_FILE })
}

/// The bytes of a file; `None` where they are more than `limit`.
///
/// # Errors
/// The system's.
pub fn read_within(path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= limit).then_some(bytes))
}

/// The password or PIN in a file, without its last line break.
///
/// # Errors
/// The system's, with the file's name; more than a password, or no UTF-8.
pub fn secret(path: &Path) -> io::Result<Zeroizing<String>> {
    let read = read_within(path, MAX_SECRET).and_then(|bytes| {
        let bytes = Zeroizing::new(bytes.ok_or(io::ErrorKind::FileTooLarge)?);
        let text = std::str::from_utf8(&bytes).map_err(|_| io::ErrorKind::InvalidData)?;
        Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
    });
    read.map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))
}

/// Replaces a file whole, for everybody to read: whoever reads it meanwhile, or after a crash, finds the old content or
/// the new. Its date is `dated`, where one is given.
///
/// # Errors
/// The system's; what was there is there still.
pub(super) fn replace(path: &Path, bytes: &[u8], dated: Option<SystemTime>) -> io::Result<()> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidFilename.into());
    };
    // Those who read the folder pass over such names.
    let mut aside = std::ffi::OsString::from(".");
    aside.push(name);
    aside.push(".new");
    let aside = folder.join(aside);
    // Of a run that did not end; and a link that somebody laid there is not followed.
    match fs::remove_file(&aside) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&aside)?;
    // Whatever the umask says: the server reads it as somebody else.
    file.set_permissions(fs::Permissions::from_mode(0o644))?;
    file.write_all(bytes)?;
    dated.map_or(Ok(()), |at| file.set_modified(at))?;
    file.sync_all()?;
    fs::rename(&aside, path)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(name: &str) -> String {
        let key = rcgen::KeyPair::generate().unwrap();
        rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&key).unwrap().pem()
    }

    #[test]
    fn a_folder_gives_its_certificates_in_the_order_of_names() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("b.pem"), certificate("b") + &certificate("c")).unwrap();
        fs::write(folder.path().join("a.pem"), certificate("a")).unwrap();
        fs::write(folder.path().join(".hidden"), "not a certificate").unwrap();
        let found = certificates(&[folder.path().to_owned()]).unwrap();
        let names: Vec<_> = found.iter().flat_map(|c| c.dns_names().to_vec()).collect();
        assert_eq!(names, ["a", "b", "c"]);
    }

    #[test]
    fn an_absent_folder_is_empty_and_an_absent_file_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(certificates(&[folder.path().to_owned(), folder.path().join("later")]).unwrap(), []);
        let missing = folder.path().join("wabbit.crt");
        assert!(matches!(certificates(&[missing]), Err(Error::Unreadable { .. })));
    }

    #[test]
    fn anything_else_is_named_by_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let readme = folder.path().join("README");
        fs::write(&readme, "these are keys").unwrap();
        let error = certificates(&[folder.path().to_owned()]).unwrap_err();
        assert!(matches!(&error, Error::Malformed { path, .. } if *path == readme), "{error}");
        fs::write(&readme, vec![0x30; MAX_FILE as usize + 1]).unwrap();
        assert!(matches!(certificates(&[readme]), Err(Error::TooMuch { .. })));
    }
}
