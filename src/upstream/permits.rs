//! How much is asked of an upstream at once. Bodies leave room for questions: those are short, and
//! tags, manifests and signatures must not wait for layers.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::Error;

/// Who waits longer for one of `max_requests` gives up.
const MAX_QUEUE: Duration = Duration::from_secs(60);

/// A body of at most so many bytes is as short as a manifest, and may be a signature or a config.
const SMALL: u64 = 1 << 20;

/// The permits of one upstream.
#[derive(Debug)]
pub(super) struct Permits {
    requests: Arc<Semaphore>,
    /// Three quarters of them: so many may be held by bodies that are not small.
    bodies: Arc<Semaphore>,
}

/// Leave for a request, until it is dropped.
#[derive(Debug)]
pub(super) struct Permit {
    _request: OwnedSemaphorePermit,
    _body: Option<OwnedSemaphorePermit>,
}

impl Permits {
    /// At most `most` requests at once.
    pub(super) fn new(most: usize) -> Self {
        let most = most.min(Semaphore::MAX_PERMITS);
        let [requests, bodies] = [most, most - most / 4].map(|n| Arc::new(Semaphore::new(n)));
        Self { requests, bodies }
    }

    /// Leave for a question.
    pub(super) async fn question(&self) -> Result<Permit, Error> {
        in_time(async { Some(Permit { _request: taken(&self.requests).await?, _body: None }) }).await
    }

    /// Leave for a body of so many bytes.
    pub(super) async fn body(&self, size: u64) -> Result<Permit, Error> {
        if size <= SMALL {
            return self.question().await;
        }
        in_time(async {
            let body = taken(&self.bodies).await?;
            Some(Permit { _request: taken(&self.requests).await?, _body: Some(body) })
        })
        .await
    }
}

async fn taken(permits: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    permits.clone().acquire_owned().await.ok()
}

async fn in_time(permit: impl Future<Output = Option<Permit>>) -> Result<Permit, Error> {
    let permit = tokio::time::timeout(MAX_QUEUE, permit).await.ok().flatten();
    permit.ok_or_else(|| Error::Unavailable("all of its max_requests are taken".to_owned()))
}
