//! Requests and responses. The headers of a request are made here and nowhere else: none is copied
//! from a client.

use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RANGE,
    USER_AGENT,
};
use http::{Method, StatusCode};
use http_body_util::Full;
use url::Url;

use super::outgoing::Outgoing;
use super::{Body, Error};

const AGENT: &str = concat!("portcullis/", env!("CARGO_PKG_VERSION"));

/// What is asked.
#[derive(Clone, Debug)]
pub struct Request {
    method: Method,
    pub(super) url: Url,
    accept: Option<HeaderValue>,
    from: u64,
    pub(super) credential: Option<HeaderValue>,
    content: Option<(HeaderValue, Bytes)>,
    own: Vec<(HeaderName, HeaderValue)>,
}

impl Request {
    /// A GET.
    pub fn get(url: Url) -> Self {
        let own = Vec::new();
        Self { method: Method::GET, url, accept: None, from: 0, credential: None, content: None, own }
    }

    /// A HEAD.
    pub fn head(url: Url) -> Self {
        Self { method: Method::HEAD, ..Self::get(url) }
    }

    /// A POST of a form that is already encoded.
    pub fn post_form(url: Url, form: String) -> Self {
        Self::post(url, "application/x-www-form-urlencoded", form)
    }

    /// A POST of content of that media type.
    pub fn post(url: Url, media_type: &'static str, content: impl Into<Bytes>) -> Self {
        let content = Some((HeaderValue::from_static(media_type), content.into()));
        Self { method: Method::POST, content, ..Self::get(url) }
    }

    /// A PUT of content of that media type.
    pub fn put(url: Url, media_type: HeaderValue, content: Bytes) -> Self {
        Self { method: Method::PUT, content: Some((media_type, content)), ..Self::get(url) }
    }

    /// Where it goes.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The media types wanted.
    #[must_use]
    pub fn accept(mut self, accept: &str) -> Self {
        self.accept = HeaderValue::from_str(accept).ok();
        self
    }

    /// Only the bytes from `from` on; 0 asks for all without a range.
    #[must_use]
    pub fn from(mut self, from: u64) -> Self {
        self.from = from;
        self
    }

    /// An `Authorization` for the URL's origin; it goes to no other.
    #[must_use]
    pub fn credential(mut self, credential: Option<HeaderValue>) -> Self {
        self.credential = credential.map(|mut c| {
            c.set_sensitive(true);
            c
        });
        self
    }

    /// A header that the service's own protocol asks for. It goes wherever the request goes: redirects of such services
    /// are not followed.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.own.push((name, value));
        self
    }

    /// Whether it may be sent again, to where a redirect points or after a failure.
    pub(super) fn is_repeatable(&self) -> bool {
        self.method != Method::POST
    }

    pub(super) fn encode(
        &self,
        proxy_authorization: Option<HeaderValue>,
    ) -> Result<http::Request<Outgoing>, Error> {
        let (media_type, body) = self.content.clone().unzip();
        let body = Full::new(body.unwrap_or_default());
        let mut request = http::Request::new(Outgoing::Whole(body));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self
            .url
            .as_str()
            .parse()
            .map_err(|_| Error::Forbidden("a URL that is not a valid request target".to_owned()))?;
        let range = (self.from > 0).then(|| format!("bytes={}-", self.from)).and_then(|r| r.parse().ok());
        let headers: [(HeaderName, Option<HeaderValue>); 7] = [
            (USER_AGENT, Some(HeaderValue::from_static(AGENT))),
            (ACCEPT_ENCODING, Some(HeaderValue::from_static("identity"))),
            (ACCEPT, self.accept.clone()),
            (RANGE, range),
            (CONTENT_TYPE, media_type),
            (AUTHORIZATION, self.credential.clone()),
            (http::header::PROXY_AUTHORIZATION, proxy_authorization),
        ];
        request.headers_mut().extend(self.own.iter().cloned());
        for (name, value) in headers {
            if let Some(value) = value {
                request.headers_mut().insert(name, value);
            }
        }
        Ok(request)
    }
}

/// What was answered, by whom.
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The URL that answered, after redirects.
    pub url: Url,
    /// The body.
    pub body: Body,
}

impl Response {
    /// A header's value, where it is there once and is text.
    pub fn header(&self, name: impl http::header::AsHeaderName) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let first = values.next()?;
        if values.next().is_some() { None } else { first.to_str().ok() }
    }
}
