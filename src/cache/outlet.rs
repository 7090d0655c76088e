//! The way from a file to one client: by the kernel, or through memory of which there is so much for all clients together.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::sendfile::Lane;

/// So many pieces of files may wait for their clients in memory, beside one for each connection: up to 256 KiB each, and
/// 1 MiB where a disk had to be waited for.
const SHARED: usize = 128;

/// What all connections have in common.
#[derive(Clone, Debug)]
pub struct Room(Arc<Semaphore>);

/// The way of one connection. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Outlet {
    lane: Option<Lane>,
    own: Arc<Semaphore>,
    shared: Room,
}

/// Leave for one piece to be in memory, as long as it is there.
pub(super) struct Held(
    #[expect(dead_code, reason = "dropped, it gives way to another")] Option<OwnedSemaphorePermit>,
);

impl Default for Room {
    fn default() -> Self {
        Self::of(SHARED)
    }
}

impl Room {
    /// Of so many pieces, beside one for each connection.
    pub(crate) fn of(pieces: usize) -> Self {
        Self(Arc::new(Semaphore::new(pieces)))
    }

    /// The way of one more connection. The kernel sends files for it where it has a `lane`.
    pub fn outlet(&self, lane: Option<Lane>) -> Outlet {
        Outlet { lane, own: Arc::new(Semaphore::new(1)), shared: self.clone() }
    }
}

impl Outlet {
    /// The same connection's where all goes through memory.
    #[must_use]
    pub fn without_lane(&self) -> Self {
        Self { lane: None, ..self.clone() }
    }

    pub(super) fn lane(&self) -> Option<&Lane> {
        self.lane.as_ref()
    }

    /// Waits until a piece may be read into memory. A connection that has none there need not wait, however many pieces
    /// others do not take; of its own streams, one that the client does not read may then hold up the rest.
    pub(super) async fn hold(&self) -> Held {
        let now = self.own.clone().try_acquire_owned().or_else(|_| self.shared.0.clone().try_acquire_owned());
        let held = match now {
            Ok(held) => Ok(held),
            Err(_) => tokio::select! {
                held = self.own.clone().acquire_owned() => held,
                held = self.shared.0.clone().acquire_owned() => held,
            },
        };
        // Nobody closes them.
        Held(held.ok())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn who_takes_nothing_leaves_each_other_connection_a_piece() {
        let room = Room::of(5);
        let idle = room.outlet(None);
        let held: Vec<_> = std::iter::from_fn(|| idle.hold().now_or_never()).collect();
        assert_eq!(held.len(), 1 + 5);
        let other = room.outlet(None);
        for _ in 0..3 {
            let piece = other.hold().now_or_never().expect("its first");
            let mut second = Box::pin(other.hold());
            assert!(second.as_mut().now_or_never().is_none());
            drop(piece);
            assert!(second.now_or_never().is_some(), "the one that is taken makes room");
        }
        let mut piece = (other.hold().await, Box::pin(other.hold()));
        assert!(piece.1.as_mut().now_or_never().is_none());
        drop(held);
        assert!(piece.1.now_or_never().is_some());
    }
}
