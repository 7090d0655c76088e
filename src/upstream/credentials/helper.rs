//! Docker's credential helpers: programs that print a login. They are others' code, so time and
//! output are bounded.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

use super::Login;
use crate::telemetry::Untrusted;
use crate::upstream::settings::Secret;

const TIMEOUT: Duration = Duration::from_secs(15);
const MAX_OUTPUT: u64 = 64 * 1024;
/// What helpers print, by docker's convention, where they know no login.
const NOT_FOUND: &str = "credentials not found in native keychain";
/// The name that marks a secret as an identity token.
const IDENTITY: &str = "<token>";

/// Finds helpers and asks them.
#[derive(Debug)]
pub(in crate::upstream) struct Helpers {
    search_path: Option<String>,
    timeout: Duration,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

impl Helpers {
    /// Helpers are searched in the folders of `search_path`, which is `PATH`.
    pub(super) fn new(search_path: Option<String>) -> Self {
        Self { search_path, timeout: TIMEOUT }
    }

    /// Asks `docker-credential-<name>` for the login at `server`.
    pub(super) async fn ask(&self, name: &str, server: &str) -> Result<Option<Login>, String> {
        let program = self.find(name)?;
        let output = match tokio::time::timeout(self.timeout, run(&program, server)).await {
            Ok(output) => output.map_err(|e| format!("{}: {e}", program.display()))?,
            Err(_) => {
                let within = humantime::format_duration(self.timeout);
                return Err(format!("{} did not answer within {within}", program.display()));
            }
        };
        output.login().map_err(|e| format!("{}: {e}", program.display()))
    }

    fn find(&self, name: &str) -> Result<PathBuf, String> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        if name.is_empty() || !name.bytes().all(plain) {
            return Err(format!("{} is not a credential helper's name", Untrusted::new(name)));
        }
        let program = format!("docker-credential-{name}");
        let folders = self.search_path.as_deref().unwrap_or_default();
        std::env::split_paths(folders)
            .map(|folder| folder.join(&program))
            .find(|candidate| candidate.is_absolute() && candidate.is_file())
            .ok_or_else(|| format!("{program} is in no folder of PATH"))
    }
}

struct Output {
    succeeded: bool,
    printed: Vec<u8>,
}

/// Runs the program; it is killed when the caller gives up.
async fn run(program: &Path, server: &str) -> std::io::Result<Output> {
    let mut child = Command::new(program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    if let Some(mut input) = child.stdin.take() {
        // A helper that does not read its input may still answer.
        let _ = input.write_all(server.as_bytes()).await;
    }
    let mut printed = Vec::new();
    if let Some(output) = child.stdout.take() {
        output.take(MAX_OUTPUT + 1).read_to_end(&mut printed).await?;
    }
    if printed.len() as u64 > MAX_OUTPUT {
        return Err(std::io::Error::other(format!("it printed more than {MAX_OUTPUT} bytes")));
    }
    Ok(Output { succeeded: child.wait().await?.success(), printed })
}

impl Output {
    fn login(&self) -> Result<Option<Login>, String> {
        let text = String::from_utf8_lossy(&self.printed);
        if !self.succeeded {
            return match text.trim() {
                NOT_FOUND => Ok(None),
                other => Err(Untrusted::new(other).to_string()),
            };
        }
        // The answer holds a secret, so what is wrong with it is not shown.
        let answer: Answer =
            serde_json::from_slice(&self.printed).map_err(|_| "it printed no login".to_owned())?;
        let secret = Secret::new(answer.secret);
        Ok(Some(match answer.username.as_str() {
            IDENTITY => Login::Identity(secret),
            _ => Login::Password { username: answer.username, password: secret },
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with `docker-credential-x`, a shell script.
    fn helper(script: &str) -> (tempfile::TempDir, Helpers) {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("docker-credential-x");
        // Written by another process: one of ours could inherit the open file and make it "busy".
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", "printf '#!/bin/sh\\n%s\\n' \"$1\" > \"$2\"", "sh", script]).arg(&path);
        assert!(shell.status().unwrap().success());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let helpers = Helpers::new(Some(dir.path().to_str().unwrap().to_owned()));
        (dir, helpers)
    }

    #[tokio::test]
    async fn a_helper_is_told_the_server_and_prints_the_login() {
        let (_dir, helpers) =
            helper(r#"read s; echo "{\"Username\":\"$1\",\"Secret\":\"$s\",\"ServerURL\":\"\"}""#);
        let expected = Login::Password { username: "get".into(), password: Secret::new("r.io") };
        assert_eq!(helpers.ask("x", "r.io\n").await, Ok(Some(expected)));
        let (_dir, helpers) = helper(r#"echo '{"Username":"<token>","Secret":"t"}'"#);
        assert_eq!(helpers.ask("x", "r.io").await, Ok(Some(Login::Identity(Secret::new("t")))));
    }

    #[tokio::test]
    async fn no_login_and_failure_are_apart() {
        let (_dir, helpers) = helper(&format!("echo {NOT_FOUND}; exit 1"));
        assert_eq!(helpers.ask("x", "r.io").await, Ok(None));
        let (_dir, helpers) = helper("echo the keychain is locked; exit 1");
        assert!(helpers.ask("x", "r.io").await.unwrap_err().ends_with("the keychain is locked"));
        let (_dir, helpers) = helper("echo '{\"Secret\":\"hunter2\"}'");
        assert!(!helpers.ask("x", "r.io").await.unwrap_err().contains("hunter2"));
    }

    #[tokio::test]
    async fn time_output_and_names_are_bounded() {
        let (_dir, mut helpers) = helper("exec sleep 60");
        helpers.timeout = Duration::from_millis(50);
        assert!(helpers.ask("x", "r.io").await.unwrap_err().contains("did not answer within 50ms"));
        let (_dir, helpers) = helper("exec cat /dev/zero");
        assert!(helpers.ask("x", "r.io").await.unwrap_err().contains("printed more than"));
        for name in ["", "../x", "/x", "x y", "missing"] {
            assert!(helpers.ask(name, "r.io").await.is_err(), "{name}");
        }
    }
}
