//! The thread that writes.
//!
//! ```text
//!            ┌─────────── gather: wait for requests, take all that wait ◄──────────┐
//!            ▼                                                                      │
//!   stage: check each transaction ──► nothing durable ──────► publish ──► answer ───┤
//!            │                                                   ▲                  │
//!            └──► log: one write, one sync ──────ok──────────────┘                  │
//!                   └──failed──► answer refused ────────────────────────────────────┤
//!                                                                                   │
//!   enough in the log, or compaction has removed something: checkpoint ◄────────────┘
//! ```
//!
//! **Compaction** goes in bounded steps between turns, and takes at most a tenth of the thread's time:
//!
//! ```text
//! compact(R) ──► index: key by key, what shows at no revision from R on ──nothing found──► done
//!                  └──found──► sweep: commit by commit up to R, what the index has no more
//!                                └──► shrink: if much of the file is free and what is used is small
//! ```
//!
//! When a checkpoint fails, the database is opened again for reading. After any failure, the next
//! checkpoint that works ends it.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::Options;
use super::format::State;
use super::log::Log;
use super::open::Source;
use super::persist::{Job, Persisted, Sweep, persist};
use super::stage::{Commit, Stage};
use super::view::Shared;
use crate::{Batch, Durability, Error, Outcome, Revision, Transaction, Write};

/// How many transactions share a commit at most, and after how many bytes of values there is no room for
/// another.
const ROUND: usize = 1024;
const ROUND_BYTES: usize = 16 << 20;
/// How many keys and versions, or commits, a step of compaction looks at.
const COMPACTION_STEP: usize = 1024;
/// Compaction rests this many times as long as its last step took.
const REST: u32 = 9;
/// From how many freed bytes on the file is made shorter, and how many used ones may be moved for that:
/// nothing is written meanwhile.
const SHRINK: u64 = 32 << 20;
const MOVE: u64 = 64 << 20;
/// How many bytes of pages a byte of values takes at most, about: redb rounds large ones up.
const PAGES: u64 = 3;
/// How many commits make a checkpoint, and how many bytes of them: enough for the database's own work to
/// be shared by many, and few enough for those that wait meanwhile.
const UNWRITTEN: usize = 256;
const LOG: u64 = 4 << 20;
/// How many revisions are reserved for relaxed commits.
const RESERVE: u64 = 4096;

type Reply<T> = oneshot::Sender<Result<T, Error>>;

/// What callers ask of the writer.
pub(super) enum Request {
    Commit(Transaction, Reply<Outcome>),
    Compact(Revision, Reply<()>),
    Close(Reply<()>),
}

/// An answer that waits, and whether it depends on the commits of its round.
type Answer = (Reply<Outcome>, Result<Outcome, Error>, bool);

/// What one turn of the loop does.
#[derive(Default)]
struct Round {
    commits: Vec<(Transaction, Reply<Outcome>)>,
    compact: Option<(Revision, Reply<()>)>,
    close: Option<Reply<()>>,
}

/// How far a compaction is.
enum Compaction {
    /// The key where the index goes on, and whether anything has been found.
    Index(Bytes, bool),
    /// The commit where the disk goes on.
    Disk(Revision),
}

/// The disk refuses writes.
struct Failure {
    message: String,
    retry_at: Instant,
}

/// What the writer keeps safe.
pub(super) struct Disk {
    /// How the database is opened again.
    pub(super) source: Source,
    pub(super) log: Log,
    /// What is in the database.
    pub(super) state: State,
}

/// The thread's state.
pub(super) struct Writer {
    shared: Arc<Shared>,
    requests: Receiver<Request>,
    source: Source,
    options: Options,
    log: Log,
    /// What is in the database.
    state: State,
    /// `None` when it is done.
    compaction: Option<Compaction>,
    /// When compaction may go on.
    step_at: Instant,
    /// How many bytes of the file were freed and not used again, about.
    freed: u64,
    /// How many bytes of it are in use, about: as if what is left were like what went last.
    used: u64,
    /// When the next checkpoint is due at the latest.
    checkpoint_at: Option<Instant>,
    /// Whether there have been relaxed commits, so that revisions must be reserved for more.
    relaxed: bool,
    failure: Option<Failure>,
    /// Whether the database is one that only reads go on from.
    reopened: bool,
}

impl Writer {
    pub(super) fn new(
        shared: Arc<Shared>,
        requests: Receiver<Request>,
        disk: Disk,
        options: Options,
    ) -> Self {
        let Disk { source, log, state } = disk;
        let behind = log.revision() > state.revision;
        Self {
            shared,
            requests,
            source,
            log,
            state,
            // What was compacted but not removed before the last stop.
            compaction: (state.compacted > 0).then(|| Compaction::Index(Bytes::new(), false)),
            step_at: Instant::now(),
            freed: 0,
            used: 0,
            checkpoint_at: behind.then(|| Instant::now() + options.checkpoint_delay),
            options,
            relaxed: false,
            failure: None,
            reopened: false,
        }
    }

    /// Works until the store is closed.
    pub(super) fn run(mut self) {
        loop {
            let round = self.gather();
            let closing = round.close.is_some();
            self.turn(round);
            if closing {
                return;
            }
        }
    }

    /// Waits for requests, or for the time of the checkpoint, and takes all that wait.
    fn gather(&self) -> Round {
        let mut round = Round::default();
        let mut bytes = 0;
        let mut next = self.wait();
        while let Some(request) = next {
            match request {
                Request::Commit(transaction, reply) => {
                    bytes += size(&transaction);
                    round.commits.push((transaction, reply));
                }
                Request::Compact(revision, reply) => {
                    round.compact = Some((revision, reply));
                    break;
                }
                Request::Close(reply) => {
                    round.close = Some(reply);
                    break;
                }
            }
            if round.commits.len() == ROUND || bytes > ROUND_BYTES {
                break;
            }
            next = self.requests.try_recv().ok();
        }
        round
    }

    fn wait(&self) -> Option<Request> {
        // The store sends `Close` before it drops its end of the channel.
        let gone = || Some(Request::Close(oneshot::channel().0));
        let step = (self.compaction.is_some() && self.failure.is_none()).then_some(self.step_at);
        let Some(due) = self.due().into_iter().chain(step).min() else {
            return self.requests.recv().ok().or_else(gone);
        };
        let wait = due.saturating_duration_since(Instant::now());
        match self
            .requests
            .recv_timeout(wait.max(Duration::from_millis(1)))
        {
            Ok(request) => Some(request),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => gone(),
        }
    }

    fn turn(&mut self, round: Round) {
        let shared = Arc::clone(&self.shared);
        let mut stage = Stage::new(&shared);
        let mut answers = Vec::with_capacity(round.commits.len());
        let mut durable = false;
        for (transaction, reply) in round.commits {
            let relaxed = transaction.durability == Durability::Relaxed;
            let before = stage.len();
            let outcome = stage.commit(transaction);
            let writes = stage.len() > before;
            self.relaxed |= writes && relaxed;
            durable |= writes && !relaxed;
            // An answer after the first commit may tell of what that one does.
            answers.push((reply, outcome, stage.len() > 0));
        }
        let commits = stage.finish();
        let commits: Vec<Arc<Commit>> = commits.into_iter().map(Arc::new).collect();
        match self.secure(&commits, durable) {
            Ok(()) => self.publish(&commits),
            Err(error) => refuse(&mut answers, &error),
        }
        for (reply, outcome, _) in answers {
            // Whoever asked may have gone away; the commit stands.
            let _ = reply.send(outcome);
        }
        if let Some((revision, reply)) = round.compact {
            let _ = reply.send(self.compact(revision));
        }
        self.step();
        if self.is_due() {
            // An error is kept, and told to those who write next.
            let _ = self.checkpoint(self.state.compacted);
        }
        if let Some(reply) = round.close {
            let _ = reply.send(self.close());
        }
    }

    /// Makes sure that commits survive a crash as far as they are to: durable ones, and all before them,
    /// in the log; of relaxed ones at least the revision.
    fn secure(&mut self, commits: &[Arc<Commit>], durable: bool) -> Result<(), Error> {
        let Some(last) = commits.last() else {
            return Ok(());
        };
        if self.failure.is_some() {
            self.checkpoint(self.state.compacted)?;
        }
        if durable {
            let logged = self.log.revision();
            let earlier: Vec<_> = {
                let view = self.shared.view.read();
                let earlier = view.unwritten.range(logged + 1..);
                earlier.map(|(_, commit)| Arc::clone(commit)).collect()
            };
            let all = earlier.iter().chain(commits).map(Arc::as_ref);
            return match self.log.append(all) {
                Ok(()) => Ok(()),
                Err(error) => Err(self.refuse_writes(error.to_string())),
            };
        }
        if last.revision > self.state.reserved.max(self.log.revision()) {
            return self.checkpoint(self.state.compacted);
        }
        Ok(())
    }

    /// Begins to forget what was superseded up to a revision.
    fn compact(&mut self, revision: Revision) -> Result<(), Error> {
        let current = self.shared.revision();
        if revision > current {
            let requested = revision;
            return Err(Error::Future { requested, current });
        }
        if revision > self.state.compacted {
            self.checkpoint(revision)?;
            self.shared.view.write().compacted = revision;
            self.compaction = Some(Compaction::Index(Bytes::new(), false));
        }
        Ok(())
    }

    /// Takes a step of compaction, if there is one to take and it has rested.
    fn step(&mut self) {
        let begin = Instant::now();
        if self.failure.is_some() || begin < self.step_at {
            return;
        }
        self.compaction = match self.compaction.take() {
            None => return,
            Some(Compaction::Index(start, found)) => {
                let mut view = self.shared.view.write();
                let compacted = view.compacted;
                let step = view.index.compact_step(&start, COMPACTION_STEP, compacted);
                let found = found || step.removed > 0;
                match step.next {
                    Some(next) => Some(Compaction::Index(next, found)),
                    None => found.then_some(Compaction::Disk(0)),
                }
            }
            Some(Compaction::Disk(from)) => match self.write(self.state.compacted, Some(from)) {
                Ok(next) => next.map(Compaction::Disk),
                // It goes on here when the disk takes writes again.
                Err(_) => Some(Compaction::Disk(from)),
            },
        };
        if self.compaction.is_none() {
            self.shrink();
        }
        let now = Instant::now();
        self.step_at = now + (now - begin) * REST;
    }

    /// Makes the file shorter when most of it is free and what is in use is soon moved; else the free
    /// space waits for new values.
    fn shrink(&mut self) {
        let length = self.source.length();
        let free_enough = self.freed >= SHRINK && self.used < length / 2;
        if self.reopened || !free_enough || self.used > MOVE {
            return;
        }
        let begin = Instant::now();
        let mut database = self.shared.database.write();
        let outcome = match database.as_mut() {
            Some(database) => database.compact(),
            None => return,
        };
        drop(database);
        // Also after a failure: what could not be done now is not tried each time.
        self.freed = 0;
        match outcome {
            Ok(_) => {
                let (now, took) = (self.source.length(), begin.elapsed());
                tracing::info!(
                    from = length,
                    to = now,
                    ?took,
                    "the store's file is shorter"
                );
            }
            Err(error) => {
                self.reopen_for_reading();
                self.refuse_writes(error.to_string());
            }
        }
    }

    /// When a checkpoint is to be made if nothing happens.
    fn due(&self) -> Option<Instant> {
        let at = self.checkpoint_at?;
        // Whatever could not be written is tried again, not only by those who write next.
        let retry_at = self.failure.as_ref().map(|failure| failure.retry_at);
        Some(at.max(retry_at.unwrap_or(at)))
    }

    /// Whether a checkpoint is to be made: there is enough for one, or it has waited long enough.
    fn is_due(&self) -> bool {
        if self.due().is_some_and(|due| due <= Instant::now()) {
            return true;
        }
        let enough =
            self.log.length() >= LOG || self.shared.view.read().unwritten.len() >= UNWRITTEN;
        enough && self.failure.is_none()
    }

    /// Brings the database up to what is published, and begins the log anew. After a failure this is how
    /// the disk is tried again, once in a while.
    fn checkpoint(&mut self, compacted: Revision) -> Result<(), Error> {
        self.write(compacted, None).map(drop)
    }

    /// A checkpoint that may take along a step of the sweep. Returns where the sweep goes on.
    fn write(
        &mut self,
        compacted: Revision,
        sweep: Option<Revision>,
    ) -> Result<Option<Revision>, Error> {
        if let Some(failure) = &self.failure
            && Instant::now() < failure.retry_at
        {
            return Err(Error::ReadOnly(failure.message.clone()));
        }
        let (revision, unwritten) = {
            let view = self.shared.view.read();
            let unwritten: Vec<_> = view.unwritten.values().cloned().collect();
            (view.revision, unwritten)
        };
        let state = State {
            revision,
            reserved: self.reserve(revision),
            compacted,
        };
        let shared = Arc::clone(&self.shared);
        let job = Job {
            commits: unwritten.iter().map(Arc::as_ref).collect(),
            state,
            sweep: sweep.map(|from| Sweep {
                from,
                to: compacted,
                limit: COMPACTION_STEP,
                view: &shared.view,
            }),
        };
        let persisted = match self.attempt(&job) {
            Ok(persisted) => persisted,
            Err(error) => {
                self.reopen_for_reading();
                return Err(self.refuse_writes(error.to_string()));
            }
        };
        self.freed = (self.freed + persisted.freed).saturating_sub(persisted.written);
        if let Some(average) = persisted.freed.checked_div(persisted.gone) {
            self.used = persisted.left * average * PAGES;
        }
        self.reopened = false;
        self.shared.view.write().unwritten.clear();
        self.state = state;
        self.checkpoint_at = None;
        if let Err(error) = self.log.restart(revision) {
            return Err(self.refuse_writes(error.to_string()));
        }
        if self.failure.take().is_some() {
            tracing::info!("the store accepts writes again");
        }
        Ok(persisted.next)
    }

    /// Up to where revisions are reserved once `revision` is on disk.
    fn reserve(&self, revision: Revision) -> Revision {
        if !self.relaxed {
            return self.state.reserved.max(revision);
        }
        match self.state.reserved >= revision + RESERVE / 2 {
            true => self.state.reserved,
            false => revision + RESERVE,
        }
    }

    fn attempt(&self, job: &Job<'_>) -> Result<Persisted, redb::Error> {
        if !self.reopened {
            let database = self.shared.database.read();
            let database = database.as_ref().ok_or(redb::Error::DatabaseClosed)?;
            return persist(database, job);
        }
        let database = self.source.open()?;
        let persisted = persist(&database, job)?;
        *self.shared.database.write() = Some(database);
        Ok(persisted)
    }

    /// Goes over to refusing writes, for a while at least.
    fn refuse_writes(&mut self, message: String) -> Error {
        if self.failure.is_none() {
            tracing::error!(error = %message, "the store refuses writes until the disk takes them again");
        }
        let retry_at = Instant::now() + self.options.retry;
        self.failure = Some(Failure {
            message: message.clone(),
            retry_at,
        });
        Error::ReadOnly(message)
    }

    /// Replaces a database whose write has failed with one that reads go on from.
    fn reopen_for_reading(&mut self) {
        if self.reopened {
            return;
        }
        self.reopened = true;
        let mut database = self.shared.database.write();
        // The old one first: it must not write when it is dropped after the new one has read.
        *database = None;
        *database = match self.source.open_read_only() {
            Ok(reopened) => Some(reopened),
            Err(error) => {
                tracing::error!(%error, "the store can't be read either");
                None
            }
        };
    }

    /// Shows commits to readers and watches.
    fn publish(&mut self, commits: &[Arc<Commit>]) {
        if commits.is_empty() {
            return;
        }
        {
            let mut view = self.shared.view.write();
            commits.iter().for_each(|commit| view.publish(commit));
        }
        if self.checkpoint_at.is_none() {
            self.checkpoint_at = Some(Instant::now() + self.options.checkpoint_delay);
        }
        let batches: Vec<Batch> = commits.iter().map(|c| Arc::clone(&c.batch)).collect();
        self.shared.hub.publish(&batches);
    }

    /// Writes what is not in the database, gives reserved revisions back, and closes it.
    fn close(&mut self) -> Result<(), Error> {
        let (revision, unwritten) = {
            let view = self.shared.view.read();
            (view.revision, !view.unwritten.is_empty())
        };
        let written = if unwritten || self.state.reserved != revision {
            self.relaxed = false;
            self.state.reserved = revision;
            if let Some(failure) = &mut self.failure {
                failure.retry_at = Instant::now();
            }
            self.checkpoint(self.state.compacted)
        } else {
            Ok(())
        };
        self.shared.hub.close();
        self.shared.view.write().closed = true;
        let database = self.shared.database.write().take();
        let closed = database.map_or(Ok(()), redb::Database::close);
        written?;
        closed.map_err(|error| Error::ReadOnly(error.to_string()))
    }
}

/// Answers of a round that could not be written: whatever depends on its commits is refused.
fn refuse(answers: &mut [Answer], error: &Error) {
    for (_, outcome, _) in answers.iter_mut().filter(|(_, _, depends)| *depends) {
        *outcome = Err(error.clone());
    }
}

/// How many bytes a transaction puts.
fn size(transaction: &Transaction) -> usize {
    let sizes = transaction.writes.iter().map(|write| match write {
        Write::Put(_, value) => value.len(),
        Write::Delete(_) => 0,
    });
    sizes.sum()
}
