//! The demo's own client: speaks plain HTTP to a loopback port and shows what came, broken or not.

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Empty};
use hyper::header::{HeaderMap, HeaderName};
use hyper::{Method, Request, StatusCode};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// A client with a pool of connections.
#[derive(Clone, Debug)]
pub struct Client(legacy::Client<HttpConnector, Empty<Bytes>>);

/// What came.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, as far as it came.
    pub body: Bytes,
    /// Whether the body came to its end.
    pub complete: bool,
}

/// No answer came.
#[derive(Debug, thiserror::Error)]
#[error("{method} {url}: {why}")]
pub struct NoAnswer {
    method: Method,
    url: String,
    why: String,
}

impl Client {
    /// A client without connections yet.
    pub fn new() -> Self {
        Self(legacy::Client::builder(TokioExecutor::new()).build_http())
    }

    /// Gets a URL.
    ///
    /// # Errors
    /// [`NoAnswer`].
    pub async fn get(&self, url: &str) -> Result<Answer, NoAnswer> {
        self.send(Method::GET, url, &[]).await
    }

    /// Sends a request without a body. Answers of every status are answers.
    ///
    /// # Errors
    /// [`NoAnswer`], where the connection ended before the headers.
    pub async fn send(
        &self,
        method: Method,
        url: &str,
        headers: &[(HeaderName, &str)],
    ) -> Result<Answer, NoAnswer> {
        let failed = |why: String| NoAnswer { method: method.clone(), url: url.to_owned(), why };
        let mut request = Request::builder().method(method.clone()).uri(url);
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        let request = request.body(Empty::new()).map_err(|e| failed(e.to_string()))?;
        let answer = self.0.request(request).await.map_err(|e| failed(e.to_string()))?;
        let (parts, mut incoming) = answer.into_parts();
        let (mut body, mut complete) = (BytesMut::new(), true);
        while let Some(frame) = incoming.frame().await {
            match frame {
                Ok(frame) => body.extend_from_slice(frame.data_ref().unwrap_or(&Bytes::new())),
                Err(_) => complete = false,
            }
            if !complete {
                break;
            }
        }
        Ok(Answer { status: parts.status, headers: parts.headers, body: body.freeze(), complete })
    }
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

impl Answer {
    /// A header's text; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The message of the first error in a registry's error body (distribution-spec 1.1, "Error
    /// Codes"): what clients print.
    pub fn error_message(&self) -> Option<String> {
        let body: serde_json::Value = serde_json::from_slice(&self.body).ok()?;
        Some(body["errors"][0]["message"].as_str()?.to_owned())
    }

    /// The code of the first error.
    pub fn error_code(&self) -> Option<String> {
        let body: serde_json::Value = serde_json::from_slice(&self.body).ok()?;
        Some(body["errors"][0]["code"].as_str()?.to_owned())
    }
}
