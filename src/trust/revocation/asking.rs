//! Asks servers for one answer and keeps it, once for all callers that want it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use url::Url;

use super::fetch::{self, Failure, Kind};
use super::kept::{Keeping, Key, Proven, Record, Version};
use super::sources::Respondent;
use super::{Inner, Need, unix};
use crate::egress::{Origin, Request};
use crate::setting;
use crate::telemetry::Untrusted;
use crate::telemetry::metrics::RevocationRequest;
use crate::x509::crl::Crl;
use crate::x509::ocsp::{CertStatus, Response};
use crate::x509::{self, Certificate};

/// What ends so soon is asked for ahead of its end, but not more often than that.
const AHEAD: Duration = Duration::from_secs(10 * 60);
const AHEAD_AGAIN: Duration = Duration::from_secs(60);

/// When a kept answer is asked for again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Freshness {
    pub(super) ttl: Duration,
    /// Shortly before its end too.
    pub(super) ahead: bool,
}

/// A CRL that is wanted.
#[derive(Clone)]
pub(super) struct Wanted {
    /// Whom it is to be about.
    pub(super) certificate: Certificate,
    pub(super) issuer: Certificate,
    pub(super) url: Url,
    /// One that adds to another.
    pub(super) delta: bool,
}

/// One run for many callers.
pub(super) struct Asking {
    pub(super) all: Arc<Inner>,
    pub(super) respondent: Respondent,
    pub(super) key: Key,
    pub(super) freshness: Freshness,
}

impl Freshness {
    pub(super) fn is_due(self, record: &Record, now: SystemTime) -> bool {
        let now = unix(now);
        // Nothing is younger than nothing: the clock went back.
        let Some(age) = now.checked_sub(record.asked) else { return true };
        let Some(left) = record.ends.checked_sub(now).filter(|left| *left > 0) else { return true };
        let ahead = self.ahead && left < AHEAD.as_secs() && age >= AHEAD_AGAIN.as_secs();
        age >= self.ttl.as_secs() || ahead
    }
}

impl Asking {
    /// Asks one server after the other whether the certificate is revoked. Gives what went wrong.
    pub(super) async fn ocsp(self, need: Need, urls: Vec<Url>) -> Arc<[String]> {
        let now = self.all.clock.now();
        // Another caller may have asked since this one looked.
        let kept = self.all.kept.ocsp(&self.key).await;
        if matches!(&kept, Ok(Some((record, _))) if !self.freshness.is_due(record, now)) {
            return Arc::default();
        }
        let mut failures = Vec::new();
        for url in urls {
            let request = fetch::ocsp_request(&url, x509::ocsp::request(&need.certificate, &need.issuer));
            let need = need.clone();
            let judge = move |answer: Bytes| judge_ocsp(answer, &need, now);
            match self.attempt(Kind::Ocsp, &url, request, judge).await {
                Ok(()) => break,
                Err(why) => failures.push(why),
            }
        }
        failures.into()
    }

    /// Asks for a CRL. Gives what went wrong.
    pub(super) async fn crl(self, wanted: Wanted) -> Arc<[String]> {
        let now = self.all.clock.now();
        let kept = self.all.kept.crl(&self.key).await;
        if matches!(&kept, Ok(Some((record, _))) if !self.freshness.is_due(record, now)) {
            return Arc::default();
        }
        let url = wanted.url.clone();
        let judge = move |answer: Bytes| judge_crl(answer, &wanted, now);
        match self.attempt(Kind::Crl, &url, fetch::crl_request(&url), judge).await {
            Ok(()) => Arc::default(),
            Err(why) => [why].into(),
        }
    }

    async fn attempt(
        &self,
        kind: Kind,
        url: &Url,
        request: Request,
        judge: impl FnOnce(Bytes) -> Result<Proven, Failure> + Clone + Send + 'static,
    ) -> Result<(), String> {
        let client = match &self.respondent {
            Respondent::Servers(client) => client,
            Respondent::Brought(brought) => return self.take_newest(brought.of(&self.key), judge).await,
        };
        let now = self.all.clock.now();
        let named = |why: &str| format!("{}: {why}", Untrusted::new(url.as_str()));
        let origin = Origin::of(url).map(|origin| origin.to_string()).unwrap_or_default();
        // A server may hang on the one kind and give the other.
        let host = format!("{} {origin}", kind.as_str());
        let this = format!("{} {url}", self.key);
        let failing = &self.all.failing;
        if let Some(why) = failing.why(&host, now).or_else(|| failing.why(&this, now)) {
            return Err(named(&format!("{why} (a moment ago)")));
        }
        let outcome = match fetch::ask(client, kind, request).await {
            Ok(answer) => self.take(answer, judge).await,
            Err(failure) => Err(failure),
        };
        let result = outcome.as_ref().map_or_else(|failure| failure.result, |()| "ok");
        self.all.metrics.revocation_requests.at(RevocationRequest { kind: kind.as_str(), result }).inc();
        outcome.map_err(|failure| {
            let what = if failure.of_host { &host } else { &this };
            if failing.note(what, &failure.why, self.all.clock.now()) {
                let (url, why) = (Untrusted::new(url.as_str()), &failure.why);
                tracing::warn!(kind = kind.as_str(), %url, %why, "a revocation server gives no usable answer");
            }
            named(&failure.why)
        })
    }

    /// Offers all that was brought: of those that hold the newest is kept.
    async fn take_newest(
        &self,
        brought: &[Bytes],
        judge: impl FnOnce(Bytes) -> Result<Proven, Failure> + Clone + Send + 'static,
    ) -> Result<(), String> {
        let mut outcome = Err("no answer of it was brought".to_owned());
        for answer in brought {
            let taken = self.take(answer.clone(), judge.clone()).await.map_err(|failure| failure.why);
            outcome = outcome.or(taken);
        }
        outcome
    }

    async fn take(
        &self,
        answer: Bytes,
        judge: impl FnOnce(Bytes) -> Result<Proven, Failure> + Send + 'static,
    ) -> Result<(), Failure> {
        // Hashing megabytes takes a moment.
        let judged = tokio::task::spawn_blocking(move || judge(answer)).await;
        let proven = judged.map_err(|e| Failure::answer("invalid", e.to_string()))??;
        let (now, ends) = (self.all.clock.now(), proven.ends);
        // One that has ended is kept too: it may tell of a revocation.
        let keeping = self.all.kept.keep(&self.key, proven, now).await;
        match keeping.map_err(|why| Failure::answer("not_kept", why))? {
            Keeping::Outdated => Err(Failure::answer("outdated", "its answer is older than the one kept")),
            Keeping::Newest if ends <= now => {
                let ended = setting::time::show(ends);
                Err(Failure::answer("outdated", format!("its answer ended at {ended}")))
            }
            Keeping::Newest => Ok(()),
        }
    }
}

fn judge_ocsp(answer: Bytes, need: &Need, now: SystemTime) -> Result<Proven, Failure> {
    let response = Response::parse(&answer).map_err(|e| invalid(&e))?;
    let single = response.verify(&need.certificate, &need.issuer, now).map_err(|e| invalid(&e))?;
    if single.status == CertStatus::Unknown {
        return Err(Failure::answer("unknown_certificate", "it does not know the certificate"));
    }
    let end = x509::revocation::end(single.this_update, single.next_update);
    // Nothing that a responder signed counts longer than its own certificate.
    let ends = single.responder.map_or(end, |responder| end.min(responder.not_after()));
    Ok(Proven { der: answer, version: Version { number: None, made: single.this_update }, ends })
}

fn judge_crl(answer: Bytes, wanted: &Wanted, now: SystemTime) -> Result<Proven, Failure> {
    let crl = Crl::parse(&answer).map_err(|e| invalid(&e))?;
    crl.verify(&wanted.issuer).map_err(|e| invalid(&e))?;
    // Lists of one issuer count up by scope (RFC 5280, section 5.2.3): one of another scope, which anybody
    // on the way could put in, would keep the right one out by its number.
    crl.covers(&wanted.certificate).map_err(|e| invalid(&e))?;
    x509::not_from_the_future(crl.this_update(), now).map_err(|e| invalid(&e))?;
    if crl.base_number().is_some() != wanted.delta {
        let why = if wanted.delta { "its CRL is no delta CRL" } else { "its CRL is only a delta CRL" };
        return Err(Failure::answer("invalid", why));
    }
    let ends = x509::revocation::end(crl.this_update(), crl.next_update());
    Ok(Proven { der: Bytes::copy_from_slice(crl.der()), version: Version::of(&crl), ends })
}

fn invalid(error: &x509::Error) -> Failure {
    Failure::answer("invalid", format!("its answer does not hold: {}", Untrusted::new(error.to_string())))
}
