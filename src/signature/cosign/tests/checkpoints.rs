//! Tree heads as signed notes: the log's own signature is found among others, and nothing else is taken for one.

use serde_json::{Value, json};

use super::super::*;
use super::judge;
use super::stand::{self, By, HASHED, HASHED_2, Log, Stand, Work, bundle, claim, entry_with, image, later};
use super::tree::with;
use crate::signature::Code;

const ENVELOPE: &str = "/inclusionProof/checkpoint/envelope";

/// A Sigstore, a key that it knows, and what was logged of a signature by it.
struct Logged {
    stand: Stand,
    key: rcgen::KeyPair,
    second: bool,
}

impl Logged {
    fn by(second: bool) -> Self {
        Self { stand: Stand::new(), key: rcgen::KeyPair::generate().unwrap(), second }
    }

    fn log(&self) -> &Log {
        if self.second { &self.stand.rekor2[0] } else { &self.stand.rekor[0] }
    }

    fn bundle(&self, change: impl FnOnce(&Value) -> Value) -> Signature {
        let work = Work::statement(By::Key(&self.key), &image().descriptor.digest);
        let entry = entry_with(self.log(), &work, if self.second { HASHED_2 } else { HASHED }, |_| {});
        claim(&bundle(&work, &[change(&entry)], &[]))
    }

    /// What is found wrong with a note, made of the genuine one's text.
    fn why(&self, note: impl FnOnce(&str) -> String) -> Option<String> {
        let claim = self.bundle(|entry| {
            let envelope = entry.pointer(ENVELOPE).unwrap().as_str().unwrap();
            let (text, _) = envelope.split_once("\n\n").unwrap();
            with(entry, ENVELOPE, json!(note(&format!("{text}\n"))))
        });
        let verifier = self.stand.verifier(&stand::key(&self.key));
        let rejected = judge(&verifier, &image(), &claim, later()).err()?;
        assert_eq!(rejected.code(), Code::LogEntryMissing, "{rejected}");
        Some(rejected.to_string())
    }

    fn refused(&self, words: &str, note: impl FnOnce(&str) -> String) {
        let why = self.why(note).unwrap_or_else(|| panic!("is believed: {words}"));
        assert!(why.contains(words), "{words}: {why}");
    }
}

#[test]
fn the_logs_signature_is_found_among_others() {
    for logged in [Logged::by(false), Logged::by(true)] {
        let log = logged.log();
        let witness = |text: &str| logged.stand.rekor2[1].line("witness.example.test", text);
        let own = |text: &str| log.line(log.host, text);
        let forged = |text: &str| log.line(log.host, &format!("{text}x"));
        let note = |text: &str, lines: &[String]| format!("{text}\n{}\n", lines.join("\n"));
        let accepted =
            |lines: &dyn Fn(&str) -> Vec<String>| logged.why(|text| note(text, &lines(text))).is_none();
        assert!(accepted(&|text| vec![own(text)]));
        assert!(accepted(&|text| vec![own(text), witness(text)]));
        assert!(accepted(&|text| vec![witness(text), own(text)]));
        // Witnesses prove nothing here, either way.
        assert!(accepted(&|text| vec![witness("another note"), own(text)]));
        assert!(accepted(&|text| vec![forged(text), own(text)]));
        assert!(accepted(&|text| [vec![witness(text); 63], vec![own(text)]].concat()));
        assert!(accepted(&|text| [vec![forged(text); 3], vec![own(text)]].concat()));
        let unsigned = "was not signed by the log";
        logged.refused(unsigned, |text| note(text, &[witness(text)]));
        logged.refused(unsigned, |text| note(text, &[forged(text)]));
        logged.refused(unsigned, |text| note(text, &[own("another note")]));
        // Each costs as much as a genuine one.
        logged.refused(unsigned, |text| note(text, &[vec![forged(text); 4], vec![own(text)]].concat()));
        logged.refused("too many signatures", |text| {
            note(text, &[vec![witness(text); 64], vec![own(text)]].concat())
        });
    }
}

#[test]
fn further_lines_are_signed_too() {
    for logged in [Logged::by(false), Logged::by(true)] {
        let log = logged.log();
        assert_eq!(logged.why(|text| log.note(&format!("{text}Timestamp: 1790000000\n\nmore\n"))), None);
        logged.refused("was not signed", |text| log.note(text).replacen("\n\n", "\nmore\n\n", 1));
        // As long as a note may be, and one longer.
        let padded = |text: &str, length: usize| {
            let filled = |n: usize| log.note(&format!("{text}{}\n", "x".repeat(n)));
            // Signatures of ECDSA differ in length.
            (0..20).map(|by| filled(length - filled(0).len() - by)).find(|note| note.len() == length)
        };
        if logged.second {
            assert_eq!(logged.why(|text| padded(text, 64 * 1024).unwrap()), None);
            logged.refused("too long", |text| padded(text, 64 * 1024 + 1).unwrap());
        }
        logged.refused("too long", |text| log.note(&format!("{text}{}\n", "x".repeat(1 << 20))));
    }
}

#[test]
fn a_log_of_the_second_version_signs_by_its_origin_which_is_its_host() {
    let logged = Logged::by(true);
    let log = logged.log();
    let words = "was not signed by the log";
    let signed_by = |name: &'static str| move |text: &str| format!("{text}\n{}\n", log.line(name, text));
    logged.refused(words, signed_by("rekor.example.test"));
    logged.refused(words, signed_by("rekor2.example.tes"));
    let from = |text: &str, origin: &str| text.replacen(log.host, origin, 1);
    logged.refused(words, |text| log.note(&from(text, "rekor2.other.test")));
    logged.refused(words, |text| {
        let text = from(text, "rekor2.other.test");
        format!("{text}\n{}\n", log.line("rekor2.other.test", &text))
    });
    // The first version numbers its trees, and signs by a name of its own.
    let logged = Logged::by(false);
    let log = logged.log();
    assert_eq!(logged.why(|text| format!("{text}\n{}\n", log.line("rekor", text))), None);
    logged.refused(words, |text| {
        let text = text.replacen(&log.origin(), "rekor.other.test", 1);
        format!("{text}\n{}\n", log.line("rekor.other.test", &text))
    });
}

#[test]
fn a_note_has_origin_size_and_root() {
    for logged in [Logged::by(false), Logged::by(true)] {
        let log = logged.log();
        let line = |at: usize, to: &'static str| {
            move |text: &str| {
                let mut lines: Vec<&str> = text.lines().collect();
                lines[at] = to;
                log.note(&format!("{}\n", lines.join("\n")))
            }
        };
        logged.refused("has no origin", |text| log.note(&format!("\n{text}")));
        for size in ["", "+2", "-2", " 2", "2 ", "0x2", "two", "2\r", "18446744073709551616", "1e6"] {
            logged.refused("has no tree size", line(1, size));
        }
        for size in ["3", "1", "0", "18446744073709551615", "1000000000000"] {
            logged.refused("its treeSize is 2, its checkpoint's", line(1, size));
        }
        for root in ["", "AAAA", "!", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==\r"] {
            logged.refused("has no root hash", line(2, root));
        }
        logged.refused(
            "its rootHash is not its checkpoint's",
            line(2, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        );
        for lines in 0..3 {
            let words = ["has no origin", "has no tree size", "has no root hash"][lines];
            logged.refused(words, |text| {
                let kept: Vec<&str> = text.lines().take(lines).collect();
                log.note(&format!("{}\n", kept.join("\n")))
            });
        }
    }
}

#[test]
fn signatures_stand_in_lines_of_their_own() {
    for logged in [Logged::by(false), Logged::by(true)] {
        let log = logged.log();
        let changed = |change: fn(String) -> String| move |text: &str| change(log.note(text));
        let none = "has no signatures";
        logged.refused(none, str::to_owned);
        logged.refused(none, |_| String::new());
        logged.refused(none, changed(|note| note.replace("\n\n", "\n")));
        logged.refused(none, changed(|note| note.replace('\n', "\r\n")));
        logged.refused("ends within a line", changed(|note| note.trim_end().to_owned()));
        let no_line = "has a signature line that is none";
        logged.refused(no_line, changed(|note| format!("{}\r\n", note.trim_end())));
        logged.refused(no_line, changed(|note| note.replacen('\u{2014}', "-", 1)));
        logged.refused(no_line, changed(|note| note.replacen("\u{2014} ", "\u{2014}", 1)));
        logged.refused(no_line, changed(|note| note.replacen("\u{2014} ", "\u{2014}  ", 1)));
        logged.refused(no_line, |text| format!("{text}\n\u{2014} {} AAA\n", log.host));
        logged
            .refused(no_line, |text| format!("{text}\n\u{2014} {} AAAA\n", log.host).replace("AAAA", "AAA="));
        logged.refused("ends within a line", changed(|note| format!("{note}\n")));
    }
}

#[test]
fn the_tree_has_the_entry() {
    for logged in [Logged::by(false), Logged::by(true)] {
        let verifier = logged.stand.verifier(&stand::key(&logged.key));
        let refused = |pointer: &str, value: Value, words: &str| {
            let claim = logged.bundle(|entry| with(entry, pointer, value));
            let rejected = judge(&verifier, &image(), &claim, later()).unwrap_err();
            assert_eq!(rejected.code(), Code::LogEntryMissing, "{rejected}");
            assert!(rejected.to_string().contains(words), "{words}: {rejected}");
        };
        let hash = stand::encoded([7; 32]);
        refused("/inclusionProof/hashes", json!([]), "too short");
        refused("/inclusionProof/hashes", json!([hash]), "leads to another root");
        refused("/inclusionProof/hashes", json!(vec![hash.clone(); 1000]), "too long");
        refused("/inclusionProof/hashes/0", json!("AAAA"), "is no SHA-256");
        refused(
            "/inclusionProof/treeSize",
            json!("9223372036854775807"),
            "its treeSize is 9223372036854775807",
        );
        refused("/inclusionProof/rootHash", json!(hash), "its rootHash is not its checkpoint's");
        if !logged.second {
            refused("/inclusionProof/logIndex", json!("2"), "beyond a tree of 2");
            refused("/inclusionProof/logIndex", json!("0"), "leads to another root");
        }
    }
}
