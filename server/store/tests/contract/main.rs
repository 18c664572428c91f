//! What every store does: one suite, run over each backend.

// In a test, a panic is how to fail, and what is printed is shown when it does.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod model;
mod reads;
mod watches;
mod writes;

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use store::{Compare, Durability, Outcome, Revision, Store, Transaction, Write};

/// A store to test, and what must outlive it.
pub(crate) struct Subject {
    pub(crate) store: Arc<dyn Store>,
    _keep: Box<dyn Any + Send>,
}

impl std::ops::Deref for Subject {
    type Target = Arc<dyn Store>;

    fn deref(&self) -> &Self::Target {
        &self.store
    }
}

fn memory() -> Subject {
    Subject {
        store: Arc::new(store::memory::Memory::new()),
        _keep: Box::new(()),
    }
}

/// With everything in the log and in memory.
fn redb_logged() -> Subject {
    redb(Duration::from_secs(300))
}

/// With a checkpoint after every commit.
fn redb_checkpointed() -> Subject {
    redb(Duration::ZERO)
}

fn redb(checkpoint_delay: Duration) -> Subject {
    let dir = tempfile::tempdir().expect("a directory can be made");
    let options = store::redb::Options {
        // Each commit waits for the disk, and a slow watcher is as many behind as this.
        watch_capacity: 250,
        checkpoint_delay,
        ..store::redb::Options::default()
    };
    let store = store::redb::Redb::open(dir.path(), options).expect("a new store can be opened");
    Subject {
        store: Arc::new(store),
        _keep: Box::new(dir),
    }
}

/// Runs each behaviour once a backend.
macro_rules! suite {
    ($($backend:ident: $make:expr;)* => $behaviours:tt) => {
        $(suite!(@one $backend, $make, $behaviours);)*
    };
    (@one $backend:ident, $make:expr, { $($module:ident: $($name:ident)*;)* }) => {
        mod $backend {
            $($(
                #[tokio::test]
                async fn $name() {
                    crate::$module::$name($make).await;
                }
            )*)*
        }
    };
}

suite! {
    memory: crate::memory();
    redb_logged: crate::redb_logged();
    redb_checkpointed: crate::redb_checkpointed();
    => {
        reads:
            a_new_store_is_empty_at_revision_zero
            a_deleted_key_is_gone_at_later_revisions
            a_range_pages_through_its_keys_in_order
            a_range_shows_the_revision_it_is_asked_for
            a_revision_that_has_not_happened_is_refused
            compaction_keeps_what_shows_and_refuses_what_is_older;
        writes:
            each_commit_takes_the_next_revision
            an_entry_knows_the_commits_that_created_and_modified_it
            a_recreated_key_is_created_anew
            a_condition_that_fails_shows_the_entry_and_writes_nothing
            a_transaction_that_changes_nothing_takes_no_revision
            a_relaxed_commit_is_seen_at_once
            concurrent_increments_lose_nothing
            a_closed_store_refuses_everything;
        watches:
            a_watch_delivers_the_events_of_a_commit_together_in_key_order
            a_watch_from_the_past_replays_and_goes_on_without_gap
            a_watch_delivers_its_prefix_only
            a_watch_from_a_compacted_or_future_revision_is_refused
            a_watch_goes_on_past_compaction
            a_slow_watcher_is_cut_off
            closing_the_store_ends_watches;
        model:
            any_history_reads_as_its_model_does;
    }
}

pub(crate) fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

pub(crate) fn put(key: &str, value: &str) -> Write {
    Write::Put(bytes(key), bytes(value))
}

pub(crate) fn delete(key: &str) -> Write {
    Write::Delete(bytes(key))
}

pub(crate) fn when(key: &str, modified: Revision) -> Compare {
    Compare {
        key: bytes(key),
        modified,
    }
}

pub(crate) fn transaction(compares: Vec<Compare>, writes: Vec<Write>) -> Transaction {
    Transaction {
        compares,
        writes,
        durability: Durability::Durable,
    }
}

/// Commits writes without a condition and returns their revision.
pub(crate) async fn write(store: &Arc<dyn Store>, writes: Vec<Write>) -> Revision {
    match store.commit(transaction(vec![], writes)).await {
        Ok(Outcome::Committed(revision)) => revision,
        other => panic!("a write without a condition ended with {other:?}"),
    }
}
