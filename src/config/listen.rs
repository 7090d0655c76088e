//! The settings that are config's own: the listeners', the audit file's and the log's.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::oci::Registry;
use crate::setting::address;

/// `listen`: where clients come in.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Listen {
    /// Address and port.
    #[serde(deserialize_with = "address::deserialize")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub address: SocketAddr,
    /// TLS; plain HTTP without it.
    pub tls: Option<Tls>,
    /// Host names that clients use for this proxy, and the upstream that each stands for.
    #[cfg_attr(test, schemars(with = "BTreeMap<String, String>"))]
    pub hosts: BTreeMap<String, Registry>,
    /// Let anyone who reaches the listener read what upstream credentials can read.
    pub dangerous_anonymous_clients: bool,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 5000)),
            tls: None,
            hosts: BTreeMap::new(),
            dangerous_anonymous_clients: false,
        }
    }
}

impl Listen {
    /// Whether clients of other machines can reach it.
    pub fn is_public(&self) -> bool {
        !self.address.ip().to_canonical().is_loopback()
    }

    /// Whether it knows who calls.
    pub fn authenticates_clients(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some())
    }
}

/// `listen.tls`: PEM files, read again when they change.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate, and those between it and the authority's.
    pub certificate: PathBuf,
    /// The certificate's private key.
    pub key: PathBuf,
    /// The authorities whose certificates clients must show.
    #[serde(default)]
    pub client_ca: Option<PathBuf>,
}

impl Tls {
    pub(super) fn resolve(&mut self, base: &Path) {
        for path in [&mut self.certificate, &mut self.key].into_iter().chain(&mut self.client_ca) {
            *path = base.join(&*path);
        }
    }

    /// The files to watch.
    pub fn paths(&self) -> Vec<PathBuf> {
        [&self.certificate, &self.key].into_iter().chain(&self.client_ca).cloned().collect()
    }
}

/// `admin`: where operators come in.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// Address and port.
    #[serde(deserialize_with = "address::deserialize")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub address: SocketAddr,
    /// The address under which people reach it: refusals link to it.
    pub url: Option<String>,
}

impl Default for Admin {
    fn default() -> Self {
        Self { address: SocketAddr::from((Ipv4Addr::LOCALHOST, 9090)), url: None }
    }
}

/// `audit`
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Audit {
    /// The file that decisions are appended to.
    pub path: Option<PathBuf>,
}

/// `log`
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// Log each request with the id of its decision.
    pub requests: bool,
}
