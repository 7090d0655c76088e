//! Who asks AWS. Looked up for each request, since files and variables are renewed under way; what somebody gives for a
//! while is kept until shortly before it ends, and is asked for by one request at a time; who still has some does not wait.

mod container;
mod fetch;
mod instance;
mod profile;
mod role;
mod source;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use zeroize::Zeroizing;

pub(super) use profile::region;

use self::source::Source;
use super::Error;
use crate::clock::Clock;

/// So long before credentials end, others are asked for: an instance has new ones five minutes before.
const AHEAD: Duration = Duration::from_secs(5 * 60);

/// For having credentials.
const WITHIN: Duration = Duration::from_secs(60);

/// So long after they were not had nobody asks again.
const PAUSE: Duration = Duration::from_secs(30);

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

/// Who gives credentials gives none. Of what was given nothing is told.
#[derive(Clone, Debug, thiserror::Error)]
#[error("no AWS credentials from {by}: {why}")]
pub struct Ungiven {
    /// Who was asked.
    pub by: String,
    /// What went wrong.
    pub why: String,
    /// Nobody answered.
    pub unanswered: bool,
}

/// Has the credentials of this process.
pub(super) struct Keeper {
    environment: Variables,
    /// Whose Security Token Service is asked.
    region: String,
    given: Mutex<Given>,
    /// Held by who asks.
    asking: tokio::sync::Mutex<()>,
}

/// What was given last, and what was not, each with who was asked.
#[derive(Default)]
struct Given {
    held: Option<(Source, Credentials)>,
    failed: Option<(Source, Instant, Ungiven)>,
}

impl Given {
    /// What holds at that time.
    fn held(&self, source: &Source, time: SystemTime) -> Option<Credentials> {
        let held = self.held.as_ref().filter(|(from, held)| from == source && held.hold_at(time));
        held.map(|(_, held)| held.clone())
    }

    /// What is to be had without asking; `None` where it is time to ask.
    fn known(&self, source: &Source) -> Option<Result<Credentials, Ungiven>> {
        let now = Clock::system().now();
        if let Some(held) = self.held(source, now + AHEAD) {
            return Some(Ok(held));
        }
        let failed = self.failed.as_ref().filter(|(from, at, _)| from == source && at.elapsed() < PAUSE);
        failed.map(|(.., error)| self.held(source, now).ok_or_else(|| error.clone()))
    }
}

impl Keeper {
    pub(super) fn new(environment: Variables, region: String) -> Self {
        let (given, asking) = (Mutex::default(), tokio::sync::Mutex::default());
        Self { environment, region, given, asking }
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
        if let Some(known) = self.given().known(&source) {
            return Ok(known?);
        }
        let held = self.given().held(&source, Clock::system().now());
        let _asking = match (held, self.asking.try_lock()) {
            (_, Ok(asking)) => asking,
            (Some(held), Err(_)) => return Ok(held),
            (None, Err(_)) => self.asking.lock().await,
        };
        // Another may have asked meanwhile.
        if let Some(known) = self.given().known(&source) {
            return Ok(known?);
        }
        Ok(self.asked(source).await?)
    }

    fn given(&self) -> MutexGuard<'_, Given> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn asked(&self, source: Source) -> Result<Credentials, Ungiven> {
        let ungiven = |why: String, unanswered| Ungiven { by: source.to_string(), why, unanswered };
        let late = |_| ungiven(format!("no answer within {}", humantime::format_duration(WITHIN)), true);
        let fetched = tokio::time::timeout(WITHIN, source.fetch(&self.environment, &self.region)).await;
        let now = Clock::system().now();
        let fetched = fetched.map_err(late).flatten().and_then(|fetched| {
            let why = "what it gave has ended already: is this machine's clock right?".to_owned();
            fetched.hold_at(now).then_some(fetched).ok_or_else(|| ungiven(why, false))
        });
        let mut given = self.given();
        match fetched {
            Ok(fetched) => {
                *given = Given { held: Some((source, fetched.clone())), failed: None };
                Ok(fetched)
            }
            Err(error) => {
                let held = given.held(&source, now);
                given.failed = Some((source, Instant::now(), error.clone()));
                // They have some minutes left, and are asked for again before those end.
                if held.is_some() {
                    tracing::warn!(%error, "AWS credentials end soon and were not renewed");
                }
                held.ok_or(error)
            }
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
