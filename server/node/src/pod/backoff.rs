//! How long a container that keeps ending has to wait.
//!
//! The first restart is immediate. Each further one waits twice as long as the one before, from 10 s up
//! to 5 min, counted from the moment the container ended. 10 minutes without a restart forget it all.

use jiff::Timestamp;

use crate::clock::after;

const FIRST: i64 = 10;
const LONGEST: i64 = 300;

/// The back-off of one container, or of one image.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Backoff {
    /// The present delay in seconds, and when it was set.
    delay: Option<(i64, Timestamp)>,
}

impl Backoff {
    /// If something that ended at `ended` has to wait: until when.
    pub(crate) fn until(&self, ended: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let (delay, set) = self.delay?;
        if expired(set, ended) {
            return None;
        }
        let end = after(ended, delay);
        (now < end).then_some(end)
    }

    /// Raises the delay for the attempt that begins now.
    pub(crate) fn next(&mut self, ended: Timestamp, now: Timestamp) {
        let delay = match self.delay {
            Some((delay, set)) if !expired(set, ended) => (delay * 2).min(LONGEST),
            _ => FIRST,
        };
        self.delay = Some((delay, now));
    }

    /// The present delay as Go prints durations: `10s`, `1m20s`, `5m0s`.
    pub(crate) fn text(&self) -> String {
        let (seconds, _) = self.delay.unwrap_or_default();
        match seconds / 60 {
            0 => format!("{seconds}s"),
            minutes => format!("{minutes}m{}s", seconds % 60),
        }
    }
}

fn expired(set: Timestamp, ended: Timestamp) -> bool {
    ended > after(set, 2 * LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + seconds).expect("a time of this century")
    }

    #[test]
    fn the_first_restart_is_immediate_and_later_ones_wait_twice_as_long_up_to_five_minutes() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.until(at(0), at(0)), None);
        let mut now = 0;
        let mut texts = Vec::new();
        for _ in 0..7 {
            backoff.next(at(now), at(now));
            texts.push(backoff.text());
            let end = backoff.until(at(now), at(now)).expect("has to wait");
            let ended = at(now);
            now = end.as_second() - at(0).as_second();
            assert_eq!(backoff.until(ended, end), None);
        }
        assert_eq!(
            texts,
            ["10s", "20s", "40s", "1m20s", "2m40s", "5m0s", "5m0s"]
        );
    }

    #[test]
    fn ten_quiet_minutes_forget_the_delay() {
        let mut backoff = Backoff::default();
        backoff.next(at(0), at(0));
        backoff.next(at(10), at(20));
        assert_eq!(backoff.until(at(621), at(621)), None);
        backoff.next(at(621), at(621));
        assert_eq!(backoff.text(), "10s");
    }
}
