//! What get and range return, now and at a revision.

use store::Error;

use crate::{Subject, bytes, delete, put, write};

pub(crate) async fn a_new_store_is_empty_at_revision_zero(store: Subject) {
    assert_eq!((store.revision(), store.compacted()), (0, 0));
    assert_eq!(store.get(b"a", None).await.unwrap(), None);
    let page = store.range(b"", None, 0, None).await.unwrap();
    assert!(page.entries.is_empty());
    assert_eq!((page.revision, page.remaining), (0, 0));
}

pub(crate) async fn a_deleted_key_is_gone_at_later_revisions(store: Subject) {
    let put_at = write(&store, vec![put("a", "1")]).await;
    let deleted_at = write(&store, vec![delete("a")]).await;
    assert_eq!(store.get(b"a", None).await.unwrap(), None);
    assert_eq!(store.get(b"a", Some(deleted_at)).await.unwrap(), None);
    let before = store.get(b"a", Some(put_at)).await.unwrap();
    assert_eq!(before.map(|entry| entry.value), Some(bytes("1")));
    assert_eq!(store.get(b"a", Some(0)).await.unwrap(), None);
}

pub(crate) async fn a_range_pages_through_its_keys_in_order(store: Subject) {
    for key in ["p/c", "q", "p/a", "p/d", "o", "p/b"] {
        write(&store, vec![put(key, key)]).await;
    }
    let first = store.range(b"p/", None, 3, None).await.unwrap();
    let keys: Vec<_> = first.entries.iter().map(|e| e.key.clone()).collect();
    assert_eq!(keys, ["p/a", "p/b", "p/c"]);
    assert_eq!((first.revision, first.remaining), (6, 1));

    let rest = store.range(b"p/", Some(b"p/c"), 3, None).await.unwrap();
    assert_eq!(rest.entries.len(), 1);
    assert_eq!(rest.entries[0].value, "p/d");
    assert_eq!(rest.remaining, 0);

    let all = store.range(b"", None, 0, None).await.unwrap();
    assert_eq!(all.entries.len(), 6);
    let past_the_end = store.range(b"p/", Some(b"p/d"), 0, None).await.unwrap();
    assert!(past_the_end.entries.is_empty());
}

pub(crate) async fn a_range_shows_the_revision_it_is_asked_for(store: Subject) {
    write(&store, vec![put("p/a", "1")]).await;
    let then = write(&store, vec![put("p/b", "1")]).await;
    write(&store, vec![put("p/a", "2")]).await;
    write(&store, vec![delete("p/b"), put("p/c", "1")]).await;

    let page = store.range(b"p/", None, 1, Some(then)).await.unwrap();
    assert_eq!((page.revision, page.remaining), (then, 1));
    assert_eq!(page.entries[0].value, "1");
    let rest = store.range(b"p/", Some(b"p/a"), 0, Some(then)).await;
    assert_eq!(rest.unwrap().entries[0].key, "p/b");
    let now = store.range(b"p/", None, 0, None).await.unwrap();
    let shown: Vec<_> = now
        .entries
        .iter()
        .map(|e| (e.key.clone(), e.value.clone()))
        .collect();
    assert_eq!(
        shown,
        [(bytes("p/a"), bytes("2")), (bytes("p/c"), bytes("1"))]
    );
}

pub(crate) async fn a_revision_that_has_not_happened_is_refused(store: Subject) {
    write(&store, vec![put("a", "1")]).await;
    for refusal in [
        store.get(b"a", Some(2)).await.map(drop),
        store.range(b"", None, 0, Some(2)).await.map(drop),
        store.compact(2).await,
    ] {
        let future = matches!(
            refusal,
            Err(Error::Future {
                requested: 2,
                current: 1
            })
        );
        assert!(future, "{refusal:?}");
    }
}

pub(crate) async fn compaction_keeps_what_shows_and_refuses_what_is_older(store: Subject) {
    write(&store, vec![put("a", "1"), put("b", "1")]).await;
    write(&store, vec![put("a", "2")]).await;
    write(&store, vec![delete("b")]).await;
    write(&store, vec![put("a", "3")]).await;
    store.compact(3).await.unwrap();
    assert_eq!((store.revision(), store.compacted()), (4, 3));

    let at = |revision| store.get(b"a", Some(revision));
    assert_eq!(at(3).await.unwrap().unwrap().value, "2");
    assert_eq!(at(4).await.unwrap().unwrap().value, "3");
    assert_eq!(store.get(b"b", Some(3)).await.unwrap(), None);
    let refusal = at(2).await;
    let compacted = matches!(
        refusal,
        Err(Error::Compacted {
            requested: 2,
            oldest: 3
        })
    );
    assert!(compacted, "{refusal:?}");
    assert!(store.range(b"", None, 0, Some(2)).await.is_err());

    // Again, and further back, changes nothing.
    store.compact(3).await.unwrap();
    store.compact(1).await.unwrap();
    assert_eq!(store.compacted(), 3);
}
