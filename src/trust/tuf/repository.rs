//! One repository, asked for one file after the other.

use std::time::Duration;

use http::StatusCode;
use url::Url;

use super::error::{Error, Refusal};
use super::settings::Settings;
use crate::egress::{self, Authorities, Client, Environment, Options, Request, Timeouts};
use crate::setting::SettingError;

const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(10),
    headers: Duration::from_secs(30),
    idle: Duration::from_secs(30),
};

/// Where files are fetched from.
pub(super) struct Repository {
    base: Url,
    client: Client,
}

impl Repository {
    /// Contacts nobody yet. The operator wrote the address, so it may be a private one.
    ///
    /// # Errors
    /// A setting that cannot be honoured, from the file's root on.
    pub(super) fn new(
        settings: &Settings,
        egress: &egress::Settings,
        environment: Environment<'_>,
    ) -> Result<Self, SettingError> {
        let below = |fault: SettingError| fault.under("tuf").under("trust");
        let (base, own) = settings.base().map_err(below)?;
        let options = Options {
            own,
            resolve: Vec::new(),
            allowed: egress.hosts().map_err(|fault| fault.under("egress"))?,
            authorities: Authorities::System,
            timeouts: TIMEOUTS,
        };
        let client = Client::for_service(options, environment)
            .map_err(|why| below(SettingError::new(["url"], why)))?;
        Ok(Self { base, client })
    }

    pub(super) fn base(&self) -> &Url {
        &self.base
    }

    /// A file that has to be there.
    ///
    /// # Errors
    /// [`Error::Unreachable`], or [`Refusal::TooLarge`].
    pub(super) async fn file(&self, name: &str, limit: u64) -> Result<Vec<u8>, Error> {
        match self.find(name, limit).await? {
            Some(bytes) => Ok(bytes),
            None => {
                Err(self.unreachable(name, "it is not there: the repository, or the mirror, is incomplete"))
            }
        }
    }

    /// A file that may be absent. Stores that tell nobody what they hold answer 403 for 404.
    ///
    /// # Errors
    /// As [`Self::file`].
    pub(super) async fn find(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, Error> {
        let failed = |error: &egress::Error| match error {
            egress::Error::TooLarge { limit } => {
                Error::Refused(Refusal::TooLarge { file: name.to_owned(), limit: *limit })
            }
            other => self.unreachable(name, &other.to_string()),
        };
        let url = self.base.join(name).map_err(|e| self.unreachable(name, &e.to_string()))?;
        let response = self.client.follow(Request::get(url)).await.map_err(|e| failed(&e))?;
        match response.status {
            StatusCode::OK => {
                let bytes = response.body.read(limit).await.map_err(|e| failed(&e))?;
                Ok(Some(bytes.to_vec()))
            }
            StatusCode::NOT_FOUND | StatusCode::FORBIDDEN => Ok(None),
            other => Err(self.unreachable(name, &format!("it answered {}", other.as_u16()))),
        }
    }

    fn unreachable(&self, name: &str, why: &str) -> Error {
        Error::Unreachable { url: format!("{}{name}", self.base), why: why.to_owned() }
    }
}
