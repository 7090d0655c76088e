use std::fs;

use serde_json::json;

use super::*;
use crate::trust::revocation::Answer;

/// A layout with so much revocation data.
fn layout(answers: &[&[u8]]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    };
    write("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);
    write("index.json", br#"{"schemaVersion":2,"manifests":[]}"#);
    for der in answers {
        write(&format!("blobs/sha256/{}", Digest::sha256(der).hex()), der);
    }
    folder
}

fn contents(made: SystemTime, revocation: Vec<Answer>) -> Contents {
    let (platforms, references, blobs) = (Vec::new(), Vec::new(), Vec::new());
    Contents { made, since: None, platforms, pieces: 1, references, blobs, revocation }
}

/// What does not fit is left behind and told, and what comes after it fits all the same. What fills its own share takes
/// nothing of another's, and what is listed twice needs room once.
#[test]
fn revocation_data_has_only_so_much_room() {
    let ders: [&[u8]; 4] = [b"one", b"another", b"two", b"of twelve ++"];
    let folder = layout(&ders);
    let opened = Opened::open(&[folder.path().to_owned()], None, &[], SystemTime::now()).unwrap();
    let answer = |about: &str, der: &[u8]| {
        serde_json::from_value(json!({ "about": about, "digest": Digest::sha256(der) })).unwrap()
    };
    let (all, twice): (&[_], &[_]) = (&["one", "another", "two"], &["one", "one", "two", "two"]);
    let cases: [(usize, &[&[&str]], &[&str], &[&str]); 7] = [
        (13, &[all], all, &[]),
        (9, &[all], &["one", "two"], &["another"]),
        (6, &[twice], twice, &[]),
        (6, &[&["two", "one"], &["one"]], &["one", "two", "one"], &[]),
        (24, &[&["of twelve ++"], all], &["of twelve ++", "one", "another"], &["two"]),
        (18, &[&["of twelve ++"], &["one", "two"]], &["one", "two", "of twelve ++"], &[]),
        (
            18,
            &[&["of twelve ++"], &["another"], &["one", "two"]],
            &["one", "two", "of twelve ++"],
            &["another"],
        ),
    ];
    for (room, listed, fits, lost) in cases {
        let contents: Vec<_> = listed
            .iter()
            .map(|ders| {
                let answers =
                    ders.iter().enumerate().map(|(at, der)| answer(&at.to_string(), der.as_bytes()));
                contents(SystemTime::now(), answers.collect())
            })
            .collect();
        let mut layouts = vec![opened.layouts[0].clone(); listed.len()];
        let taken = Answers::of(&opened.carried, contents.iter().zip(&mut layouts).collect(), room);
        assert!(taken.taken.iter().map(|(_, der)| der).eq(fits), "{room}: {:?}", taken.taken);
        let of_lost = |der: &&str| Digest::sha256(der.as_bytes());
        assert!(taken.lost.iter().map(|answer| answer.digest).eq(lost.iter().map(of_lost)), "{room}");
        let told: Vec<String> = layouts.iter().flat_map(|layout| layout.passed_over.clone()).collect();
        assert_eq!(layouts.iter().map(|layout| layout.answers_lost).sum::<usize>(), lost.len());
        for (told, lost) in told.iter().zip(lost.iter().map(of_lost)) {
            assert!(told.contains(&format!("{lost} has no room")), "{told}");
        }
        assert_eq!(told.len(), lost.len());
    }
}

#[test]
fn a_clock_may_be_behind_by_so_much() {
    let folder = layout(&[]);
    let opened = Opened::open(&[folder.path().to_owned()], None, &[], SystemTime::now()).unwrap();
    let made = SystemTime::now();
    let contents = contents(made, Vec::new());
    let layout = &opened.layouts[0];
    assert!(in_time(&contents, layout, made - CLOCK_SLACK).is_ok());
    let behind = made - CLOCK_SLACK - Duration::from_secs(1);
    assert!(in_time(&contents, layout, behind).unwrap_err().contains("set it right first"));
}
