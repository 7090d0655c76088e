//! Timestamp authorities: who is asked to stamp a signature (RFC 3161, section 3.4).

use url::Url;

use super::Error;
use crate::egress::{Authorities, Client, Options, Origin, Request, Timeouts};
use crate::x509::Certificate;
use crate::x509::timestamp::{self, TimestampRequest};

const QUERY: &str = "application/timestamp-query";
const SECONDS: std::time::Duration = std::time::Duration::from_secs(20);
const TIMEOUTS: Timeouts = Timeouts { connect: SECONDS, headers: SECONDS, idle: SECONDS };

/// An authority.
#[derive(Debug)]
pub struct TimestampAuthority {
    url: Url,
    client: Client,
    /// Under which its tokens must be; empty: nobody looks.
    roots: Vec<Certificate>,
}

/// What an authority gave, proven where its roots are known.
#[derive(Clone, Debug)]
pub struct Stamp {
    /// The whole response in DER, as sigstore keeps it.
    pub response: Vec<u8>,
    /// The token alone in DER, as the Notary Project keeps it.
    pub token: Vec<u8>,
}

impl TimestampAuthority {
    /// An authority at `url`, whose tokens must be under one of the roots, if any are given.
    ///
    /// # Errors
    /// [`Error::Timestamp`]: the URL is neither http nor https.
    pub fn new(url: Url, roots: Vec<Certificate>) -> Result<Self, Error> {
        let wrong = |why: String| Error::Timestamp(format!("{url}: {why}"));
        let own = Origin::of(&url).ok_or_else(|| wrong("expected an http or https URL".to_owned()))?;
        let options = Options {
            own,
            resolve: Vec::new(),
            allowed: Vec::new(),
            authorities: Authorities::System,
            timeouts: TIMEOUTS,
        };
        let client = Client::for_service(options, &|name| std::env::var(name).ok()).map_err(wrong)?;
        Ok(Self { url, client, roots })
    }

    /// Has a signature stamped.
    ///
    /// # Errors
    /// [`Error::Timestamp`]: no answer, or one that is not about the signature or not by whom it should be.
    pub async fn stamp(&self, signature: &[u8]) -> Result<Stamp, Error> {
        let wrong = |why: String| Error::Timestamp(format!("{}: {why}", self.url));
        let request = TimestampRequest::over(signature);
        let query = Request::post(self.url.clone(), QUERY, request.der().to_vec());
        let answer = self.client.send(&query).await.map_err(|e| wrong(e.to_string()))?;
        if !answer.status.is_success() {
            return Err(wrong(format!("it answered {}", answer.status)));
        }
        let response =
            answer.body.read(timestamp::MAX_SIZE as u64).await.map_err(|e| wrong(e.to_string()))?;
        let token = request.token(&response).map_err(|e| wrong(e.to_string()))?;
        if !self.roots.is_empty() {
            let parsed = timestamp::Token::parse(&token).map_err(|e| wrong(e.to_string()))?;
            parsed.verify(signature, &self.roots).map_err(|e| wrong(e.to_string()))?;
        }
        Ok(Stamp { response: response.to_vec(), token })
    }
}
