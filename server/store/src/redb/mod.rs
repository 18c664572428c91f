//! The store on disk: a redb database, laid out as etcd lays out its own, behind a log.
//!
//! Values are appended under the revision that put them, so that a commit touches the right edge of two
//! trees and nothing else. Which versions a key has is kept in memory and rebuilt from the small
//! `changes` table when the store is opened.
//!
//! ```text
//! DIR/format        "ctld-store 2", locked while the store is open
//! DIR/log           the commits since the last checkpoint
//! DIR/store.redb    state    ()              → format, revision, reserved, compacted
//!                   changes  revision        → what the commit did, without the values
//!                   values   revision, index → value          (index: position in the commit)
//! ```
//!
//! **Writing.** One thread writes. It takes all commits that wait, checks each against what the ones
//! before it leave behind, and appends them to the log with one write and one sync. Readers see them,
//! watches get them and callers are answered after the disk has said yes. Relaxed commits are answered at
//! once and stay in memory until a durable one takes them along. A checkpoint writes what has gathered as
//! one redb transaction with two-phase commit, which costs about the same for one commit as for a hundred;
//! until then, readers find these commits in memory, and after a crash they are read from the log.
//!
//! **Revisions** of relaxed commits that a crash loses are not given out again: `reserved` on disk, or the
//! log, is always ahead of them, and a store that was not closed goes on from there.
//!
//! **When the disk fails**, writes are refused. A database whose last write failed can't be trusted in
//! memory, so it is opened again from the file, with whatever redb writes to it kept in memory: reads go
//! on. From time to time a checkpoint is tried on the real file; when it works, all is as before.
//!
//! | module | what it holds |
//! |---|---|
//! | `open` | the directory, and opening what is in it |
//! | `format` | the tables and their encoding |
//! | `file` | the file under redb: real, or with its writes kept in memory |
//! | `log` | appending to the log, and reading it after a crash |
//! | `view` | what readers see, and reading values |
//! | `writer` | the thread that writes: group commit, checkpoints, compaction, failure and recovery |
//! | `stage` | checking transactions and turning them into commits |
//! | `persist` | one redb transaction |

mod file;
mod format;
mod log;
mod open;
mod persist;
mod stage;
mod view;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::{Entry, Error, Outcome, Page, Revision, Store, Transaction, Watch};
pub use file::{Faults, Operation};
use view::Shared;
use writer::{Disk, Request, Writer};

/// How the store works. [`Options::default`] is right for a server.
#[derive(Clone, Debug)]
pub struct Options {
    /// How much of the database redb keeps in memory, in bytes.
    pub cache: usize,
    /// How long commits wait for a checkpoint, those in the log and relaxed ones that are in memory only.
    pub checkpoint_delay: Duration,
    /// How long writes are refused before one is tried again, after the disk has failed.
    pub retry: Duration,
    /// How many commits may wait in a live watch's channel.
    pub watch_capacity: usize,
    /// Makes operations on the disk fail, in tests.
    pub faults: Option<Arc<dyn Faults>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cache: 16 << 20,
            // Leases are renewed every few seconds in a cluster that is otherwise idle, and an idle
            // cluster shall not write to the disk. Whatever matters is durable and takes them along.
            checkpoint_delay: Duration::from_secs(300),
            retry: Duration::from_secs(1),
            watch_capacity: 8192,
            faults: None,
        }
    }
}

/// Why a store could not be opened. None of these changes what is on disk.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// Another process has it open.
    #[error("{path} is in use by another process")]
    InUse {
        /// The locked file.
        path: PathBuf,
    },
    /// The directory was written by another version of this program.
    #[error(
        "{dir} has the store format {found:?}, this program knows {known:?}: use the version of ctld that wrote it"
    )]
    Format {
        /// The directory.
        dir: PathBuf,
        /// What the directory says.
        found: String,
        /// What it would have to say.
        known: String,
    },
    /// The database, or its log, can't be read.
    #[error(
        "the database {path} is damaged ({problem}); it has not been changed. Restore {dir} from a backup, or move it away to start an empty cluster"
    )]
    Damaged {
        /// The damaged file.
        path: PathBuf,
        /// Its directory.
        dir: PathBuf,
        /// What is wrong.
        problem: String,
    },
}

/// The store on disk.
#[derive(Debug)]
pub struct Redb {
    shared: Arc<Shared>,
    requests: mpsc::Sender<Request>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Redb {
    /// Opens the store in a directory, or makes one if the directory is empty or not there.
    pub fn open(dir: &Path, options: Options) -> Result<Self, OpenError> {
        let opened = open::open(dir, &options)?;
        let shared = Arc::new(Shared::new(opened.database, opened.view, &options));
        let (requests, received) = mpsc::channel();
        let writer = Writer::new(
            Arc::clone(&shared),
            received,
            Disk {
                source: opened.source,
                log: opened.log,
                state: opened.state,
            },
            options,
        );
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer.run())
            .map_err(|source| OpenError::File {
                path: dir.to_owned(),
                source,
            })?;
        Ok(Self {
            shared,
            requests,
            writer: Mutex::new(Some(thread)),
        })
    }

    /// Sends the writer a request and waits for its answer.
    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, Error>>) -> Request,
    ) -> Result<T, Error> {
        let (sender, receiver) = oneshot::channel();
        self.requests
            .send(request(sender))
            .map_err(|_| Error::Closed)?;
        receiver.await.map_err(|_| Error::Closed)?
    }

    /// Runs something that reads the disk away from the async workers.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let shared = Arc::clone(&self.shared);
        let done = tokio::task::spawn_blocking(move || work(&shared)).await;
        done.map_err(|error| Error::Damaged(error.to_string()))?
    }
}

impl Drop for Redb {
    fn drop(&mut self) {
        // Waits, so that the directory can be opened again when this returns. If the thread is gone,
        // there is nothing to wait for; if it panicked, that has been reported.
        let (sender, _) = oneshot::channel();
        let _ = self.requests.send(Request::Close(sender));
        if let Some(writer) = self.writer.lock().take() {
            let _ = writer.join();
        }
    }
}

#[async_trait]
impl Store for Redb {
    fn revision(&self) -> Revision {
        self.shared.revision()
    }

    fn compacted(&self) -> Revision {
        self.shared.compacted()
    }

    async fn get(&self, key: &[u8], at: Option<Revision>) -> Result<Option<Entry>, Error> {
        // One page, mostly of the page cache: a thread switch would cost more.
        self.shared.get(key, at)
    }

    async fn range(
        &self,
        prefix: &[u8],
        start_after: Option<&[u8]>,
        limit: usize,
        at: Option<Revision>,
    ) -> Result<Page, Error> {
        let prefix = prefix.to_vec();
        let start_after = start_after.map(<[u8]>::to_vec);
        self.blocking(move |shared| shared.range(&prefix, start_after.as_deref(), limit, at))
            .await
    }

    async fn commit(&self, transaction: Transaction) -> Result<Outcome, Error> {
        self.ask(|reply| Request::Commit(transaction, reply)).await
    }

    async fn watch(&self, prefix: &[u8], after: Revision) -> Result<Watch, Error> {
        self.shared.check(after)?;
        let history = Arc::clone(&self.shared);
        Ok(self.shared.hub.start(history, prefix, after))
    }

    async fn compact(&self, revision: Revision) -> Result<(), Error> {
        self.ask(|reply| Request::Compact(revision, reply)).await
    }

    async fn close(&self) -> Result<(), Error> {
        self.ask(Request::Close).await
    }
}
