//! Tokens by repository. Callers that want one at the same time wait for one request.

use std::sync::Arc;

use http::HeaderValue;
use quick_cache::sync::Cache;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::grant::Granted;

/// Clients make repository names up, so there is a bound; who falls out asks again.
const MAX_REPOSITORIES: usize = 4096;

/// The tokens of one registry. They are sent nowhere else: each endpoint has its own.
#[derive(Debug)]
pub(super) struct Tokens(Cache<String, Arc<Slot>>);

type Slot = Mutex<Option<Granted>>;

impl Tokens {
    pub(super) fn new() -> Self {
        Self(Cache::new(MAX_REPOSITORIES))
    }

    /// The token for a repository, while it lives.
    pub(super) async fn kept(&self, path: &str) -> Option<HeaderValue> {
        let slot = self.0.get(path)?;
        let granted = slot.lock().await;
        granted.as_ref().filter(|g| Instant::now() < g.until).map(|g| g.header.clone())
    }

    /// Another token than the one that was refused: one that somebody else has just obtained, else
    /// what `obtain` gives.
    pub(super) async fn renewed<E>(
        &self,
        path: &str,
        refused: Option<&HeaderValue>,
        obtain: impl Future<Output = Result<Granted, E>>,
    ) -> Result<HeaderValue, E> {
        let slot = self.slot(path);
        let mut granted = slot.lock().await;
        let usable = |g: &&Granted| Instant::now() < g.until && Some(&g.header) != refused;
        if let Some(other) = granted.as_ref().filter(usable) {
            return Ok(other.header.clone());
        }
        *granted = None;
        let obtained = obtain.await?;
        let header = obtained.header.clone();
        *granted = Some(obtained);
        Ok(header)
    }

    fn slot(&self, path: &str) -> Arc<Slot> {
        let made = self.0.get_or_insert_with::<_, std::convert::Infallible>(path, || Ok(Arc::default()));
        match made {
            Ok(slot) => slot,
            Err(never) => match never {},
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn token(name: &'static str, seconds: u64) -> Granted {
        let until = Instant::now() + Duration::from_secs(seconds);
        Granted { header: HeaderValue::from_static(name), until }
    }

    #[tokio::test]
    async fn a_token_is_kept_for_its_repository_until_it_ends() {
        let tokens = Tokens::new();
        tokens.renewed("a", None, async { Ok::<_, ()>(token("one", 10)) }).await.unwrap();
        assert_eq!(tokens.kept("a").await.unwrap(), "one");
        assert_eq!(tokens.kept("b").await, None);
        tokens.renewed("b", None, async { Ok::<_, ()>(token("ended", 0)) }).await.unwrap();
        assert_eq!(tokens.kept("b").await, None);
    }

    #[tokio::test]
    async fn a_refused_token_is_replaced_once() {
        let tokens = Tokens::new();
        let one = tokens.renewed("a", None, async { Ok::<_, ()>(token("one", 10)) }).await.unwrap();
        let two = tokens.renewed("a", Some(&one), async { Ok::<_, ()>(token("two", 10)) }).await.unwrap();
        assert_eq!(two, "two");
        // A second caller whose "one" was refused finds "two" and asks nobody.
        assert_eq!(tokens.renewed("a", Some(&one), async { Err(()) }).await.unwrap(), "two");
    }
}
