//! A disk that refuses, as the log tells of it: when that begins, once a minute, and when it is over.

use std::time::{Duration, Instant};

use super::Error;

const REMINDER: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(super) struct Trouble {
    /// When it was last told of.
    told: Option<Instant>,
    /// How often the disk has refused, and how many changes were given up.
    attempts: u64,
    lost: usize,
}

impl Trouble {
    /// The disk refused once more. Says whether that is told.
    pub(super) fn goes_on(&mut self, error: &Error, lost: usize) -> bool {
        self.attempts += 1;
        self.lost += lost;
        if self.told.is_some_and(|told| told.elapsed() < REMINDER) {
            return false;
        }
        self.told = Some(Instant::now());
        let Self { attempts, lost, .. } = self;
        tracing::warn!(
            %error, attempts, lost,
            "records could not be written: what changes is only in memory until they can; has the disk room, and may \
             it be written to?"
        );
        true
    }

    /// The disk has taken what it was given. Says whether that is told.
    pub(super) fn ends(&mut self) -> bool {
        let Self { told, attempts, lost } = std::mem::take(self);
        if told.is_some() {
            tracing::info!(attempts, lost, "records can be written again");
        }
        told.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_told_of_at_first_each_minute_and_at_its_end() {
        let mut trouble = Trouble::default();
        assert!(!trouble.ends(), "there was none");
        let goes_on = |trouble: &mut Trouble| trouble.goes_on(&Error::Full, 1);
        assert!(goes_on(&mut trouble));
        assert!(!goes_on(&mut trouble) && !goes_on(&mut trouble));
        trouble.told = trouble.told.and_then(|told| told.checked_sub(REMINDER));
        assert!(goes_on(&mut trouble));
        assert!(!goes_on(&mut trouble));
        assert_eq!((trouble.attempts, trouble.lost), (5, 5));
        assert!(trouble.ends());
        assert!(!trouble.ends() && goes_on(&mut trouble));
        assert_eq!((trouble.attempts, trouble.lost), (1, 1));
    }
}
