//! The log as an auditor reads it.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::*;
use crate::oci::media_type::OCI_MANIFEST;
use crate::oci::{Descriptor, Digest, Repository};
use crate::policy::{Belief, Findings, Limits, Policies, SignatureReport, decide};
use crate::signature::{Code, Format, Subject};

/// A decision about `name`, which no policy covers.
fn line(name: &str) -> Line {
    let repository = Repository::parse(&format!("docker.io/library/{name}")).unwrap();
    let descriptor = Descriptor::new(OCI_MANIFEST, Digest::sha256(name.as_bytes()), 3);
    let policies = Policies::build(&[], &[], &BTreeMap::new()).unwrap();
    let subject = Subject { repository, descriptor };
    let at = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let decision = decide(&subject, None, &policies, &Findings::default(), &Limits::default(), at);
    Line::new(&decision, "anonymous", false)
}

fn signature(message: &str) -> SignatureReport {
    SignatureReport {
        format: Format::Nv2,
        media_type: None,
        digest: Digest::sha256(b"signature"),
        result: Belief::Rejected,
        code: Code::BadSignature,
        message: message.to_owned(),
        signer: None,
        identity: None,
        issuer: None,
        signed_at: None,
        time_source: None,
        not_after: None,
        origin: Vec::new(),
        statement: None,
        validations: Vec::new(),
        notes: Vec::new(),
        predicate_type: None,
        chain: Vec::new(),
    }
}

fn log_in(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("audit").join("audit.jsonl")
}

fn open(path: &Path) -> Result<Audit, Error> {
    Audit::open(path, &Clock::system(), &Metrics::new())
}

fn read(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

/// What is told of files by [`Verifier`]: the file's place, the line's and why; and what was followed.
fn verified(files: &[&[u8]]) -> (Vec<(usize, u64, String)>, Result<Option<Followed>, String>) {
    let (mut faults, mut verifier) = (Vec::new(), Verifier::default());
    for (i, file) in files.iter().enumerate() {
        verifier.file(*file, &mut |line, why| faults.push((i, line, why))).unwrap();
    }
    (faults, verifier.end())
}

/// A log of five lines as it stands on disk, over two starts.
async fn five_lines() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = log_in(&folder);
    for names in [&["one", "two", "three"][..], &["four", "five"]] {
        let audit = open(&path).unwrap();
        for name in names {
            audit.decision(&line(name)).await.unwrap();
        }
    }
    std::fs::read(&path).unwrap()
}

fn joined(lines: &[&[u8]]) -> Vec<u8> {
    lines.iter().flat_map(|line| [line, &b"\n"[..]].concat()).collect()
}

#[tokio::test]
async fn a_whole_log_is_followed_over_its_files() {
    let log = five_lines().await;
    let (faults, followed) = verified(&[&log]);
    assert_eq!(faults, []);
    let followed = followed.unwrap().unwrap();
    assert_eq!((followed.first, followed.last), (1, 5));
    let lines: Vec<&[u8]> = log.trim_ascii_end().split(|b| *b == b'\n').collect();
    assert_eq!(followed.head, <[u8; 32]>::from(Sha256::digest(lines[4])));
    let (old, new) = (joined(&lines[..2]), joined(&lines[2..]));
    assert_eq!(verified(&[&old, b"", &new]), (Vec::new(), Ok(Some(followed.clone()))));
    let (faults, later) = verified(&[&new]);
    assert_eq!((faults, later.unwrap().unwrap().first), (Vec::new(), 3));
    assert_eq!(verified(&[b""]), (Vec::new(), Ok(None)));
}

#[tokio::test]
async fn what_was_changed_taken_out_or_moved_is_told_where_it_shows() {
    let log = five_lines().await;
    let lines: Vec<&[u8]> = log.trim_ascii_end().split(|b| *b == b'\n').collect();
    let places = |log: &[u8]| verified(&[log]).0.into_iter().map(|(_, line, _)| line).collect::<Vec<_>>();
    let changed = String::from_utf8(log.clone()).unwrap().replace("library/two", "library/owt");
    assert_eq!(places(changed.as_bytes()), [3]);
    assert_eq!(places(&joined(&[lines[0], lines[2], lines[3], lines[4]])), [2]);
    assert_eq!(places(&joined(&[lines[0], lines[2], lines[1], lines[3], lines[4]])), [2, 3, 4]);
    assert_eq!(places(&joined(&[lines[0], lines[1], lines[1], lines[2]])), [3]);
    assert_eq!(places(&joined(&[lines[0], b"{}", lines[2]])), [3]);
    assert_eq!(places(&joined(&[b"root:x:0:0", lines[0]])), [1]);
    let foreign = format!("{{\"sequence\":1,\"previous\":\"{}\"}}", hex::encode([7; 32]));
    assert_eq!(places(foreign.as_bytes()), [1]);
    assert_eq!(places(&joined(&[lines[0], &vec![b'x'; MAX_LINE_BYTES + 10]]))[0], 2);
    // The files in the wrong order.
    let (old, new) = (joined(&lines[..2]), joined(&lines[2..]));
    assert_eq!(verified(&[&new, &old]).0[0].0, 1);
    // A line that is gone is seen where the next stands, though it was the last of its file.
    assert_eq!(
        verified(&[&joined(&lines[..1]), &new]).0[0].2,
        "expected line 2, found line 3: lines are missing, were added or stand in another order"
    );
    // The server was started on another file.
    assert!(verified(&[&old, &old]).0[0].2.contains("a new chain begins"));
    let cut = &log[..log.len() - 20];
    let (faults, end) = verified(&[cut]);
    assert!(faults.is_empty() && end.unwrap_err().starts_with("the last line cannot be read"));
}

/// A crash is told apart from somebody who makes a line unreadable: the server notes it, in the chain.
#[tokio::test]
async fn a_crash_that_the_log_notes_is_no_break() {
    let folder = tempfile::tempdir().unwrap();
    let path = log_in(&folder);
    open(&path).unwrap().decision(&line("one")).await.unwrap();
    std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(br#"{"seq"#).unwrap();
    open(&path).unwrap().decision(&line("two")).await.unwrap();
    let log = std::fs::read(&path).unwrap();
    let (faults, followed) = verified(&[&log]);
    assert_eq!((faults, followed.unwrap().unwrap().last), (Vec::new(), 4));
    // Nobody hides a line behind such a note: it is in the hash of what stood there.
    let lines: Vec<&[u8]> = log.trim_ascii_end().split(|b| *b == b'\n').collect();
    let (faults, _) = verified(&[&joined(&[lines[0], b"{", lines[2], lines[3]])]);
    assert_eq!(faults.len(), 1);
    let mut unnoted = Chain::after(1, lines[0]);
    unnoted.advance("{");
    let next = unnoted.next("{}");
    assert!(verified(&[&joined(&[lines[0], b"{", next.as_bytes()])]).0[0].2.contains("notes no crash"));
}

/// Checks numbers and hashes from the first line on, and gives the lines as values.
fn checked(lines: &[String]) -> Vec<Value> {
    let mut previous = hex::encode([0; 32]);
    let mut values = Vec::new();
    for (i, line) in lines.iter().enumerate() {
        if let Ok(value) = serde_json::from_str::<Value>(line) {
            assert_eq!(value["sequence"], json!(i + 1), "{line}");
            assert_eq!(value["previous"], json!(previous), "{line}");
            values.push(value);
        }
        previous = hex::encode(Sha256::digest(line));
    }
    values
}

#[tokio::test]
async fn lines_are_chained_over_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let path = log_in(&folder);
    for reference in ["one", "two"] {
        let audit = open(&path).unwrap();
        audit.decision(&line(reference)).await.unwrap();
        audit.decision(&line(reference)).await.unwrap();
    }
    let lines = checked(&read(&path));
    assert_eq!(lines.len(), 4);
    assert_eq!(lines[3]["repository"], "docker.io/library/two");
    assert_eq!(lines[3]["outcome"], "deny");
    assert_eq!(lines[3]["decision"].as_str().unwrap().len(), 26);
    assert_eq!(lines[3]["at"], "2023-11-14T22:13:20Z");
    assert_eq!((&lines[3]["principal"], &lines[3]["cached"]), (&json!("anonymous"), &json!(false)));
    assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_line_that_was_cut_short_stays_and_is_noted() {
    let folder = tempfile::tempdir().unwrap();
    let path = log_in(&folder);
    open(&path).unwrap().decision(&line("one")).await.unwrap();
    let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(br#"{"sequence":2,"prev"#).unwrap();
    open(&path).unwrap().decision(&line("two")).await.unwrap();
    let lines = read(&path);
    assert_eq!(lines.len(), 4);
    assert_eq!(lines[1], r#"{"sequence":2,"prev"#);
    let values = checked(&lines);
    assert_eq!((values[1]["event"].as_str(), &values[1]["lines"]), (Some("damage"), &json!(1)));
    assert_eq!(values[2]["repository"], "docker.io/library/two");
}

#[tokio::test]
async fn a_whole_line_without_its_end_is_no_damage() {
    let folder = tempfile::tempdir().unwrap();
    let path = log_in(&folder);
    open(&path).unwrap().decision(&line("one")).await.unwrap();
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, whole.trim_ascii_end()).unwrap();
    open(&path).unwrap().decision(&line("two")).await.unwrap();
    assert_eq!(checked(&read(&path)).len(), 2);
}

#[test]
fn a_file_of_something_else_is_not_appended_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("passwd");
    std::fs::write(&path, "root:x:0:0\n").unwrap();
    assert!(matches!(open(&path), Err(Error::Foreign(_))));
    assert_eq!(std::fs::read(&path).unwrap(), b"root:x:0:0\n");
}

#[test]
fn a_link_a_folder_and_a_log_in_use_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("link");
    symlink(folder.path().join("elsewhere"), &link).unwrap();
    assert!(matches!(open(&link), Err(Error::File { .. })));
    assert!(!folder.path().join("elsewhere").exists());
    assert!(matches!(open(folder.path()), Err(Error::File { .. })));
    let path = log_in(&folder);
    let _first = open(&path).unwrap();
    assert!(matches!(open(&path), Err(Error::InUse(_))));
}

#[tokio::test]
async fn a_log_that_was_moved_away_is_begun_anew_with_the_same_chain() {
    let folder = tempfile::tempdir().unwrap();
    let (path, old) = (log_in(&folder), log_in(&folder).with_extension("1"));
    let audit = open(&path).unwrap();
    audit.decision(&line("one")).await.unwrap();
    std::fs::rename(&path, &old).unwrap();
    audit.decision(&line("two")).await.unwrap();
    assert_eq!((read(&old).len(), read(&path).len()), (1, 1));
    assert_eq!(checked(&[read(&old), read(&path)].concat()).len(), 2);
}

#[tokio::test]
async fn what_cannot_be_recorded_is_an_error_and_leaves_no_gap() {
    let folder = tempfile::tempdir().unwrap();
    let path = log_in(&folder);
    let metrics = Metrics::new();
    let audit = Audit::open(&path, &Clock::system(), &metrics).unwrap();
    audit.decision(&line("one")).await.unwrap();
    let aside = path.with_extension("aside");
    std::fs::rename(&path, &aside).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert!(matches!(audit.decision(&line("lost")).await, Err(Error::File { .. })));
    assert_eq!(metrics.audit_write_failures.get(), 1);
    std::fs::remove_dir(&path).unwrap();
    audit.decision(&line("two")).await.unwrap();
    assert_eq!(checked(&[read(&aside), read(&path)].concat()).len(), 2);
}

#[tokio::test]
async fn a_write_that_failed_half_way_is_chained_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = log_in(&folder);
    let audit = open(&path).unwrap();
    audit.decision(&line("one")).await.unwrap();
    std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(br#"{"seq"#).unwrap();
    if let Sink::File(file) = &mut lock(&audit.log).sink {
        file.fail();
    }
    audit.decision(&line("two")).await.unwrap();
    let values = checked(&read(&path));
    assert_eq!(values[1]["event"], "damage");
    assert_eq!(values[2]["repository"], "docker.io/library/two");
}

#[tokio::test]
async fn a_line_has_at_most_64_kib() {
    let audit = Audit::memory();
    let mut long = line("one");
    long.report.signatures = vec![signature(&"m".repeat(900)); 100];
    audit.decision(&long).await.unwrap();
    let lines = audit.lines();
    assert!(lines[0].len() <= MAX_LINE_BYTES);
    let value = &checked(&lines)[0];
    assert_eq!(value["signatures"].as_array().unwrap().len(), 50);
    assert_eq!(value["signatures_left_out"], 50);
    long.principal = "p".repeat(MAX_LINE_BYTES);
    assert!(matches!(audit.decision(&long).await, Err(Error::Line(_))));
}

fn refused(tag: &str) -> Refused {
    Refused {
        repository: Repository::parse("docker.io/library/nginx").unwrap(),
        target: tag.to_owned(),
        principal: "anonymous".to_owned(),
        code: Code::Unsigned,
        decision: Some("01JABC".to_owned()),
    }
}

#[tokio::test]
async fn refusals_are_told_once_a_minute_with_their_count() {
    let clock = Clock::manual(UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    let audit = Audit::in_memory(&clock);
    audit.refusal(refused("v1"));
    clock.advance(Duration::from_secs(59));
    audit.refusal(refused("v1"));
    audit.refusal(refused("v2"));
    audit.flush().await.unwrap();
    assert!(audit.lines().is_empty());
    clock.advance(Duration::from_secs(1));
    audit.flush().await.unwrap();
    let lines = checked(&audit.lines());
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["event"], "refused");
    assert_eq!((lines[0]["target"].as_str(), lines[0]["code"].as_str()), (Some("v1"), Some("unsigned")));
    assert_eq!((&lines[0]["count"], lines[0]["last"].as_str()), (&json!(2), Some("2023-11-14T22:14:19Z")));
    audit.close().await.unwrap();
    assert_eq!(checked(&audit.lines()).len(), 2);
}

#[tokio::test]
async fn a_flood_of_different_refusals_is_counted_together() {
    let audit = Audit::memory();
    for i in 0..5000 {
        audit.refusal(refused(&format!("v{i}")));
    }
    audit.close().await.unwrap();
    let lines = checked(&audit.lines());
    assert_eq!(lines.len(), 4097);
    assert_eq!(lines[4096]["event"], "refused_others");
    assert_eq!(lines[4096]["count"], 904);
}

#[tokio::test]
async fn what_could_not_be_recorded_is_told_by_the_log_once_that_is_possible() {
    let folder = tempfile::tempdir().unwrap();
    let path = log_in(&folder);
    let clock = Clock::manual(UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    let metrics = Metrics::new();
    let audit = Audit::open(&path, &clock, &metrics).unwrap();
    audit.decision(&line("one")).await.unwrap();
    audit.flush().await.unwrap();
    assert_eq!(read(&path).len(), 1, "nothing is lost");
    let aside = path.with_extension("aside");
    std::fs::rename(&path, &aside).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert!(audit.is_writable(), "nobody has tried");
    for _ in 0..2 {
        audit.decision(&line("lost")).await.unwrap_err();
    }
    audit.refusal(refused("v1"));
    clock.advance(COALESCED_FOR);
    for _ in 0..3 {
        audit.flush().await.unwrap();
        assert!(!audit.is_writable());
    }
    assert_eq!(metrics.audit_write_failures.get(), 2, "a try loses no line");
    std::fs::remove_dir(&path).unwrap();
    audit.flush().await.unwrap();
    assert!(audit.is_writable());
    audit.flush().await.unwrap();
    let lines = checked(&[read(&aside), read(&path)].concat());
    let events: Vec<_> = lines.iter().map(|line| line["event"].as_str()).collect();
    assert_eq!(events, [None, Some("unrecorded"), Some("refused")], "{lines:?}");
    assert_eq!((&lines[1]["lines"], &lines[1]["since"]), (&json!(2), &json!("2023-11-14T22:13:20Z")));
    // Also where another line found the way before.
    std::fs::rename(&path, path.with_extension("second")).unwrap();
    std::fs::create_dir(&path).unwrap();
    audit.decision(&line("lost")).await.unwrap_err();
    std::fs::remove_dir(&path).unwrap();
    audit.decision(&line("two")).await.unwrap();
    assert!(audit.is_writable());
    audit.flush().await.unwrap();
    let lines = read(&path);
    assert!(lines.len() == 2 && lines[1].contains("unrecorded"), "{lines:?}");
}
