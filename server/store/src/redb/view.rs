//! What readers see, and reading it.
//!
//! Lock order: `database`, then `view`. A reader looks up where values are and takes its redb snapshot
//! under `view`; since commits are published, and compacted versions forgotten, under `view` too, what
//! was looked up is in the snapshot.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::{RwLock, RwLockReadGuard};
use redb::{Database, ReadOnlyTable, ReadTransaction, ReadableDatabase as _};

use super::Options;
use super::format::{CHANGES, Change, Location, VALUES, decode_changes, decode_value};
use super::stage::Commit;
use crate::hub::{History, Hub};
use crate::index::{Index, Version};
use crate::{Batch, Entry, Error, Event, Page, Revision};

/// What has been committed.
#[derive(Debug, Default)]
pub(super) struct View {
    pub(super) revision: Revision,
    pub(super) compacted: Revision,
    /// Key → versions → index of the value in its commit.
    pub(super) index: Index<u32>,
    /// Commits since the last checkpoint: those that the database does not have.
    pub(super) unwritten: BTreeMap<Revision, Arc<Commit>>,
    pub(super) closed: bool,
}

/// What the readers and the writer share.
#[derive(Debug)]
pub(super) struct Shared {
    /// `None` when the store is closed, or when it can't even be read.
    pub(super) database: RwLock<Option<Database>>,
    pub(super) view: RwLock<View>,
    pub(super) hub: Arc<Hub>,
}

pub(super) type Values = ReadOnlyTable<(u64, u32), &'static [u8]>;

/// For `map_err`: an error of redb while reading.
pub(super) fn damaged(error: impl Into<redb::Error>) -> Error {
    Error::Damaged(error.into().to_string())
}

impl View {
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

    /// Takes in a commit that the database does not have yet.
    pub(super) fn publish(&mut self, commit: &Arc<Commit>) {
        for (index, event) in (0..).zip(commit.batch.iter()) {
            let version = Version {
                modified: commit.revision,
                created: event.created,
                value: event.value.is_some().then_some(index),
            };
            self.index.add(event.key.clone(), version);
        }
        self.revision = self.revision.max(commit.revision);
        self.unwritten.insert(commit.revision, Arc::clone(commit));
    }

    /// A value that is not in the database yet.
    pub(super) fn unwritten(&self, (revision, index): Location) -> Option<Bytes> {
        let event = self.unwritten.get(&revision)?.batch.get(index as usize)?;
        event.value.clone()
    }
}

/// Reads a value from the disk.
pub(super) fn read_value(values: &Values, location: Location) -> Result<Bytes, Error> {
    let (revision, index) = location;
    let bytes = values.get(location).map_err(damaged)?.ok_or_else(|| {
        Error::Damaged(format!("value {index} of revision {revision} is missing"))
    })?;
    decode_value(bytes.value())
        .ok_or_else(|| Error::Damaged(format!("value {index} of revision {revision} is damaged")))
}

/// A version whose value may be in the database alone.
struct Found {
    key: Bytes,
    version: Version<u32>,
    unwritten: Option<Bytes>,
}

impl Found {
    fn new(view: &View, key: Bytes, version: Version<u32>) -> Self {
        let location = version.value.map(|index| (version.modified, index));
        let unwritten = match view.unwritten.is_empty() {
            true => None,
            false => location.and_then(|location| view.unwritten(location)),
        };
        Self {
            key,
            version,
            unwritten,
        }
    }

    fn entry(self, values: &Values) -> Result<Entry, Error> {
        let Version {
            modified, created, ..
        } = self.version;
        let index = self.version.value.unwrap_or_default();
        Ok(Entry {
            key: self.key,
            value: match self.unwritten {
                Some(value) => value,
                None => read_value(values, (modified, index))?,
            },
            modified,
            created,
        })
    }
}

impl Shared {
    pub(super) fn new(database: Database, view: View, options: &Options) -> Self {
        Self {
            database: RwLock::new(Some(database)),
            hub: Hub::new(view.revision, options.watch_capacity),
            view: RwLock::new(view),
        }
    }

    pub(super) fn revision(&self) -> Revision {
        self.view.read().revision
    }

    pub(super) fn compacted(&self) -> Revision {
        self.view.read().compacted
    }

    /// Checks that a revision is kept and has happened.
    pub(super) fn check(&self, revision: Revision) -> Result<(), Error> {
        self.view.read().check(revision).map(drop)
    }

    /// Looks something up and takes the snapshot that has its values.
    pub(super) fn look<T>(
        &self,
        look: impl FnOnce(&View) -> Result<T, Error>,
    ) -> Result<(T, Snapshot<'_>), Error> {
        let database = self.database.read();
        let view = self.view.read();
        if view.closed {
            return Err(Error::Closed);
        }
        let Some(open) = database.as_ref() else {
            return Err(Error::Damaged("the database can't be read".to_owned()));
        };
        let found = look(&view)?;
        let transaction = open.begin_read().map_err(damaged)?;
        drop(view);
        let snapshot = Snapshot {
            transaction,
            _database: database,
        };
        Ok((found, snapshot))
    }

    pub(super) fn get(&self, key: &[u8], at: Option<Revision>) -> Result<Option<Entry>, Error> {
        let (found, snapshot) = self.look(|view| {
            let revision = view.check(at.unwrap_or(view.revision))?;
            let version = view.index.at(key, revision).cloned();
            Ok(version.map(|v| Found::new(view, Bytes::copy_from_slice(key), v)))
        })?;
        match found {
            Some(found) => found.entry(&snapshot.values()?).map(Some),
            None => Ok(None),
        }
    }

    pub(super) fn range(
        &self,
        prefix: &[u8],
        start_after: Option<&[u8]>,
        limit: usize,
        at: Option<Revision>,
    ) -> Result<Page, Error> {
        let ((found, revision, remaining), snapshot) = self.look(|view| {
            let revision = view.check(at.unwrap_or(view.revision))?;
            let (found, remaining) = view.index.range(prefix, start_after, limit, revision);
            let found = found.into_iter().map(|(key, v)| Found::new(view, key, v));
            Ok((found.collect::<Vec<_>>(), revision, remaining))
        })?;
        let values = snapshot.values()?;
        let entries = found.into_iter().map(|found| found.entry(&values));
        Ok(Page {
            entries: entries.collect::<Result<_, _>>()?,
            revision,
            remaining,
        })
    }

    fn replay_now(&self, after: Revision, limit: usize) -> Result<(Vec<Batch>, Revision), Error> {
        let ((current, written, unwritten), snapshot) = self.look(|view| {
            view.check(after)?;
            // The snapshot may have commits already that have not been published as written.
            let first = view.unwritten.first_key_value();
            let written = first.map_or(view.revision, |(first, _)| first - 1);
            let unwritten = view
                .unwritten
                .range(after + 1..)
                .map(|(_, c)| Arc::clone(c));
            let unwritten = unwritten.take(limit).collect::<Vec<_>>();
            Ok((view.revision, written, unwritten))
        })?;
        let values = snapshot.values()?;
        let changes = snapshot.transaction.open_table(CHANGES).map_err(damaged)?;
        let mut batches = Vec::new();
        let rows = changes.range(after + 1..written + 1).map_err(damaged)?;
        for row in rows.take(limit) {
            let (revision, bytes) = row.map_err(damaged)?;
            let revision = revision.value();
            let changes = decode_changes(bytes.value()).ok_or_else(|| {
                Error::Damaged(format!("the changes of revision {revision} are damaged"))
            })?;
            let events = changes.into_iter().map(|c| event(c, revision, &values));
            batches.push((revision, events.collect::<Result<Batch, _>>()?));
        }
        // What is not on disk is younger than all that is.
        let room = limit - batches.len();
        let unwritten = unwritten.iter().take(room);
        batches.extend(unwritten.map(|commit| (commit.revision, Arc::clone(&commit.batch))));
        let covered = match batches.last() {
            Some((last, _)) if batches.len() == limit => *last,
            _ => current,
        };
        Ok((batches.into_iter().map(|(_, b)| b).collect(), covered))
    }
}

/// A state of the database; the database is not replaced while one is alive.
pub(super) struct Snapshot<'a> {
    transaction: ReadTransaction,
    _database: RwLockReadGuard<'a, Option<Database>>,
}

impl Snapshot<'_> {
    pub(super) fn values(&self) -> Result<Values, Error> {
        self.transaction.open_table(VALUES).map_err(damaged)
    }
}

/// The event of a change on disk.
fn event(change: Change, revision: Revision, values: &Values) -> Result<Event, Error> {
    let previous = match change.previous {
        // It may have been compacted since.
        Some(location) => {
            let bytes = values.get(location).map_err(damaged)?;
            bytes.and_then(|bytes| decode_value(bytes.value()))
        }
        None => None,
    };
    Ok(Event {
        value: match change.deleted {
            true => None,
            false => Some(read_value(values, (revision, change.index))?),
        },
        key: change.key,
        previous,
        revision,
        created: change.created,
    })
}

#[async_trait]
impl History for Shared {
    async fn replay(
        self: Arc<Self>,
        after: Revision,
        limit: usize,
    ) -> Result<(Vec<Batch>, Revision), Error> {
        let done = tokio::task::spawn_blocking(move || self.replay_now(after, limit)).await;
        done.map_err(|error| Error::Damaged(error.to_string()))?
    }
}
