//! A revisioned key-value store with etcd's model, and its backends.
//!
//! Every commit takes the next revision, one number for the whole store: the `resourceVersion` of
//! Kubernetes. Superseded values stay readable at their revision, and replayable by watches, until
//! they are compacted. Everything above speaks to the [`Store`] trait alone.
//!
//! | module | what it holds |
//! |---|---|
//! | [`memory`] | the backend that forgets everything when it stops |
//! | [`redb`] | the backend on disk |
//! | `index` | key → its versions, for every backend |
//! | `hub` | running watches: replay from a revision, then live |

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::mpsc;

mod hub;
mod index;
pub mod memory;
pub mod redb;

/// The number of a commit. The first one is 1; 0 means "before everything".
pub type Revision = u64;

/// A key's value as some commit left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: Bytes,
    /// The value as it was put.
    pub value: Bytes,
    /// The commit that put this value.
    pub modified: Revision,
    /// The commit that created the key, after its last deletion.
    pub created: Revision,
}

/// A page of a range, in key order.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The entries.
    pub entries: Vec<Entry>,
    /// The revision that the page shows.
    pub revision: Revision,
    /// How many keys of the range follow the last entry.
    pub remaining: usize,
}

/// A condition on a key, checked in the same instant as the writes happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compare {
    /// The key.
    pub key: Bytes,
    /// The commit that must have put its value; 0 when the key must not exist.
    pub modified: Revision,
}

/// A write to one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Creates the key or replaces its value.
    Put(Bytes, Bytes),
    /// Removes the key. Not an error when there is none.
    Delete(Bytes),
}

impl Write {
    /// The key that is written.
    pub fn key(&self) -> &Bytes {
        match self {
            Self::Put(key, _) | Self::Delete(key) => key,
        }
    }
}

/// What must be true, and what then happens: all of it or nothing.
#[derive(Clone, Debug, Default)]
pub struct Transaction {
    /// The conditions.
    pub compares: Vec<Compare>,
    /// The writes, at most one a key.
    pub writes: Vec<Write>,
    /// When the commit is acknowledged.
    pub durability: Durability,
}

/// When a commit is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// After it is on disk: it survives `kill -9` and loss of power.
    #[default]
    Durable,
    /// At once: it reaches the disk with the next durable commit, or when the store is closed, or after
    /// a while (see the backend's options). A crash before that loses it, but never its revision.
    Relaxed,
}

/// How a transaction ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every condition held; the writes have this revision.
    Committed(Revision),
    /// A condition failed. The key's entry as it is, or `None` when there is none.
    Conflict(Option<Entry>),
}

/// A change to one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The key.
    pub key: Bytes,
    /// The value after the change, `None` for a deletion.
    pub value: Option<Bytes>,
    /// The value before the change, where there was one and it is not compacted.
    pub previous: Option<Bytes>,
    /// The commit.
    pub revision: Revision,
    /// The commit that created the key.
    pub created: Revision,
}

/// What a watch delivers: the events of one commit, in key order, commits in order.
pub type Batch = std::sync::Arc<[Event]>;

/// A running watch. It ends when the receiver closes: the watcher was too slow, or the store stopped.
#[derive(Debug)]
pub struct Watch {
    /// The batches from the requested revision on.
    pub batches: mpsc::Receiver<Batch>,
}

/// Why the store refused.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The revision is no longer kept.
    #[error("revision {requested} has been compacted, the oldest kept is {oldest}")]
    Compacted {
        /// The revision asked for.
        requested: Revision,
        /// The oldest one that can be asked for.
        oldest: Revision,
    },
    /// The revision has not happened.
    #[error("revision {requested} is in the future, the current one is {current}")]
    Future {
        /// The revision asked for.
        requested: Revision,
        /// The current one.
        current: Revision,
    },
    /// Writes are refused, because the disk is full or refuses to sync; reads go on.
    #[error("the store refuses writes: {0}")]
    ReadOnly(String),
    /// The data can't be read.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// The store has been closed.
    #[error("the store is closed")]
    Closed,
}

/// The store. All methods may be called from many tasks at once.
///
/// A transaction that changes nothing, because it has no writes or only deletes what isn't there,
/// takes no revision: it answers with the current one. Compacting again at or before what is compacted
/// already does nothing.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// The revision of the last commit that readers may see.
    fn revision(&self) -> Revision;

    /// The oldest revision that can be read or watched from.
    fn compacted(&self) -> Revision;

    /// A key's entry, now or at a revision.
    async fn get(&self, key: &[u8], at: Option<Revision>) -> Result<Option<Entry>, Error>;

    /// Entries whose key starts with `prefix` and sorts after `start_after`, at most `limit` of them
    /// (0 for all), now or at a revision.
    async fn range(
        &self,
        prefix: &[u8],
        start_after: Option<&[u8]>,
        limit: usize,
        at: Option<Revision>,
    ) -> Result<Page, Error>;

    /// Checks and writes in one step. Returns when readers see the commit and its durability is met.
    async fn commit(&self, transaction: Transaction) -> Result<Outcome, Error>;

    /// Changes of keys that start with `prefix`, of commits after `after`.
    async fn watch(&self, prefix: &[u8], after: Revision) -> Result<Watch, Error>;

    /// Forgets values superseded at or before `revision`.
    async fn compact(&self, revision: Revision) -> Result<(), Error>;

    /// Writes what is not yet on disk and stops. Later calls fail with [`Error::Closed`].
    async fn close(&self) -> Result<(), Error>;
}
