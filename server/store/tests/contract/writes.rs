//! What commits do.

use store::{Durability, Error, Outcome, Transaction};

use crate::{Subject, delete, put, transaction, when, write};

pub(crate) async fn each_commit_takes_the_next_revision(store: Subject) {
    assert_eq!(write(&store, vec![put("a", "1")]).await, 1);
    assert_eq!(write(&store, vec![put("b", "1"), put("c", "1")]).await, 2);
    assert_eq!(write(&store, vec![delete("a")]).await, 3);
    assert_eq!(store.revision(), 3);
}

pub(crate) async fn an_entry_knows_the_commits_that_created_and_modified_it(store: Subject) {
    write(&store, vec![put("a", "1")]).await;
    write(&store, vec![put("b", "1")]).await;
    write(&store, vec![put("a", "2")]).await;
    let entry = store.get(b"a", None).await.unwrap().unwrap();
    assert_eq!((entry.created, entry.modified), (1, 3));
    assert_eq!((&entry.key[..], &entry.value[..]), (&b"a"[..], &b"2"[..]));
}

pub(crate) async fn a_recreated_key_is_created_anew(store: Subject) {
    write(&store, vec![put("a", "1")]).await;
    write(&store, vec![delete("a")]).await;
    write(&store, vec![put("a", "2")]).await;
    let entry = store.get(b"a", None).await.unwrap().unwrap();
    assert_eq!((entry.created, entry.modified), (3, 3));
}

pub(crate) async fn a_condition_that_fails_shows_the_entry_and_writes_nothing(store: Subject) {
    let absent = transaction(vec![when("a", 0)], vec![put("a", "1")]);
    let created = store.commit(absent.clone()).await.unwrap();
    assert_eq!(created, Outcome::Committed(1));

    let Outcome::Conflict(Some(entry)) = store.commit(absent).await.unwrap() else {
        panic!("a key was created twice");
    };
    assert_eq!((entry.modified, &entry.value[..]), (1, &b"1"[..]));

    let stale = transaction(
        vec![when("a", 1), when("b", 1)],
        vec![put("a", "2"), put("b", "2")],
    );
    let refused = store.commit(stale).await.unwrap();
    assert_eq!(refused, Outcome::Conflict(None));
    assert_eq!(store.revision(), 1);
    assert_eq!(store.get(b"a", None).await.unwrap().unwrap().value, "1");

    let right = transaction(vec![when("a", 1)], vec![delete("a")]);
    assert_eq!(store.commit(right).await.unwrap(), Outcome::Committed(2));
    let again = transaction(vec![when("a", 0)], vec![put("a", "3")]);
    assert_eq!(store.commit(again).await.unwrap(), Outcome::Committed(3));
}

pub(crate) async fn a_transaction_that_changes_nothing_takes_no_revision(store: Subject) {
    write(&store, vec![put("a", "1")]).await;
    assert_eq!(write(&store, vec![]).await, 1);
    assert_eq!(write(&store, vec![delete("b")]).await, 1);
    let check = transaction(vec![when("a", 1)], vec![]);
    assert_eq!(store.commit(check).await.unwrap(), Outcome::Committed(1));
    assert_eq!(write(&store, vec![delete("b"), delete("a")]).await, 2);
}

pub(crate) async fn a_relaxed_commit_is_seen_at_once(store: Subject) {
    for (revision, durability) in [
        (1, Durability::Relaxed),
        (2, Durability::Relaxed),
        (3, Durability::Durable),
        (4, Durability::Relaxed),
    ] {
        let value = revision.to_string();
        let commit = Transaction {
            compares: vec![when("a", revision - 1)],
            writes: vec![put("a", &value)],
            durability,
        };
        let outcome = store.commit(commit).await.unwrap();
        assert_eq!(outcome, Outcome::Committed(revision));
        let entry = store.get(b"a", None).await.unwrap().unwrap();
        assert_eq!(entry.value, value);
    }
    let all = store.range(b"a", None, 0, Some(2)).await.unwrap();
    assert_eq!(all.entries[0].value, "2");
}

pub(crate) async fn concurrent_increments_lose_nothing(store: Subject) {
    const TASKS: usize = 8;
    const EACH: usize = 25;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..TASKS {
        let store = std::sync::Arc::clone(&store);
        tasks.spawn(async move {
            let mut done = 0;
            while done < EACH {
                let entry = store.get(b"n", None).await.unwrap();
                let (modified, count) = entry.map_or((0, 0), |e| {
                    let text = std::str::from_utf8(&e.value).unwrap();
                    (e.modified, text.parse::<usize>().unwrap())
                });
                let next = put("n", &(count + 1).to_string());
                let commit = transaction(vec![when("n", modified)], vec![next]);
                if let Outcome::Committed(_) = store.commit(commit).await.unwrap() {
                    done += 1;
                }
            }
        });
    }
    tasks.join_all().await;
    let entry = store.get(b"n", None).await.unwrap().unwrap();
    assert_eq!(entry.value, (TASKS * EACH).to_string());
    assert_eq!(store.revision(), (TASKS * EACH) as u64);
}

pub(crate) async fn a_closed_store_refuses_everything(store: Subject) {
    write(&store, vec![put("a", "1")]).await;
    store.close().await.unwrap();
    let commit = transaction(vec![], vec![put("a", "2")]);
    for refusal in [
        store.get(b"a", None).await.map(drop),
        store.range(b"", None, 0, None).await.map(drop),
        store.commit(commit).await.map(drop),
        store.watch(b"", 1).await.map(drop),
        store.compact(1).await,
    ] {
        assert!(matches!(refusal, Err(Error::Closed)), "{refusal:?}");
    }
}
