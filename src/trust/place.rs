//! Places that hold trust anchors: folders of certificates, trust stores, files. Looks into them, puts anchors there and
//! takes them away; each change is whole, so that a server that watches reads the old or the new.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::anchor::Anchor;
use super::files::{self, Error as FileError};
use super::store::{self, StoreName};

/// Where anchors lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A file of certificates, or a folder of such files.
    Certificates(PathBuf),
    /// A trust store of the Notary Project: its name, and its folder.
    Store(StoreName, PathBuf),
    /// The file of one public key.
    Key(PathBuf),
    /// In the configuration itself, in PEM.
    Written(String),
}

/// What became of an anchor that was to be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Added {
    /// It is in this file from now on.
    New(PathBuf),
    /// It was in this file already.
    Already(PathBuf),
}

/// Which anchors go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// The one with this fingerprint.
    Fingerprint([u8; 32]),
    /// All of the file of this name.
    File(String),
}

/// Why a place cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file that cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The trust store, as the server would find it.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// What is to be added may not stand there.
    #[error("{}: {why}", path.display())]
    Unfit {
        /// Where.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// A change that the system refuses.
    #[error("{}: {source}", path.display())]
    Write {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The configuration holds it, not a file.
    #[error("it stands in the configuration itself: change it there")]
    Written,
}

impl Place {
    /// What the path of a folder or file tells: a trust store by the folders above it, a public key by its name, else
    /// certificates.
    pub fn of(path: &Path) -> Self {
        let is_key = path.extension().is_some_and(|ending| ending == "pub");
        match StoreName::of_folder(path) {
            Some(name) => Self::Store(name, path.to_owned()),
            None if is_key => Self::Key(path.to_owned()),
            None => Self::Certificates(path.to_owned()),
        }
    }

    /// Where it is.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Certificates(path) | Self::Store(_, path) | Self::Key(path) => Some(path),
            Self::Written(_) => None,
        }
    }

    /// Whether it has room for many, a file each.
    pub fn is_folder(&self) -> bool {
        match self {
            Self::Store(..) => true,
            Self::Certificates(path) => path.is_dir() || (!path.exists() && !files::is_named_as_file(path)),
            Self::Key(_) | Self::Written(_) => false,
        }
    }

    /// What is there, with the file that it is in. An absent folder or key file holds nothing.
    ///
    /// # Errors
    /// The first file that is something else, or cannot be read.
    pub fn anchors(&self) -> Result<Vec<(PathBuf, Anchor)>, Error> {
        let files = match self {
            Self::Written(pem) => return Ok(read_from(Path::new("(configuration)"), pem.as_bytes())?),
            Self::Store(_, folder) => {
                let all = files::files(folder)?.into_iter();
                all.filter(|path| path.is_file() && store::has_certificate_extension(path)).collect()
            }
            Self::Certificates(path) | Self::Key(path) if !self.is_folder() && !path.exists() => Vec::new(),
            Self::Certificates(path) | Self::Key(path) => files::files(path)?,
        };
        let mut all = Vec::new();
        for file in files {
            all.extend(read_from(&file, &files::read(&file)?)?);
        }
        Ok(all)
    }

    /// Puts an anchor there, in a file of its own, unless it is there.
    ///
    /// # Errors
    /// It may not stand there, or cannot be written.
    pub fn add(&self, anchor: &Anchor) -> Result<Added, Error> {
        let path = self.path().ok_or(Error::Written)?;
        self.check(path, anchor)?;
        let there = self.anchors()?;
        if let Some((file, _)) = there.iter().find(|(_, other)| other.fingerprint() == anchor.fingerprint()) {
            return Ok(Added::Already(file.clone()));
        }
        let (folder, file) = match self.is_folder() {
            true => (path, path.join(anchor.file_name())),
            false if there.is_empty() => (path.parent().unwrap_or(path), path.to_owned()),
            false => {
                let why = "is a file that holds another already: remove that first, or name a folder in the configuration";
                return Err(Error::Unfit { path: path.to_owned(), why: why.to_owned() });
            }
        };
        let failed = |source| Error::Write { path: file.clone(), source };
        fs::create_dir_all(folder).map_err(failed)?;
        files::replace(&file, anchor.to_pem().as_bytes(), None).map_err(failed)?;
        Ok(Added::New(file))
    }

    /// Takes anchors away; the others of their files stay. Gives back what went, with the file that it was in.
    ///
    /// # Errors
    /// The place cannot be read or changed.
    pub fn remove(&self, which: &Which) -> Result<Vec<(PathBuf, Anchor)>, Error> {
        self.path().ok_or(Error::Written)?;
        let goes = |(file, anchor): &(PathBuf, Anchor)| match which {
            Which::Fingerprint(number) => anchor.fingerprint() == *number,
            Which::File(name) => file.file_name().is_some_and(|found| found == name.as_str()),
        };
        let (gone, stay): (Vec<_>, Vec<_>) = self.anchors()?.into_iter().partition(goes);
        let mut touched: Vec<&PathBuf> = gone.iter().map(|(file, _)| file).collect();
        touched.dedup();
        for file in touched {
            let left: String =
                stay.iter().filter(|(other, _)| other == file).map(|(_, anchor)| anchor.to_pem()).collect();
            let done = match left.is_empty() {
                true => fs::remove_file(file),
                false => files::replace(file, left.as_bytes(), None),
            };
            done.map_err(|source| Error::Write { path: file.clone(), source })?;
        }
        Ok(gone)
    }

    /// Whether an anchor is of the kind that is read there: anything else would stop the server at its next start.
    fn check(&self, path: &Path, anchor: &Anchor) -> Result<(), Error> {
        let unfit = |why: String| Err(Error::Unfit { path: path.to_owned(), why });
        match (self, anchor) {
            (Self::Store(name, _), Anchor::Certificate(certificate)) => {
                match store::broken_rule(certificate, name.kind()) {
                    Some(rule) => {
                        unfit(format!("the certificate is {rule}, and {name} would not be read with it"))
                    }
                    None => Ok(()),
                }
            }
            (Self::Certificates(_), Anchor::Certificate(_)) | (Self::Key(_), Anchor::Key(_)) => Ok(()),
            (Self::Key(_), Anchor::Certificate(_)) => {
                unfit("a public key stands here, and this is a certificate".into())
            }
            (_, Anchor::Key(_)) => unfit("certificates stand here, and this is a public key".into()),
            (Self::Written(_), _) => Err(Error::Written),
        }
    }
}

fn read_from(file: &Path, bytes: &[u8]) -> Result<Vec<(PathBuf, Anchor)>, FileError> {
    let all = Anchor::all_from(bytes);
    let all = all.map_err(|source| FileError::Malformed { path: file.to_owned(), source })?;
    Ok(all.into_iter().map(|anchor| (file.to_owned(), anchor)).collect())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

    fn certificate() -> Anchor {
        let made = CertificateParams::new(vec!["r.test".into()]).unwrap();
        let pem = made.self_signed(&KeyPair::generate().unwrap()).unwrap().pem();
        Anchor::all_from(pem.as_bytes()).unwrap().remove(0)
    }

    fn key() -> Anchor {
        let pem = KeyPair::generate().unwrap().public_key_pem();
        Anchor::all_from(pem.as_bytes()).unwrap().remove(0)
    }

    fn issued() -> Anchor {
        let (mut params, key) = (CertificateParams::default(), KeyPair::generate().unwrap());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let mut leaf = CertificateParams::default();
        leaf.distinguished_name.push(rcgen::DnType::CommonName, "leaf");
        let made = leaf.signed_by(&KeyPair::generate().unwrap(), &Issuer::new(params, key)).unwrap();
        Anchor::all_from(made.pem().as_bytes()).unwrap().remove(0)
    }

    fn numbers(place: &Place) -> Vec<[u8; 32]> {
        place.anchors().unwrap().iter().map(|(_, anchor)| anchor.fingerprint()).collect()
    }

    #[test]
    fn what_is_added_is_there_once_and_for_everybody_to_read() {
        let base = tempfile::tempdir().unwrap();
        let place = Place::of(&base.path().join("later/wabbit"));
        assert!(place.anchors().unwrap().is_empty());
        let anchor = certificate();
        let Added::New(file) = place.add(&anchor).unwrap() else { panic!("it is new") };
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o644);
        assert_eq!(place.add(&anchor).unwrap(), Added::Already(file.clone()));
        place.add(&certificate()).unwrap();
        assert_eq!(numbers(&place).len(), 2);
        assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 2, "nothing else is left there");
        assert_eq!(place.remove(&Which::Fingerprint(anchor.fingerprint())).unwrap().len(), 1);
        assert!(!file.exists());
        assert_eq!(numbers(&place).len(), 1);
    }

    #[test]
    fn of_a_file_with_several_the_others_stay() {
        let base = tempfile::tempdir().unwrap();
        let (one, other) = (certificate(), certificate());
        let file = base.path().join("both.pem");
        fs::write(&file, one.to_pem() + &other.to_pem()).unwrap();
        let place = Place::of(base.path());
        assert!(place.remove(&Which::Fingerprint([0; 32])).unwrap().is_empty());
        place.remove(&Which::Fingerprint(one.fingerprint())).unwrap();
        assert_eq!(numbers(&place), [other.fingerprint()]);
        assert_eq!(place.remove(&Which::File("both.pem".into())).unwrap().len(), 1);
        assert!(!file.exists());
    }

    #[test]
    fn nothing_is_added_that_the_server_would_not_read() {
        let base = tempfile::tempdir().unwrap();
        let unfit = |place: &Place, anchor: &Anchor| matches!(place.add(anchor), Err(Error::Unfit { .. }));
        let folder = Place::of(&base.path().join("certificates"));
        assert!(unfit(&folder, &key()));
        let store = Place::of(&base.path().join("x509/ca/acme"));
        assert!(matches!(store, Place::Store(..)));
        assert!(unfit(&store, &key()) && unfit(&store, &issued()));
        assert!(store.add(&certificate()).is_ok());
        assert!(unfit(&Place::of(&base.path().join("x509/tsa/acme")), &certificate()));
        let single = Place::of(&base.path().join("vendor.pub"));
        assert!(unfit(&single, &certificate()));
        assert!(matches!(single.add(&key()), Ok(Added::New(_))));
        assert!(unfit(&single, &key()), "it holds another");
        assert!(matches!(Place::Written(key().to_pem()).add(&key()), Err(Error::Written)));
    }
}
