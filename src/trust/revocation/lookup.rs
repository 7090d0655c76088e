//! Finds out what is known of one certificate: OCSP first, CRLs where that gives no answer
//! (trust-store-trust-policy, "Certificate Revocation Evaluation").

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, timeout_at};
use url::Url;

use super::asking::{Asking, Freshness, Wanted};
use super::data::Found;
use super::fetch;
use super::kept::{Key, Record};
use super::sources::Respondent;
use super::{Inner, Need, RevocationSources};
use crate::x509::Certificate;
use crate::x509::crl::{Crl, Entry};
use crate::x509::revocation::{self, Known, Question, Status};

/// A base CRL that is too old for its delta is asked for again, but not more often than that.
const BASE_AGAIN: Duration = Duration::from_secs(30);

/// How much a look-up may cost.
#[derive(Clone, Copy)]
pub(super) struct Patience {
    deadline: Instant,
    /// Whether servers are asked at all.
    asks: bool,
    /// Whether they are asked ahead of an answer's end.
    ahead: bool,
}

pub(super) struct Lookup<'a> {
    all: &'a Arc<Inner>,
    need: &'a Need,
    sources: &'a RevocationSources,
    patience: Patience,
    now: SystemTime,
    found: Found,
}

impl Patience {
    /// For a decision that waits.
    pub(super) fn until(deadline: Instant, asks: bool) -> Self {
        Self { deadline, asks, ahead: false }
    }

    /// For nobody that waits.
    pub(super) fn ahead(deadline: Instant) -> Self {
        Self { deadline, asks: true, ahead: true }
    }
}

impl<'a> Lookup<'a> {
    pub(super) fn new(
        all: &'a Arc<Inner>,
        need: &'a Need,
        sources: &'a RevocationSources,
        patience: Patience,
    ) -> Self {
        Self { all, need, sources, patience, now: all.clock.now(), found: Found::default() }
    }

    pub(super) async fn run(mut self) -> Found {
        let noted = self.all.noted.of(self.need.id()).await;
        self.found.known.noted = self.readable(noted);
        self.say_who_is_not_asked();
        self.ocsp().await;
        // A noted revocation may have been undone, and only a CRL can tell.
        if self.found.known.noted.is_some() || !self.is_answered_by_ocsp().await {
            let certificate = &self.need.certificate;
            self.crls(certificate).await;
        }
        self.note().await;
        self.found
    }

    async fn ocsp(&mut self) {
        let (urls, failures) = fetch::urls(self.need.certificate.ocsp_urls());
        if urls.is_empty() {
            return self.found.failures.extend(failures);
        }
        let key = Key::ocsp(self.need.id());
        self.say_what_was_lost(&key);
        let mut kept = self.all.kept.ocsp(&key).await;
        if self
            .is_due(kept.as_ref().ok().and_then(Option::as_ref).map(|(record, _)| record), self.freshness())
        {
            self.found.failures.extend(failures);
            let need = self.need.clone();
            self.ask(key.clone(), self.freshness(), |asking| asking.ocsp(need, urls)).await;
            kept = self.all.kept.ocsp(&key).await;
        }
        let Some((_, response)) = self.readable(kept) else { return };
        self.found.answers.push(key);
        let single = response.verify(&self.need.certificate, &self.need.issuer, self.now);
        self.found.known.ocsp.push(response);
        // Whoever answers in the issuer's place may be revoked itself (RFC 6960, section 4.2.2.2.1).
        if let Some(responder) = single.ok().and_then(|single| single.responder)
            && !responder.has_ocsp_no_check()
        {
            self.crls(&responder).await;
        }
    }

    /// Finds the CRLs about a certificate of the issuer: one distribution point after the other, until
    /// one answers.
    async fn crls(&mut self, certificate: &Certificate) {
        let (urls, failures) = fetch::urls(certificate.crl_urls());
        self.found.failures.extend(failures);
        for url in urls {
            let Some(base) = self.crl(certificate, &url, false, self.freshness()).await else { continue };
            self.deltas(certificate, &url, &base).await;
            self.found.known.crls.push(base);
            if self.is_answered_by_crls(certificate).await {
                return;
            }
        }
    }

    /// Finds what was added to a CRL since (RFC 5280, section 4.2.1.15).
    async fn deltas(&mut self, certificate: &Certificate, base_url: &Url, base: &Crl) {
        let named = [base.freshest_urls(), certificate.freshest_crl_urls()].concat();
        let (urls, failures) = fetch::urls(&named);
        self.found.failures.extend(failures);
        for url in urls {
            let Some(delta) = self.crl(certificate, &url, true, self.freshness()).await else { continue };
            if delta.base_number() > base.number() {
                let freshness = Freshness { ttl: BASE_AGAIN, ahead: false };
                let newer = self.crl(certificate, base_url, false, freshness).await;
                self.found.known.crls.extend(newer);
            }
            self.found.known.crls.push(delta);
            return;
        }
    }

    async fn crl(
        &mut self,
        certificate: &Certificate,
        url: &Url,
        delta: bool,
        freshness: Freshness,
    ) -> Option<Crl> {
        let issuer = self.need.issuer.clone();
        let key = Key::crl(&issuer, url);
        self.say_what_was_lost(&key);
        let mut kept = self.all.kept.crl(&key).await;
        if self.is_due(kept.as_ref().ok().and_then(Option::as_ref).map(|(record, _)| record), freshness) {
            let wanted = Wanted { certificate: certificate.clone(), issuer, url: url.clone(), delta };
            self.ask(key.clone(), freshness, |asking| asking.crl(wanted)).await;
            kept = self.all.kept.crl(&key).await;
        }
        let (_, crl) = self.readable(kept)?;
        self.found.answers.push(key);
        Some(crl)
    }

    /// Joins whoever asks already, for as long as there is patience. The run goes on without us.
    async fn ask<F>(&mut self, key: Key, freshness: Freshness, start: impl FnOnce(Asking) -> F)
    where
        F: Future<Output = Arc<[String]>> + Send + 'static,
    {
        let Some(respondent) = self.respondent().cloned() else { return };
        let asking = Asking { all: Arc::clone(self.all), respondent, key: key.clone(), freshness };
        let run = self.all.asking.run(key, || start(asking));
        let failures = &mut self.found.failures;
        match timeout_at(self.patience.deadline, run).await {
            Ok(Ok(failed)) => failures.extend(failed.iter().cloned()),
            Ok(Err(lost)) => failures.push(lost.to_string()),
            Err(_) => failures.push("not every server answered in time".to_owned()),
        }
    }

    /// Learns or unlearns a revocation. Decisions that rest on what was known before have to be made
    /// again.
    async fn note(&mut self) {
        let mut known = self.found.known.clone();
        known.crls.extend(self.sources.carried().of(&self.need.issuer));
        let (need, now) = (self.need.clone(), self.now);
        let said = judged(move || revocation::revocation_in(&need.question(now), &known)).await;
        let Some(said) = said else {
            return self.trouble("whether it is revoked could not be judged".to_owned());
        };
        let before = self.found.known.noted.take();
        if before.as_ref().zip(said.as_ref()).is_some_and(|(before, said)| says_the_same(before, said)) {
            self.found.known.noted = before;
            return;
        }
        self.found.known.noted.clone_from(&said);
        if said == before {
            return;
        }
        if self.all.noted.change(self.need.id(), before.as_ref(), said.as_ref()).await {
            self.all.learned(self.need, before.is_some(), said.is_some());
        }
    }

    async fn is_answered_by_ocsp(&self) -> bool {
        let known = Known { noted: None, ..self.found.known.clone() };
        let (need, now) = (self.need.clone(), self.now);
        let status = judged(move || revocation::status(&need.question(now), &known)).await;
        status.is_some_and(|status| is_answer(&status))
    }

    async fn is_answered_by_crls(&self, certificate: &Certificate) -> bool {
        let known = Known { crls: self.found.known.crls.clone(), ..Known::default() };
        let (certificate, issuer, now) = (certificate.clone(), self.need.issuer.clone(), self.now);
        let status = judged(move || {
            let question = Question {
                certificate: &certificate,
                issuer: &issuer,
                now,
                signed_at: None,
                grace: Duration::ZERO,
            };
            revocation::status(&question, &known)
        });
        status.await.is_some_and(|status| is_answer(&status))
    }

    fn is_due(&self, kept: Option<&Record>, freshness: Freshness) -> bool {
        self.respondent().is_some() && kept.is_none_or(|record| freshness.is_due(record, self.now))
    }

    fn freshness(&self) -> Freshness {
        Freshness { ttl: self.sources.ttl(), ahead: self.patience.ahead }
    }

    fn respondent(&self) -> Option<&Respondent> {
        self.sources.respondent().filter(|_| self.patience.asks)
    }

    fn say_who_is_not_asked(&mut self) {
        let certificate = &self.need.certificate;
        let why = match (self.sources.respondent(), self.respondent()) {
            _ if certificate.ocsp_urls().is_empty() && certificate.crl_urls().is_empty() => return,
            (None, _) => "nobody is asked, as egress.revocation is local",
            (Some(_), None) => "nobody is asked about so many certificates",
            (Some(_), Some(_)) => return,
        };
        self.found.failures.push(why.to_owned());
    }

    /// What is kept is no answer then: what was to take its place may have told of a revocation.
    fn say_what_was_lost(&mut self, key: &Key) {
        let respondent = self.sources.respondent();
        if matches!(respondent, Some(Respondent::Brought(brought)) if brought.has_lost(key)) {
            self.trouble("an answer about it was brought and cannot be taken in: carry it again".to_owned());
        }
    }

    fn readable<T>(&mut self, read: Result<Option<T>, String>) -> Option<T> {
        read.unwrap_or_else(|why| {
            self.trouble(why);
            None
        })
    }

    fn trouble(&mut self, why: String) {
        // A store that fails does so for every certificate.
        if self.all.failing.note("store", &why, self.now) {
            tracing::warn!(%why, "the status of a certificate is unknown");
        }
        self.found.trouble.get_or_insert(why);
    }
}

/// Two servers may tell one revocation in other words, with another time or reason.
fn says_the_same(before: &Entry, said: &Entry) -> bool {
    let word = |entry: &Entry| {
        let held = (!entry.is_permanent()).then_some(entry.revoked_at);
        (entry.invalid_since, held)
    };
    word(before) == word(said)
}

/// A hold is none: only a CRL tells that it was undone, and a responder may learn of that later.
fn is_answer(status: &Status) -> bool {
    match status {
        Status::Good { .. } => true,
        Status::Revoked { entry, .. } => entry.is_permanent(),
        Status::NotRevocable | Status::Unknown { .. } => false,
    }
}

/// Signatures over megabytes take a moment, on a thread that may take it.
async fn judged<T: Send + 'static>(judge: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(judge).await.ok()
}
