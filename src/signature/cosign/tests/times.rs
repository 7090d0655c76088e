//! When something was signed: what logs and authorities say of it, how many must, and what follows from it.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::super::*;
use super::judge;
use super::stand::{
    self, AT, By, HASHED, HASHED_2, Leaf, Stand, Work, after, before, bundle, claim, entry_with, image,
    keyless, later, trusting,
};
use super::tree::with;
use crate::signature::{Code, Evidence, Rejected, SignerName, SignerSettings, TimeSource};
use crate::trust::RevocationData;

/// Something signed by an identity, and what can be said of it.
struct Signed {
    stand: Stand,
    leaf: Leaf,
}

impl Signed {
    fn new() -> Self {
        let stand = Stand::new();
        let leaf = stand.certificate(|_| {});
        Self { stand, leaf }
    }

    fn work(&self) -> Work<'_> {
        Work::statement(By::Leaf(&self.leaf), &image().descriptor.digest)
    }

    /// An entry of a first-version log, at a time.
    fn promised(&self, log: usize, work: &Work<'_>, at: u64) -> Value {
        self.stand.rekor[log].entry(&work.body(HASHED.0, HASHED.1), at)
    }

    /// An entry of a second-version log.
    fn included(&self, log: usize, work: &Work<'_>) -> Value {
        entry_with(&self.stand.rekor2[log], work, HASHED_2, |_| {})
    }

    fn stamped(&self, authority: usize, work: &Work<'_>, at: SystemTime) -> Vec<u8> {
        self.stand.stamp(authority, &work.signature, at)
    }

    fn verdict(&self, settings: &Settings, bundle: &Value) -> Result<Evidence, Rejected> {
        judge(&self.stand.verifier(settings), &image(), &claim(bundle), later())
    }
}

fn refused(result: Result<Evidence, Rejected>, code: Code, words: &str) {
    let rejected = result.unwrap_err();
    assert_eq!(rejected.code(), code, "{words}: {rejected}");
    assert!(rejected.to_string().contains(words), "{words}: {rejected}");
}

fn at_least(change: impl FnOnce(&mut AtLeast)) -> Settings {
    let mut settings = keyless();
    change(&mut settings.at_least);
    settings
}

#[test]
fn a_certificate_needs_a_time_that_somebody_tells() {
    let signed = Signed::new();
    let work = signed.work();
    // The second version of the log tells none.
    let bare = bundle(&work, &[signed.included(0, &work)], &[]);
    refused(signed.verdict(&keyless(), &bare), Code::TimestampInvalid, "must tell, and 0 do");
    let stamp = signed.stamped(0, &work, after(3));
    let evidence =
        signed.verdict(&keyless(), &bundle(&work, &[signed.included(0, &work)], &[stamp])).unwrap();
    assert_eq!(evidence.signed_at(), Some((after(3), TimeSource::Timestamp)));
    // A time that nobody signed is none, though it stands there.
    let claimed = with(&bare, "/verificationMaterial/tlogEntries/0", {
        let mut entry = signed.included(0, &work);
        entry["integratedTime"] = json!(AT.to_string());
        entry
    });
    refused(signed.verdict(&keyless(), &claimed), Code::TimestampInvalid, "must tell, and 0 do");
}

#[test]
fn the_earliest_time_is_told_and_the_certificate_holds_at_each() {
    let signed = Signed::new();
    let work = signed.work();
    let with_stamp = |at| bundle(&work, &[signed.promised(0, &work, AT)], &[signed.stamped(0, &work, at)]);
    let at = |bundle: &Value| signed.verdict(&keyless(), bundle).unwrap().signed_at();
    assert_eq!(at(&with_stamp(after(5))), Some((after(0), TimeSource::Log)));
    assert_eq!(at(&with_stamp(before(5))), Some((before(5), TimeSource::Timestamp)));
    refused(signed.verdict(&keyless(), &with_stamp(after(700))), Code::CertificateExpired, "ended at");
    refused(signed.verdict(&keyless(), &with_stamp(before(100))), Code::NotYetValid, "begins at");
}

#[test]
fn logs_count_once() {
    let signed = Signed::new();
    let work = signed.work();
    let (first, again) = (signed.promised(0, &work, AT), signed.promised(0, &work, AT + 1));
    let other = signed.promised(1, &work, AT);
    let two = at_least(|least| least.log_entries = 2);
    let verdict = |entries: &[&Value]| {
        let entries: Vec<Value> = entries.iter().map(|entry| (*entry).clone()).collect();
        signed.verdict(&two, &bundle(&work, &entries, &[]))
    };
    assert!(verdict(&[&first, &other]).is_ok());
    for once in [&[&first][..], &[&first, &first], &[&first, &again]] {
        refused(verdict(once), Code::LogEntryMissing, "expected entries of 2 trusted logs, found 1");
    }
    refused(verdict(&[]), Code::LogEntryMissing, "found 0");
}

#[test]
fn authorities_count_once() {
    let signed = Signed::new();
    let work = signed.work();
    let stamp = |authority, seconds| signed.stamped(authority, &work, after(seconds));
    let two = Settings { timestamps: Requirement::Require, ..at_least(|least| least.timestamps = 2) };
    let verdict =
        |stamps: &[Vec<u8>]| signed.verdict(&two, &bundle(&work, &[signed.promised(0, &work, AT)], stamps));
    assert!(verdict(&[stamp(0, 1), stamp(1, 2)]).is_ok());
    for once in [vec![stamp(0, 1)], vec![stamp(0, 1); 2], vec![stamp(0, 1), stamp(0, 2)]] {
        let words = "expected those of 2 trusted authorities, found 1";
        refused(verdict(&once), Code::TimestampInvalid, words);
    }
    refused(verdict(&[]), Code::TimestampInvalid, "found 0");
}

#[test]
fn times_of_logs_and_authorities_count_together() {
    let signed = Signed::new();
    let work = signed.work();
    let two = at_least(|least| least.times = 2);
    let promised = || signed.promised(0, &work, AT);
    let stamp = || signed.stamped(0, &work, after(1));
    assert!(signed.verdict(&two, &bundle(&work, &[promised()], &[stamp()])).is_ok());
    assert!(signed.verdict(&two, &bundle(&work, &[promised(), signed.promised(1, &work, AT)], &[])).is_ok());
    for (entries, stamps) in [
        (vec![promised()], vec![]),
        (vec![promised(), promised()], vec![]),
        (vec![signed.included(0, &work)], vec![stamp(), stamp()]),
    ] {
        let result = signed.verdict(&two, &bundle(&work, &entries, &stamps));
        refused(result, Code::TimestampInvalid, "2 logs or timestamp authorities must tell, and 1 do");
    }
}

#[test]
fn a_time_to_come_is_no_time() {
    let signed = Signed::new();
    let work = signed.work();
    let verifier = signed.stand.verifier(&keyless());
    let promised = claim(&bundle(&work, &[signed.promised(0, &work, AT)], &[]));
    let early = |seconds| judge(&verifier, &image(), &promised, before(seconds));
    assert!(early(0).is_ok());
    refused(early(3600), Code::LogEntryMissing, "it is from the future");
    let stamped = bundle(&work, &[signed.included(0, &work)], &[signed.stamped(0, &work, after(0))]);
    refused(
        judge(&verifier, &image(), &claim(&stamped), before(3600)),
        Code::TimestampInvalid,
        "it is from the future",
    );
    // A log that promises at no time promises nothing.
    let never = bundle(&work, &[signed.promised(0, &work, 0)], &[]);
    refused(signed.verdict(&keyless(), &never), Code::LogEntryMissing, "its integratedTime is 0");
}

#[test]
fn a_timestamp_that_does_not_hold_proves_nothing_and_harms_nothing() {
    let signed = Signed::new();
    let work = signed.work();
    let unknown = Stand::new();
    for bad in [
        b"no timestamp".to_vec(),
        signed.stand.stamp(0, b"another signature", after(1)),
        unknown.stamp(0, &work.signature, after(1)),
    ] {
        let beside = bundle(&work, &[signed.promised(0, &work, AT)], std::slice::from_ref(&bad));
        assert!(signed.verdict(&keyless(), &beside).is_ok());
        let alone = bundle(&work, &[signed.included(0, &work)], std::slice::from_ref(&bad));
        refused(signed.verdict(&keyless(), &alone), Code::TimestampInvalid, "must tell, and 0 do: ");
        let asked = Settings { timestamps: Requirement::Require, ..keyless() };
        refused(signed.verdict(&asked, &beside), Code::TimestampInvalid, "found 0: ");
        let good = signed.stamped(1, &work, after(1));
        let both = bundle(&work, &[signed.promised(0, &work, AT)], &[bad, good]);
        assert!(signed.verdict(&asked, &both).is_ok());
    }
}

#[test]
fn an_entry_of_a_log_that_nobody_knows_proves_nothing_and_one_of_a_known_log_holds() {
    let signed = Signed::new();
    let (work, unknown) = (signed.work(), Stand::new());
    let strange = unknown.rekor[0].entry(&work.body(HASHED.0, HASHED.1), AT);
    let result = signed.verdict(&keyless(), &bundle(&work, std::slice::from_ref(&strange), &[]));
    refused(result, Code::LogEntryMissing, "the trusted root knows no log");
    let good = signed.promised(0, &work, AT);
    assert!(signed.verdict(&keyless(), &bundle(&work, &[strange, good.clone()], &[])).is_ok());
    // One that is trusted and quoted wrongly is no better for a good one beside it.
    let wrong = with(&signed.promised(1, &work, AT), "/integratedTime", json!((AT + 1).to_string()));
    let result = signed.verdict(&keyless(), &bundle(&work, &[good, wrong], &[]));
    refused(
        result,
        Code::LogEntryMissing,
        "its inclusion promise was not signed by the log https://rekor.other.test",
    );
}

#[test]
fn each_counts_within_its_window() {
    let signed = Signed::new();
    let work = signed.work();
    let promised = bundle(&work, &[signed.promised(0, &work, AT)], &[]);
    let stamp = signed.stamped(0, &work, after(0));
    let stamped = bundle(&work, &[signed.included(0, &work)], &[stamp]);
    let window = |of: &str| format!("{of}/validFor");
    let (log, log2) = (window("/tlogs/0/publicKey"), window("/tlogs/2/publicKey"));
    let show = |at| crate::setting::time::show(at);
    for (bundle, pointer, code, words) in [
        (&promised, &log, Code::LogEntryMissing, "when the key of https://rekor.example.test did not count"),
        (&stamped, &log2, Code::LogEntryMissing, "the key of https://rekor2.example.test did not count"),
        (
            &stamped,
            &window("/timestampAuthorities/0"),
            Code::TimestampInvalid,
            "https://tsa.example.test did not count",
        ),
        (&promised, &window("/certificateAuthorities/0"), Code::UntrustedKey, "certificate authorities"),
        (&promised, &window("/ctlogs/0/publicKey"), Code::CertificateInvalid, "did not count when it saw it"),
    ] {
        let judge = |start, end| {
            let range = json!({"start": show(start), "end": show(end)});
            let verifier = trusting(&keyless(), &with(&signed.stand.trusted(), pointer, range));
            judge(&verifier, &image(), &claim(bundle), later())
        };
        assert!(judge(after(0), after(0)).is_ok(), "{pointer}");
        refused(judge(before(100), before(1)), code, words);
        refused(judge(after(1), after(100)), code, words);
    }
}

#[test]
fn a_signer_counts_until_a_moment() {
    let signed = Signed::new();
    let work = signed.work();
    let root = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(root.path(), signed.stand.trusted().to_string()).unwrap();
    let until = |valid_until, cosign: Settings, bundle: &Value| {
        let cosign = Some(Settings { trusted_root: Some(root.path().to_owned()), ..cosign });
        let settings = SignerSettings { valid_until: Some(valid_until), cosign, ..SignerSettings::default() };
        let verifier = crate::signature::build(&SignerName("acme".into()), &settings).unwrap();
        assert!(verifier.limitation().is_none());
        verifier.verify(&image(), &claim(bundle), &RevocationData::default(), later())
    };
    let promised = bundle(&work, &[signed.promised(0, &work, AT)], &[]);
    let stamped = bundle(&work, &[signed.included(0, &work)], &[signed.stamped(0, &work, after(0))]);
    for bundle in [&promised, &stamped] {
        assert!(until(after(0) + Duration::from_millis(1), keyless(), bundle).is_ok());
        refused(until(after(0), keyless(), bundle), Code::SignedTooLate, "it was signed at");
    }
    // A key needs no time, and has none by the second log alone.
    let key = rcgen::KeyPair::generate().unwrap();
    let work = Work::statement(By::Key(&key), &image().descriptor.digest);
    let bare = bundle(&work, &[signed.included(0, &work)], &[]);
    assert!(judge(&signed.stand.verifier(&stand::key(&key)), &image(), &claim(&bare), later()).is_ok());
    refused(until(later(), stand::key(&key), &bare), Code::SignedTooLate, "nothing says when");
}

/// Whoever else the root certified for timestamps is not the authority that the trusted root names.
#[test]
fn a_named_authority_stamps_with_its_own_certificate() {
    let signed = Signed::new();
    let work = signed.work();
    let bundle = bundle(&work, &[signed.included(0, &work)], &[signed.stamped(0, &work, after(0))]);
    let chain = "/timestampAuthorities/0/certChain/certificates";
    let [own, other] = &signed.stand.tsa;
    let verdict = |certificates: &[&crate::x509::Certificate]| {
        let certificates: Vec<_> =
            certificates.iter().map(|c| json!({"rawBytes": stand::encoded(c.der())})).collect();
        let verifier = trusting(&keyless(), &with(&signed.stand.trusted(), chain, json!(certificates)));
        judge(&verifier, &image(), &claim(&bundle), later())
    };
    assert!(verdict(&[&own.leaf, &own.middle, &own.root]).is_ok());
    assert!(verdict(&[&own.middle, &own.root]).is_ok(), "whoever is below an issuer that is named first");
    refused(
        verdict(&[&other.leaf, &own.middle, &own.root]),
        Code::TimestampInvalid,
        "another certificate than those of the authority",
    );
}

/// Without any time of its own, an entry is as good as the log's key is now.
#[test]
fn an_entry_of_no_known_time_counts_while_its_log_does() {
    let stand = Stand::new();
    let key = rcgen::KeyPair::generate().unwrap();
    let work = Work::statement(By::Key(&key), &image().descriptor.digest);
    let entry = || entry_with(&stand.rekor2[0], &work, HASHED_2, |_| {});
    let verdict = |end, stamps: &[Vec<u8>]| {
        let range = json!({"start": "2026-01-01T00:00:00Z", "end": crate::setting::time::show(end)});
        let root = with(&stand.trusted(), "/tlogs/2/publicKey/validFor", range);
        let bundle = claim(&bundle(&work, &[entry()], stamps));
        judge(&trusting(&stand::key(&key), &root), &image(), &bundle, later())
    };
    assert!(verdict(later(), &[]).is_ok());
    let ended = after(3600);
    refused(verdict(ended, &[]), Code::LogEntryMissing, "does not count now, and nothing tells when");
    assert!(verdict(ended, &[stand.stamp(0, &work.signature, after(0))]).is_ok());
}

/// Timestamps that are made to be verified slowly are heard for a while, and not beyond it.
#[test]
fn only_so_many_signatures_are_verified_for_the_timestamps_of_a_claim() {
    let signed = Signed::new();
    let work = signed.work();
    let mut root = signed.stand.trusted();
    let mut ended = root["timestampAuthorities"][0].clone();
    ended["validFor"]["end"] = json!("2026-01-02T00:00:00Z");
    let [_, good] = root["timestampAuthorities"].as_array().unwrap().as_slice() else { panic!() };
    root["timestampAuthorities"] = json!([vec![ended; 7], vec![good.clone()]].concat());
    let verifier = trusting(&keyless(), &root);
    let verdict = |before: usize| {
        let mut stamps = vec![signed.stamped(0, &work, after(1)); before];
        stamps.push(signed.stamped(1, &work, after(2)));
        let bundle = bundle(&work, &[signed.included(0, &work)], &stamps);
        judge(&verifier, &image(), &claim(&bundle), later())
    };
    assert!(verdict(1).is_ok());
    refused(verdict(31), Code::TimestampInvalid, "256 signatures were verified");
}
