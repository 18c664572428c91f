//! A disk that fails, and works again.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use store::redb::{Faults, Operation, Options, Redb};
use store::{Durability, Error, Store as _};

use crate::{copy, open, put, value, write};

/// A checkpoint that no test waits for.
const LATER: Duration = Duration::from_secs(300);

/// What a disk can refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refused {
    Write,
    Sync,
}

/// Refuses that while it is told to.
#[derive(Debug)]
struct Broken {
    refused: Refused,
    now: AtomicBool,
}

impl Faults for Broken {
    fn before(&self, _: &Path, operation: Operation<'_>) -> io::Result<()> {
        let kind = match operation {
            Operation::Read => return Ok(()),
            Operation::Write { .. } | Operation::Resize(_) => Refused::Write,
            Operation::Sync => Refused::Sync,
        };
        if kind == self.refused && self.now.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

/// A disk that is whole so far, and the options of a store on it.
fn broken(refused: Refused, checkpoint_delay: Duration) -> (Arc<Broken>, Options) {
    let faults = Arc::new(Broken {
        refused,
        now: AtomicBool::new(false),
    });
    let options = Options {
        retry: Duration::ZERO,
        checkpoint_delay,
        faults: Some(Arc::clone(&faults) as Arc<dyn Faults>),
        ..Options::default()
    };
    (faults, options)
}

async fn reads_go_on_while(refused: Refused, checkpoint_delay: Duration) {
    let dir = tempfile::tempdir().unwrap();
    let (faults, options) = broken(refused, checkpoint_delay);
    let store = Redb::open(dir.path(), options).unwrap();
    for n in 0..50 {
        write(&store, &format!("old-{n}"), "1").await.unwrap();
    }
    let relaxed = put("lease", "1", Durability::Relaxed);
    store.commit(relaxed).await.unwrap();

    faults.now.store(true, Ordering::SeqCst);
    for attempt in ["2", "3"] {
        let refused = write(&store, "old-1", attempt).await;
        assert!(matches!(refused, Err(Error::ReadOnly(_))), "{refused:?}");
        assert_eq!(value(&store, "old-1").await.unwrap(), "1");
        assert_eq!(value(&store, "lease").await.unwrap(), "1");
        let page = store.range(b"old-", None, 0, None).await.unwrap();
        assert_eq!(page.entries.len(), 50);
        let mut watch = store.watch(b"old-", 0).await.unwrap();
        for _ in 0..50 {
            assert!(watch.batches.recv().await.is_some());
        }
    }
    let refused = store.commit(put("lease", "2", Durability::Relaxed)).await;
    assert!(matches!(refused, Err(Error::ReadOnly(_))), "{refused:?}");

    faults.now.store(false, Ordering::SeqCst);
    write(&store, "old-1", "4").await.unwrap();
    assert_eq!(value(&store, "old-1").await.unwrap(), "4");
    store.close().await.unwrap();
    drop(store);
    let store = open(dir.path());
    assert_eq!(value(&store, "old-1").await.unwrap(), "4");
    assert_eq!(value(&store, "lease").await.unwrap(), "1");
}

#[tokio::test]
async fn reads_go_on_while_the_disk_is_full() {
    reads_go_on_while(Refused::Write, LATER).await;
}

#[tokio::test]
async fn reads_go_on_while_the_disk_does_not_sync() {
    reads_go_on_while(Refused::Sync, LATER).await;
}

#[tokio::test]
async fn reads_go_on_while_the_disk_is_full_for_what_is_in_the_database() {
    reads_go_on_while(Refused::Write, Duration::ZERO).await;
}

#[tokio::test]
async fn reads_go_on_while_the_disk_does_not_sync_what_is_in_the_database() {
    reads_go_on_while(Refused::Sync, Duration::ZERO).await;
}

#[tokio::test]
async fn a_commit_whose_checkpoint_fails_is_there_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let (faults, options) = broken(Refused::Sync, LATER);
    let store = Redb::open(dir.path(), options).unwrap();
    write(&store, "a", "1").await.unwrap();
    faults.now.store(true, Ordering::SeqCst);
    // Compaction begins with a checkpoint.
    let refused = store.compact(1).await;
    assert!(matches!(refused, Err(Error::ReadOnly(_))), "{refused:?}");
    assert_eq!(value(&store, "a").await.unwrap(), "1");
    // As after a crash: closing can't write anything either.
    assert!(store.close().await.is_err());
    drop(store);
    let store = open(dir.path());
    assert_eq!(value(&store, "a").await.unwrap(), "1");
    assert_eq!(store.compacted(), 0);
}

#[tokio::test]
async fn a_refused_commit_does_not_come_back_in_place_of_a_later_one() {
    let dir = tempfile::tempdir().unwrap();
    write(&open(dir.path()), "a", "1").await.unwrap();
    let (faults, options) = broken(Refused::Sync, LATER);
    let store = Redb::open(dir.path(), options).unwrap();
    faults.now.store(true, Ordering::SeqCst);
    let refused = write(&store, "a", "refused").await;
    assert!(matches!(refused, Err(Error::ReadOnly(_))), "{refused:?}");
    faults.now.store(false, Ordering::SeqCst);
    // It gets the revision that the refused one would have had, and a crash loses it.
    let relaxed = put("lease", "1", Durability::Relaxed);
    store.commit(relaxed).await.unwrap();
    let crashed = open(copy(dir.path()).path());
    assert_eq!(value(&crashed, "a").await.unwrap(), "1");
    assert!(crashed.revision() >= store.revision());
}

#[tokio::test]
async fn what_is_read_from_the_log_is_on_the_disk_before_it_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    write(&store, "a", "1").await.unwrap();
    let crashed = copy(dir.path());
    let (faults, options) = broken(Refused::Sync, LATER);
    faults.now.store(true, Ordering::SeqCst);
    let error = Redb::open(crashed.path(), options).unwrap_err();
    assert!(error.to_string().contains("/log: "), "{error}");
    assert_eq!(value(&open(crashed.path()), "a").await.unwrap(), "1");
}

#[tokio::test]
async fn relaxed_commits_are_written_when_the_disk_works_again_though_nobody_writes() {
    let dir = tempfile::tempdir().unwrap();
    let (faults, options) = broken(Refused::Sync, Duration::from_millis(1));
    let store = Redb::open(dir.path(), options).unwrap();
    write(&store, "a", "1").await.unwrap();
    faults.now.store(true, Ordering::SeqCst);
    while write(&store, "a", "2").await.is_ok() {}
    faults.now.store(false, Ordering::SeqCst);
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        // The database alone, behind a log that has nothing.
        let crashed = copy(dir.path());
        std::fs::write(crashed.path().join("log"), "").unwrap();
        if let Ok(crashed) = Redb::open(crashed.path(), Options::default())
            && value(&crashed, "a").await.is_some()
        {
            break;
        }
        assert!(Instant::now() < deadline, "it is not in the database");
        tokio::task::yield_now().await;
    }
}
