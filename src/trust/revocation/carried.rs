//! CRLs that the operator carried in by hand: for sites that are cut off, and for issuers whose
//! certificates name no server.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};
use x509_parser::pem::Pem;

use crate::setting;
use crate::trust::files::read_within;
use crate::x509::crl::Crl;
use crate::x509::{self, Certificate};

/// The longest file that is read: the largest CRLs in use take a third of it as PEM.
const MAX_FILE: u64 = 32 << 20;
/// The most that all files take together, since they stay in memory.
const MAX_ALL: u64 = 128 << 20;
/// The most entries of the folder that are looked at.
const MAX_ENTRIES: usize = 1000;
/// The most CRLs in one file.
const MAX_IN_FILE: usize = 100;

/// CRLs as files gave them. Nothing is proven until a certificate's issuer is at hand.
#[derive(Clone, Debug, Default)]
pub(super) struct Carried {
    crls: Arc<[Crl]>,
    warnings: Arc<[String]>,
}

/// A file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// Not to be read.
    #[error("{}: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    /// More than is kept in memory.
    #[error("{}: more than {limit}", path.display())]
    TooMuch { path: PathBuf, limit: &'static str },
    /// No CRL, or a broken one.
    #[error("{}: {source}", path.display())]
    Malformed { path: PathBuf, source: x509::Error },
}

impl Carried {
    pub(super) fn new(crls: Vec<Crl>) -> Self {
        Self { crls: crls.into(), warnings: Arc::default() }
    }

    /// Reads a folder. An absent one holds none yet.
    ///
    /// # Errors
    /// The first file that is not what its name says.
    pub(super) fn read(folder: &Path) -> Result<Self, Error> {
        let (mut crls, mut warnings, mut left) = (Vec::new(), Vec::new(), MAX_ALL);
        for path in entries(folder)? {
            // Followed: Kubernetes mounts files as links. The folder is the operator's own.
            let is_file = fs::metadata(&path).is_ok_and(|found| !found.is_dir());
            if !is_file || !has_crl_extension(&path) {
                warnings.push(format!("{}: not a .crl, .pem or .der file, ignored", path.display()));
                continue;
            }
            let bytes = content(&path)?;
            left = left
                .checked_sub(bytes.len() as u64)
                .ok_or_else(|| Error::TooMuch { path: folder.to_owned(), limit: "128 MiB in all" })?;
            crls.extend(all_from(&bytes, &path)?);
        }
        Ok(Self { crls: crls.into(), warnings: warnings.into() })
    }

    /// Those that name `issuer` as theirs.
    pub(super) fn of<'a>(&'a self, issuer: &'a Certificate) -> impl Iterator<Item = Crl> + 'a {
        self.crls.iter().filter(|crl| crl.issuer() == issuer.subject()).cloned()
    }

    pub(super) fn len(&self) -> usize {
        self.crls.len()
    }

    /// SHA-256 over what they say, whatever the files are called.
    pub(super) fn hash(&self) -> [u8; 32] {
        let mut each: Vec<[u8; 32]> = self.crls.iter().map(|crl| Sha256::digest(crl.der()).into()).collect();
        each.sort_unstable();
        Sha256::digest(each.concat()).into()
    }

    /// What was passed over, and what is out of date at `now`.
    pub(super) fn warnings(&self, now: SystemTime) -> Vec<String> {
        let ended = self.crls.iter().filter_map(|crl| {
            let end = x509::revocation::end(crl.this_update(), crl.next_update());
            (end <= now).then(|| {
                let end = setting::time::show(end);
                format!("trust.crls: the CRL of {} ended at {end}: carry a newer one in", crl.issuer())
            })
        });
        self.warnings.iter().cloned().chain(ended).collect()
    }
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let unreadable = |source| Error::Unreadable { path: folder.to_owned(), source };
    let found = match fs::read_dir(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        found => found.map_err(unreadable)?,
    };
    let mut paths = Vec::new();
    for entry in found {
        let entry = entry.map_err(unreadable)?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if paths.len() == MAX_ENTRIES {
            return Err(Error::TooMuch { path: folder.to_owned(), limit: "1000 entries" });
        }
        paths.push(entry.path());
    }
    paths.sort();
    Ok(paths)
}

fn has_crl_extension(path: &Path) -> bool {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    ["crl", "pem", "der"].iter().any(|known| extension.eq_ignore_ascii_case(known))
}

fn content(path: &Path) -> Result<Vec<u8>, Error> {
    read_within(path, MAX_FILE)
        .map_err(|source| Error::Unreadable { path: path.to_owned(), source })?
        .ok_or_else(|| Error::TooMuch { path: path.to_owned(), limit: "32 MiB" })
}

fn all_from(bytes: &[u8], path: &Path) -> Result<Vec<Crl>, Error> {
    let malformed = |source| Error::Malformed { path: path.to_owned(), source };
    if bytes.first() == Some(&0x30) {
        return Ok(vec![Crl::parse(bytes).map_err(malformed)?]);
    }
    let fault = |why: String| malformed(x509::Error::Malformed { what: "PEM CRL", why });
    let mut all = Vec::new();
    for block in Pem::iter_from_buffer(bytes) {
        let block = block.map_err(|e| fault(e.to_string()))?;
        if block.label != "X509 CRL" {
            return Err(fault(format!("it holds a block of {:?}", block.label)));
        }
        if all.len() == MAX_IN_FILE {
            return Err(Error::TooMuch { path: path.to_owned(), limit: "100 CRLs in a file" });
        }
        all.push(Crl::parse(&block.contents).map_err(malformed)?);
    }
    if all.is_empty() { Err(fault("neither DER nor PEM".to_owned())) } else { Ok(all) }
}
