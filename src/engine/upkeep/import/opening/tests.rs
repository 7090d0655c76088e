use std::fs;

use serde_json::json;

use super::*;

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

/// What does not fit is left behind and told, and what comes after it fits all the same.
#[test]
fn revocation_data_has_only_so_much_room() {
    let ders: [&[u8]; 3] = [b"one", b"another", b"two"];
    let folder = layout(&ders);
    let opened = Opened::open(&[folder.path().to_owned()], None, &[], SystemTime::now()).unwrap();
    let answer =
        |der: &&[u8]| serde_json::from_value(json!({ "about": "a", "digest": Digest::sha256(der) })).unwrap();
    let contents = contents(SystemTime::now(), ders.iter().map(answer).collect());
    for (mut room, fits, left) in [(13, vec!["one", "another", "two"], 0), (9, vec!["one", "two"], 3)] {
        let mut layout = opened.layouts[0].clone();
        let answers = opened.answers(&contents, &mut layout, &mut room);
        assert!(answers.iter().map(|(_, der)| der).eq(&fits), "{answers:?}");
        assert_eq!((room, layout.answers_lost, layout.is_damaged()), (left, 3 - fits.len(), fits.len() < 3));
        let told = layout.passed_over.join("\n");
        assert_eq!(
            told.contains(&format!("{} has no room", Digest::sha256(ders[1]))),
            fits.len() < 3,
            "{told}"
        );
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
