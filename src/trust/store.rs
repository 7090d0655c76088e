//! The Notary Project's trust store: `x509/<type>/<name>/` folders of certificates
//! (trust-store-trust-policy, "Trust Store"). Reads and checks one named store; which of them count is
//! for the trust policy to say.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::files::read_within;
use crate::x509::{self, Certificate};

/// The largest certificate file that is read.
const MAX_FILE: u64 = 1024 * 1024;
/// The most entries of a store's folder that are looked at.
const MAX_ENTRIES: usize = 1000;

const X509: &str = "x509";

/// What the certificates of a store are trusted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Issuing signing certificates.
    Ca,
    /// Signing on behalf of others, at a time that is authentic.
    SigningAuthority,
    /// Issuing the certificates of timestamp authorities.
    Tsa,
}

impl Kind {
    /// The name of its folder, and of the type in trust policies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ca => "ca",
            Self::SigningAuthority => "signingAuthority",
            Self::Tsa => "tsa",
        }
    }
}

/// A store by type and name: `ca:acme`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoreName {
    kind: Kind,
    name: String,
}

impl StoreName {
    /// What its certificates are trusted for.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The store whose folder this would be, by the names of the folders above it.
    pub fn of_folder(folder: &Path) -> Option<Self> {
        let name = |path: &Path| path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
        let of_kind = folder.parent()?;
        let is_store = name(of_kind.parent()?).as_deref() == Some(X509);
        is_store.then(|| format!("{}:{}", name(of_kind)?, name(folder)?).parse().ok()).flatten()
    }

    /// Where it lies below the folder that holds `x509`.
    pub fn folder(&self, base: &Path) -> PathBuf {
        base.join(X509).join(self.kind.as_str()).join(&self.name)
    }
}

impl fmt::Display for StoreName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind.as_str(), self.name)
    }
}

/// Why text names no store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// There is no colon.
    #[error("a trust store is named TYPE:NAME, such as ca:acme")]
    Form,
    /// Another type.
    #[error("the type of a trust store is one of ca, signingAuthority, tsa")]
    Kind,
    /// A name that is no plain folder name.
    #[error("the name of a trust store is made of letters, digits, '_', '.' and '-', and is not '.' or '..'")]
    Name,
}

impl FromStr for StoreName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (kind, name) = text.split_once(':').ok_or(NameError::Form)?;
        let kind = [Kind::Ca, Kind::SigningAuthority, Kind::Tsa]
            .into_iter()
            .find(|k| k.as_str() == kind)
            .ok_or(NameError::Kind)?;
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
        // `.` and `..` are made of allowed characters and would leave the store's own type.
        if name.is_empty() || matches!(name, "." | "..") || !name.bytes().all(plain) {
            return Err(NameError::Name);
        }
        Ok(Self { kind, name: name.to_owned() })
    }
}

/// Why a store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A store's folder or one of its files is a symbolic link, which the specification forbids.
    #[error("{0}: symbolic links are not allowed in a trust store")]
    Symlink(PathBuf),
    /// Something else stands where the folder should.
    #[error("{0}: a trust store is a folder")]
    NotAFolder(PathBuf),
    /// A folder or file that cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// More than is read.
    #[error("{path}: more than {limit}")]
    TooMuch {
        /// Which folder or file.
        path: PathBuf,
        /// Of what how much is read.
        limit: &'static str,
    },
    /// A file that holds no certificates, or broken ones.
    #[error("{path}: {source}")]
    Certificate {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: x509::Error,
    },
    /// A certificate that cannot be an anchor.
    #[error("{path}: the certificate {subject} is {rule}")]
    NotAnAnchor {
        /// Which file.
        path: PathBuf,
        /// Whose certificate.
        subject: String,
        /// What an anchor would be.
        rule: &'static str,
    },
}

/// What a store holds.
#[derive(Clone, Debug, Default)]
pub struct TrustStore {
    /// Its certificates, in the order of their files' names. None means: not acquired yet.
    pub certificates: Vec<Certificate>,
    /// What was passed over, for the operator to see.
    pub warnings: Vec<String>,
}

/// Reads a store below `base`, the folder that holds `x509`. An absent folder is an empty store.
///
/// # Errors
/// The first file that may not be there or cannot be an anchor.
pub fn read(base: &Path, name: &StoreName) -> Result<TrustStore, Error> {
    let folder = name.folder(base);
    match fs::symlink_metadata(&folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(TrustStore::default()),
        Err(source) => return Err(Error::Read { path: folder, source }),
        Ok(meta) if meta.is_symlink() => return Err(Error::Symlink(folder)),
        Ok(meta) if !meta.is_dir() => return Err(Error::NotAFolder(folder)),
        Ok(_) => {}
    }
    let mut store = TrustStore::default();
    for path in entries(&folder)? {
        store.add(path, name.kind)?;
    }
    Ok(store)
}

/// The stores that there are below `base`, in the order of their names. What is no store is passed over.
///
/// # Errors
/// The first folder that cannot be read.
pub fn all(base: &Path) -> Result<Vec<StoreName>, Error> {
    let mut stores = Vec::new();
    for kind in [Kind::Ca, Kind::SigningAuthority, Kind::Tsa] {
        let folder = base.join(X509).join(kind.as_str());
        if folder.is_dir() {
            let stores_of_kind = entries(&folder)?.into_iter().filter(|path| path.is_dir());
            stores.extend(stores_of_kind.filter_map(|path| StoreName::of_folder(&path)));
        }
    }
    Ok(stores)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let unreadable = |source| Error::Read { path: folder.to_owned(), source };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        if paths.len() == MAX_ENTRIES {
            return Err(Error::TooMuch { path: folder.to_owned(), limit: "1000 entries" });
        }
        paths.push(entry.map_err(unreadable)?.path());
    }
    paths.sort();
    Ok(paths)
}

impl TrustStore {
    fn add(&mut self, path: PathBuf, kind: Kind) -> Result<(), Error> {
        let meta = match fs::symlink_metadata(&path) {
            Ok(meta) => meta,
            Err(source) => return Err(Error::Read { path, source }),
        };
        if meta.is_symlink() {
            return Err(Error::Symlink(path));
        }
        if meta.is_dir() {
            self.warnings.push(format!("{}: folders inside a trust store are ignored", path.display()));
            return Ok(());
        }
        if !meta.is_file() || !has_certificate_extension(&path) {
            self.warnings.push(format!("{}: not a .pem, .crt or .cer file, ignored", path.display()));
            return Ok(());
        }
        let certificates = match Certificate::all_from(&content(&path)?) {
            Ok(certificates) => certificates,
            Err(source) => return Err(Error::Certificate { path, source }),
        };
        for certificate in certificates {
            if let Some(rule) = broken_rule(&certificate, kind) {
                let subject = certificate.subject().to_string();
                return Err(Error::NotAnAnchor { path, subject, rule });
            }
            self.certificates.push(certificate);
        }
        Ok(())
    }
}

pub(super) fn has_certificate_extension(path: &Path) -> bool {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    ["pem", "crt", "cer"].iter().any(|known| extension.eq_ignore_ascii_case(known))
}

fn content(path: &Path) -> Result<Vec<u8>, Error> {
    read_within(path, MAX_FILE)
        .map_err(|source| Error::Read { path: path.to_owned(), source })?
        .ok_or_else(|| Error::TooMuch { path: path.to_owned(), limit: "1 MiB" })
}

/// An anchor is a CA or signed itself; a timestamp authority's is a root.
pub(super) fn broken_rule(certificate: &Certificate, kind: Kind) -> Option<&'static str> {
    let is_ca = certificate.basic_constraints().is_some_and(|b| b.ca);
    match kind {
        Kind::Tsa if !is_ca || !certificate.is_self_signed() => Some("no root CA certificate"),
        _ if !is_ca && !certificate.is_self_signed() => Some("neither a CA's nor self-signed"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Self {
            let folder = Self(tempfile::tempdir().unwrap());
            fs::create_dir_all(folder.store()).unwrap();
            folder
        }
        fn store(&self) -> PathBuf {
            name("ca:acme").folder(self.0.path())
        }
        fn put(&self, file: &str, content: impl AsRef<[u8]>) {
            fs::write(self.store().join(file), content).unwrap();
        }
        fn read(&self) -> Result<TrustStore, Error> {
            read(self.0.path(), &name("ca:acme"))
        }
    }

    fn name(text: &str) -> StoreName {
        text.parse().unwrap()
    }

    fn root() -> (CertificateParams, KeyPair, rcgen::Certificate) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        (params, key, certificate)
    }

    fn leaf() -> rcgen::Certificate {
        let (params, key, _) = root();
        let mut leaf = CertificateParams::default();
        leaf.distinguished_name.push(rcgen::DnType::CommonName, "leaf");
        leaf.signed_by(&KeyPair::generate().unwrap(), &Issuer::new(params, key)).unwrap()
    }

    #[test]
    fn pem_and_der_are_read_in_the_order_of_names() {
        let folder = Folder::new();
        let (first, second, third) = (root().2, root().2, root().2);
        folder.put("b.cer", second.der());
        folder.put("a.pem", first.pem());
        folder.put("c.CRT", third.pem());
        let ders: Vec<_> = folder.read().unwrap().certificates.iter().map(|c| c.der().to_vec()).collect();
        assert_eq!(ders, [first.der().to_vec(), second.der().to_vec(), third.der().to_vec()]);
    }

    #[test]
    fn an_absent_store_is_empty() {
        let folder = Folder::new();
        let store = read(folder.0.path(), &name("tsa:none")).unwrap();
        assert!(store.certificates.is_empty());
    }

    #[test]
    fn folders_and_other_files_are_passed_over_with_a_warning() {
        let folder = Folder::new();
        fs::create_dir(folder.store().join("old")).unwrap();
        fs::write(folder.store().join("old/root.pem"), root().2.pem()).unwrap();
        folder.put("README.md", "hello");
        let store = folder.read().unwrap();
        assert!(store.certificates.is_empty());
        assert_eq!(store.warnings.len(), 2, "{:?}", store.warnings);
    }

    #[test]
    fn links_are_refused() {
        let folder = Folder::new();
        let outside = folder.0.path().join("root.pem");
        fs::write(&outside, root().2.pem()).unwrap();
        std::os::unix::fs::symlink(&outside, folder.store().join("root.pem")).unwrap();
        assert!(matches!(folder.read(), Err(Error::Symlink(p)) if p.ends_with("root.pem")));

        let linked = name("ca:linked");
        std::os::unix::fs::symlink(folder.store(), linked.folder(folder.0.path())).unwrap();
        assert!(matches!(read(folder.0.path(), &linked), Err(Error::Symlink(_))));
    }

    #[test]
    fn an_anchor_is_a_ca_or_self_signed() {
        let folder = Folder::new();
        let key = KeyPair::generate().unwrap();
        let self_signed = CertificateParams::default().self_signed(&key).unwrap();
        folder.put("self.pem", self_signed.pem());
        assert_eq!(folder.read().unwrap().certificates.len(), 1);
        folder.put("leaf.pem", leaf().pem());
        let error = folder.read().unwrap_err();
        assert!(matches!(&error, Error::NotAnAnchor { path, .. } if path.ends_with("leaf.pem")), "{error}");
    }

    #[test]
    fn a_timestamp_anchor_is_a_root() {
        let folder = Folder::new();
        let tsa = name("tsa:acme");
        fs::create_dir_all(tsa.folder(folder.0.path())).unwrap();
        let self_signed = CertificateParams::default().self_signed(&KeyPair::generate().unwrap()).unwrap();
        fs::write(tsa.folder(folder.0.path()).join("a.pem"), self_signed.pem()).unwrap();
        assert!(matches!(read(folder.0.path(), &tsa), Err(Error::NotAnAnchor { .. })));
    }

    #[test]
    fn a_broken_file_is_named() {
        let folder = Folder::new();
        folder.put("a.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        assert!(matches!(folder.read(), Err(Error::Certificate { path, .. }) if path.ends_with("a.pem")));
        folder.put("a.pem", vec![0x30; MAX_FILE as usize + 1]);
        assert!(matches!(folder.read(), Err(Error::TooMuch { path, .. }) if path.ends_with("a.pem")));
    }

    #[test]
    fn names_stay_inside_their_type() {
        assert_eq!(name("signingAuthority:a-b.c_1").to_string(), "signingAuthority:a-b.c_1");
        for (bad, error) in [
            ("acme", NameError::Form),
            ("CA:acme", NameError::Kind),
            ("ca:", NameError::Name),
            ("ca:..", NameError::Name),
            ("ca:.", NameError::Name),
            ("ca:a/b", NameError::Name),
            ("ca:a b", NameError::Name),
            ("ca:é", NameError::Name),
        ] {
            assert_eq!(bad.parse::<StoreName>(), Err(error), "{bad}");
        }
    }
}
