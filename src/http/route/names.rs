//! How a request finds its upstream, over the closed list of those configured.

use std::collections::{BTreeMap, BTreeSet};

use super::{NameError, Registry, Repository, RouteError, Untrusted, looks_like_host};

/// The upstreams, the default one among them, and the names of this proxy that stand for one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    registries: BTreeSet<Registry>,
    default: Option<Registry>,
    hosts: BTreeMap<String, Registry>,
}

impl Names {
    /// `hosts` maps client-facing host names, with or without a port, to upstreams.
    pub fn new(
        registries: impl IntoIterator<Item = Registry>,
        default: Option<Registry>,
        hosts: impl IntoIterator<Item = (String, Registry)>,
    ) -> Self {
        Self {
            registries: registries.into_iter().collect(),
            default,
            hosts: hosts.into_iter().map(|(host, r)| (host.to_ascii_lowercase(), r)).collect(),
        }
    }

    /// The source repository that a client calls `name`: by the host it asked, `ns`, or the first
    /// segment, which have to agree; else the default upstream's.
    pub(super) fn repository(
        &self,
        host: Option<&str>,
        ns: Option<&str>,
        name: &str,
    ) -> Result<Repository, RouteError> {
        let by_host = host.and_then(|host| self.by_host(host));
        let by_ns = ns.map(|ns| self.configured(ns).ok_or_else(|| unknown(ns))).transpose()?;
        let (by_path, path) = self.by_path(name);
        let mut chosen: Option<&Registry> = None;
        for registry in [by_host, by_ns, by_path].into_iter().flatten() {
            match chosen {
                Some(first) if first != registry => {
                    return Err(RouteError::TwoRegistries(first.clone(), registry.clone()));
                }
                _ => chosen = Some(registry),
            }
        }
        let registry = match chosen {
            Some(registry) => registry,
            None => self.default_for(name)?,
        };
        Repository::with_library(registry.clone(), path).map_err(RouteError::Name)
    }

    fn by_host(&self, host: &str) -> Option<&Registry> {
        if self.hosts.is_empty() {
            return None;
        }
        let host = host.to_ascii_lowercase();
        self.hosts.get(&host).or_else(|| {
            let (name, port) = host.rsplit_once(':')?;
            let is_port = port.bytes().all(|b| b.is_ascii_digit());
            self.hosts.get(name).filter(|_| is_port)
        })
    }

    /// An upstream in front of the name, and what is left behind it.
    fn by_path<'a>(&self, name: &'a str) -> (Option<&Registry>, &'a str) {
        let (first, rest) = name.split_once('/').unwrap_or((name, ""));
        match self.configured(first) {
            Some(registry) => (Some(registry), rest),
            None => (None, name),
        }
    }

    fn configured(&self, name: &str) -> Option<&Registry> {
        Registry::among(&self.registries, name)
    }

    /// A name that begins with a host means that host, whatever the default is.
    fn default_for(&self, name: &str) -> Result<&Registry, RouteError> {
        let first = name.split('/').next().unwrap_or_default();
        if looks_like_host(first) {
            return Err(if Registry::parse(first).is_ok() {
                unknown(first)
            } else {
                RouteError::Name(NameError::Registry)
            });
        }
        self.default.as_ref().ok_or(RouteError::NoDefault)
    }
}

fn unknown(name: &str) -> RouteError {
    RouteError::UnknownRegistry(Untrusted::new(name))
}
