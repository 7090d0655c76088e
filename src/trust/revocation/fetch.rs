//! One question to one server: what is sent, how long is waited, how much is read.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::StatusCode;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use crate::egress::{self, Client, Origin, Request, Timeouts};
use crate::telemetry::Untrusted;
use crate::x509::{crl, ocsp};

/// Above each question's own limit, so that this one ends it.
pub(super) const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(10),
    headers: Duration::from_secs(10),
    idle: Duration::from_secs(10),
};
/// So many URLs of a kind are asked for one certificate.
const MAX_URLS: usize = 4;
/// The longest URL that a GET has (RFC 5019, section 5); caches on the way know those.
const MAX_GET: usize = 255;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Ocsp,
    Crl,
}

impl Kind {
    /// The label in metrics.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Ocsp => "ocsp",
            Self::Crl => "crl",
        }
    }

    /// How long one server is waited for (trust-store-trust-policy, "CRL Download" and "OCSP Download").
    const fn patience(self) -> Duration {
        match self {
            Self::Ocsp => Duration::from_secs(2),
            Self::Crl => Duration::from_secs(5),
        }
    }

    const fn limit(self) -> usize {
        match self {
            Self::Ocsp => ocsp::MAX_DER,
            Self::Crl => crl::MAX_DER,
        }
    }
}

/// Why a server gave no usable answer.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    /// The label in metrics.
    pub(super) result: &'static str,
    pub(super) why: String,
    /// The server itself cannot be reached, whatever it is asked.
    pub(super) of_host: bool,
}

impl Failure {
    /// The server answered, with nothing of use.
    pub(super) fn answer(result: &'static str, why: impl Into<String>) -> Self {
        Self { result, why: why.into(), of_host: false }
    }
}

/// The URLs that can be asked, in order, and why the others are not.
pub(super) fn urls(texts: &[String]) -> (Vec<Url>, Vec<String>) {
    let (mut urls, mut failures) = (Vec::new(), Vec::new());
    for text in texts {
        match web(text) {
            Ok(_) if urls.len() == MAX_URLS => {
                failures.push(format!("{}: not asked: more than {MAX_URLS} are named", Untrusted::new(text)));
                break;
            }
            Ok(url) => urls.push(url),
            // A certificate has room for many of them.
            Err(why) if failures.len() < MAX_URLS => {
                failures.push(format!("{}: {why}", Untrusted::new(text)));
            }
            Err(_) => {}
        }
    }
    (urls, failures)
}

fn web(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "not a URL")?;
    if Origin::of(&url).is_none() {
        return Err("neither http nor https");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it holds a login");
    }
    Ok(url)
}

/// Asks for the certificate's status: by GET where that is short (RFC 6960, appendix A.1), else by POST.
pub(super) fn ocsp_request(url: &Url, question: Vec<u8>) -> Request {
    let base = url.as_str().trim_end_matches('/');
    let encoded = STANDARD.encode(&question);
    let whole = format!("{base}/{}", utf8_percent_encode(&encoded, NON_ALPHANUMERIC));
    let get = (whole.len() <= MAX_GET && url.query().is_none() && url.fragment().is_none())
        .then(|| Url::parse(&whole).ok())
        .flatten();
    let request = match get {
        Some(get) => Request::get(get),
        None => Request::post(url.clone(), "application/ocsp-request", question),
    };
    request.accept("application/ocsp-response")
}

/// Asks for a CRL.
pub(super) fn crl_request(url: &Url) -> Request {
    Request::get(url.clone()).accept("application/pkix-crl, */*")
}

/// The bytes of an answer, whole and in time.
pub(super) async fn ask(client: &Client, kind: Kind, request: Request) -> Result<Bytes, Failure> {
    let asking = async {
        let response = client.follow(request).await.map_err(|e| failure(&e, true))?;
        if response.status != StatusCode::OK {
            return Err(Failure::answer("http_status", format!("it answered {}", response.status.as_u16())));
        }
        response.body.read(kind.limit() as u64).await.map_err(|e| failure(&e, false))
    };
    match tokio::time::timeout(kind.patience(), asking).await {
        Ok(answer) => answer,
        Err(_) => Err(Failure {
            result: "timeout",
            why: format!("no answer within {}", humantime::format_duration(kind.patience())),
            of_host: true,
        }),
    }
}

fn failure(error: &egress::Error, of_host: bool) -> Failure {
    let (result, of_host) = match error {
        egress::Error::Forbidden(_) => ("forbidden", false),
        egress::Error::Unresolved(_)
        | egress::Error::Unreachable(_)
        | egress::Error::Insecure(_)
        | egress::Error::Plain(_) => ("unreachable", of_host),
        egress::Error::TimedOut(_) => ("timeout", of_host),
        egress::Error::Broken(_) => ("broken", false),
        egress::Error::TooLarge { .. } => ("too_large", false),
    };
    Failure { result, why: Untrusted::new(error.to_string()).to_string(), of_host }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn only_a_few_web_addresses_are_asked() {
        let texts: Vec<String> =
            ["ldap://x/y", "http://a", "http://u:p@b", "nonsense", "https://c", "http://d"]
                .map(str::to_owned)
                .to_vec();
        let (asked, failures) = urls(&texts);
        assert_eq!(asked, [url("http://a"), url("https://c"), url("http://d")]);
        assert_eq!(failures.len(), 3);
        assert!(failures[0].contains("ldap://x/y: neither http nor https"), "{failures:?}");
        let many: Vec<String> = (0..100).map(|i| format!("http://h{i}")).collect();
        let (asked, failures) = urls(&many);
        assert_eq!((asked.len(), failures.len()), (4, 1));
        let hostile: Vec<String> = (0..100).map(|i| format!("ldap://h{i}")).collect();
        assert_eq!(urls(&hostile).1.len(), 4);
    }

    #[test]
    fn short_questions_are_gets_and_long_ones_posts() {
        let short = format!("{:?}", ocsp_request(&url("http://o.example/ocsp/"), vec![0xfb; 30]));
        assert!(short.contains("method: GET"), "{short}");
        assert!(short.contains("/ocsp/%2B%2Fv7"), "the base64 is escaped: {short}");
        let long = format!("{:?}", ocsp_request(&url("http://o.example/ocsp"), vec![0xfb; 300]));
        assert!(long.contains("method: POST") && long.contains("application/ocsp-request"), "{long}");
        let query = format!("{:?}", ocsp_request(&url("http://o.example/?a=b"), vec![1]));
        assert!(query.contains("method: POST"), "{query}");
    }
}
