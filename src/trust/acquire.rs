//! Fetches what is offered as somebody's certificate or key. Whether it is theirs, a fingerprint that came another way
//! tells.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use url::{Host, Url};

use crate::egress::{self, Authorities, Client, Environment, Options, Origin, Request, Timeouts};

/// The longest chain of certificates is shorter.
const MAX_BYTES: u64 = 256 * 1024;
/// All of it takes at most so long.
const PATIENCE: Duration = Duration::from_secs(60);
const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(10),
    headers: Duration::from_secs(30),
    idle: Duration::from_secs(30),
};

/// Why nothing was fetched.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is not asked.
    #[error("{0}")]
    Address(String),
    /// It did not answer, or with something else.
    #[error("{url}: {why}")]
    Unreachable {
        /// What was asked.
        url: Box<Url>,
        /// What came of it.
        why: String,
    },
}

/// Fetches the bytes. Plain HTTP is for this machine, and for where it is `insecure` knowingly: who compares fingerprints
/// loses nothing but privacy by it.
///
/// # Errors
/// [`Error`]
pub async fn fetch(
    url: &Url,
    insecure: bool,
    egress: &egress::Settings,
    environment: Environment<'_>,
) -> Result<Bytes, Error> {
    let address = |why: &str| Error::Address(format!("{url}: {why}"));
    let own =
        Origin::of(url).ok_or_else(|| address("expected a URL that starts with https:// or http://"))?;
    if !own.is_secure() && !insecure && !is_this_machine(url) {
        return Err(address("is asked over plain HTTP with --insecure alone"));
    }
    let options = Options {
        own,
        resolve: Vec::new(),
        allowed: egress.hosts().map_err(|fault| address(&fault.to_string()))?,
        authorities: Authorities::System,
        timeouts: TIMEOUTS,
    };
    let client = Client::for_service(options, environment).map_err(|why| address(&why))?;
    let unreachable = |why: String| Error::Unreachable { url: Box::new(url.clone()), why };
    let fetched = async {
        let response =
            client.follow(Request::get(url.clone())).await.map_err(|e| unreachable(e.to_string()))?;
        match response.status {
            StatusCode::OK => response.body.read(MAX_BYTES).await.map_err(|e| unreachable(e.to_string())),
            other => Err(unreachable(format!("it answered {}", other.as_u16()))),
        }
    };
    let late = || unreachable(format!("no whole answer within {} s", PATIENCE.as_secs()));
    tokio::time::timeout(PATIENCE, fetched).await.unwrap_or_else(|_| Err(late()))
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}
