//! The wall clock, replaceable: under tokio's paused clock it follows the paused time.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// Gives the time of day.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clock {
    /// What the time of day was at an instant; `None` asks the system.
    base: Option<(Instant, Timestamp)>,
}

impl Clock {
    /// The time of day goes on from `start` as tokio's clock does.
    #[cfg(test)]
    pub(crate) fn starting_at(start: Timestamp) -> Self {
        Self {
            base: Some((Instant::now(), start)),
        }
    }

    /// Now.
    pub(crate) fn now(&self) -> Timestamp {
        match self.base {
            None => Timestamp::now(),
            Some((instant, time)) => {
                let elapsed = SignedDuration::try_from(instant.elapsed()).unwrap_or_default();
                time.saturating_add(elapsed).unwrap_or(Timestamp::MAX)
            }
        }
    }

    /// How long until `time`; zero if that is past.
    pub(crate) fn until(&self, time: Timestamp) -> Duration {
        Duration::try_from(time.duration_since(self.now())).unwrap_or_default()
    }
}

/// `time` + whole seconds.
pub(crate) fn after(time: Timestamp, seconds: i64) -> Timestamp {
    time.saturating_add(SignedDuration::from_secs(seconds))
        .unwrap_or(Timestamp::MAX)
}
