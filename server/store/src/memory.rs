//! A store that keeps everything in memory: for tests, and the model of what the others do.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::RwLock;

use crate::hub::{History, Hub};
use crate::index::{Index, Version};
use crate::{
    Batch, Compare, Entry, Error, Event, Outcome, Page, Revision, Store, Transaction, Watch, Write,
};

/// How many commits may wait in a live watch's channel.
const WATCH_CAPACITY: usize = 8192;

/// The store in memory.
#[derive(Debug)]
pub struct Memory {
    state: Arc<RwLock<State>>,
    hub: Arc<Hub>,
}

#[derive(Debug, Default)]
struct State {
    revision: Revision,
    compacted: Revision,
    index: Index<Bytes>,
    /// The commits after `compacted`, for watches that start in the past.
    log: BTreeMap<Revision, Batch>,
    closed: bool,
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Memory {
    /// An empty store.
    pub fn new() -> Self {
        Self {
            state: Arc::default(),
            hub: Hub::new(0, WATCH_CAPACITY),
        }
    }
}

impl State {
    /// Checks that a revision is kept and has happened.
    fn check(&self, requested: Revision) -> Result<Revision, Error> {
        if self.closed {
            Err(Error::Closed)
        } else if requested < self.compacted {
            let oldest = self.compacted;
            Err(Error::Compacted { requested, oldest })
        } else if requested > self.revision {
            let current = self.revision;
            Err(Error::Future { requested, current })
        } else {
            Ok(requested)
        }
    }

    fn conflict(&self, compare: &Compare) -> Option<Outcome> {
        let current = self.index.current(&compare.key);
        let modified = current.map_or(0, |version| version.modified);
        (modified != compare.modified)
            .then(|| Outcome::Conflict(current.and_then(|v| entry(compare.key.clone(), v))))
    }

    /// Applies writes as the next revision. Returns the events, none when nothing changed.
    fn apply(&mut self, mut writes: Vec<Write>) -> Vec<Event> {
        writes.sort_by(|a, b| a.key().cmp(b.key()));
        let revision = self.revision + 1;
        let mut events = Vec::with_capacity(writes.len());
        for write in writes {
            let (key, value) = match write {
                Write::Put(key, value) => (key, Some(value)),
                Write::Delete(key) => (key, None),
            };
            let before = self.index.current(&key);
            if before.is_none() && value.is_none() {
                continue;
            }
            let created = before.map_or(revision, |version| version.created);
            events.push(Event {
                key: key.clone(),
                value: value.clone(),
                previous: before.and_then(|version| version.value.clone()),
                revision,
                created,
            });
            let modified = revision;
            let version = Version {
                modified,
                created,
                value,
            };
            self.index.add(key, version);
        }
        events
    }
}

fn entry(key: Bytes, version: &Version<Bytes>) -> Option<Entry> {
    Some(Entry {
        key,
        value: version.value.clone()?,
        modified: version.modified,
        created: version.created,
    })
}

#[async_trait]
impl History for RwLock<State> {
    async fn replay(
        self: Arc<Self>,
        after: Revision,
        limit: usize,
    ) -> Result<(Vec<Batch>, Revision), Error> {
        let state = self.read();
        let after = state.check(after)?;
        let batches: Vec<(Revision, Batch)> = state
            .log
            .range(after + 1..)
            .take(limit)
            .map(|(revision, batch)| (*revision, Arc::clone(batch)))
            .collect();
        let covered = batches.last().map_or(state.revision, |(last, _)| *last);
        Ok((batches.into_iter().map(|(_, b)| b).collect(), covered))
    }
}

#[async_trait]
impl Store for Memory {
    fn revision(&self) -> Revision {
        self.state.read().revision
    }

    fn compacted(&self) -> Revision {
        self.state.read().compacted
    }

    async fn get(&self, key: &[u8], at: Option<Revision>) -> Result<Option<Entry>, Error> {
        let state = self.state.read();
        let revision = state.check(at.unwrap_or(state.revision))?;
        let version = state.index.at(key, revision);
        Ok(version.and_then(|version| entry(Bytes::copy_from_slice(key), version)))
    }

    async fn range(
        &self,
        prefix: &[u8],
        start_after: Option<&[u8]>,
        limit: usize,
        at: Option<Revision>,
    ) -> Result<Page, Error> {
        let state = self.state.read();
        let revision = state.check(at.unwrap_or(state.revision))?;
        let (found, remaining) = state.index.range(prefix, start_after, limit, revision);
        let entries = found.into_iter().filter_map(|(key, v)| entry(key, &v));
        Ok(Page {
            entries: entries.collect(),
            revision,
            remaining,
        })
    }

    async fn commit(&self, transaction: Transaction) -> Result<Outcome, Error> {
        let mut state = self.state.write();
        if state.closed {
            return Err(Error::Closed);
        }
        if let Some(conflict) = transaction.compares.iter().find_map(|c| state.conflict(c)) {
            return Ok(conflict);
        }
        let events = state.apply(transaction.writes);
        if events.is_empty() {
            return Ok(Outcome::Committed(state.revision));
        }
        state.revision += 1;
        let revision = state.revision;
        let batch: Batch = events.into();
        state.log.insert(revision, Arc::clone(&batch));
        self.hub.publish(&[batch]);
        Ok(Outcome::Committed(revision))
    }

    async fn watch(&self, prefix: &[u8], after: Revision) -> Result<Watch, Error> {
        let after = self.state.read().check(after)?;
        let history = Arc::clone(&self.state);
        Ok(self.hub.start(history, prefix, after))
    }

    async fn compact(&self, revision: Revision) -> Result<(), Error> {
        let mut state = self.state.write();
        if state.closed || revision > state.revision {
            return state.check(revision).map(drop);
        }
        if revision > state.compacted {
            state.compacted = revision;
            state.log = state.log.split_off(&(revision + 1));
            state.index.compact_step(b"", usize::MAX, revision);
        }
        Ok(())
    }

    async fn close(&self) -> Result<(), Error> {
        self.state.write().closed = true;
        self.hub.close();
        Ok(())
    }
}
