//! The password of an encrypted key: from a file, else typed in. Never an argument: those are for all to see.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::PathBuf;

use anyhow::Context as _;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::signing::{Password, SigningKey};
use crate::trust::files;

#[derive(clap::Args)]
#[group(skip)]
pub(super) struct Flags {
    /// The file with the password of an encrypted key, or a token's PIN; without it, the terminal is asked.
    #[arg(long, value_name = "FILE")]
    key_password_file: Option<PathBuf>,
}

impl Flags {
    /// Whether a file with a password was named.
    pub(super) fn is_given(&self) -> bool {
        self.key_password_file.is_some()
    }

    /// The key called `name`, whose password is asked for where it has one.
    ///
    /// # Errors
    /// As [`SigningKey::open`], with its name.
    pub(super) fn open(&self, name: &str) -> anyhow::Result<SigningKey> {
        let shown = SigningKey::shown(name);
        let asked = || Ok(Password { text: self.ask(shown)?, typed: !self.is_given() });
        SigningKey::open(name, &asked).with_context(|| format!("the key {shown}"))
    }

    /// The password for the key called `name`.
    ///
    /// # Errors
    /// A file that cannot be read or is too long; no terminal.
    pub(super) fn ask(&self, name: &str) -> io::Result<Zeroizing<String>> {
        match &self.key_password_file {
            Some(path) => files::secret(path),
            None => typed(name).map_err(|e| {
                let what =
                    "it needs a password, and there is no terminal to ask for it: give --key-password-file";
                io::Error::new(e.kind(), format!("{what} ({e})"))
            }),
        }
    }
}

impl Flags {
    /// A password for a new key called `name`: typed in twice, since nobody sees a mistake.
    ///
    /// # Errors
    /// As [`Flags::ask`]; none at all, and two that differ.
    pub(super) fn choose(&self, name: &str) -> io::Result<Zeroizing<String>> {
        let chosen = self.ask(name)?;
        if chosen.is_empty() {
            return Err(io::Error::other("the password is empty"));
        }
        if self.key_password_file.is_none() && *typed(&format!("{name}, again"))? != *chosen {
            return Err(io::Error::other("the two passwords differ"));
        }
        Ok(chosen)
    }
}

/// One line from the terminal, which does not show it.
fn typed(name: &str) -> io::Result<Zeroizing<String>> {
    let mut terminal = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
    write!(terminal, "Password of {name}: ")?;
    let mut line = Zeroizing::new(String::new());
    let quiet = Quiet::on(&terminal)?;
    BufReader::new(&terminal).read_line(&mut line)?;
    drop(quiet);
    writeln!(terminal)?;
    Ok(Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned()))
}

/// A terminal that shows nothing of what is typed, until dropped.
struct Quiet<'a> {
    terminal: &'a File,
    before: Termios,
}

impl<'a> Quiet<'a> {
    fn on(terminal: &'a File) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        tcsetattr(terminal, OptionalActions::Flush, &quiet)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.terminal, OptionalActions::Flush, &self.before);
    }
}
