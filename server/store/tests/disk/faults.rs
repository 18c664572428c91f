//! A disk that fails, and works again.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use store::redb::{Faults, Operation, Options, Redb};
use store::{Durability, Error, Store as _};

use crate::{open, put, value, write};

/// A checkpoint that no test waits for.
const LATER: Duration = Duration::from_secs(300);

/// Fails one kind of operation while it is told to.
#[derive(Debug)]
struct Broken {
    operation: Operation,
    now: AtomicBool,
}

impl Faults for Broken {
    fn before(&self, operation: Operation) -> io::Result<()> {
        if operation == self.operation && self.now.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

async fn reads_go_on_while(operation: Operation, checkpoint_delay: Duration) {
    let dir = tempfile::tempdir().unwrap();
    let faults = Arc::new(Broken {
        operation,
        now: AtomicBool::new(false),
    });
    let options = Options {
        retry: Duration::ZERO,
        checkpoint_delay,
        faults: Some(Arc::clone(&faults) as Arc<dyn Faults>),
        ..Options::default()
    };
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
    reads_go_on_while(Operation::Write, LATER).await;
}

#[tokio::test]
async fn reads_go_on_while_the_disk_does_not_sync() {
    reads_go_on_while(Operation::Sync, LATER).await;
}

#[tokio::test]
async fn reads_go_on_while_the_disk_is_full_for_what_is_in_the_database() {
    reads_go_on_while(Operation::Write, Duration::ZERO).await;
}

#[tokio::test]
async fn reads_go_on_while_the_disk_does_not_sync_what_is_in_the_database() {
    reads_go_on_while(Operation::Sync, Duration::ZERO).await;
}

#[tokio::test]
async fn a_commit_whose_checkpoint_fails_is_there_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let faults = Arc::new(Broken {
        operation: Operation::Sync,
        now: AtomicBool::new(false),
    });
    let options = Options {
        retry: Duration::ZERO,
        faults: Some(Arc::clone(&faults) as Arc<dyn Faults>),
        ..Options::default()
    };
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
