//! The pods that wait for a node.
//!
//! ```text
//!              add                    pop
//!  (new) ─────────────► active ───────────────► in a cycle ──bound──► (gone)
//!    │ held back          ▲  ▲ backoff over          │ no node
//!    ▼                    │  │                       ▼
//!  gated ──gates gone─────┘  └── backing off ◄── unschedulable
//!                                   a change that helps, or 5 minutes
//! ```
//!
//! Active pods are ordered by priority, then by how long they have been waiting. A pod that failed
//! `n` times rests for 1 s · 2ⁿ⁻¹, at most 10 s, counted from its last attempt.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::cycle::held_back;
use crate::pod::PodInfo;

/// The rest after the first failure.
const FIRST_REST: Duration = Duration::from_secs(1);
/// The longest rest.
const LONGEST_REST: Duration = Duration::from_secs(10);
/// After this time an unschedulable pod is tried again although nothing has changed.
const FLUSH: Duration = Duration::from_mins(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Gated,
    Active,
    /// Until then.
    BackingOff(Instant),
    /// Since then.
    Unschedulable(Instant),
    InCycle,
}

#[derive(Debug)]
struct Entry {
    pod: Arc<PodInfo>,
    state: State,
    /// When it came into the queue.
    since: Instant,
    attempts: u32,
    last_attempt: Instant,
    /// Which entry of a heap is about this state: others are out of date.
    ticket: u64,
}

/// An entry of the active heap; the greatest is next.
#[derive(Debug, PartialEq, Eq)]
struct Turn {
    priority: i32,
    since: Reverse<Instant>,
    ticket: Reverse<u64>,
    uid: String,
}

impl Ord for Turn {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |t: &Self| (t.priority, t.since, t.ticket);
        key(self).cmp(&key(other))
    }
}

impl PartialOrd for Turn {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The queue.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    entries: HashMap<String, Entry>,
    active: BinaryHeap<Turn>,
    /// When which entry is due: the end of a rest, or of five minutes.
    due: BinaryHeap<Reverse<(Instant, u64, String)>>,
    tickets: u64,
}

impl Queue {
    /// Notes a pod that waits, as it is now.
    pub(crate) fn add(&mut self, pod: PodInfo, now: Instant) {
        let uid = pod.uid.clone();
        let Some(entry) = self.entries.get_mut(&uid) else {
            let entry = Entry {
                pod: Arc::new(pod),
                state: State::Gated,
                since: now,
                attempts: 0,
                last_attempt: now,
                ticket: 0,
            };
            self.entries.insert(uid.clone(), entry);
            return self.activate(&uid, now);
        };
        let news = entry.pod.differs(&pod);
        entry.pod = Arc::new(pod);
        match entry.state {
            State::Gated | State::Unschedulable(_) if news => self.activate(&uid, now),
            // Its priority may have changed.
            State::Active if news => self.activate(&uid, now),
            _ => {}
        }
    }

    /// Whether a pod waits, or its binding is on its way.
    pub(crate) fn contains(&self, uid: &str) -> bool {
        self.entries.contains_key(uid)
    }

    /// Forgets a pod: it has a node, or is gone.
    pub(crate) fn remove(&mut self, uid: &str) {
        self.entries.remove(uid);
    }

    /// The next pod to schedule.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<Arc<PodInfo>> {
        self.promote(now);
        while let Some(turn) = self.active.pop() {
            let Some(entry) = self.entries.get_mut(&turn.uid) else {
                continue;
            };
            if entry.ticket != turn.ticket.0 || entry.state != State::Active {
                continue;
            }
            entry.state = State::InCycle;
            entry.attempts += 1;
            entry.last_attempt = now;
            return Some(Arc::clone(&entry.pod));
        }
        None
    }

    /// No node is possible for the pod: it waits until that may have changed.
    pub(crate) fn unschedulable(&mut self, uid: &str, now: Instant) {
        self.rest(uid, State::Unschedulable(now), now + FLUSH);
    }

    /// Something else went wrong with the pod: it is tried again after a rest.
    pub(crate) fn failed(&mut self, uid: &str, now: Instant) {
        let Some(entry) = self.entries.get(uid) else {
            return;
        };
        let end = rest_end(entry).max(now);
        self.rest(uid, State::BackingOff(end), end);
    }

    /// Wakes the unschedulable pods for which `helps` says so.
    pub(crate) fn wake(&mut self, now: Instant, helps: impl Fn(&PodInfo) -> bool) {
        let asleep = |entry: &Entry| matches!(entry.state, State::Unschedulable(_));
        let woken = self
            .entries
            .iter()
            .filter(|(_, e)| asleep(e) && helps(&e.pod));
        let woken: Vec<String> = woken.map(|(uid, _)| uid.clone()).collect();
        for uid in woken {
            self.activate(&uid, now);
        }
    }

    /// Notes what the server has been told about a pod.
    pub(crate) fn set_verdict(&mut self, uid: &str, verdict: crate::pod::Verdict) {
        if let Some(entry) = self.entries.get_mut(uid) {
            Arc::make_mut(&mut entry.pod).verdict = Some(verdict);
        }
    }

    /// Whether a pod can be popped now.
    pub(crate) fn has_active(&self) -> bool {
        !self.active.is_empty()
    }

    /// When to call [`Queue::pop`] although nothing was added.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.due.peek().map(|Reverse((at, _, _))| *at)
    }

    /// The uids of all pods that wait.
    pub(crate) fn uids(&self) -> Vec<String> {
        self.entries.keys().cloned().collect()
    }

    /// Makes a pod active, or lets it rest first if its rest is not over, or gates it.
    fn activate(&mut self, uid: &str, now: Instant) {
        let Some(entry) = self.entries.get_mut(uid) else {
            return;
        };
        if let Some((plugin, reason)) = held_back(&entry.pod) {
            tracing::debug!(pod = %entry.pod.key, plugin, reason, "held back");
            entry.state = State::Gated;
            return;
        }
        let end = rest_end(entry);
        if end > now {
            return self.rest(uid, State::BackingOff(end), end);
        }
        self.tickets += 1;
        entry.state = State::Active;
        entry.ticket = self.tickets;
        let turn = Turn {
            priority: entry.pod.footprint.priority,
            since: Reverse(entry.since),
            ticket: Reverse(self.tickets),
            uid: uid.to_owned(),
        };
        self.active.push(turn);
    }

    fn rest(&mut self, uid: &str, state: State, until: Instant) {
        let Some(entry) = self.entries.get_mut(uid) else {
            return;
        };
        self.tickets += 1;
        entry.state = state;
        entry.ticket = self.tickets;
        self.due
            .push(Reverse((until, self.tickets, uid.to_owned())));
    }

    /// Makes active what has rested enough.
    fn promote(&mut self, now: Instant) {
        while let Some(Reverse((at, _, _))) = self.due.peek() {
            if *at > now {
                return;
            }
            let Some(Reverse((_, ticket, uid))) = self.due.pop() else {
                return;
            };
            if self
                .entries
                .get(&uid)
                .is_some_and(|entry| entry.ticket == ticket)
            {
                self.activate(&uid, now);
            }
        }
    }
}

/// When the rest after the last attempt is over.
fn rest_end(entry: &Entry) -> Instant {
    match entry.attempts {
        0 => entry.last_attempt,
        n => entry.last_attempt + (FIRST_REST * 2_u32.pow((n - 1).min(4))).min(LONGEST_REST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pod::Footprint;

    fn pod(uid: &str, priority: i32) -> PodInfo {
        PodInfo {
            uid: uid.to_owned(),
            footprint: Footprint {
                priority,
                ..Footprint::default()
            },
            ..PodInfo::default()
        }
    }

    fn pop(queue: &mut Queue, now: Instant) -> Option<String> {
        queue.pop(now).map(|pod| pod.uid.clone())
    }

    #[test]
    fn the_most_important_is_first_then_the_one_that_has_waited_longest() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.add(pod("first", 0), now);
        queue.add(pod("second", 0), now + Duration::from_millis(1));
        queue.add(pod("important", 9), now + Duration::from_millis(2));
        let order: Vec<_> = std::iter::from_fn(|| pop(&mut queue, now)).collect();
        assert_eq!(order, ["important", "first", "second"]);
    }

    #[test]
    fn an_unschedulable_pod_sleeps_until_something_helps_and_its_rest_is_over() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.add(pod("a", 0), now);
        pop(&mut queue, now);
        queue.unschedulable("a", now);
        queue.wake(now, |_| false);
        let later = now + Duration::from_secs(100);
        assert_eq!(pop(&mut queue, later), None);
        queue.wake(now, |_| true);
        assert_eq!(pop(&mut queue, now), None);
        let rested = now + Duration::from_secs(1);
        assert_eq!(queue.next_due(), Some(rested));
        assert_eq!(pop(&mut queue, rested).as_deref(), Some("a"));
    }

    #[test]
    fn rests_double_up_to_ten_seconds() {
        let (mut queue, mut now) = (Queue::default(), Instant::now());
        queue.add(pod("a", 0), now);
        for rest in [1, 2, 4, 8, 10, 10] {
            assert_eq!(pop(&mut queue, now).as_deref(), Some("a"));
            queue.failed("a", now);
            assert_eq!(queue.next_due(), Some(now + Duration::from_secs(rest)));
            now += Duration::from_secs(rest);
        }
    }

    #[test]
    fn after_five_minutes_an_unschedulable_pod_is_tried_again() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.add(pod("a", 0), now);
        pop(&mut queue, now);
        queue.unschedulable("a", now);
        assert_eq!(pop(&mut queue, now + Duration::from_secs(299)), None);
        let flushed = now + Duration::from_secs(300);
        assert_eq!(pop(&mut queue, flushed).as_deref(), Some("a"));
    }

    #[test]
    fn a_gated_pod_waits_for_its_gates() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        let gated = PodInfo {
            gates: vec!["quota".to_owned()],
            ..pod("a", 0)
        };
        queue.add(gated, now);
        queue.wake(now, |_| true);
        assert_eq!(pop(&mut queue, now), None);
        queue.add(pod("a", 0), now);
        assert_eq!(pop(&mut queue, now).as_deref(), Some("a"));
    }

    #[test]
    fn a_removed_pod_is_not_popped() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.add(pod("a", 0), now);
        queue.remove("a");
        assert_eq!(pop(&mut queue, now), None);
    }
}
