//! Running watches.
//!
//! A watch starts behind and becomes live, as in etcd:
//!
//! ```text
//! start(after) ──behind──► replay what is kept, waiting for the watcher ──caught up──► live
//!        └──────────────────────────at the current revision───────────────────────────► live
//! ```
//!
//! While it is behind, a task of its own reads the history at the watcher's pace and nothing is
//! buffered for it. Once live, commits are put into its channel without waiting. When the channel is
//! full, the watch ends: the watcher is too slow, and must start again from what it has seen.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::{Batch, Error, Event, Revision, Watch};

/// How many commits one read of the history returns at most.
const REPLAY: usize = 256;

/// Where commits of the past come from.
#[async_trait]
pub(crate) trait History: Send + Sync + 'static {
    /// The first commits after `after`, at most `limit` of them; none when there are no more. Commits
    /// whose events are all compacted are left out. Also the revision that this covers.
    async fn replay(
        self: Arc<Self>,
        after: Revision,
        limit: usize,
    ) -> Result<(Vec<Batch>, Revision), Error>;
}

/// The live watches of a store.
#[derive(Debug)]
pub(crate) struct Hub {
    state: Mutex<State>,
    /// How many commits may wait in a live watch's channel.
    capacity: usize,
}

#[derive(Debug)]
struct State {
    /// The last commit that live watches have been given.
    published: Revision,
    live: Vec<Watcher>,
    closed: bool,
}

#[derive(Debug)]
struct Watcher {
    prefix: Bytes,
    /// The last commit that this watcher has seen.
    seen: Revision,
    batches: mpsc::Sender<Batch>,
}

impl Hub {
    /// No watches yet, in a store at `revision`.
    pub(crate) fn new(revision: Revision, capacity: usize) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                published: revision,
                live: Vec::new(),
                closed: false,
            }),
            capacity,
        })
    }

    /// Starts a watch. The caller has checked that `after` is kept and has happened.
    pub(crate) fn start(
        self: &Arc<Self>,
        history: Arc<dyn History>,
        prefix: &[u8],
        after: Revision,
    ) -> Watch {
        let (sender, batches) = mpsc::channel(self.capacity);
        let watcher = Watcher {
            prefix: Bytes::copy_from_slice(prefix),
            seen: after,
            batches: sender,
        };
        if let Some(watcher) = self.attach(watcher) {
            tokio::spawn(Arc::clone(self).catch_up(history, watcher));
        }
        Watch { batches }
    }

    /// Gives live watches what has been committed.
    pub(crate) fn publish(&self, batches: &[Batch]) {
        let mut state = self.state.lock();
        if let Some(last) = batches.last().and_then(revision) {
            state.published = last;
        }
        state
            .live
            .retain_mut(|watcher| batches.iter().all(|batch| watcher.offer(batch)));
    }

    /// Ends all watches, also those to come.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        state.live.clear();
    }

    /// Makes a watcher live if it is not behind; gives it back if it is.
    fn attach(&self, watcher: Watcher) -> Option<Watcher> {
        let mut state = self.state.lock();
        if watcher.seen < state.published {
            return Some(watcher);
        }
        state.live.retain(|w| !w.batches.is_closed());
        if !state.closed {
            state.live.push(watcher);
        }
        None
    }

    /// Replays history to a watcher until it can be made live. Ends with the watch when the watcher
    /// goes away or when the history is compacted under it.
    async fn catch_up(self: Arc<Self>, history: Arc<dyn History>, watcher: Watcher) {
        let mut behind = Some(watcher);
        while let Some(mut watcher) = behind.take() {
            let (batches, covered) = match Arc::clone(&history).replay(watcher.seen, REPLAY).await {
                Ok(replayed) => replayed,
                Err(error) => {
                    tracing::debug!(%error, after = watcher.seen, "a watch ends while it catches up");
                    return;
                }
            };
            for batch in batches {
                let Some(batch) = filter(&batch, &watcher.prefix) else {
                    continue;
                };
                if watcher.batches.send(batch).await.is_err() {
                    return;
                }
            }
            watcher.seen = covered;
            behind = self.attach(watcher);
        }
    }
}

impl Watcher {
    /// Sends a commit's events that the watcher asked for. False when the watch is over.
    fn offer(&mut self, batch: &Batch) -> bool {
        if revision(batch).is_none_or(|r| r <= self.seen) {
            return true;
        }
        let Some(batch) = filter(batch, &self.prefix) else {
            return true;
        };
        match self.batches.try_send(batch) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Full(_)) => {
                let prefix = String::from_utf8_lossy(&self.prefix);
                tracing::warn!(%prefix, "a watch ends: the watcher is too slow");
                false
            }
            Err(mpsc::error::TrySendError::Closed(_)) => false,
        }
    }
}

fn revision(batch: &Batch) -> Option<Revision> {
    batch.first().map(|event| event.revision)
}

/// The events below a prefix, sharing the batch when that is all of them.
fn filter(batch: &Batch, prefix: &[u8]) -> Option<Batch> {
    let matches = |event: &Event| event.key.starts_with(prefix);
    let count = batch.iter().filter(|event| matches(event)).count();
    if count == batch.len() {
        return Some(Arc::clone(batch));
    }
    (count > 0).then(|| {
        batch
            .iter()
            .filter(|event| matches(event))
            .cloned()
            .collect()
    })
}
