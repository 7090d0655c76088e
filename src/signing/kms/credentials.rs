//! Who asks AWS. Looked up for each request, since files and variables are renewed under way; what somebody gives for a
//! while is kept until shortly before it ends, and is asked for by one request at a time.

mod container;
mod fetch;
mod instance;
mod profile;
mod role;
mod source;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::Mutex;
use zeroize::Zeroizing;

pub(super) use profile::region;

use self::source::Source;
use super::Error;
use crate::clock::Clock;

/// So long before credentials end, others are asked for: an instance has new ones five minutes before.
const AHEAD: Duration = Duration::from_secs(5 * 60);

/// For having credentials; for those who wait while another asks, too.
const WITHIN: Duration = Duration::from_secs(60);

/// Looks a variable of the environment up; injected, so that tests set none.
pub(super) type Variables = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Who asks. Nothing shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub(super) access_key: String,
    pub(super) secret_key: Zeroizing<String>,
    /// Of credentials that are for a while.
    pub(super) token: Option<Zeroizing<String>>,
    /// When they end, where that is known.
    pub(super) expires: Option<SystemTime>,
}

impl Credentials {
    fn hold_at(&self, time: SystemTime) -> bool {
        self.expires.is_none_or(|end| time < end)
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("expires", &self.expires).finish_non_exhaustive()
    }
}

/// Has the credentials of this process.
pub(super) struct Keeper {
    environment: Variables,
    /// Whose Security Token Service is asked.
    region: String,
    /// What was given last, and by whom.
    given: Mutex<Option<(Source, Credentials)>>,
}

impl Keeper {
    pub(super) fn new(environment: Variables, region: String) -> Self {
        Self { environment, region, given: Mutex::new(None) }
    }

    /// The credentials that count now.
    ///
    /// # Errors
    /// [`Error::Credentials`] where nobody has any, [`Error::Ungiven`] where who should give them does not.
    pub(super) async fn current(&self) -> Result<Credentials, Error> {
        let source = Source::find(&*self.environment)?;
        if let Source::Keys(keys) = source {
            return Ok(keys);
        }
        let late = || Error::Ungiven {
            by: source.to_string(),
            why: format!("no answer within {}", humantime::format_duration(WITHIN)),
        };
        tokio::time::timeout(WITHIN, self.given(&source)).await.map_err(|_| late())?
    }

    async fn given(&self, source: &Source) -> Result<Credentials, Error> {
        let mut given = self.given.lock().await;
        let now = Clock::system().now();
        let held = given.as_ref().filter(|(from, held)| from == source && held.hold_at(now));
        let held = held.map(|(_, held)| held.clone());
        if let Some(held) = held.as_ref().filter(|held| held.hold_at(now + AHEAD)) {
            return Ok(held.clone());
        }
        let fetched = source.fetch(&self.environment, &self.region).await.and_then(|fetched| {
            let why = "what it gave has ended already: is this machine's clock right?".to_owned();
            let holds = fetched.hold_at(now).then_some(fetched);
            holds.ok_or_else(|| Error::Ungiven { by: source.to_string(), why })
        });
        match (fetched, held) {
            (Ok(fetched), _) => {
                *given = Some((source.clone(), fetched.clone()));
                Ok(fetched)
            }
            // They have some minutes left, and the next request asks again.
            (Err(error), Some(held)) => {
                tracing::warn!(%error, "AWS credentials end soon and were not renewed");
                Ok(held)
            }
            (Err(error), None) => Err(error),
        }
    }
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeper").field("region", &self.region).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
