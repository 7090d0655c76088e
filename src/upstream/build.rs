//! From settings to endpoints: every key is judged here, before anything is asked.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use url::{Position, Url};

use super::breaker::Breaker;
use super::credentials::Source;
use super::endpoint::{Endpoint, Told};
use super::meter::Meter;
use super::settings::{Credentials, Settings};
use super::tokens::Tokens;
use crate::egress::{self, Authorities, Client, Environment, HostPattern, Origin};
use crate::oci::Registry;
use crate::setting::SettingError;

/// Where Docker Hub's registry is; `docker.io` itself is a website.
const DOCKER_HUB_URL: &str = "https://registry-1.docker.io";
/// So many outages in a row, and the registry is left alone for a while.
const OUTAGES: u32 = 5;
/// The same for a mirror: there is somebody else to ask.
const OUTAGES_OF_MIRROR: u32 = 1;
const MAX_CA_BYTES: usize = 4 * 1024 * 1024;

/// What all endpoints of one upstream are built from.
pub(super) struct Ground<'a> {
    pub(super) name: &'a Registry,
    pub(super) settings: &'a Settings,
    pub(super) egress: &'a egress::Settings,
    pub(super) authorities: Option<Vec<u8>>,
    pub(super) meter: Arc<Meter>,
    pub(super) environment: Environment<'a>,
}

/// The bytes of the `ca` file, if there is one.
pub(super) fn authorities(settings: &Settings) -> Result<Option<Vec<u8>>, SettingError> {
    let read = |path: &Path| {
        let bytes = std::fs::read(path).map_err(|e| e.to_string())?;
        if bytes.len() > MAX_CA_BYTES { Err("is too large".to_owned()) } else { Ok(bytes) }
    };
    let fault = |path: &Path, why| SettingError::new(["ca"], format!("{}: {why}", path.display()));
    settings.ca.as_deref().map(|path| read(path).map_err(|why| fault(path, why))).transpose()
}

impl Ground<'_> {
    /// The upstream itself.
    pub(super) fn home(&self) -> Result<Endpoint, SettingError> {
        let url = match &self.settings.url {
            Some(url) => url.clone(),
            None if self.name.is_docker_hub() => DOCKER_HUB_URL.to_owned(),
            None => format!("https://{}", self.name),
        };
        let base = base(&url).map_err(|why| SettingError::new(["url"], why))?;
        let resolve = self.fixed_addresses(&base.1)?;
        self.endpoint(
            base,
            resolve,
            self.authorities.clone().map_or(Authorities::System, Authorities::Only),
            self.settings.credentials.as_ref(),
            self.name.as_str(),
            OUTAGES,
        )
    }

    /// The mirrors, in order.
    pub(super) fn mirrors(&self) -> Result<Vec<Mirror>, SettingError> {
        let mirror = |settings: &super::settings::Mirror| {
            let base = base(&settings.url).map_err(|why| SettingError::new(["url"], why))?;
            let server = base.0[Position::BeforeHost..Position::AfterPort].to_owned();
            let endpoint = self.endpoint(
                base,
                Vec::new(),
                // A mirror may be a public one beside a registry of the house.
                self.authorities.clone().map_or(Authorities::System, Authorities::Also),
                settings.credentials.as_ref(),
                &server,
                OUTAGES_OF_MIRROR,
            )?;
            Ok(Mirror { endpoint, tags: settings.tags })
        };
        let numbered = self.settings.mirrors.iter().enumerate();
        numbered
            .map(|(i, settings)| {
                mirror(settings).map_err(|e: SettingError| e.under(i.to_string()).under("mirrors"))
            })
            .collect()
    }

    fn endpoint(
        &self,
        (base, origin): (Url, Origin),
        resolve: Vec<SocketAddr>,
        authorities: Authorities,
        credentials: Option<&Credentials>,
        server: &str,
        outages: u32,
    ) -> Result<Endpoint, SettingError> {
        let allowed = patterns(&self.settings.allowed_hosts)?;
        // What may be contacted anyway may be contacted when a redirect points there. Logins go to
        // the upstream's own allowed hosts only.
        let everywhere =
            self.egress.hosts().map_err(|fault| SettingError::here(format!("egress.{fault}")))?;
        let timeouts = &self.settings.timeouts;
        let options = egress::Options {
            own: origin.clone(),
            resolve,
            allowed: allowed.iter().cloned().chain(everywhere).collect(),
            authorities,
            timeouts: egress::Timeouts {
                connect: timeouts.connect,
                headers: timeouts.headers,
                idle: timeouts.idle,
            },
        };
        let search_path = (self.environment)("PATH");
        Ok(Endpoint {
            base,
            origin,
            client: Client::for_service(options, self.environment)
                .map_err(|why| SettingError::new(["ca"], why))?,
            allowed,
            login: Source::new(credentials, search_path).map_err(|e| e.under("credentials"))?,
            server: server.to_owned(),
            has_login: AtomicBool::new(false),
            tokens: Tokens::new(),
            breaker: Breaker::after(outages),
            has_referrers: AtomicBool::new(true),
            meter: self.meter.clone(),
            outages: Told::default(),
            logins: Told::default(),
            writes: false,
        })
    }

    fn fixed_addresses(&self, own: &Origin) -> Result<Vec<SocketAddr>, SettingError> {
        let address = |text: &String| {
            let ip = text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, own.port()));
            ip.or_else(|_| text.parse::<SocketAddr>()).ok()
        };
        let numbered = self.settings.resolve.iter().enumerate();
        numbered
            .map(|(i, text)| {
                let why = || format!("expected an address, with a port where it differs, found {text:?}");
                address(text).ok_or_else(|| SettingError::new(["resolve".to_owned(), i.to_string()], why()))
            })
            .collect()
    }
}

/// A copy of the upstream.
#[derive(Debug)]
pub(super) struct Mirror {
    pub(super) endpoint: Endpoint,
    /// Whether it is asked for tags.
    pub(super) tags: bool,
}

fn base(text: &str) -> Result<(Url, Origin), String> {
    let url = Url::parse(text).map_err(|e| format!("expected https://host, found {text:?}: {e}"))?;
    let origin = Origin::of(&url).ok_or_else(|| format!("expected https://host, found {text:?}"))?;
    let is_bare =
        &url[Position::BeforePath..] == "/" && url.username().is_empty() && url.password().is_none();
    if !is_bare {
        return Err("expected scheme, host and port only; logins go under credentials".to_owned());
    }
    Ok((url, origin))
}

fn patterns(hosts: &[String]) -> Result<Vec<HostPattern>, SettingError> {
    let pattern = |(i, host): (usize, &String)| {
        let why = || format!("expected a host, with a port where only that one is meant, found {host:?}");
        HostPattern::parse(host)
            .ok_or_else(|| SettingError::new(["allowed_hosts".to_owned(), i.to_string()], why()))
    };
    hosts.iter().enumerate().map(pattern).collect()
}
