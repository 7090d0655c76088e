//! How much is asked of an upstream at once. Bodies leave room for questions, which are short: tags and
//! manifests must not wait for blobs, nor small blobs for large ones.

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
    /// Seven eighths of them, all but one at most: so many may be held by bodies, however slowly they come.
    bodies: Arc<Semaphore>,
    /// Three quarters of them, all but two at most: so many may be held by bodies that are not small.
    large: Arc<Semaphore>,
}

/// Leave for a request, until it is dropped.
#[derive(Debug)]
pub(super) struct Permit {
    _request: OwnedSemaphorePermit,
    _body: Option<OwnedSemaphorePermit>,
    _large: Option<OwnedSemaphorePermit>,
}

impl Permits {
    /// At most `most` requests at once.
    pub(super) fn new(most: usize) -> Self {
        let most = most.min(Semaphore::MAX_PERMITS);
        // However few there are, one is for bodies.
        let all_but = |left: usize| most.saturating_sub(left).max(1);
        let sizes = [most, all_but((most / 8).max(1)), all_but((most / 4).max(2))];
        let [requests, bodies, large] = sizes.map(|n| Arc::new(Semaphore::new(n)));
        Self { requests, bodies, large }
    }

    /// Leave for a question.
    pub(super) async fn question(&self) -> Result<Permit, Error> {
        in_time(async { Some(Permit { _request: taken(&self.requests).await?, _body: None, _large: None }) })
            .await
    }

    /// Leave for a body of so many bytes.
    pub(super) async fn body(&self, size: u64) -> Result<Permit, Error> {
        in_time(async {
            let large = if size > SMALL { Some(taken(&self.large).await?) } else { None };
            let body = taken(&self.bodies).await?;
            Some(Permit { _request: taken(&self.requests).await?, _body: Some(body), _large: large })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_and_bodies_have_room_however_little_there_is() {
        for (most, bodies, large) in
            [(1, 1, 1), (2, 1, 1), (3, 2, 1), (4, 3, 2), (7, 6, 5), (8, 7, 6), (64, 56, 48)]
        {
            let permits = Permits::new(most);
            let room = [permits.requests, permits.bodies, permits.large].map(|some| some.available_permits());
            assert_eq!(room, [most, bodies, large]);
        }
    }
}
