//! One base URL (an upstream or a mirror of it) with its connections, login, tokens and breaker: how
//! a question gets an answer.

mod changing;
mod course;
mod told;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, HeaderValue, StatusCode};
use tokio::time::Instant;
use url::Url;

use self::course::Course;
use super::answer;
use super::breaker::{Breaker, Pass, Shut};
use super::challenge::{self, Challenge, Scheme};
use super::credentials::{Login, Source};
use super::error::{Error, Failure, LOGIN};
use super::grant::{self, Granted};
use super::meter::Meter;
use super::realm;
use super::scope::Scope;
use super::tokens::Tokens;
use crate::egress::{self, Body, Client, HostPattern, Origin, Request, Response};
use crate::oci::Repository;
use crate::telemetry::Untrusted;

pub(super) use told::Told;

/// One place to ask.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) base: Url,
    pub(super) origin: Origin,
    pub(super) client: Client,
    /// Hosts beside the own one that may be token servers.
    pub(super) allowed: Vec<HostPattern>,
    pub(super) login: Source,
    /// The name under which Docker's configuration knows the registry.
    pub(super) server: String,
    /// Whether there was a login when one was last wanted.
    pub(super) has_login: AtomicBool,
    pub(super) tokens: Tokens,
    pub(super) breaker: Breaker,
    /// Whether it had the referrers API when it was last asked.
    pub(super) has_referrers: AtomicBool,
    pub(super) meter: Arc<Meter>,
    /// What was said of failures, and of logins that were refused.
    pub(super) outages: Told,
    pub(super) logins: Told,
    /// Whether tokens are asked for that may write, too.
    pub(super) writes: bool,
}

/// A question about a repository, the same for upstream and mirrors.
#[derive(Clone, Debug)]
pub(super) struct Ask<'a> {
    pub(super) repository: &'a Repository,
    /// What follows `/v2/REPOSITORY/`.
    pub(super) what: String,
    pub(super) query: Option<String>,
    pub(super) accept: Option<&'a str>,
    pub(super) part: Part,
}

/// Which part of the answer is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The headers alone.
    Head,
    /// All of it in memory, at most so many bytes.
    Whole(u64),
    /// The body as it arrives, from this byte on.
    Stream(u64),
}

/// An answer of the status class 2xx.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// Who answered, after redirects.
    pub(super) url: Url,
    /// The body, where [`Part::Whole`] was asked for; else empty.
    pub(super) bytes: Bytes,
    /// The body, where [`Part::Stream`] was asked for.
    pub(super) body: Option<Body>,
}

impl Ask<'_> {
    fn is_blob(&self) -> bool {
        self.what.starts_with("blobs/")
    }
}

impl Endpoint {
    /// Where a question is asked.
    pub(super) fn url(&self, ask: &Ask<'_>) -> Url {
        let mut url = self.at(ask.repository, &ask.what);
        url.set_query(ask.query.as_deref());
        url
    }

    /// The URL of a part of a repository.
    pub(super) fn at(&self, repository: &Repository, what: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("/v2/{}/{what}", repository.path()));
        url
    }

    /// Asks, again after a pause where that may help, and not at all while the breaker is open.
    pub(super) async fn ask(&self, ask: &Ask<'_>) -> Result<Answer, Error> {
        let mut course = self.begin(ask.repository)?;
        if ask.is_blob() {
            course.pass.may_lead_elsewhere();
        }
        loop {
            match self.attempt(ask, &mut course.pass).await {
                Ok(answer) => return Ok(course.ended(answer)),
                Err(failure) => course = course.again(failure).await?,
            }
        }
    }

    /// Leave for the attempts at one request about a repository.
    pub(super) fn begin<'a>(&'a self, repository: &'a Repository) -> Result<Course<'a>, Error> {
        let pass = self.breaker.enter().map_err(|shut| self.unasked(shut))?;
        Ok(Course::begun(pass.about(repository.path()), self))
    }

    fn unasked(&self, shut: Shut) -> Error {
        match shut {
            Shut::Throttled(left) => Error::Throttled { retry_after: Some(left) },
            Shut::LeftAlone(why) => Error::Unavailable(format!(
                "{} failed several times and is left alone for a moment; the last time: {why}",
                self.origin.host()
            )),
        }
    }

    async fn attempt(&self, ask: &Ask<'_>, pass: &mut Pass<'_>) -> Result<Answer, Failure> {
        let scope = if self.writes { Scope::push(ask.repository) } else { Scope::pull(ask.repository) };
        let response = self.admitted(&scope, &self.request(ask), pass).await?;
        let Response { status, headers, url, body } = answer::success(response).await?;
        let (bytes, body) = match ask.part {
            Part::Head => (Bytes::new(), None),
            Part::Whole(limit) => (body.read(limit).await?, None),
            Part::Stream(_) => (Bytes::new(), Some(body)),
        };
        Ok(Answer { status, headers, url, bytes, body })
    }

    /// Sends a request once: anonymously or with the token that is kept, and once more with a new token
    /// where the registry wants that.
    pub(super) async fn admitted(
        &self,
        scope: &Scope<'_>,
        request: &Request,
        pass: &mut Pass<'_>,
    ) -> Result<Response, Failure> {
        let kept = self.tokens.kept(&scope.name()).await;
        let response = self.exchange(request.clone().credential(kept.clone()), pass).await?;
        match self.demanded(scope, &response, kept.as_ref(), pass).await? {
            Some(credential) => self.exchange_as(request.clone(), credential, pass).await,
            None => Ok(response),
        }
    }

    /// Sends a request with a credential that was just obtained; a registry that asks for one still has refused it.
    async fn exchange_as(
        &self,
        request: Request,
        credential: HeaderValue,
        pass: &mut Pass<'_>,
    ) -> Result<Response, Failure> {
        let response = self.exchange(request.credential(Some(credential)), pass).await?;
        if self.is_challenge(&response) {
            return answer::success(response).await.map_err(|failure| self.login_refused(failure));
        }
        self.tell_login_taken();
        Ok(response)
    }

    /// What a registry wants beside what it was sent, where it wants that.
    async fn demanded(
        &self,
        scope: &Scope<'_>,
        response: &Response,
        sent: Option<&HeaderValue>,
        pass: &mut Pass<'_>,
    ) -> Result<Option<HeaderValue>, Failure> {
        if !self.is_challenge(response) {
            return Ok(None);
        }
        // Without its token server it answers nobody.
        pass.asks();
        self.credential(scope, &response.headers, sent).await.map(Some)
    }

    fn request(&self, ask: &Ask<'_>) -> Request {
        let url = self.url(ask);
        let request = match ask.part {
            Part::Head => Request::head(url),
            Part::Whole(_) => Request::get(url),
            Part::Stream(from) => Request::get(url).from(from),
        };
        match ask.accept {
            Some(accept) => request.accept(accept),
            None => request,
        }
    }

    async fn exchange(&self, mut request: Request, pass: &mut Pass<'_>) -> Result<Response, egress::Error> {
        let started = Instant::now();
        pass.asks();
        let result = self.client.follow_on(&mut request).await;
        pass.heard();
        pass.led_to(Origin::of(request.url()).filter(|origin| *origin != self.origin));
        self.meter.count(started.elapsed(), &result);
        result
    }

    /// Only the registry itself asks for a login; a host that it redirected to has no business to.
    fn is_challenge(&self, response: &Response) -> bool {
        response.status == StatusCode::UNAUTHORIZED
            && Origin::of(&response.url).as_ref() == Some(&self.origin)
    }

    async fn credential(
        &self,
        scope: &Scope<'_>,
        headers: &HeaderMap,
        refused: Option<&HeaderValue>,
    ) -> Result<HeaderValue, Failure> {
        let challenge = wanted(headers).ok_or_else(|| Error::Refused {
            status: 401,
            message: Untrusted::new("it asks for a login in a way that is not spoken here"),
        })?;
        let obtain = self.obtain(scope, &challenge);
        self.tokens.renewed(&scope.name(), refused, obtain).await
    }

    async fn obtain(&self, scope: &Scope<'_>, challenge: &Challenge) -> Result<Granted, Failure> {
        let login = || async {
            // Ours to mend, but until then the upstream cannot be asked.
            let login = self.login.login(&self.server).await;
            let login = login.map_err(|e| Error::Unavailable(format!("no login: {e}")))?;
            self.has_login.store(login.is_some(), Ordering::Relaxed);
            Ok::<_, Error>(login)
        };
        if challenge.scheme == Scheme::Bearer {
            let realm = realm::permitted(
                challenge.parameter("realm").unwrap_or_default(),
                &self.origin,
                &self.allowed,
            )?;
            let service = challenge.parameter("service");
            let login = login().await?;
            let granted =
                grant::bearer(&self.client, &self.meter, realm, service, scope, login.as_ref()).await;
            return granted.map_err(|failure| self.login_refused(failure));
        }
        match login().await? {
            Some(Login::Password { username, password }) => Ok(grant::basic(&username, password.reveal())?),
            Some(Login::Identity(_)) | None => {
                let missing = self.login.missing(&self.server);
                let message = Untrusted::new(format!("it asks for a name and a password, and {missing}"));
                Err(Failure { cause: Some(LOGIN), ..Error::Refused { status: 401, message }.into() })
            }
        }
    }

    /// A 401 to what was sent with a login, or without one where one is configured: says so.
    fn login_refused(&self, failure: Failure) -> Failure {
        let none = !self.has_login.load(Ordering::Relaxed);
        match (&failure.error, self.login.refused(none, &self.server)) {
            (Error::Refused { status: 401, message }, Some(why)) => {
                let message = Untrusted::new(format!("{why}: {message}"));
                let error = Error::Refused { status: 401, message };
                Failure { error, cause: Some(LOGIN), ..failure }
            }
            _ => failure,
        }
    }
}

/// The challenge to answer: a token before a password.
fn wanted(headers: &HeaderMap) -> Option<Challenge> {
    let all: Vec<Challenge> = headers
        .get_all(WWW_AUTHENTICATE)
        .iter()
        .take(8)
        .filter_map(|value| challenge::parse(value.to_str().ok()?).ok())
        .flatten()
        .collect();
    let of = |scheme: Scheme| all.iter().find(|c| c.scheme == scheme).cloned();
    of(Scheme::Bearer).or_else(|| of(Scheme::Basic))
}
