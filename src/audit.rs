//! The audit log: one JSON line a decision, each with a number and the hash of the line before, so
//! that a line that is changed or taken out is seen. Writes and verifies; decides nothing.

mod chain;
mod file;
mod gap;
mod line;
mod refusals;
mod verify;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use line::{CounterSignature, Line, MAX_LINE_BYTES};
pub use refusals::{COALESCED_FOR, Refused};
pub use verify::{Followed, Verifier};

use crate::clock::Clock;
use crate::telemetry::Metrics;
use chain::Chain;
use file::LogFile;
use gap::Gap;
use refusals::Refusals;

/// Why a line could not be recorded, or the log not be opened.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be opened, read or written.
    #[error("audit log {path}: {why}")]
    File {
        /// The configured path.
        path: PathBuf,
        /// What the system says.
        why: String,
    },
    /// Another process writes to it.
    #[error("audit log {0}: another process writes to it; every server needs a log of its own")]
    InUse(PathBuf),
    /// The file holds something else.
    #[error("audit log {0}: the file is not empty and does not end in audit lines; name another file")]
    Foreign(PathBuf),
    /// A line is not serialisable. It should not happen; without its line, an Allow must not happen either.
    #[error("audit line: {0}")]
    Line(String),
}

/// Where decisions and refusals are recorded. Opened once a process.
#[derive(Debug)]
pub struct Audit {
    log: Arc<Mutex<Log>>,
    refusals: Mutex<Refusals>,
    gap: Mutex<Option<Gap>>,
    clock: Clock,
    metrics: Option<Arc<Metrics>>,
}

/// The chain and its end of the file: one lock, so that lines stand in the order of their numbers.
#[derive(Debug)]
struct Log {
    chain: Chain,
    sink: Sink,
}

#[derive(Debug)]
enum Sink {
    File(LogFile),
    Memory(Vec<String>),
}

impl Audit {
    /// Opens or creates the file at `path` (mode 0600, no symbolic link) and goes on with its chain.
    /// A last line that a crash cut short stays, and the next line says so.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::InUse`], [`Error::Foreign`].
    pub fn open(path: &Path, clock: &Clock, metrics: &Arc<Metrics>) -> Result<Self, Error> {
        let (file, tail) = LogFile::open(path)?;
        let mut log = Log { chain: Chain::default(), sink: Sink::File(file) };
        log.resume(&tail)?;
        Ok(Self::over(log, clock, Some(metrics.clone())))
    }

    /// Keeps its lines in memory: for `verify`, the demo and tests.
    pub fn memory() -> Self {
        Self::in_memory(&Clock::system())
    }

    /// The same with a clock that tests move.
    pub fn in_memory(clock: &Clock) -> Self {
        Self::over(Log { chain: Chain::default(), sink: Sink::Memory(Vec::new()) }, clock, None)
    }

    fn over(log: Log, clock: &Clock, metrics: Option<Arc<Metrics>>) -> Self {
        let (log, clock) = (Arc::new(Mutex::new(log)), clock.clone());
        Self { log, refusals: Mutex::default(), gap: Mutex::default(), clock, metrics }
    }

    /// Records a decision. When this returns, the line is on disk: it is awaited before the answer
    /// that it is about.
    ///
    /// # Errors
    /// [`Error::File`] or [`Error::Line`]; the caller must not serve an Allow then.
    pub async fn decision(&self, line: &Line) -> Result<(), Error> {
        let written = match line.to_json() {
            Ok(json) => self.write(vec![json]).await,
            Err(e) => Err(e),
        };
        self.count(written, 1)
    }

    /// Records a counter-signature, as [`Audit::decision`] does a decision.
    ///
    /// # Errors
    /// As [`Audit::decision`]; what was made must not be served then.
    pub async fn counter_signature(&self, line: &CounterSignature) -> Result<(), Error> {
        let written = match line.to_json() {
            Ok(json) => self.write(vec![json]).await,
            Err(e) => Err(e),
        };
        self.count(written, 1)
    }

    /// Whether the last line could be written.
    pub fn is_writable(&self) -> bool {
        self.gap().as_ref().is_none_or(|gap| !gap.lasts())
    }

    /// Notes a refusal of a request, to be written by [`Audit::flush`] with how often it happened.
    pub fn refusal(&self, refused: Refused) {
        let now = self.clock.now();
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner).add(refused, now);
    }

    /// Writes what could not be recorded before, and the refusals that are due: a step for `engine/jobs`, once a
    /// second or so. While nothing can be written, it finds out whether that is over, and refusals wait.
    ///
    /// # Errors
    /// As [`Audit::decision`]; the refusals are then kept for the next turn.
    pub async fn flush(&self) -> Result<(), Error> {
        if !self.close_gap().await {
            return Ok(());
        }
        let now = self.clock.now();
        self.write_refusals(|refusals| refusals.due(now)).await
    }

    /// Writes all refusals that are noted: before the process ends.
    ///
    /// # Errors
    /// As [`Audit::decision`].
    pub async fn close(&self) -> Result<(), Error> {
        self.close_gap().await;
        self.write_refusals(Refusals::all).await
    }

    /// The lines so far, where they are kept in memory.
    pub fn lines(&self) -> Vec<String> {
        match &lock(&self.log).sink {
            Sink::Memory(lines) => lines.clone(),
            Sink::File(_) => Vec::new(),
        }
    }

    async fn write_refusals(&self, take: impl FnOnce(&mut Refusals) -> refusals::Batch) -> Result<(), Error> {
        let batch = take(&mut self.refusals.lock().unwrap_or_else(PoisonError::into_inner));
        if batch.is_empty() {
            return Ok(());
        }
        let written = match batch.to_json() {
            Ok(lines) => self.write(lines).await,
            Err(e) => Err(e),
        };
        if written.is_err() {
            self.refusals.lock().unwrap_or_else(PoisonError::into_inner).put_back(batch);
        }
        self.count(written, 0)
    }

    /// Writes a line about what could not be recorded; `false` where that cannot be either, which was told when it began.
    async fn close_gap(&self) -> bool {
        let Some((line, lines)) = self.gap().as_ref().map(|gap| (gap.to_json(), gap.lines())) else {
            return true;
        };
        let written = match line {
            Ok(line) => self.write(vec![line]).await,
            Err(e) => Err(e),
        };
        if let Err(error) = written {
            tracing::debug!(%error, "the audit log still cannot be written to");
            return false;
        }
        self.gap().take_if(|gap| gap.is_told(lines));
        tracing::info!("the audit log can be written to again");
        true
    }

    /// Appends and syncs off the runtime's threads: a slow disk delays those who need the record.
    async fn write(&self, lines: Vec<String>) -> Result<(), Error> {
        let log = self.log.clone();
        let append = move || lines.iter().try_for_each(|line| lock(&log).append(line));
        match tokio::task::spawn_blocking(append).await {
            Ok(written) => written,
            Err(e) => Err(Error::Line(e.to_string())),
        }
    }

    /// Counts a failure, with which so many `lines` are lost.
    fn count(&self, written: Result<(), Error>, lines: u64) -> Result<(), Error> {
        let mut gap = self.gap();
        match &written {
            Ok(()) => gap.iter_mut().for_each(Gap::ended),
            // Of what is no line there can be no log.
            Err(Error::Line(_)) => {}
            Err(_) => gap.get_or_insert_with(|| Gap::begun(self.clock.now())).failed(lines),
        }
        drop(gap);
        if let (Err(e), Some(metrics)) = (&written, &self.metrics) {
            metrics.audit_write_failures.inc();
            tracing::error!("{e}");
        }
        written
    }

    fn gap(&self) -> MutexGuard<'_, Option<Gap>> {
        self.gap.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lock(log: &Mutex<Log>) -> MutexGuard<'_, Log> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Log {
    fn append(&mut self, json: &str) -> Result<(), Error> {
        if let Sink::File(file) = &mut self.sink
            && let Some(tail) = file.tail_after_failure()?
        {
            self.resume(&tail)?;
        }
        self.write(json)
    }

    /// Goes on behind what stands in the file, and says so where that is damaged.
    fn resume(&mut self, tail: &[u8]) -> Result<(), Error> {
        let foreign = || Error::Foreign(self.path());
        let (chain, damaged) = Chain::resume(tail).ok_or_else(foreign)?;
        self.chain = chain;
        if damaged > 0 {
            self.write(&line::damage(damaged)?)?;
        }
        Ok(())
    }

    fn path(&self) -> PathBuf {
        match &self.sink {
            Sink::File(file) => file.path().to_owned(),
            Sink::Memory(_) => PathBuf::new(),
        }
    }

    fn write(&mut self, json: &str) -> Result<(), Error> {
        let line = self.chain.next(json);
        match &mut self.sink {
            Sink::File(file) => file.append(&line)?,
            Sink::Memory(lines) => lines.push(line.clone()),
        }
        // Only a line that was written counts, so that a failure leaves no gap.
        self.chain.advance(&line);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
