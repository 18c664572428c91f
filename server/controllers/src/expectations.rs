//! What a controller has asked for and not yet seen in its informer.
//!
//! A view lags behind the controller's own writes. Without expectations a controller that made three
//! pods and looks again at once would count none and make three more.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use client::object::Key;
use parking_lot::Mutex;
use tokio::time::Instant;

/// After this time a change that was not seen is taken for lost.
const TIMEOUT: Duration = Duration::from_mins(5);

/// The expectations of all objects of a controller.
#[derive(Debug, Default)]
pub(crate) struct Expectations {
    by_owner: Mutex<HashMap<Key, Expected>>,
}

#[derive(Debug)]
struct Expected {
    creations: usize,
    deletions: HashSet<String>,
    since: Instant,
}

impl Expectations {
    /// Whether everything asked for on behalf of `owner` was seen, or is overdue.
    pub(crate) fn satisfied(&self, owner: &Key) -> bool {
        let mut all = self.by_owner.lock();
        let Some(expected) = all.get(owner) else {
            return true;
        };
        let seen = expected.creations == 0 && expected.deletions.is_empty();
        if seen || expected.since.elapsed() > TIMEOUT {
            all.remove(owner);
            return true;
        }
        false
    }

    /// Sets what is about to be asked for: a number of new objects, and deletions by uid.
    pub(crate) fn expect(
        &self,
        owner: &Key,
        creations: usize,
        deletions: impl IntoIterator<Item = String>,
    ) {
        let expected = Expected {
            creations,
            deletions: deletions.into_iter().collect(),
            since: Instant::now(),
        };
        self.by_owner.lock().insert(owner.clone(), expected);
    }

    /// A creation was seen, or has failed.
    pub(crate) fn created(&self, owner: &Key) {
        if let Some(expected) = self.by_owner.lock().get_mut(owner) {
            expected.creations = expected.creations.saturating_sub(1);
        }
    }

    /// A deletion was seen, or has failed.
    pub(crate) fn deleted(&self, owner: &Key, uid: &str) {
        if let Some(expected) = self.by_owner.lock().get_mut(owner) {
            expected.deletions.remove(uid);
        }
    }

    /// The owner is gone.
    pub(crate) fn forget(&self, owner: &Key) {
        self.by_owner.lock().remove(owner);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn expectations_are_satisfied_when_everything_was_seen() {
        let owner = Key::new("ns", "web");
        let expectations = Expectations::default();
        assert!(expectations.satisfied(&owner));
        expectations.expect(&owner, 1, ["u1".to_owned()]);
        assert!(!expectations.satisfied(&owner));
        expectations.created(&owner);
        assert!(!expectations.satisfied(&owner));
        expectations.deleted(&owner, "other");
        assert!(!expectations.satisfied(&owner));
        expectations.deleted(&owner, "u1");
        assert!(expectations.satisfied(&owner));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_not_seen_in_five_minutes_is_given_up() {
        let owner = Key::new("ns", "web");
        let expectations = Expectations::default();
        expectations.expect(&owner, 3, []);
        tokio::time::advance(Duration::from_secs(299)).await;
        assert!(!expectations.satisfied(&owner));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(expectations.satisfied(&owner));
    }
}
