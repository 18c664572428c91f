//! Checking transactions, and turning them into commits, before anything is written.
//!
//! A stage holds what the commits of one round leave behind, so that each is checked against the ones
//! before it, which no reader sees yet.

use std::collections::HashMap;

use bytes::Bytes;

use super::format::{Change, Location};
use super::view::{Shared, Snapshot, Values, read_value};
use crate::{Batch, Entry, Error, Event, Outcome, Revision, Transaction, Write};

/// A commit that is to be written.
#[derive(Debug)]
pub(super) struct Commit {
    pub(super) revision: Revision,
    /// What it does, in key order: an event's position is its value's index.
    pub(super) batch: Batch,
    /// Where the value before each event is.
    pub(super) previous: Vec<Option<Location>>,
}

impl Commit {
    /// What it does, without the values.
    pub(super) fn changes(&self) -> Vec<Change> {
        (0..)
            .zip(self.batch.iter().zip(&self.previous))
            .map(|(index, (event, previous))| Change {
                index,
                deleted: event.value.is_none(),
                created: event.created,
                previous: *previous,
                key: event.key.clone(),
            })
            .collect()
    }
}

/// A key's state after the commits of the stage.
#[derive(Clone, Debug)]
struct Current {
    modified: Revision,
    created: Revision,
    index: u32,
    /// The value, if it is at hand.
    value: Option<Bytes>,
}

/// The commits of a round.
pub(super) struct Stage<'a> {
    shared: &'a Shared,
    /// The revision of the newest commit, of this stage or before it.
    revision: Revision,
    commits: Vec<Commit>,
    /// The keys that the stage has written; `None` for one that it has deleted.
    touched: HashMap<Bytes, Option<Current>>,
    /// The disk, once a value is needed from it.
    disk: Option<(Values, Snapshot<'a>)>,
}

impl<'a> Stage<'a> {
    /// An empty stage on top of what has been published.
    pub(super) fn new(shared: &'a Shared) -> Self {
        Self {
            shared,
            revision: shared.revision(),
            commits: Vec::new(),
            touched: HashMap::new(),
            disk: None,
        }
    }

    /// How many commits there are.
    pub(super) fn len(&self) -> usize {
        self.commits.len()
    }

    /// The commits. Lets go of the disk, which the writer may have to replace.
    pub(super) fn finish(self) -> Vec<Commit> {
        self.commits
    }

    /// Checks a transaction and stages its commit.
    pub(super) fn commit(&mut self, transaction: Transaction) -> Result<Outcome, Error> {
        for compare in transaction.compares {
            let current = self.current(&compare.key);
            let modified = current.as_ref().map_or(0, |c| c.modified);
            if modified != compare.modified {
                let entry = current.map(|current| self.entry(compare.key, current));
                return Ok(Outcome::Conflict(entry.transpose()?));
            }
        }
        let mut writes = transaction.writes;
        writes.sort_by(|a, b| a.key().cmp(b.key()));
        let revision = self.revision + 1;
        let mut events = Vec::with_capacity(writes.len());
        let mut previous = Vec::with_capacity(writes.len());
        for write in writes {
            let (key, value) = match write {
                Write::Put(key, value) => (key, Some(value)),
                Write::Delete(key) => (key, None),
            };
            let before = self.current(&key);
            if before.is_none() && value.is_none() {
                continue;
            }
            events.push(Event {
                previous: before.as_ref().map(|c| self.value(c)).transpose()?,
                created: before.as_ref().map_or(revision, |c| c.created),
                key,
                value,
                revision,
            });
            previous.push(before.map(|c| (c.modified, c.index)));
        }
        if events.is_empty() {
            return Ok(Outcome::Committed(self.revision));
        }
        for (index, event) in (0..).zip(&events) {
            let current = event.value.clone().map(|value| Current {
                modified: revision,
                created: event.created,
                index,
                value: Some(value),
            });
            self.touched.insert(event.key.clone(), current);
        }
        self.revision = revision;
        self.commits.push(Commit {
            revision,
            batch: events.into(),
            previous,
        });
        Ok(Outcome::Committed(revision))
    }

    fn current(&self, key: &Bytes) -> Option<Current> {
        if let Some(touched) = self.touched.get(key) {
            return touched.clone();
        }
        let view = self.shared.view.read();
        let version = view.index.current(key)?;
        let index = version.value?;
        Some(Current {
            modified: version.modified,
            created: version.created,
            index,
            value: view.unwritten((version.modified, index)),
        })
    }

    fn value(&mut self, current: &Current) -> Result<Bytes, Error> {
        if let Some(value) = &current.value {
            return Ok(value.clone());
        }
        if self.disk.is_none() {
            let ((), snapshot) = self.shared.look(|_| Ok(()))?;
            self.disk = Some((snapshot.values()?, snapshot));
        }
        let (values, _) = self.disk.as_ref().expect("it has just been set");
        read_value(values, (current.modified, current.index))
    }

    fn entry(&mut self, key: Bytes, current: Current) -> Result<Entry, Error> {
        Ok(Entry {
            key,
            value: self.value(&current)?,
            modified: current.modified,
            created: current.created,
        })
    }
}
