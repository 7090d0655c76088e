//! What the CRLs at hand say of a certificate: RFC 5280, section 6.3.

use std::time::SystemTime;

use super::{Question, Source, Word, end};
use crate::x509::crl::{Crl, Number};
use crate::x509::{Error, not_from_the_future, shown};

/// The lists that are proven and cover the certificate.
pub(super) struct Lists {
    /// The latest base list.
    base: Option<Crl>,
    /// Older base lists: what they say for good still counts.
    older: Vec<Crl>,
    deltas: Vec<Crl>,
    /// There is one of the issuer's that may not be used, and so an answer that is not known.
    withheld: bool,
    /// Why other lists are not used.
    refused: Vec<String>,
}

impl Lists {
    pub(super) fn new(question: &Question<'_>, crls: &[Crl]) -> Self {
        let mut out =
            Self { base: None, older: Vec::new(), deltas: Vec::new(), withheld: false, refused: Vec::new() };
        for crl in crls {
            match check(crl, question) {
                Ok(()) if crl.base_number().is_some() => out.deltas.push(crl.clone()),
                Ok(()) => out.add_base(crl.clone()),
                Err(why) => {
                    out.withheld |= matches!(why, Error::FromTheFuture { .. } | Error::Unsupported { .. });
                    out.refused.push(format!("CRL: {why}"));
                }
            }
        }
        out
    }

    fn add_base(&mut self, crl: Crl) {
        let order = |crl: &Crl| (crl.this_update(), crl.number().cloned());
        match &mut self.base {
            Some(base) if order(base) >= order(&crl) => self.older.push(crl),
            Some(base) => self.older.push(std::mem::replace(base, crl)),
            None => self.base = Some(crl),
        }
    }

    /// Whether a list at hand would say that the certificate is revoked, could it be used.
    pub(super) fn has_base(&self) -> bool {
        self.base.is_some() || self.withheld
    }

    /// All that is said of the certificate.
    pub(super) fn words(&self, question: &Question<'_>) -> Vec<Word> {
        let all = self.base.iter().chain(&self.older).chain(&self.deltas);
        all.flat_map(|crl| {
            let current = question.now <= end(crl.this_update(), crl.next_update());
            let entries = crl.entries(question.certificate.serial());
            entries.map(move |entry| Word { entry, by: Source::Crl, current })
        })
        .collect()
    }

    /// Until when the lists say that the certificate is good, asked when no word revokes; else why they do not.
    pub(super) fn good_until(&self, question: &Question<'_>) -> Result<SystemTime, Vec<String>> {
        let refused =
            |why: String| self.refused.iter().cloned().chain([format!("CRL: {why}")]).collect::<Vec<_>>();
        let Some(base) = &self.base else { return Err(self.refused.clone()) };
        let until = current_until(base, question).map_err(refused)?;
        if !base.has_freshest() && !question.certificate.has_freshest_crl() {
            return Ok(until);
        }
        let delta = self.delta_of(base).map_err(refused)?;
        let delta_until = current_until(delta, question).map_err(|why| refused(format!("delta: {why}")))?;
        Ok(until.min(delta_until))
    }

    /// The latest delta list that may be added to the base (RFC 5280, section 5.2.4). One of the base's own
    /// number was issued together with it (section 5.2.3) and tells that nothing has changed since.
    fn delta_of(&self, base: &Crl) -> Result<&Crl, String> {
        let mut why = "there is a delta CRL, and it is not at hand".to_owned();
        let mut best: Option<&Crl> = None;
        for delta in &self.deltas {
            match fits(delta, base) {
                Ok(()) if best.is_none_or(|best| best.number() < delta.number()) => best = Some(delta),
                Ok(()) => {}
                Err(error) => why = error,
            }
        }
        best.ok_or(why)
    }
}

fn check(crl: &Crl, question: &Question<'_>) -> Result<(), Error> {
    crl.covers(question.certificate)?;
    crl.verify(question.issuer)?;
    not_from_the_future(crl.this_update(), question.now)
}

/// Until when a list counts that does not list the certificate.
fn current_until(crl: &Crl, question: &Question<'_>) -> Result<SystemTime, String> {
    let end = end(crl.this_update(), crl.next_update());
    let until = end.checked_add(question.grace).unwrap_or(end);
    if question.now <= until { Ok(until) } else { Err(format!("it ended at {}", shown(until))) }
}

fn fits(delta: &Crl, base: &Crl) -> Result<(), String> {
    let shown = |number: Option<&Number>| number.map_or_else(|| "none".to_owned(), Number::to_string);
    let (base_number, number) = (base.number(), delta.number());
    if base_number.is_none() || delta.base_number() > base_number {
        let wanted = shown(delta.base_number());
        return Err(format!("the delta CRL adds to number {wanted} or later, found {}", shown(base_number)));
    }
    if number < base_number {
        return Err(format!(
            "the delta CRL has number {}, before its base's {}",
            shown(number),
            shown(base_number)
        ));
    }
    if !delta.has_scope_of(base) {
        return Err("the delta CRL has another scope than its base".to_owned());
    }
    Ok(())
}
