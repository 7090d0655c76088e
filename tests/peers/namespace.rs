//! Where programs run: on the machine as it is, or with a network, mounts and processes of their own, so
//! that names can be pointed elsewhere and port 443 be bound without touching the machine.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use super::process::{self, Daemon};

/// A place for commands.
pub enum Place {
    /// The machine.
    Machine,
    /// Namespaces held open by one process; all that runs in them ends with it.
    Apart { _holder: Daemon, init: u32 },
}

impl Place {
    /// Makes namespaces in which only loopback exists and `names` resolve to it. Needs root.
    pub fn apart(names: &[&str], home: &Path) -> Self {
        let hosts = home.join("hosts");
        std::fs::write(&hosts, format!("127.0.0.1 localhost {}\n", names.join(" "))).unwrap();
        let script =
            "ip link set lo up && mount --bind hosts /etc/hosts && echo ready && exec sleep infinity";
        let mut unshare = process::command("unshare", home);
        unshare.args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]);
        unshare.args(["--propagation", "private", "sh", "-c", script]);
        let holder = Daemon::start(&unshare, home).ready_when(|holder| holder.output().contains("ready"));
        let children = format!("/proc/{id}/task/{id}/children", id = holder.id());
        let init = std::fs::read_to_string(children).unwrap().trim().parse().unwrap();
        Self::Apart { _holder: holder, init }
    }

    /// A command to run there.
    pub fn command(&self, program: impl Into<OsString>, home: &Path) -> Command {
        match self {
            Self::Machine => process::command(program, home),
            Self::Apart { init, .. } => {
                let mut command = process::command("nsenter", home);
                command.args(["--target", &init.to_string(), "--net", "--mount", "--pid"]);
                // Entering the mounts leads to their root.
                command.arg(format!("--wd={}", home.display())).arg("--").arg(program.into());
                command
            }
        }
    }

    /// Does something listen on this port of loopback?
    pub fn answers(&self, port: u16, home: &Path) -> bool {
        let probe = format!("exec 3<>/dev/tcp/127.0.0.1/{port}");
        process::run(self.command("bash", home).args(["-c", &probe])).code == Some(0)
    }
}
