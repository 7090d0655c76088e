//! Every recorded verdict of both cosigns. Where ours is another, docs/SIGSTORE.md says so: its table is read
//! here, and is exact.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde::Deserialize;

use super::run::{Outcome, portcullis_in};

/// What layouts stand for.
const SCOPE: &str = "registry.example.test/app";
/// Programs that run at once.
const AT_ONCE: usize = 4;

#[derive(Deserialize)]
struct Case {
    case: String,
    verify: Vec<Verdict>,
}

/// One run of a cosign.
#[derive(Deserialize)]
struct Verdict {
    target: String,
    argv: Vec<String>,
    env: std::collections::BTreeMap<String, String>,
    rc: i32,
    /// Its exit code once the keyless certificates had ended.
    rc_later: Option<i32>,
}

/// A row of the table: which runs of cosign end otherwise here.
struct Difference {
    cases: String,
    command: String,
    cosign_accepts: bool,
    /// The runs that it was needed for.
    met: AtomicUsize,
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sigstore")
}

/// All of them but those on attestations in files, which no command of ours takes.
fn verdicts() -> Vec<(String, Verdict)> {
    let folders = fs::read_dir(fixtures()).unwrap().map(|entry| entry.unwrap().path().join("case.json"));
    let mut files: Vec<PathBuf> = folders.filter(|file| file.exists()).collect();
    files.sort();
    let cases = files.iter().map(|file| serde_json::from_slice::<Case>(&fs::read(file).unwrap()).unwrap());
    cases
        .flat_map(|case| case.verify.into_iter().map(move |verdict| (case.case.clone(), verdict)))
        .filter(|(_, verdict)| verdict.argv[1] != "verify-blob-attestation")
        .collect()
}

impl Verdict {
    fn run(&self, case: &str) -> Outcome {
        let reference = format!("{case}/oci@{}", self.target);
        let own = match self.argv[1].as_str() {
            "verify-blob" => vec!["verify-bundle"],
            _ => vec!["verify", "--oci-layout", "--scope", SCOPE, &reference],
        };
        let arguments: Vec<&str> = own.into_iter().chain(self.argv[2..].iter().map(String::as_str)).collect();
        portcullis_in(&fixtures(), &self.env, &arguments)
    }

    /// Certificates have ended whenever this runs.
    fn cosign_accepts(&self) -> bool {
        self.rc_later.unwrap_or(self.rc) == 0
    }
}

impl Difference {
    /// The rows of the table below the heading.
    fn table() -> Vec<Self> {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/SIGSTORE.md");
        let text = fs::read_to_string(file).unwrap();
        let (_, below) = text.split_once("## Where it decides otherwise than cosign").unwrap();
        let rows =
            below.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| !line.is_empty());
        rows.skip(2).map(Self::parse).collect()
    }

    fn parse(row: &str) -> Self {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [cases, command, cosign, here, why] = cells[..] else { panic!("{row}") };
        assert!(!why.is_empty() && cosign != here, "{row}");
        assert!([cosign, here].iter().all(|says| ["accepts", "refuses"].contains(says)), "{row}");
        let (cases, command) = (cases.to_owned(), command.to_owned());
        Self { cases, command, cosign_accepts: cosign == "accepts", met: AtomicUsize::new(0) }
    }

    fn covers(&self, case: &str, verdict: &Verdict) -> bool {
        let named = self.cases.split(' ').any(|pattern| matches(pattern.trim_matches('`'), case));
        let mut words = self.command.split(' ');
        let mut holds = true;
        while let Some(word) = words.next() {
            let (wanted, word) =
                if word == "without" { (false, words.next().unwrap()) } else { (true, word) };
            holds &= verdict.argv.iter().any(|argument| argument == word.trim_matches('`')) == wanted;
        }
        named && holds && self.cosign_accepts == verdict.cosign_accepts()
    }
}

/// `*` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => {
            text.strip_prefix(start).is_some_and(|left| (0..=left.len()).any(|at| matches(rest, &left[at..])))
        }
    }
}

/// What is wrong with a run, if anything is.
fn fault(case: &str, verdict: &Verdict, table: &[Difference]) -> Option<String> {
    let outcome = verdict.run(case);
    let shown = || format!("{case}: {} {:?}: {outcome:?}", verdict.argv.join(" "), verdict.env);
    let accepts = match outcome.code {
        Some(0) if ["allow", "verified"].iter().any(|word| outcome.out.contains(word)) => true,
        Some(1) if outcome.out.contains("deny") || verdict.argv[1] == "verify-blob" => false,
        // A flag that is not taken: never a verdict of cosign's.
        Some(64) if verdict.cosign_accepts() => false,
        _ => return Some(shown()),
    };
    let rows: Vec<&Difference> = table.iter().filter(|row| row.covers(case, verdict)).collect();
    match (accepts == verdict.cosign_accepts(), &rows[..]) {
        (true, []) => None,
        (false, [row]) => {
            row.met.fetch_add(1, Ordering::Relaxed);
            None
        }
        (_, rows) => Some(format!("{} rows say that it ends otherwise: {}", rows.len(), shown())),
    }
}

#[test]
fn verdicts_are_cosigns_own_but_where_the_documentation_says_otherwise() {
    let (verdicts, table, next) = (verdicts(), Difference::table(), AtomicUsize::new(0));
    let work = || {
        let at = || verdicts.get(next.fetch_add(1, Ordering::Relaxed));
        std::iter::from_fn(at).filter_map(|(case, verdict)| fault(case, verdict, &table)).collect::<Vec<_>>()
    };
    let faults: Vec<String> = thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(verdicts.len() >= 490, "{}", verdicts.len());
    for row in table {
        assert_ne!(row.met.into_inner(), 0, "no verdict is otherwise: {} {}", row.cases, row.command);
    }
}

#[test]
fn patterns_match_the_whole_name() {
    assert!(matches("*-bundle-*", "keyless-bundle-tags") && matches("a*", "a") && matches("a", "a"));
    assert!(!matches("*-bundle-", "keyless-bundle-tags") && !matches("a", "ab") && !matches("b*", "ab"));
}
