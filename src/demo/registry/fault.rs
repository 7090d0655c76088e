//! How a registry can misbehave.

use std::time::Duration;

use bytes::Bytes;

/// One way of misbehaving.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Answers with these bytes instead of the right ones.
    Bytes(Bytes),
    /// Answers rightly, but for this header.
    Header(&'static str, String),
    /// Answers with this status and an error body; for 429, `Retry-After` in seconds.
    Status(u16, Option<u64>),
    /// Answers with this status and error code.
    Error(u16, &'static str),
    /// Sends the client elsewhere: the same path under another base URL.
    Redirect(String),
    /// Waits before it answers.
    Delay(Duration),
    /// Never answers.
    Stall,
    /// Answers so many bytes of the body and then nothing more.
    StallAfter(usize),
    /// Closes the connection without an answer.
    Drop,
    /// Closes the connection after so many bytes of the body.
    Cut(usize),
    /// Sends the body in pieces of so many bytes with pauses between.
    Drip(usize, Duration),
}

#[derive(Default)]
pub(super) struct Faults(Vec<Planned>);

struct Planned {
    needle: String,
    fault: Fault,
    left: Option<u32>,
}

impl Faults {
    pub(super) fn add(&mut self, needle: &str, fault: Fault, times: Option<u32>) {
        self.0.push(Planned { needle: needle.to_owned(), fault, left: times });
    }

    /// The fault for a request, which counts as used.
    pub(super) fn next(&mut self, line: &str) -> Option<Fault> {
        let fits = |planned: &&mut Planned| planned.left != Some(0) && line.contains(&planned.needle);
        let planned = self.0.iter_mut().rev().find(fits)?;
        if let Some(left) = &mut planned.left {
            *left -= 1;
        }
        Some(planned.fault.clone())
    }
}
