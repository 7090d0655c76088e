//! The one thread that makes changes durable.

use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;

use super::trouble::Trouble;
use super::{Error, Shared, locked};

/// How long a change waits for others to share its commit. Twice this, and what the disk takes, bounds what a crash loses.
const GROUPING: Duration = Duration::from_millis(50);
/// How long to wait after the disk has refused.
const RETRY: Duration = Duration::from_secs(1);

pub(super) struct Writer {
    bell: Arc<Bell>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Bell {
    calls: Mutex<Calls>,
    rung: Condvar,
}

#[derive(Default)]
struct Calls {
    changed: bool,
    flushes: Vec<oneshot::Sender<Result<(), Error>>>,
    stop: bool,
}

impl Writer {
    pub(super) fn start(shared: &Arc<Shared>) -> std::io::Result<Self> {
        let bell = Arc::new(Bell::default());
        let (shared, ear) = (shared.clone(), bell.clone());
        let thread =
            std::thread::Builder::new().name("records".to_owned()).spawn(move || run(&shared, &ear))?;
        Ok(Self { bell, thread: Some(thread) })
    }

    pub(super) fn wake(&self) {
        let mut calls = locked(&self.bell.calls);
        if !calls.changed {
            calls.changed = true;
            self.bell.rung.notify_one();
        }
    }

    pub(super) fn ask_flush(&self) -> oneshot::Receiver<Result<(), Error>> {
        let (done, told) = oneshot::channel();
        locked(&self.bell.calls).flushes.push(done);
        self.bell.rung.notify_one();
        told
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        locked(&self.bell.calls).stop = true;
        self.bell.rung.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(shared: &Shared, bell: &Bell) {
    let mut trouble = Trouble::default();
    loop {
        let (flushes, stop) = wait(bell);
        let result = commit(shared, &mut trouble);
        let refused = result.is_err();
        for flush in flushes {
            let _ = flush.send(result.clone());
        }
        if stop {
            return;
        }
        if refused {
            std::thread::sleep(RETRY);
            locked(&bell.calls).changed = true;
        }
    }
}

/// Waits for a change and then for its company, or for someone who cannot wait.
fn wait(bell: &Bell) -> (Vec<oneshot::Sender<Result<(), Error>>>, bool) {
    let hurried = |calls: &mut Calls| calls.stop || !calls.flushes.is_empty();
    let poisoned = std::sync::PoisonError::into_inner;
    let calls = locked(&bell.calls);
    let calls =
        bell.rung.wait_while(calls, |calls| !calls.changed && !hurried(calls)).unwrap_or_else(poisoned);
    let (mut calls, _) = bell
        .rung
        .wait_timeout_while(calls, GROUPING, |calls| !hurried(calls))
        .unwrap_or_else(|e| e.into_inner());
    calls.changed = false;
    (std::mem::take(&mut calls.flushes), calls.stop)
}

fn commit(shared: &Shared, trouble: &mut Trouble) -> Result<(), Error> {
    let group = shared.pending.leave();
    // Afterwards: what the group tells of was there before it.
    let settled = (shared.before)();
    let Some(group) = group else { return settled };
    match settled.and_then(|()| shared.backend.commit(&group)) {
        Ok(()) => {
            shared.pending.committed();
            trouble.ends();
            Ok(())
        }
        Err(error) => {
            shared.failures.inc();
            trouble.goes_on(&error, shared.pending.refused());
            Err(error)
        }
    }
}
