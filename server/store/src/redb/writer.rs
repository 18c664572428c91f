//! The thread that writes.
//!
//! ```text
//!            ┌──────────── gather: wait for requests, take all that wait ◄───────────┐
//!            ▼                                                                        │
//!   stage: check each transaction ──► nothing durable: publish from memory ──► answer ┤
//!            │                                                                        │
//!            └──► persist: one disk commit ──ok──► publish ──────────────────► answer ┤
//!                       └──failed──► read-only: reopen for reading ──► answer refused ┘
//! ```
//!
//! While there is something to compact, each turn takes a bounded step of it along.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::Options;
use super::format::{Source, State};
use super::persist::{Job, Removed, persist};
use super::stage::{Commit, Stage};
use super::view::Shared;
use crate::index::Version;
use crate::{Batch, Durability, Error, Outcome, Revision, Transaction};

/// How many transactions share a commit at most.
const ROUND: usize = 1024;
/// How many keys and versions a step of compaction looks at.
const COMPACTION_STEP: usize = 1024;
/// How many relaxed commits stay in memory at most.
const UNWRITTEN: usize = 2048;
/// How many revisions are reserved for relaxed commits.
const RESERVE: u64 = 4096;

type Reply<T> = oneshot::Sender<Result<T, Error>>;

/// What callers ask of the writer.
pub(super) enum Request {
    Commit(Transaction, Reply<Outcome>),
    Compact(Revision, Reply<()>),
    Close(Reply<()>),
}

/// What one turn of the loop does.
#[derive(Default)]
struct Round {
    commits: Vec<(Transaction, Reply<Outcome>)>,
    compact: Option<(Revision, Reply<()>)>,
    close: Option<Reply<()>>,
}

/// The disk refuses writes.
struct Failure {
    message: String,
    retry_at: Instant,
}

/// The thread's state.
pub(super) struct Writer {
    shared: Arc<Shared>,
    requests: Receiver<Request>,
    source: Source,
    options: Options,
    /// What is on disk.
    state: State,
    /// The key where compaction goes on; `None` when it is done.
    compaction: Option<Bytes>,
    /// What compaction has taken out of the index but the disk still has.
    removed: Vec<Removed>,
    /// When relaxed commits are written at the latest.
    flush_at: Option<Instant>,
    /// Whether there have been relaxed commits, so that revisions must be reserved for more.
    relaxed: bool,
    failure: Option<Failure>,
}

impl Writer {
    pub(super) fn new(
        shared: Arc<Shared>,
        requests: Receiver<Request>,
        source: Source,
        state: State,
        options: Options,
    ) -> Self {
        Self {
            shared,
            requests,
            source,
            options,
            state,
            // What was compacted but not removed before the last stop.
            compaction: (state.compacted > 0).then(Bytes::new),
            removed: Vec::new(),
            flush_at: None,
            relaxed: false,
            failure: None,
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

    /// Waits for requests, or for the time to flush, and takes all that wait.
    fn gather(&self) -> Round {
        let mut round = Round::default();
        let mut next = self.wait();
        while let Some(request) = next {
            match request {
                Request::Commit(transaction, reply) => round.commits.push((transaction, reply)),
                Request::Compact(revision, reply) => {
                    round.compact = Some((revision, reply));
                    break;
                }
                Request::Close(reply) => {
                    round.close = Some(reply);
                    break;
                }
            }
            if round.commits.len() == ROUND {
                break;
            }
            next = self.requests.try_recv().ok();
        }
        round
    }

    fn wait(&self) -> Option<Request> {
        // The store sends `Close` before it drops its end of the channel.
        let gone = || Some(Request::Close(oneshot::channel().0));
        if self.compaction.is_some() && self.failure.is_none() {
            return match self.requests.try_recv() {
                Ok(request) => Some(request),
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Disconnected) => gone(),
            };
        }
        let Some(flush_at) = self.flush_at else {
            return self.requests.recv().ok().or_else(gone);
        };
        let wait = flush_at.saturating_duration_since(Instant::now());
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
            answers.push((reply, outcome));
        }
        let (commits, revision) = stage.finish();
        let compact = round
            .compact
            .and_then(|(revision, reply)| self.accept(revision, reply));
        let compacted = compact.as_ref().map(|(revision, _)| *revision);
        self.step();

        let needed = durable
            || compacted.is_some()
            || !self.removed.is_empty()
            || revision > self.state.reserved
            || self.must_flush(commits.len());
        let commits: Vec<Arc<Commit>> = commits.into_iter().map(Arc::new).collect();
        let written = match needed || (self.failure.is_some() && !commits.is_empty()) {
            true => self.write(&commits, compacted).map(|()| true),
            false => Ok(false),
        };
        match &written {
            Ok(written) => self.publish(&commits, compacted, *written),
            Err(error) => refuse(&mut answers, error),
        }
        for (reply, outcome) in answers {
            // Whoever asked may have gone away; the commit stands.
            let _ = reply.send(outcome);
        }
        if let Some((_, reply)) = compact {
            let _ = reply.send(written.map(drop));
        }
        if let Some(reply) = round.close {
            let _ = reply.send(self.close());
        }
    }

    /// Checks a request to compact, and answers it if there is nothing to do.
    fn accept(&self, revision: Revision, reply: Reply<()>) -> Option<(Revision, Reply<()>)> {
        let current = self.shared.revision();
        let answer = if revision > current {
            let requested = revision;
            Err(Error::Future { requested, current })
        } else if revision <= self.shared.compacted() {
            Ok(())
        } else {
            return Some((revision, reply));
        };
        let _ = reply.send(answer);
        None
    }

    /// Takes a step of compaction out of the index.
    fn step(&mut self) {
        if !self.removed.is_empty() || self.failure.is_some() {
            return;
        }
        if let Some(start) = self.compaction.take() {
            let mut view = self.shared.view.write();
            let compacted = view.compacted;
            let step = view.index.compact_step(&start, COMPACTION_STEP, compacted);
            self.removed = step.removed;
            self.compaction = step.next;
        }
    }

    /// Whether relaxed commits have waited long enough, or are too many.
    fn must_flush(&self, more: usize) -> bool {
        let due = self.flush_at.is_some_and(|at| at <= Instant::now());
        due || self.shared.view.read().unwritten.len() + more > UNWRITTEN
    }

    /// Writes to disk: the relaxed commits that are not, the new commits, what compaction removed.
    fn write(&mut self, commits: &[Arc<Commit>], compacted: Option<Revision>) -> Result<(), Error> {
        if let Some(failure) = &self.failure
            && Instant::now() < failure.retry_at
        {
            return Err(Error::ReadOnly(failure.message.clone()));
        }
        let (published, unwritten) = {
            let view = self.shared.view.read();
            let unwritten: Vec<_> = view.unwritten.values().cloned().collect();
            (view.revision, unwritten)
        };
        let revision = commits.last().map_or(published, |c| c.revision);
        let state = State {
            revision,
            reserved: self.reserve(revision),
            compacted: compacted.unwrap_or(self.state.compacted),
        };
        let job = Job {
            commits: unwritten.iter().chain(commits).map(Arc::as_ref).collect(),
            removed: &self.removed,
            undo_after: self.failure.is_some().then(|| {
                let first = unwritten.first().map(|c| c.revision - 1);
                first.unwrap_or(published)
            }),
            state,
        };
        match self.attempt(&job) {
            Ok(()) => {
                if self.failure.take().is_some() {
                    tracing::info!("the store accepts writes again");
                }
                self.state = state;
                self.removed.clear();
                self.flush_at = None;
                Ok(())
            }
            Err(error) => Err(self.fail(&error)),
        }
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

    fn attempt(&self, job: &Job<'_>) -> Result<(), redb::Error> {
        if self.failure.is_none() {
            let database = self.shared.database.read();
            let database = database.as_ref().ok_or(redb::Error::DatabaseClosed)?;
            return persist(database, job);
        }
        let database = self.source.open()?;
        persist(&database, job)?;
        *self.shared.database.write() = Some(database);
        Ok(())
    }

    /// Goes over to refusing writes, with a database that reads go on from.
    fn fail(&mut self, error: &redb::Error) -> Error {
        let message = error.to_string();
        let retry_at = Instant::now() + self.options.retry;
        if self.failure.is_none() {
            tracing::error!(error = %message, "the store refuses writes until the disk takes them again");
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
        self.failure = Some(Failure {
            message: message.clone(),
            retry_at,
        });
        // Relaxed commits that wait are tried again.
        self.flush_at = self.flush_at.map(|_| retry_at);
        Error::ReadOnly(message)
    }

    /// Shows commits to readers and watches.
    fn publish(&mut self, commits: &[Arc<Commit>], compacted: Option<Revision>, written: bool) {
        {
            let mut view = self.shared.view.write();
            if written {
                view.unwritten.clear();
            }
            for commit in commits {
                for (index, event) in (0..).zip(commit.batch.iter()) {
                    let version = Version {
                        modified: commit.revision,
                        created: event.created,
                        value: event.value.is_some().then_some(index),
                    };
                    view.index.add(event.key.clone(), version);
                }
                view.revision = commit.revision;
                if !written {
                    view.unwritten.insert(commit.revision, Arc::clone(commit));
                }
            }
            if let Some(compacted) = compacted {
                view.compacted = compacted;
                self.compaction = Some(Bytes::new());
            }
        }
        if !written && !commits.is_empty() && self.flush_at.is_none() {
            self.flush_at = Some(Instant::now() + self.options.relaxed_delay);
        }
        let batches: Vec<Batch> = commits.iter().map(|c| Arc::clone(&c.batch)).collect();
        self.shared.hub.publish(&batches);
    }

    /// Writes what is not on disk, gives reserved revisions back, and closes the database.
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
            self.write(&[], None)
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

/// Answers of a round that could not be written: whatever it would have committed is refused.
fn refuse(answers: &mut [(Reply<Outcome>, Result<Outcome, Error>)], error: &Error) {
    for (_, outcome) in answers {
        if let Ok(Outcome::Committed(_)) = outcome {
            *outcome = Err(error.clone());
        }
    }
}
