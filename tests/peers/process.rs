//! Programs at work: run to their end within a time, or kept running until dropped.

use std::ffi::OsString;
use std::fs::File;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

/// The longest that a command or a start may take. All of them need a second or two when nothing
/// else runs; builds may run beside.
const PATIENCE: Duration = Duration::from_secs(120);

/// How a command came out.
pub struct Outcome {
    what: String,
    /// The exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard output, then standard error: what a user sees.
    pub text: String,
}

impl Outcome {
    /// Asserts success.
    #[track_caller]
    pub fn passed(self) -> Self {
        assert_eq!(self.code, Some(0), "{} should have passed:\n{}", self.what, self.text);
        self
    }

    /// Asserts that the program ended by itself and did not succeed.
    #[track_caller]
    pub fn failed(self) -> Self {
        assert!(self.code.is_some_and(|code| code != 0), "{} should have failed:\n{}", self.what, self.text);
        self
    }

    /// Asserts that the user reads `part`.
    #[track_caller]
    pub fn says(self, part: &str) -> Self {
        assert!(self.text.contains(part), "{} should have said {part:?}:\n{}", self.what, self.text);
        self
    }
}

/// The folder for which `.ci/peers.sh` fills `bin`.
fn peers() -> PathBuf {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    variable("PORTCULLIS_PEERS").unwrap_or_else(|| {
        variable("XDG_CACHE_HOME")
            .or_else(|| variable("HOME").map(|home| home.join(".cache")))
            .expect("HOME is set")
            .join("portcullis-peers")
    })
}

/// A command that finds the peers, has `home` for its settings and caches, and goes through no proxy.
pub fn command(program: impl Into<OsString>, home: &Path) -> Command {
    let mut path = peers().join("bin").into_os_string();
    if let Some(rest) = std::env::var_os("PATH") {
        path.push(":");
        path.push(rest);
    }
    let mut command = Command::new(program.into());
    command.env("PATH", path).env("HOME", home).current_dir(home);
    command.env("XDG_CONFIG_HOME", home.join("config")).env("XDG_CACHE_HOME", home.join("cache"));
    for variable in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "DOCKER_HOST", "DOCKER_CONFIG"] {
        command.env_remove(variable).env_remove(variable.to_lowercase());
    }
    command
}

/// Runs a command to its end. It fails the test when it hangs.
#[track_caller]
pub fn run(command: &mut Command) -> Outcome {
    let out = tempfile::NamedTempFile::new().unwrap();
    let err = tempfile::NamedTempFile::new().unwrap();
    let mut running = Running::spawn(command, out.reopen().unwrap(), err.reopen().unwrap());
    let code = running.wait();
    let text = |file: &tempfile::NamedTempFile| {
        String::from_utf8_lossy(&std::fs::read(file.path()).unwrap()).into_owned()
    };
    let stdout = text(&out);
    let all = format!("{stdout}{}", text(&err));
    let Some(code) = code else { panic!("{} hangs:\n{all}", running.what) };
    Outcome { what: running.what.clone(), code, text: all, stdout }
}

/// A child in a process group of its own, killed with all its group when dropped. The kernel kills it too
/// when the test's thread ends otherwise.
struct Running {
    what: String,
    child: Child,
}

impl Running {
    #[track_caller]
    fn spawn(command: &Command, out: File, err: File) -> Self {
        let words: Vec<_> = std::iter::once(command.get_program()).chain(command.get_args()).collect();
        let what = words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
        let mut guarded = Command::new("setpriv");
        guarded.args(["--pdeathsig", "KILL", "--"]).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => guarded.env(name, value),
                None => guarded.env_remove(name),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            guarded.current_dir(folder);
        }
        let child = guarded
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .unwrap_or_else(|e| panic!("{what}: {e}"));
        Self { what, child }
    }

    /// Waits for the end: the exit code (none for a signal), or none at all when it takes too long.
    fn wait(&mut self) -> Option<Option<i32>> {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(status.code());
            }
            sleep(Duration::from_millis(10));
        }
        None
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        let _ = self.child.wait();
    }
}

/// A program that serves until it is dropped. What it wrote is shown when the test fails.
pub struct Daemon {
    running: Running,
    log: PathBuf,
}

impl Daemon {
    /// Starts it; its output goes to a file in `home`.
    #[track_caller]
    pub fn start(command: &Command, home: &Path) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let log = home.join(format!("daemon-{}.log", NUMBER.fetch_add(1, Ordering::Relaxed)));
        let file = File::create(&log).unwrap();
        Self { running: Running::spawn(command, file.try_clone().unwrap(), file), log }
    }

    /// Waits until `probe` holds; the daemon must live that long.
    #[track_caller]
    pub fn ready_when(mut self, probe: impl Fn(&Self) -> bool) -> Self {
        let end = Instant::now() + PATIENCE;
        while !probe(&self) {
            let over = self.running.child.try_wait().unwrap().is_some();
            assert!(!over, "{} ended:\n{}", self.running.what, self.output());
            assert!(Instant::now() < end, "{} is never ready:\n{}", self.running.what, self.output());
            sleep(Duration::from_millis(20));
        }
        self
    }

    /// What it wrote so far.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// The process that was started.
    pub fn id(&self) -> u32 {
        self.running.child.id()
    }

    /// Asks it to end, and waits until it has: the exit code.
    pub fn stop(mut self) -> Option<i32> {
        self.running.signal(Signal::TERM);
        self.running.wait().flatten()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let output = self.output();
            let last: Vec<_> = output.lines().rev().take(8).collect();
            eprintln!("--- {}", self.running.what);
            last.iter().rev().for_each(|line| eprintln!("{line:.300}"));
        }
    }
}

/// A port of loopback that nothing listens on at the moment.
pub fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}
