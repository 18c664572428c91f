//! What watches deliver.

use std::sync::Arc;
use std::time::Duration;

use store::{Batch, Error, Event, Watch};
use tokio::time::timeout;

use crate::{Subject, bytes, delete, put, write};

/// The next batch; `None` when the watch has ended.
async fn next(watch: &mut Watch) -> Option<Batch> {
    let batch = timeout(Duration::from_secs(10), watch.batches.recv()).await;
    batch.expect("no batch within ten seconds")
}

pub(crate) async fn a_watch_delivers_the_events_of_a_commit_together_in_key_order(store: Subject) {
    let mut watch = store.watch(b"", 0).await.unwrap();
    write(&store, vec![put("b", "1"), put("a", "1")]).await;
    write(&store, vec![put("a", "2"), delete("b"), delete("c")]).await;

    let event = |key, value: Option<&str>, previous: Option<&str>, revision| Event {
        key: bytes(key),
        value: value.map(bytes),
        previous: previous.map(bytes),
        revision,
        created: 1,
    };
    let created = next(&mut watch).await.unwrap();
    assert_eq!(
        created[..],
        [
            event("a", Some("1"), None, 1),
            event("b", Some("1"), None, 1)
        ]
    );
    let changed = next(&mut watch).await.unwrap();
    assert_eq!(
        changed[..],
        [
            event("a", Some("2"), Some("1"), 2),
            event("b", None, Some("1"), 2)
        ]
    );

    // What is replayed is what was delivered.
    let mut late = store.watch(b"", 0).await.unwrap();
    assert_eq!(next(&mut late).await.unwrap(), created);
    assert_eq!(next(&mut late).await.unwrap(), changed);
}

pub(crate) async fn a_watch_from_the_past_replays_and_goes_on_without_gap(store: Subject) {
    const COMMITS: u64 = 200;
    const WATCHES: u64 = 20;
    let mut guide = store.watch(b"k", 0).await.unwrap();
    let writer = tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            for n in 0..COMMITS {
                write(&store, vec![put(&format!("k{}", n % 7), &n.to_string())]).await;
            }
        }
    });
    // Watches that start while it writes, at every distance from the head.
    let mut watches = Vec::new();
    for n in 0..WATCHES {
        for _ in 0..COMMITS / WATCHES {
            next(&mut guide).await.unwrap();
        }
        let after = store.revision() * (n % 5) / 4;
        watches.push((after, store.watch(b"k", after).await.unwrap()));
    }
    writer.await.unwrap();
    for (after, mut watch) in watches {
        for revision in after + 1..=COMMITS {
            let batch = next(&mut watch).await.expect("the watch goes on");
            assert_eq!(batch[0].revision, revision);
            assert_eq!(batch[0].value, Some(bytes(&(revision - 1).to_string())));
        }
        assert!(watch.batches.try_recv().is_err());
    }
}

pub(crate) async fn a_watch_delivers_its_prefix_only(store: Subject) {
    let mut live = store.watch(b"p/", 0).await.unwrap();
    write(&store, vec![put("o", "1"), put("p/a", "1"), put("q", "1")]).await;
    write(&store, vec![put("q", "2")]).await;
    write(&store, vec![put("p/b", "1")]).await;
    let mut replayed = store.watch(b"p/", 0).await.unwrap();
    for watch in [&mut live, &mut replayed] {
        let first = next(watch).await.unwrap();
        assert_eq!((first.len(), &first[0].key[..]), (1, &b"p/a"[..]));
        let second = next(watch).await.unwrap();
        assert_eq!((second.len(), second[0].revision), (1, 3));
    }
}

pub(crate) async fn a_watch_from_a_compacted_or_future_revision_is_refused(store: Subject) {
    for _ in 0..3 {
        write(&store, vec![put("a", "1")]).await;
    }
    store.compact(2).await.unwrap();
    let compacted = store.watch(b"", 1).await;
    assert!(matches!(
        compacted,
        Err(Error::Compacted {
            requested: 1,
            oldest: 2
        })
    ));
    let future = store.watch(b"", 4).await;
    assert!(matches!(
        future,
        Err(Error::Future {
            requested: 4,
            current: 3
        })
    ));
    let mut kept = store.watch(b"", 2).await.unwrap();
    let batch = next(&mut kept).await.unwrap();
    assert_eq!(
        (batch[0].revision, &batch[0].previous),
        (3, &Some(bytes("1")))
    );
}

pub(crate) async fn a_watch_goes_on_past_compaction(store: Subject) {
    let mut watch = store.watch(b"", 0).await.unwrap();
    write(&store, vec![put("a", "1")]).await;
    write(&store, vec![put("a", "2")]).await;
    store.compact(2).await.unwrap();
    write(&store, vec![put("a", "3")]).await;
    for revision in 1..=3 {
        assert_eq!(next(&mut watch).await.unwrap()[0].revision, revision);
    }
}

pub(crate) async fn a_slow_watcher_is_cut_off(store: Subject) {
    let mut slow = store.watch(b"", 0).await.unwrap();
    let mut prompt = store.watch(b"", 0).await.unwrap();
    let capacity = slow.batches.max_capacity() as u64;
    for n in 0..capacity + 10 {
        write(&store, vec![put("a", &n.to_string())]).await;
        assert!(next(&mut prompt).await.is_some());
    }
    let mut delivered = 0;
    while next(&mut slow).await.is_some() {
        delivered += 1;
    }
    assert_eq!(delivered, capacity);
}

pub(crate) async fn closing_the_store_ends_watches(store: Subject) {
    let mut watch = store.watch(b"", 0).await.unwrap();
    write(&store, vec![put("a", "1")]).await;
    store.close().await.unwrap();
    assert!(next(&mut watch).await.is_some());
    assert!(next(&mut watch).await.is_none());
}
