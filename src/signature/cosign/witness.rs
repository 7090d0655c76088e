//! What logs and timestamp authorities say of a signature: that it is public, and when it was there.

use std::time::SystemTime;

use super::claim::Claim;
use super::log::Bound;
use super::settings::{AtLeast, Requirement};
use crate::signature::{Rejection, TimeSource};
use crate::trust::TrustedRoot;
use crate::x509::chain::Checks;
use crate::x509::timestamp::Token;
use crate::x509::{self, Certificate};

/// The most signatures that are verified for the timestamps of one claim: several times as many as any signer's
/// need, and few enough that a claim which brings the most timestamps, made to be verified slowly, is soon judged.
const MAX_CHECKS: usize = 256;

/// Whose word is asked for.
pub(super) struct Asked<'a> {
    pub(super) root: &'a TrustedRoot,
    pub(super) transparency_log: Requirement,
    pub(super) timestamps: Requirement,
    pub(super) at_least: AtLeast,
}

/// When a signature was there, and who says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Time {
    pub(super) at: SystemTime,
    pub(super) source: TimeSource,
    /// Who says so: each counts once.
    who: Vec<u8>,
}

/// What the witnesses came to.
#[derive(Debug, Default)]
pub(super) struct Witnesses {
    times: Vec<Time>,
    /// What did not count, for the message where something is missing.
    passed_over: Vec<String>,
}

impl Asked<'_> {
    /// Hears the witnesses that are needed; the others prove nothing, and are not listened to.
    ///
    /// # Errors
    /// [`Rejection::LogEntry`] or [`Rejection::Timestamp`] where too few of them speak, or where one that is
    /// trusted is quoted wrongly.
    pub(super) fn hear(
        &self,
        claim: &Claim,
        bound: &Bound<'_>,
        now: SystemTime,
    ) -> Result<Witnesses, Rejection> {
        let mut witnesses = Witnesses::default();
        let stamps = self.timestamps(claim, bound, now, &mut witnesses);
        if self.transparency_log == Requirement::Require {
            self.log_entries(claim, bound, now, &stamps, &mut witnesses)?;
        }
        witnesses.times.extend(stamps);
        Ok(witnesses)
    }

    fn log_entries(
        &self,
        claim: &Claim,
        bound: &Bound<'_>,
        now: SystemTime,
        stamps: &[Time],
        witnesses: &mut Witnesses,
    ) -> Result<(), Rejection> {
        let refused = |found: String| Rejection::LogEntry { found: found.into() };
        let mut logs: Vec<Vec<u8>> = Vec::new();
        for entry in &claim.entries {
            let logged = entry.prove(self.root.logs(), bound, now).map_err(refused)?;
            let Some(logged) = logged else {
                let id = hex::encode(&entry.log_id);
                witnesses.passed_over.push(format!("the trusted root knows no log {id}"));
                continue;
            };
            if let Some(why) = logged.uncounted(stamps.iter().map(|stamp| stamp.at), now) {
                witnesses.passed_over.push(why);
                continue;
            }
            if !logs.contains(&logged.log.id) {
                logs.push(logged.log.id.clone());
            }
            witnesses.note(logged.at, TimeSource::Log, logged.log.id);
        }
        let least = self.at_least.log_entries;
        if logs.len() >= least {
            return Ok(());
        }
        let found =
            format!("expected entries of {least} trusted logs, found {}{}", logs.len(), witnesses.why());
        Err(refused(found))
    }

    fn timestamps(
        &self,
        claim: &Claim,
        bound: &Bound<'_>,
        now: SystemTime,
        witnesses: &mut Witnesses,
    ) -> Vec<Time> {
        let mut heard = Witnesses::default();
        let mut checks = Checks::new(MAX_CHECKS);
        for stamp in &claim.timestamps {
            match self.stamped(stamp, claim.stamped(bound.signature), now, &mut checks) {
                Ok((at, who)) => heard.note(Some(at), TimeSource::Timestamp, who.into_bytes()),
                Err(why) => witnesses.passed_over.push(why),
            }
            if checks.is_spent() {
                let why =
                    format!("{MAX_CHECKS} signatures were verified, and the other timestamps not heard");
                // It says most, and messages are cut.
                witnesses.passed_over.insert(0, why);
                break;
            }
        }
        heard.times
    }

    /// One token that does not hold proves nothing, and takes nothing from the others.
    fn stamped(
        &self,
        stamp: &[u8],
        message: &[u8],
        now: SystemTime,
        checks: &mut Checks,
    ) -> Result<(SystemTime, String), String> {
        let token = Token::from_response(stamp).map_err(|why| format!("a timestamp is not read: {why}"))?;
        let mut why = "the trusted root knows no timestamp authority".to_owned();
        let mut nearest = None;
        for authority in self.root.timestamp_authorities() {
            let Some(root) = authority.root() else { continue };
            let anchors: &[Certificate] = std::slice::from_ref(root);
            match token.verify_with(message, anchors, authority.others(), checks) {
                Ok(stamped) if !stamped.chain().first().is_some_and(|signer| authority.signs_by(signer)) => {
                    let name = &authority.name;
                    nearest = Some(format!(
                        "a timestamp was made by another certificate than those of the authority {name}"
                    ));
                }
                Ok(stamped) if !authority.window.contains(stamped.at()) => {
                    let name = &authority.name;
                    nearest =
                        Some(format!("the authority {name} did not count at the time of its timestamp"));
                }
                Ok(stamped) => {
                    x509::not_from_the_future(stamped.at(), now).map_err(|why| why.to_string())?;
                    return Ok((stamped.at(), authority.name.clone()));
                }
                Err(error) => why = format!("a timestamp does not hold: {error}"),
            }
        }
        Err(nearest.unwrap_or(why))
    }

    /// Whether as many authorities stamped it as are needed.
    pub(super) fn check_timestamps(&self, witnesses: &Witnesses) -> Result<(), Rejection> {
        let (least, found) = (self.at_least.timestamps, witnesses.of(TimeSource::Timestamp).count());
        if self.timestamps == Requirement::Ignore || found >= least {
            return Ok(());
        }
        let found =
            format!("expected those of {least} trusted authorities, found {found}{}", witnesses.why());
        Err(Rejection::Timestamp { found: found.into() })
    }

    /// Whether as many witnesses say when the key of a certificate signed as are needed.
    pub(super) fn check_times(&self, witnesses: &Witnesses) -> Result<(), Rejection> {
        let (least, found) = (self.at_least.times, witnesses.times.len());
        if found >= least {
            return Ok(());
        }
        let found = format!(
            "the certificate's key signed at a time that {least} logs or timestamp authorities must tell, and {found} do{}",
            witnesses.why()
        );
        Err(Rejection::Timestamp { found: found.into() })
    }
}

impl Witnesses {
    /// All times, each of another witness.
    pub(super) fn times(&self) -> &[Time] {
        &self.times
    }

    /// The earliest: from then on the signature was there.
    pub(super) fn earliest(&self) -> Option<(SystemTime, TimeSource)> {
        self.times.iter().map(|time| (time.at, time.source)).min_by_key(|(at, _)| *at)
    }

    fn of(&self, source: TimeSource) -> impl Iterator<Item = &Time> {
        self.times.iter().filter(move |time| time.source == source)
    }

    fn note(&mut self, at: Option<SystemTime>, source: TimeSource, who: Vec<u8>) {
        let Some(at) = at else { return };
        if !self.times.iter().any(|time| time.source == source && time.who == who) {
            self.times.push(Time { at, source, who });
        }
    }

    fn why(&self) -> String {
        if self.passed_over.is_empty() { String::new() } else { format!(": {}", self.passed_over.join("; ")) }
    }
}
