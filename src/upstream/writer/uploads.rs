//! Blobs: skipped where they are there, mounted from a neighbour, or sent (distribution-spec 1.1, "Pushing
//! blobs", in the form POST, then PUT).

use std::future::ready;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream;
use http::header::LOCATION;
use http::{HeaderValue, StatusCode};
use url::Url;

use super::super::answer;
use super::super::breaker::Pass;
use super::super::error::Failure;
use super::{Ask, Error, Part, Scope, Writer, found};
use crate::egress::{Origin, Pieces, Request};
use crate::oci::{Descriptor, Digest, Repository};

/// Gives a blob's content from its start.
pub type Open<'a> = &'a (dyn Fn() -> BoxFuture<'a, Result<Pieces, Error>> + Sync);

const OCTETS: &str = "application/octet-stream";

impl Writer {
    /// Whether the repository has a blob.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn has_blob(&self, repository: &Repository, digest: &Digest) -> Result<bool, Error> {
        let what = format!("blobs/{digest}");
        let ask = Ask { repository, what, query: None, accept: None, part: Part::Head };
        Ok(found(self.home.ask(&ask).await)?.is_some())
    }

    /// Has the registry take a blob over from another of its repositories. `false` where it does not.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn mount(
        &self,
        repository: &Repository,
        digest: &Digest,
        from: &Repository,
    ) -> Result<bool, Error> {
        let mut url = self.home.at(repository, "blobs/uploads/");
        url.query_pairs_mut().append_pair("mount", &digest.to_string()).append_pair("from", from.path());
        let request = Request::post(url, OCTETS, Bytes::new());
        match self.home.change(&Scope::mount(repository, from), &request, answer::success).await {
            // Anything but 201 began an upload, which the registry forgets in time.
            Ok(response) => Ok(response.status == StatusCode::CREATED),
            // Leave to read there is not given to everybody who may write here.
            Err(Error::Refused { .. } | Error::NotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Sends a blob that is in memory, where the repository does not have it.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn put_bytes(&self, repository: &Repository, bytes: &Bytes) -> Result<(), Error> {
        let digest = Digest::sha256(bytes);
        if self.has_blob(repository, &digest).await? {
            return Ok(());
        }
        let blob = Descriptor::new(OCTETS, digest, bytes.len() as u64);
        let whole = || -> Pieces { Box::pin(stream::once(ready(Ok(bytes.clone())))) };
        self.put_blob(repository, &blob, &|| Box::pin(ready(Ok(whole())))).await
    }

    /// Sends a blob. `open` gives its content, once an attempt.
    ///
    /// # Errors
    /// [`Error`], that of `open` too.
    pub async fn put_blob(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        open: Open<'_>,
    ) -> Result<(), Error> {
        let mut course = self.home.begin(repository)?;
        loop {
            match self.send(repository, blob, open, &mut course.pass).await {
                Ok(()) => {
                    course.ended(());
                    return Ok(());
                }
                Err(failure) => course = course.again(failure).await?,
            }
        }
    }

    async fn send(
        &self,
        repository: &Repository,
        blob: &Descriptor,
        open: Open<'_>,
        pass: &mut Pass<'_>,
    ) -> Result<(), Failure> {
        let scope = Scope::push(repository);
        let begin = Request::post(self.home.at(repository, "blobs/uploads/"), OCTETS, Bytes::new());
        let begun = answer::success(self.home.admitted(&scope, &begin, pass).await?).await?;
        let mut to = self.upload(&begun.url, begun.header(LOCATION))?;
        to.query_pairs_mut().append_pair("digest", &blob.digest.to_string());
        let credential = match Origin::of(&to).as_ref() == Some(&self.home.origin) {
            true => self.home.tokens.kept(&scope.name()).await,
            false => None,
        };
        let end = Request::put(to, HeaderValue::from_static(OCTETS), Bytes::new()).credential(credential);
        let pieces = open().await?;
        let response = self.home.client.send_pieces(&end, blob.size, pieces).await?;
        answer::success(response).await?;
        Ok(())
    }

    /// Where the content is to be sent: never from https down to http.
    fn upload(&self, asked: &Url, location: Option<&str>) -> Result<Url, Error> {
        let location = location.ok_or_else(|| Error::nonsense("it began an upload and named no Location"))?;
        let to = asked.join(location).map_err(|_| Error::nonsense("its Location is not a URL"))?;
        let is_secure = Origin::of(&to).is_some_and(|origin| origin.is_secure());
        if self.home.origin.is_secure() && !is_secure {
            let why = format!("an upload over https is to go on without TLS, at {}", to.scheme());
            return Err(Error::Forbidden(why));
        }
        if !to.username().is_empty() || to.password().is_some() {
            return Err(Error::Forbidden("an upload is to go to a URL with credentials".to_owned()));
        }
        Ok(to)
    }
}
