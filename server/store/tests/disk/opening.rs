//! Stopping and starting, and directories that are refused.

use std::fs;

use store::redb::{OpenError, Options, Redb};
use store::{Durability, Store as _};

use crate::{copy, open, put, value, write};

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for n in 0..10 {
        write(&store, "a", &n.to_string()).await.unwrap();
    }
    let relaxed = put("lease", "1", Durability::Relaxed);
    store.commit(relaxed).await.unwrap();
    store.compact(5).await.unwrap();
    store.close().await.unwrap();
    drop(store);

    let store = open(dir.path());
    assert_eq!((store.revision(), store.compacted()), (11, 5));
    assert_eq!(value(&store, "a").await.unwrap(), "9");
    assert_eq!(value(&store, "lease").await.unwrap(), "1");
    let then = store.get(b"a", Some(7)).await.unwrap().unwrap();
    assert_eq!((&then.value[..], then.created), (&b"6"[..], 1));
    assert!(store.get(b"a", Some(4)).await.is_err());
    let mut watch = store.watch(b"a", 5).await.unwrap();
    for revision in 6..=10 {
        let batch = watch.batches.recv().await.unwrap();
        assert_eq!(batch[0].revision, revision);
        assert!(batch[0].previous.is_some());
    }
    assert_eq!(write(&store, "a", "next").await.unwrap(), 12);
}

#[tokio::test]
async fn a_directory_is_open_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let second = Redb::open(dir.path(), Options::default());
    assert!(matches!(second, Err(OpenError::InUse { .. })), "{second:?}");
    drop(store);
    open(dir.path());
}

#[tokio::test]
async fn another_format_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    fs::write(dir.path().join("format"), "ctld-store 3").unwrap();
    let error = Redb::open(dir.path(), Options::default()).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, OpenError::Format { .. }), "{text}");
    assert!(text.contains("\"ctld-store 3\""), "{text}");
}

#[tokio::test]
async fn a_directory_from_before_there_was_a_log_is_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    write(&store, "a", "1").await.unwrap();
    store.close().await.unwrap();
    drop(store);
    let marker = dir.path().join("format");
    fs::write(&marker, "ctld-store 1").unwrap();
    fs::remove_file(dir.path().join("log")).unwrap();
    assert_eq!(value(&open(dir.path()), "a").await.unwrap(), "1");
    assert_eq!(fs::read_to_string(&marker).unwrap(), "ctld-store 2");
}

#[tokio::test]
async fn what_only_the_log_has_is_read_and_watched_and_a_hole_in_it_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for n in 0..5 {
        write(&store, "a", &n.to_string()).await.unwrap();
    }
    // As a crash leaves it: closing would make a checkpoint.
    let crashed = copy(dir.path());
    store.close().await.unwrap();
    let log = crashed.path().join("log");
    let good = fs::read(&log).unwrap();
    let mut hole = good.clone();
    hole[2 * 4096..3 * 4096].fill(0);
    fs::write(&log, &hole).unwrap();
    let error = Redb::open(crashed.path(), Options::default()).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, OpenError::Damaged { .. }), "{text}");
    assert!(
        text.contains("log is damaged (what is between 2 and 4 can't be read)"),
        "{text}"
    );
    assert!(fs::read(&log).unwrap() == hole, "it was changed");

    fs::write(&log, &good).unwrap();
    let store = open(crashed.path());
    assert_eq!(store.revision(), 5);
    assert_eq!(value(&store, "a").await.unwrap(), "4");
    let mut watch = store.watch(b"a", 2).await.unwrap();
    for (revision, before) in [(3, "1"), (4, "2"), (5, "3")] {
        let batch = watch.batches.recv().await.unwrap();
        assert_eq!(batch[0].revision, revision);
        assert_eq!(batch[0].previous.as_ref().unwrap(), before);
    }
    assert_eq!(write(&store, "a", "next").await.unwrap(), 6);
}

#[tokio::test]
async fn a_log_that_is_missing_or_newer_than_its_database_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let older = copy(dir.path());
    for n in 0..10 {
        write(&store, "a", &n.to_string()).await.unwrap();
    }
    store.compact(5).await.unwrap();
    write(&store, "a", "last").await.unwrap();
    let crashed = copy(dir.path());
    store.close().await.unwrap();

    let database = older.path().join("store.redb");
    fs::copy(database, crashed.path().join("store.redb")).unwrap();
    let error = Redb::open(crashed.path(), Options::default()).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, OpenError::Damaged { .. }), "{text}");
    assert!(
        text.contains("it goes on from revision 10, and the database ends at 0"),
        "{text}"
    );

    fs::remove_file(crashed.path().join("log")).unwrap();
    let error = Redb::open(crashed.path(), Options::default()).unwrap_err();
    assert!(error.to_string().contains("log is damaged (it is missing)"));
    assert!(!crashed.path().join("log").exists());
}

#[tokio::test]
async fn a_damaged_database_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for n in 0..200 {
        write(&store, &format!("key-{n}"), &"v".repeat(300))
            .await
            .unwrap();
    }
    store.close().await.unwrap();
    drop(store);
    let path = dir.path().join("store.redb");
    let good = fs::read(&path).unwrap();

    let mut no_header = good.clone();
    no_header[..512].fill(0);
    let mut no_pages = good.clone();
    no_pages[4096..].fill(0);
    let refused = [
        ("empty", Vec::new()),
        ("cut", good[..good.len() / 2].to_vec()),
        ("without its header", no_header),
        ("without its pages", no_pages),
        ("something else", b"#!/bin/sh\n".repeat(1000)),
    ];
    for (what, bytes) in refused {
        fs::write(&path, &bytes).unwrap();
        let error = Redb::open(dir.path(), Options::default()).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, OpenError::Damaged { .. }), "{what}: {text}");
        assert!(text.contains("from a backup"), "{what}: {text}");
        assert!(fs::read(&path).unwrap() == bytes, "{what}: it was changed");
    }
    fs::remove_file(&path).unwrap();
    let error = Redb::open(dir.path(), Options::default()).unwrap_err();
    assert!(error.to_string().contains("it is missing"), "{error}");
    assert!(!path.exists());

    fs::write(&path, good).unwrap();
    let store = open(dir.path());
    assert_eq!(value(&store, "key-7").await.unwrap(), "v".repeat(300));
}
