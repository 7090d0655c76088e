//! Whether one certificate is revoked, decided from answers and lists that are at hand: the Notary Project's
//! "Certificate Revocation Evaluation". Pure; what to ask and whom is `trust`'s.

mod lists;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::{Duration, SystemTime};

use super::crl::{Crl, Entry, Reason};
use super::ocsp::{self, CertStatus, Single};
use super::{Certificate, Error, shown};
use lists::Lists;

/// How long an answer holds that does not say it.
pub const DEFAULT_VALIDITY: Duration = Duration::from_secs(24 * 60 * 60);

/// What is at hand. Nothing in it needs to be proven before, nor to be about the certificate.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// OCSP responses.
    pub ocsp: Vec<ocsp::Response>,
    /// CRLs, base and delta.
    pub crls: Vec<Crl>,
    /// A revocation of this certificate that was proven before.
    pub noted: Option<Entry>,
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The certificate that may be revoked.
    pub certificate: &'a Certificate,
    /// Its issuer's, which is already believed.
    pub issuer: &'a Certificate,
    /// The time.
    pub now: SystemTime,
    /// When the certificate's key signed, where someone who is trusted says so.
    pub signed_at: Option<SystemTime>,
    /// For how much longer than they say answers count that the certificate is good.
    pub grace: Duration,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// It says of no place where its revocation would be known, and no list at hand covers it.
    NotRevocable,
    /// It was not revoked for a signature of this time.
    Good {
        /// For how long this holds.
        until: SystemTime,
        /// Who says it.
        by: Source,
    },
    /// It is revoked or on hold.
    Revoked {
        /// What is said of it.
        entry: Entry,
        /// Who says it.
        by: Source,
    },
    /// Nothing at hand answers the question.
    Unknown {
        /// What was lacking in each thing at hand.
        why: String,
    },
}

/// Who said it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// An OCSP responder.
    Ocsp,
    /// A list, or a list and its delta.
    Crl,
    /// One of both, before.
    Noted,
}

impl Source {
    /// In words, for reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ocsp => "an OCSP answer",
            Self::Crl => "a CRL",
            Self::Noted => "an earlier answer",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether the certificate is revoked. A revocation that is proven by anything counts before all that says
/// otherwise; then OCSP answers, and where none does, a CRL with its delta.
pub fn status(question: &Question<'_>, known: &Known) -> Status {
    let found = Found::new(question, known);
    let counts = |word: &&Word| !is_too_late(&word.entry, question.signed_at);
    if let Some(word) = found.revocations().filter(counts).reduce(weightier) {
        return Status::Revoked { entry: word.entry.clone(), by: word.by };
    }
    if !found.doubted.is_empty() {
        return Status::Unknown { why: found.doubted.join("; ") };
    }
    match found.ocsp_good_until(question).or_else(|ocsp| match found.lists.good_until(question) {
        Ok(until) => Ok((until, Source::Crl)),
        Err(crl) => Err(ocsp.into_iter().chain(crl).collect::<Vec<_>>()),
    }) {
        Ok((until, by)) => Status::Good { until, by },
        Err(_) if !question.certificate.is_revocable() && !found.lists.has_base() => Status::NotRevocable,
        Err(mut why) => {
            if why.is_empty() {
                why.push("no OCSP answer and no CRL is at hand".to_owned());
            }
            Status::Unknown { why: why.join("; ") }
        }
    }
}

/// The revocation to remember, whenever the certificate's key signed: what is proven here and not undone.
/// Without anything of the kind, the certificate is not revoked any more as far as is known.
pub fn revocation_in(question: &Question<'_>, known: &Known) -> Option<Entry> {
    Found::new(question, known).revocations().reduce(weightier).map(|word| word.entry.clone())
}

/// What someone who may says about the certificate.
struct Word {
    entry: Entry,
    by: Source,
    /// Whether what it stands in has not expired.
    current: bool,
}

/// All that is proven about the certificate.
struct Found {
    words: Vec<Word>,
    /// The latest answer, and until when it counts as good.
    ocsp: Option<(Single, SystemTime)>,
    lists: Lists,
    /// Revocations that somebody told who may be revoked, and against which nothing good counts.
    doubted: Vec<String>,
    /// Why other answers are not used.
    refused: Vec<String>,
}

impl Found {
    fn new(question: &Question<'_>, known: &Known) -> Self {
        let lists = Lists::new(question, &known.crls);
        let words = lists.words(question);
        let mut out = Self { words, ocsp: None, lists, doubted: Vec::new(), refused: Vec::new() };
        for response in &known.ocsp {
            match proven(response, question, known) {
                Ok(Proven::Answer(single, until)) => out.add(single, until, question),
                Ok(Proven::Doubted(single, why)) => out.doubt(&single, &format!("OCSP: {why}"), question),
                Err(why) => out.refused.push(format!("OCSP: {why}")),
            }
        }
        let noted = known.noted.iter().cloned();
        out.words.extend(noted.map(|entry| Word { entry, by: Source::Noted, current: true }));
        out
    }

    fn add(&mut self, single: Single, until: SystemTime, question: &Question<'_>) {
        if let CertStatus::Revoked(entry) = &single.status {
            let current = question.now <= end(single.this_update, single.next_update);
            self.words.push(Word { entry: entry.clone(), by: Source::Ocsp, current });
        }
        if self.ocsp.as_ref().is_none_or(|(kept, _)| kept.this_update < single.this_update) {
            self.ocsp = Some((single, until));
        }
    }

    fn doubt(&mut self, single: &Single, why: &str, question: &Question<'_>) {
        match &single.status {
            CertStatus::Revoked(entry) if !is_too_late(entry, question.signed_at) => {
                self.doubted.push(format!("{why}; it says that the certificate is revoked"));
            }
            _ => self.refused.push(why.to_owned()),
        }
    }

    /// The words that revoke: what nothing undoes, wherever it stands, and a hold that is current and not
    /// undone.
    fn revocations(&self) -> impl Iterator<Item = &Word> {
        self.words.iter().filter(|word| {
            word.entry.is_permanent()
                || word.entry.reason == Reason::CertificateHold && word.current && !self.undoes(&word.entry)
        })
    }

    fn undoes(&self, hold: &Entry) -> bool {
        self.words.iter().any(|word| hold.is_undone_by(&word.entry))
    }

    /// Until when OCSP says that the certificate is good; else why it does not. Asked when no word revokes.
    fn ocsp_good_until(&self, question: &Question<'_>) -> Result<(SystemTime, Source), Vec<String>> {
        let Some((single, until)) = &self.ocsp else { return Err(self.refused.clone()) };
        let why = match &single.status {
            _ if question.now > *until => format!("OCSP: the answer ended at {}", shown(*until)),
            CertStatus::Good => return Ok((*until, Source::Ocsp)),
            CertStatus::Revoked(entry) if is_too_late(entry, question.signed_at) => {
                return Ok((*until, Source::Ocsp));
            }
            CertStatus::Revoked(_) => "OCSP: a hold that a CRL has undone".to_owned(),
            CertStatus::Unknown => "OCSP: the responder does not know the certificate".to_owned(),
        };
        Err(self.refused.iter().cloned().chain([why]).collect())
    }
}

fn weightier<'a>(kept: &'a Word, next: &'a Word) -> &'a Word {
    if next.entry.outweighs(&kept.entry) { next } else { kept }
}

/// Whether the key became invalid only after it had signed.
fn is_too_late(entry: &Entry, signed_at: Option<SystemTime>) -> bool {
    entry.invalid_since.zip(signed_at).is_some_and(|(invalid, signed)| signed < invalid)
}

/// When an answer ends: by its own word, else after [`DEFAULT_VALIDITY`].
pub fn end(this_update: SystemTime, next_update: Option<SystemTime>) -> SystemTime {
    next_update.or_else(|| this_update.checked_add(DEFAULT_VALIDITY)).unwrap_or(this_update)
}

/// A response that is proven.
enum Proven {
    /// By whom may say it, with the end of its counting as good.
    Answer(Single, SystemTime),
    /// By a responder of whom it is unknown whether it is revoked itself.
    Doubted(Single, Error),
}

fn proven(response: &ocsp::Response, question: &Question<'_>, known: &Known) -> Result<Proven, Error> {
    let single = response.verify(question.certificate, question.issuer, question.now)?;
    let end = end(single.this_update, single.next_update);
    let until = end.checked_add(question.grace).unwrap_or(end);
    let Some(responder) = &single.responder else { return Ok(Proven::Answer(single, until)) };
    let until = until.min(responder.not_after());
    let forbidden = |why: String| Error::Forbidden { issuer: responder.subject().to_string(), why };
    match responder_status(responder, question, known) {
        Status::NotRevocable => Ok(Proven::Answer(single, until)),
        Status::Good { until: checked, .. } => Ok(Proven::Answer(single, until.min(checked))),
        Status::Revoked { entry, .. } => {
            let (at, reason) = (shown(entry.revoked_at), entry.reason);
            Err(forbidden(format!("its certificate is revoked since {at} ({reason})")))
        }
        Status::Unknown { why } => {
            let error = forbidden(format!("whether its certificate is revoked is unknown: {why}"));
            Ok(Proven::Doubted(single, error))
        }
    }
}

/// Whether a responder is revoked itself, by CRL (RFC 6960, section 4.2.2.2.1).
fn responder_status(responder: &Certificate, question: &Question<'_>, known: &Known) -> Status {
    if responder.has_ocsp_no_check() {
        return Status::NotRevocable;
    }
    let asked = Question { certificate: responder, signed_at: None, ..*question };
    status(&asked, &Known { crls: known.crls.clone(), ..Known::default() })
}
