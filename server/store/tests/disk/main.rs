//! What the store on disk survives: stops, crashes, a full disk, and what it refuses.

// In a test, a panic is how to fail, and what is printed is shown when it does.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod compaction;
mod crash;
mod faults;
mod opening;
mod power;

use std::path::Path;

use bytes::Bytes;
use store::redb::{Options, Redb};
use store::{Durability, Error, Outcome, Revision, Store as _, Transaction, Write};

pub(crate) fn open(dir: &Path) -> Redb {
    Redb::open(dir, Options::default()).expect("the store can be opened")
}

/// What a crash at this moment would leave.
pub(crate) fn copy(dir: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    copy
}

pub(crate) fn put(key: &str, value: &str, durability: Durability) -> Transaction {
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    Transaction {
        compares: Vec::new(),
        writes: vec![Write::Put(bytes(key), bytes(value))],
        durability,
    }
}

pub(crate) async fn write(store: &Redb, key: &str, value: &str) -> Result<Revision, Error> {
    let transaction = put(key, value, Durability::Durable);
    match store.commit(transaction).await? {
        Outcome::Committed(revision) => Ok(revision),
        Outcome::Conflict(_) => panic!("there is no condition that could fail"),
    }
}

pub(crate) async fn value(store: &Redb, key: &str) -> Option<String> {
    let entry = store.get(key.as_bytes(), None).await.unwrap()?;
    Some(String::from_utf8(entry.value.to_vec()).unwrap())
}
