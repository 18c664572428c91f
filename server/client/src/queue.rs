//! The work queue of a controller: keys to look at, each at most once at a time.
//!
//! ```text
//! add ──► ready ──get──► processing ──done──► (gone, or ready again if added meanwhile)
//! add_after, add_rate_limited ──► delayed ──due──► ready
//! ```
//!
//! A key that is added while it is being processed waits for `done`, so no two workers hold the same
//! key. Nothing runs while nothing is due: no ticks.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::Shutdown;

/// How failures slow a queue down.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The delay after the first failure of a key; it doubles with each further one.
    pub base: Duration,
    /// The longest delay after a failure.
    pub max: Duration,
    /// Rate-limited additions of all keys together a second, beyond the burst.
    pub rate: f64,
    /// Rate-limited additions that pass at once.
    pub burst: f64,
}

impl Default for Limits {
    /// client-go's defaults: 5 ms to 1000 s for each key, 10 a second with a burst of 100 overall.
    fn default() -> Self {
        Self {
            base: Duration::from_millis(5),
            max: Duration::from_secs(1000),
            rate: 10.0,
            burst: 100.0,
        }
    }
}

/// A work queue; clones share it.
#[derive(Debug)]
pub struct Queue<K> {
    shared: Arc<Shared<K>>,
}

impl<K> Clone for Queue<K> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

#[derive(Debug)]
struct Shared<K> {
    state: Mutex<State<K>>,
    changed: Notify,
    limits: Limits,
}

#[derive(Debug)]
struct State<K> {
    ready: VecDeque<K>,
    /// Keys that wait: in `ready`, or processing and added again.
    dirty: HashSet<K>,
    processing: HashSet<K>,
    delayed: BTreeMap<(Instant, u64), K>,
    /// The entry of each key in `delayed`: a key waits once, for its earliest time.
    due: HashMap<K, (Instant, u64)>,
    sequence: u64,
    failures: HashMap<K, u32>,
    /// The token bucket of the overall limit: tokens (negative when in debt) at a time.
    tokens: f64,
    filled: Instant,
    closed: bool,
}

impl<K: Clone + Eq + Hash> Default for Queue<K> {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl<K: Clone + Eq + Hash> Queue<K> {
    /// An empty queue.
    pub fn new(limits: Limits) -> Self {
        let state = State {
            ready: VecDeque::new(),
            dirty: HashSet::new(),
            processing: HashSet::new(),
            delayed: BTreeMap::new(),
            due: HashMap::new(),
            sequence: 0,
            failures: HashMap::new(),
            tokens: limits.burst,
            filled: Instant::now(),
            closed: false,
        };
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(state),
                changed: Notify::new(),
                limits,
            }),
        }
    }

    /// Adds a key, unless it waits already.
    pub fn add(&self, key: K) {
        self.shared.state.lock().add(key);
        self.shared.changed.notify_one();
    }

    /// Adds a key when `delay` has passed. Of several delays of one key the earliest counts.
    pub fn add_after(&self, key: K, delay: Duration) {
        if delay.is_zero() {
            return self.add(key);
        }
        self.shared.state.lock().add_at(key, Instant::now() + delay);
        self.shared.changed.notify_one();
    }

    /// Adds a key after a delay that grows with its failures, see [`Limits`].
    pub fn add_rate_limited(&self, key: K) {
        let delay = self
            .shared
            .state
            .lock()
            .next_delay(&key, &self.shared.limits);
        self.add_after(key, delay);
    }

    /// Forgets the failures of a key.
    pub fn forget(&self, key: &K) {
        self.shared.state.lock().failures.remove(key);
    }

    /// How often a key has failed since it was last forgotten.
    pub fn failures(&self, key: &K) -> u32 {
        let state = self.shared.state.lock();
        state.failures.get(key).copied().unwrap_or(0)
    }

    /// The next key, as soon as there is one; `None` when the queue is closed. The caller must call
    /// [`Queue::done`] with it.
    pub async fn get(&self) -> Option<K> {
        loop {
            let notified = self.shared.changed.notified();
            let next_due = {
                let mut state = self.shared.state.lock();
                if state.closed {
                    return None;
                }
                let next_due = state.promote(Instant::now());
                if let Some(key) = state.take() {
                    if !state.ready.is_empty() {
                        self.shared.changed.notify_one();
                    }
                    return Some(key);
                }
                next_due
            };
            match next_due {
                Some(due) => {
                    tokio::select! {
                        () = notified => {}
                        () = tokio::time::sleep_until(due) => {}
                    }
                }
                None => notified.await,
            }
        }
    }

    /// Ends the processing of a key. If it was added meanwhile, it is ready again.
    pub fn done(&self, key: &K) {
        let mut state = self.shared.state.lock();
        state.processing.remove(key);
        if state.dirty.contains(key) {
            state.ready.push_back(key.clone());
            drop(state);
            self.shared.changed.notify_one();
        }
    }

    /// The number of keys that are ready.
    pub fn len(&self) -> usize {
        self.shared.state.lock().ready.len()
    }

    /// Whether no key is ready.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Makes [`Queue::get`] return `None` from now on.
    pub fn close(&self) {
        self.shared.state.lock().closed = true;
        self.shared.changed.notify_waiters();
        self.shared.changed.notify_one();
    }
}

impl<K: Clone + Eq + Hash> State<K> {
    fn add(&mut self, key: K) {
        if let Some(entry) = self.due.remove(&key) {
            self.delayed.remove(&entry);
        }
        if self.dirty.insert(key.clone()) && !self.processing.contains(&key) {
            self.ready.push_back(key);
        }
    }

    fn add_at(&mut self, key: K, at: Instant) {
        if let Some(&entry) = self.due.get(&key) {
            if entry.0 <= at {
                return;
            }
            self.delayed.remove(&entry);
        }
        self.sequence += 1;
        let entry = (at, self.sequence);
        self.due.insert(key.clone(), entry);
        self.delayed.insert(entry, key);
    }

    /// Makes ready what is due, and gives the time of what is due next.
    fn promote(&mut self, now: Instant) -> Option<Instant> {
        while let Some(first) = self.delayed.first_entry() {
            let at = first.key().0;
            if at > now {
                return Some(at);
            }
            let key = first.remove();
            self.due.remove(&key);
            self.add(key);
        }
        None
    }

    fn take(&mut self) -> Option<K> {
        let key = self.ready.pop_front()?;
        self.dirty.remove(&key);
        self.processing.insert(key.clone());
        Some(key)
    }

    fn next_delay(&mut self, key: &K, limits: &Limits) -> Duration {
        let failures = self.failures.entry(key.clone()).or_insert(0);
        let factor = 2_f64.powi((*failures).min(60).cast_signed());
        *failures = failures.saturating_add(1);
        let own = (limits.base.as_secs_f64() * factor).min(limits.max.as_secs_f64());

        let now = Instant::now();
        let refill = (now - self.filled).as_secs_f64() * limits.rate;
        self.tokens = (self.tokens + refill).min(limits.burst) - 1.0;
        self.filled = now;
        let overall = (-self.tokens / limits.rate).max(0.0);
        Duration::from_secs_f64(own.max(overall))
    }
}

/// Calls `reconcile` with each key, at most `workers` at a time, until `shutdown`.
///
/// A failure is logged and the key tried again, rate limited; `Ok(Some(delay))` looks at it again
/// after the delay.
pub async fn work<K, F, R, E>(queue: Queue<K>, workers: usize, shutdown: Shutdown, reconcile: F)
where
    K: Clone + Eq + Hash + std::fmt::Display,
    F: Fn(K) -> R,
    R: Future<Output = Result<Option<Duration>, E>>,
    E: std::fmt::Display,
{
    let worker = || async {
        while let Some(key) = queue.get().await {
            match reconcile(key.clone()).await {
                Ok(again) => {
                    queue.forget(&key);
                    if let Some(delay) = again {
                        queue.add_after(key.clone(), delay);
                    }
                }
                Err(error) => {
                    // Conflicts with other writers are everyday and pass by themselves.
                    match queue.failures(&key) {
                        failures @ 3.. => tracing::warn!(%key, %error, failures, "will try again"),
                        failures => tracing::debug!(%key, %error, failures, "will try again"),
                    }
                    queue.add_rate_limited(key.clone());
                }
            }
            queue.done(&key);
        }
    };
    let all = futures::future::join_all((0..workers).map(|_| worker()));
    tokio::select! {
        _ = all => {}
        () = crate::stopped(&shutdown) => queue.close(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn try_get(queue: &Queue<&'static str>) -> Option<&'static str> {
        let mut state = queue.shared.state.lock();
        state.promote(Instant::now());
        state.take()
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_is_added_twice_is_processed_once() {
        let queue = Queue::default();
        queue.add("a");
        queue.add("a");
        queue.add("b");
        assert_eq!(queue.get().await, Some("a"));
        assert_eq!(queue.get().await, Some("b"));
        assert_eq!(try_get(&queue), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_added_while_it_is_processed_waits_until_it_is_done() {
        let queue = Queue::default();
        queue.add("a");
        assert_eq!(queue.get().await, Some("a"));
        queue.add("a");
        assert_eq!(try_get(&queue), None);
        queue.done(&"a");
        assert_eq!(queue.get().await, Some("a"));
        queue.done(&"a");
        assert_eq!(try_get(&queue), None);
    }

    #[tokio::test(start_paused = true)]
    async fn failures_of_a_key_double_its_delay_until_it_is_forgotten() {
        let queue = Queue::default();
        let start = Instant::now();
        for expected in [5, 15, 35] {
            queue.add_rate_limited("a");
            assert_eq!(queue.get().await, Some("a"));
            queue.done(&"a");
            assert_eq!(start.elapsed().as_millis(), expected);
        }
        assert_eq!(queue.failures(&"a"), 3);
        queue.forget(&"a");
        let start = Instant::now();
        queue.add_rate_limited("a");
        assert_eq!(queue.get().await, Some("a"));
        assert_eq!(start.elapsed().as_millis(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn the_earliest_of_two_delays_counts() {
        let queue = Queue::default();
        let start = Instant::now();
        queue.add_after("a", Duration::from_secs(9));
        queue.add_after("a", Duration::from_secs(2));
        queue.add_after("a", Duration::from_secs(5));
        assert_eq!(queue.get().await, Some("a"));
        queue.done(&"a");
        assert_eq!(start.elapsed().as_secs(), 2);
        assert_eq!(try_get(&queue), None);
    }

    #[tokio::test(start_paused = true)]
    async fn beyond_the_burst_all_keys_share_the_overall_rate() {
        let queue = Queue::new(Limits {
            burst: 2.0,
            ..Limits::default()
        });
        let start = Instant::now();
        for key in ["a", "b", "c", "d"] {
            queue.add_rate_limited(key);
        }
        for _ in 0..4 {
            queue.get().await;
        }
        assert_eq!(start.elapsed().as_millis(), 200);
    }

    #[tokio::test(start_paused = true)]
    async fn work_tries_a_failed_key_again_and_ends_at_shutdown() {
        let (stop, shutdown) = tokio::sync::watch::channel(false);
        let queue = Queue::default();
        queue.add("a");
        let calls = Mutex::new(0);
        work(queue, 2, shutdown, |_| {
            let count = {
                let mut calls = calls.lock();
                *calls += 1;
                *calls
            };
            if count == 3 {
                stop.send_replace(true);
            }
            async move { if count < 3 { Err("no") } else { Ok(None) } }
        })
        .await;
        assert_eq!(*calls.lock(), 3);
    }
}
