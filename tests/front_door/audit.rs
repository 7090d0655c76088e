//! `portcullis audit verify` over what a server wrote, rotated while it ran.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use portcullis::demo::Package;

use crate::test_proxy::{TestProxy, push_signed};

/// Runs it in a folder, with this on its standard input; its exit code and what it wrote.
async fn verify(folder: &Path, files: &[&str], input: &str) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.args(["audit", "verify"]).args(files).current_dir(folder);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let input = input.to_owned();
    let run = move || {
        let mut child = command.spawn().unwrap();
        // It may have ended without reading.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.code().unwrap(), text)
}

#[tokio::test]
async fn a_log_is_followed_over_its_rotation() {
    let push = |name: &'static str| move |r: &_| push_signed(r, name, "1", &Package::image(name));
    let proxy = TestProxy::new()
        .upstream(move |registry| ["one", "two", "three"].into_iter().for_each(|name| push(name)(registry)))
        .start()
        .await;
    let (log, old) = (proxy.folder.path().join("audit.jsonl"), proxy.folder.path().join("audit.jsonl.1"));
    for name in ["one:1", "two:1"] {
        assert_eq!(proxy.get(name).await.status, 200);
    }
    std::fs::rename(&log, &old).unwrap();
    assert_eq!(proxy.get("three:1").await.status, 200);
    let folder = proxy.folder.path();
    let (code, told) = verify(folder, &["audit.jsonl.1", "audit.jsonl"], "").await;
    assert!(code == 0 && told.starts_with("whole: lines 1 to 3\nlast line: sha256 "), "{told}");
    let text = std::fs::read_to_string(&old).unwrap();
    let (code, told) = verify(folder, &["-", "audit.jsonl"], &text).await;
    assert!(code == 0 && told.starts_with("whole: lines 1 to 3\n"), "{told}");
    let (code, told) = verify(folder, &["audit.jsonl"], "").await;
    assert!(code == 0 && told.contains("lines 3 to 3; what came before is not in these files"), "{told}");
    let changed = text.replace("\"outcome\":\"allow\"", "\"outcome\":\"deny\"");
    let (code, told) = verify(folder, &["-", "audit.jsonl"], &changed).await;
    assert_eq!(code, 1, "{told}");
    assert!(
        told.contains("-:2: line 2 does not follow") && told.contains("audit.jsonl:1: line 3 does not"),
        "{told}"
    );
    assert!(told.ends_with("not whole: 2 breaks\n"), "{told}");
    let (code, told) = verify(folder, &["-"], &text[..text.len() - 9]).await;
    assert!(code == 1 && told.contains("the last line cannot be read: it was cut short"), "{told}");
    assert_eq!(verify(folder, &["-"], "").await, (1, "not whole: there is no line\n".to_owned()));
    assert_eq!(verify(folder, &["absent"], "").await.0, 2);
    assert_eq!(verify(folder, &[], "").await.0, 64);
}
