//! The `upstreams.NAME` keys of the configuration.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::oci::repository::NameError;
use crate::oci::{Digest, Registry, Repository, SignatureSource};

/// One upstream registry.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where it is; `https://NAME` unless given. Writing `http://` is the only way to plain HTTP.
    pub url: Option<String>,
    /// A PEM file with the only authorities that may vouch for the upstream's own host. Mirrors and
    /// hosts that it sends us to may have the system's as well.
    pub ca: Option<PathBuf>,
    /// Asked where a request names no upstream.
    pub default: bool,
    /// How we log in; anonymous without it.
    pub credentials: Option<Credentials>,
    /// Asked before the upstream, in this order.
    pub mirrors: Vec<Mirror>,
    /// At most so many requests at once.
    pub max_requests: NonZeroUsize,
    /// How long is waited for what.
    pub timeouts: Timeouts,
    /// Further hosts (`host` or `host:port`) to which tokens are fetched from and redirects followed,
    /// private addresses included.
    pub allowed_hosts: Vec<String>,
    /// Addresses (`address` or `address:port`) to connect to instead of what DNS says.
    pub resolve: Vec<String>,
    /// Never ask; serve what is stored.
    pub offline: bool,
    /// Where else signatures of its content are looked for.
    pub signatures: Vec<SignatureSource>,
    /// Read a folder instead of asking a registry. Set by the command line alone: in a served
    /// configuration, one folder under a whole registry's name would be every repository of it.
    #[serde(skip)]
    pub layout: Option<Layout>,
    /// Read what was carried here instead of asking a registry. Set while something is imported alone.
    #[serde(skip)]
    pub carried: Option<super::CarriedSource>,
}

/// An OCI image layout that stands for one repository.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// The folder that holds `oci-layout`, `index.json` and `blobs/`.
    pub folder: PathBuf,
    /// The repository that it holds; every other one is not there.
    pub repository: Repository,
}

impl Layout {
    /// One that stands for a repository that nobody can ask for, since `.invalid` is no registry's name (RFC 6761,
    /// section 6.4): for signatures, which are found by digest whatever repository their subjects are in.
    ///
    /// # Errors
    /// None: a digest is a repository's path.
    pub fn of_signatures(folder: &Path) -> Result<Self, NameError> {
        let path = Digest::sha256(folder.as_os_str().as_encoded_bytes()).hex();
        let repository = Repository::new(Registry::parse("layout.invalid")?, &path)?;
        Ok(Self { folder: folder.to_owned(), repository })
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            url: None,
            ca: None,
            default: false,
            credentials: None,
            mirrors: Vec::new(),
            max_requests: NonZeroUsize::MIN.saturating_add(15),
            timeouts: Timeouts::default(),
            allowed_hosts: Vec::new(),
            resolve: Vec::new(),
            offline: false,
            signatures: Vec::new(),
            layout: None,
            carried: None,
        }
    }
}

/// A copy of an upstream. It is asked by digest; for tags only where it is trusted to be current.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Mirror {
    /// Where it is.
    pub url: String,
    /// Its own login; the upstream's is never used here.
    #[serde(default)]
    pub credentials: Option<Credentials>,
    /// Whether it is asked for tags too.
    #[serde(default)]
    pub tags: bool,
}

/// A login: either a name with a password (here or in a file), or Docker's configuration file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Credentials {
    /// The account's name.
    pub username: Option<String>,
    /// The password itself; a file is better.
    pub password: Option<Secret>,
    /// The file that holds the password; read again when it changes.
    pub password_file: Option<PathBuf>,
    /// A `config.json` as docker writes it, credential helpers included.
    pub docker_config: Option<PathBuf>,
}

/// How long is waited before a request counts as failed.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// For name resolution, connection and TLS together.
    #[serde(with = "crate::setting::duration")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub connect: Duration,
    /// From the request to the response's head.
    #[serde(with = "crate::setting::duration")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub headers: Duration,
    /// Between two pieces of a body.
    #[serde(with = "crate::setting::duration")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            headers: Duration::from_secs(30),
            idle: Duration::from_secs(30),
        }
    }
}

/// A secret that neither logs nor errors show.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Takes the secret in.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The secret itself: for the one place that sends it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Settings {
    /// Makes relative paths absolute.
    pub fn resolve(&mut self, base: &Path) {
        for path in self.ca.iter_mut().chain(
            self.credentials
                .iter_mut()
                .chain(self.mirrors.iter_mut().filter_map(|m| m.credentials.as_mut()))
                .flat_map(Credentials::paths_mut),
        ) {
            *path = base.join(&*path);
        }
        self.signatures.iter_mut().for_each(|source| source.resolve(base));
    }

    /// The files to watch. Logins that are in use are read again by themselves; without those that are absent nothing
    /// is loaded.
    pub fn paths(&self) -> Vec<PathBuf> {
        let of_mirrors = self.mirrors.iter().filter_map(|mirror| mirror.credentials.as_ref());
        let logins = self.credentials.iter().chain(of_mirrors);
        self.ca.iter().chain(logins.flat_map(Credentials::paths)).cloned().collect()
    }
}

impl Credentials {
    fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.password_file.iter().chain(&self.docker_config)
    }

    fn paths_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        self.password_file.iter_mut().chain(self.docker_config.iter_mut())
    }
}
