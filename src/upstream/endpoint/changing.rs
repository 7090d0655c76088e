//! Requests that change something: repeated as questions are, or sent once and in time.

use std::time::Duration;

use tokio::time::Instant;

use super::Endpoint;
use crate::egress::{Request, Response};
use crate::upstream::answer;
use crate::upstream::breaker::Pass;
use crate::upstream::error::{Error, Failure};
use crate::upstream::scope::Scope;

impl Endpoint {
    /// Sends a request that changes something, as [`Endpoint::ask`] asks; `read` tells what the answer means.
    pub(in crate::upstream) async fn change(
        &self,
        scope: &Scope<'_>,
        request: &Request,
        read: impl AsyncFn(Response) -> Result<Response, Failure>,
    ) -> Result<Response, Error> {
        let mut course = self.begin(scope.repository())?;
        loop {
            let attempt = async { read(self.admitted(scope, request, &mut course.pass).await?).await };
            match attempt.await {
                Ok(response) => return Ok(course.ended(response)),
                Err(failure) => course = course.again(failure).await?,
            }
        }
    }

    /// Writes a manifest once, where what it changes may be something else after `until`: `None` where it was not sent
    /// by then. With an error comes how long to wait before all of it is tried anew, if that may help.
    pub(in crate::upstream) async fn change_once(
        &self,
        scope: &Scope<'_>,
        request: &Request,
        until: Instant,
    ) -> Result<Option<Response>, (Error, Option<Duration>)> {
        let mut course = self.begin(scope.repository()).map_err(|error| (error, None))?;
        match self.admitted_until(scope, request, until, &mut course.pass).await {
            Ok(Some(response)) => Ok(Some(course.ended(response))),
            Ok(None) => {
                course.pass.unasked();
                Ok(None)
            }
            Err(failure) => {
                let pause = course.pause(failure.again);
                Err((course.failed(failure), pause))
            }
        }
    }

    /// As [`Endpoint::admitted`], but a new token may come too late.
    async fn admitted_until(
        &self,
        scope: &Scope<'_>,
        request: &Request,
        until: Instant,
        pass: &mut Pass<'_>,
    ) -> Result<Option<Response>, Failure> {
        let is_over = || Instant::now() > until;
        let kept = self.tokens.kept(&scope.name()).await;
        if is_over() {
            return Ok(None);
        }
        let mut response = self.exchange(request.clone().credential(kept.clone()), pass).await?;
        if let Some(credential) = self.demanded(scope, &response, kept.as_ref(), pass).await? {
            if is_over() {
                return Ok(None);
            }
            response = self.exchange_as(request.clone(), credential, pass).await?;
        }
        answer::taken(response).await.map(Some)
    }
}
