//! One call of a plug-in: a process that is given a request and prints an answer. It is others' code, so time and output
//! are bounded, and nothing of it is left behind.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

use super::{Error, answer};

/// Ten certificates take a tenth of it.
const MAX_OUTPUT: u64 = 1 << 20;

/// Has the plug-in carry out `command`, and gives what it printed.
pub(super) async fn call(
    program: &Path,
    command: &str,
    request: &[u8],
    limit: Duration,
) -> Result<Vec<u8>, Error> {
    let unusable = |e: std::io::Error| Error::Program { path: program.to_owned(), why: e.to_string() };
    let started = Command::new(program)
        .arg(command)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(unusable)?;
    let mut group = Group::of(started);
    match tokio::time::timeout(limit, group.talk(request)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Error::TimedOut(limit)),
    }
}

/// A process and its children, which end with it.
struct Group {
    child: Child,
    id: Option<Pid>,
}

impl Group {
    fn of(child: Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Self { child, id }
    }

    async fn talk(&mut self, request: &[u8]) -> Result<Vec<u8>, Error> {
        let (input, output, errors) =
            (self.child.stdin.take(), self.child.stdout.take(), self.child.stderr.take());
        let write = async {
            if let Some(mut input) = input {
                // A plug-in that does not read its request may still answer.
                let _ = input.write_all(request).await;
            }
        };
        let ((), printed, written) = tokio::join!(write, all(output), all(errors));
        let (printed, written) = (printed?, written?);
        match self.child.wait().await?.code() {
            Some(0) => Ok(printed),
            Some(1) => Err(answer::refusal(&written)),
            Some(code) => Err(Error::Answer(format!("the exit code {code}"))),
            None => Err(Error::Answer("a crash".to_owned())),
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            let _ = kill_process_group(id, Signal::KILL);
        }
    }
}

async fn all(output: Option<impl AsyncRead + Unpin>) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    if let Some(output) = output {
        output.take(MAX_OUTPUT + 1).read_to_end(&mut bytes).await?;
    }
    if bytes.len() as u64 > MAX_OUTPUT {
        return Err(Error::Answer(format!("more than {MAX_OUTPUT} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    /// A plug-in that is this shell script.
    async fn called(script: &str, limit: Duration) -> Result<Vec<u8>, Error> {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("notation-x");
        // Written by a child: one that others fork meanwhile would hold it open for writing, and it could not be run.
        let mut shell = std::process::Command::new("sh");
        let write = "cat > \"$1\" <<'END'\n#!/bin/sh\n".to_owned() + script + "\nEND";
        assert!(shell.args(["-c", &write, "sh"]).arg(&program).status().unwrap().success());
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
        call(&program, "describe-key", b"request", limit).await
    }

    #[tokio::test]
    async fn a_plugin_is_given_its_request_and_answers() {
        let printed = called("echo \"$1 $(cat)\"; echo noise >&2", PATIENCE).await.unwrap();
        assert_eq!(printed, b"describe-key request\n");
        assert_eq!(called("printf unread", PATIENCE).await.unwrap(), b"unread");
    }

    #[tokio::test]
    async fn a_plugin_that_fails_says_why() {
        let error = |script: &'static str| async { called(script, PATIENCE).await.unwrap_err().to_string() };
        assert!(error("echo '{\"errorCode\":\"THROTTLED\"}' >&2; exit 1").await.contains("asked too often"));
        assert!(error("exit 2").await.contains("the exit code 2"));
        assert!(error("kill -SEGV $$").await.contains("a crash"));
    }

    #[tokio::test]
    async fn a_plugin_is_bounded_and_leaves_nothing_behind() {
        assert!(called("yes", PATIENCE).await.unwrap_err().to_string().contains("more than 1048576 bytes"));
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("child");
        let script = format!("sh -c 'echo $$ > {0}; exec sleep 100' & wait", mark.display());
        let limit = Duration::from_millis(1500);
        assert!(matches!(called(&script, limit).await, Err(Error::TimedOut(of)) if of == limit));
        let child: i32 = std::fs::read_to_string(&mark).unwrap().trim().parse().unwrap();
        let end = std::time::Instant::now() + PATIENCE;
        let is_alive = || {
            let state = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
            !state.is_empty() && !state.contains(") Z")
        };
        while is_alive() {
            assert!(std::time::Instant::now() < end, "the plug-in's child lives on");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
