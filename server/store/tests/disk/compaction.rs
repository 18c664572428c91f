//! What compaction leaves on the disk.

use std::path::Path;
use std::time::{Duration, Instant};

use store::{Durability, Error, Store as _};

use crate::{copy, open, put, value};

const KEYS: usize = 20;
const ROUNDS: usize = 120;

fn length(dir: &Path) -> u64 {
    std::fs::metadata(dir.join("store.redb")).unwrap().len()
}

fn text(key: usize, round: usize) -> String {
    format!("{key}-{round}-{}", "x".repeat(20_000))
}

/// Compaction goes on in the background: waits for what it is to bring about.
async fn until(what: &str, mut reached: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !reached() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_file_that_is_mostly_free_shrinks_and_keeps_what_shows() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for round in 0..ROUNDS {
        for key in 0..KEYS {
            let commit = put(
                &format!("key-{key}"),
                &text(key, round),
                Durability::Relaxed,
            );
            store.commit(commit).await.unwrap();
        }
    }
    let last = store.revision();
    // A checkpoint takes everything to the database.
    store.compact(1).await.unwrap();
    let grown = length(dir.path());
    assert!(grown > 40 << 20, "{grown}");

    store.compact(last).await.unwrap();
    until("the file shrinks", || length(dir.path()) < grown / 4).await;
    let past = store.range(b"key-", None, 0, Some(last - 1)).await;
    assert!(matches!(past, Err(Error::Compacted { .. })), "{past:?}");
    // Also what a crash at this moment leaves.
    let crashed = copy(dir.path());
    let again = open(crashed.path());
    for key in 0..KEYS {
        let kept = value(&again, &format!("key-{key}")).await;
        assert_eq!(kept, Some(text(key, ROUNDS - 1)));
    }
}

#[tokio::test]
async fn a_commit_of_several_keys_keeps_the_one_that_still_shows() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut both = put("stays", "as it was", Durability::Durable);
    both.writes
        .extend(put("changes", "once", Durability::Durable).writes);
    store.commit(both).await.unwrap();
    let second = put("changes", "twice", Durability::Durable);
    store.commit(second).await.unwrap();
    store.compact(2).await.unwrap();
    store.close().await.unwrap();
    drop(store);
    let again = open(dir.path());
    assert_eq!(value(&again, "stays").await.as_deref(), Some("as it was"));
    assert_eq!(value(&again, "changes").await.as_deref(), Some("twice"));
}
