//! A disk that loses power: of what was written since the last sync, any part may be there or not.
//!
//! All that a store does to its files is recorded. Then the disk is put together as it could have been at
//! many moments, and a store opened on it: what was acknowledged before must be there.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use store::redb::{Faults, Operation, Options, Redb};
use store::{Durability, Store as _};

use crate::{copy, open, put, value};

const KEYS: usize = 4;
const COMMITS: u64 = 400;
const MOMENTS: usize = 150;
/// A disk writes so much at once, or nothing of it.
const SECTOR: usize = 512;

/// Something that happened.
#[derive(Debug)]
enum Step {
    Write(PathBuf, u64, Vec<u8>),
    Resize(PathBuf, u64),
    Sync(PathBuf),
    /// The nth commit was acknowledged, at a revision.
    Acknowledged(u64, u64),
}

#[derive(Debug, Default)]
struct Recorder(Mutex<Vec<Step>>);

impl Recorder {
    fn note(&self, step: Step) {
        self.0.lock().unwrap().push(step);
    }
}

impl Faults for Recorder {
    fn before(&self, file: &Path, operation: Operation<'_>) -> io::Result<()> {
        let file = file.to_owned();
        match operation {
            Operation::Read => {}
            Operation::Write { offset, bytes } => {
                self.note(Step::Write(file, offset, bytes.to_vec()));
            }
            Operation::Resize(length) => self.note(Step::Resize(file, length)),
            Operation::Sync => self.note(Step::Sync(file)),
        }
        Ok(())
    }
}

/// A file as the disk has it, and what it has been told since the last sync.
#[derive(Clone, Debug, Default)]
struct File {
    safe: Vec<u8>,
    /// Bytes at an offset, or, without bytes, a length.
    pending: Vec<(u64, Option<Vec<u8>>)>,
}

impl File {
    fn apply(bytes: &mut Vec<u8>, offset: u64, written: Option<&[u8]>) {
        let offset = usize::try_from(offset).unwrap();
        let Some(written) = written else {
            return bytes.resize(offset, 0);
        };
        let end = offset + written.len();
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        bytes[offset..end].copy_from_slice(written);
    }

    fn sync(&mut self) {
        for (offset, written) in std::mem::take(&mut self.pending) {
            Self::apply(&mut self.safe, offset, written.as_deref());
        }
    }

    /// What the disk may have after the power is lost: each sector of what is pending, or not.
    fn after_loss(&self, mut keeps: impl FnMut() -> bool) -> Vec<u8> {
        let mut bytes = self.safe.clone();
        for (offset, written) in &self.pending {
            let Some(written) = written else {
                if keeps() {
                    Self::apply(&mut bytes, *offset, None);
                }
                continue;
            };
            for (number, sector) in written.chunks(SECTOR).enumerate() {
                if keeps() {
                    let at = offset + (number * SECTOR) as u64;
                    Self::apply(&mut bytes, at, Some(sector));
                }
            }
        }
        bytes
    }
}

/// Commits that go on and on: key n % KEYS gets the value n. Some have large values beside them.
async fn work(store: &Redb, recorder: &Recorder) {
    for n in 1..=COMMITS {
        let lease = put("lease", &n.to_string(), Durability::Relaxed);
        store.commit(lease).await.unwrap();
        let mut commit = put(
            &format!("key-{}", n as usize % KEYS),
            &n.to_string(),
            Durability::Durable,
        );
        if n % 7 == 0 {
            commit
                .writes
                .extend(put("large", &"x".repeat(9000), Durability::Durable).writes);
        }
        let outcome = store.commit(commit).await.unwrap();
        let store::Outcome::Committed(revision) = outcome else {
            panic!("there is no condition that could fail");
        };
        recorder.note(Step::Acknowledged(n, revision));
        if n % 90 == 0 {
            store.compact(revision - 20).await.unwrap();
        }
    }
}

async fn lose_power_at_any_moment(checkpoint_delay: Duration) {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).close().await.unwrap();
    let before = copy(dir.path());
    let recorder = Arc::new(Recorder::default());
    let options = Options {
        checkpoint_delay,
        faults: Some(Arc::clone(&recorder) as Arc<dyn Faults>),
        ..Options::default()
    };
    let store = Redb::open(dir.path(), options).unwrap();
    work(&store, &recorder).await;
    store.close().await.unwrap();

    let steps = std::mem::take(&mut *recorder.0.lock().unwrap());
    let mut runner = TestRunner::deterministic();
    let rng = runner.rng();
    let mut moments: Vec<usize> = (0..MOMENTS)
        .map(|_| rng.random_range(0..steps.len()))
        .collect();
    moments.sort_unstable();
    let mut files: BTreeMap<PathBuf, File> = BTreeMap::new();
    for name in ["log", "store.redb"] {
        let safe = std::fs::read(before.path().join(name)).unwrap();
        let file = File {
            safe,
            pending: Vec::new(),
        };
        files.insert(dir.path().join(name), file);
    }
    let (mut done, mut acknowledged, mut newest) = (0, 0, 0);
    for moment in moments {
        for step in &steps[done..moment] {
            match step {
                Step::Write(file, offset, bytes) => {
                    let pending = &mut files.get_mut(file).unwrap().pending;
                    pending.push((*offset, Some(bytes.clone())));
                }
                Step::Resize(file, length) => {
                    files.get_mut(file).unwrap().pending.push((*length, None));
                }
                Step::Sync(file) => files.get_mut(file).unwrap().sync(),
                Step::Acknowledged(n, revision) => (acknowledged, newest) = (*n, *revision),
            }
        }
        done = moment;
        let crashed = copy(before.path());
        for (path, file) in &files {
            // Everything, nothing, or one sector in two.
            let share = rng.random_range(0..4);
            let bytes = file.after_loss(|| match share {
                0 => false,
                1 => true,
                _ => rng.random_bool(0.5),
            });
            std::fs::write(crashed.path().join(path.file_name().unwrap()), bytes).unwrap();
        }
        let store = Redb::open(crashed.path(), Options::default())
            .unwrap_or_else(|error| panic!("step {moment}, commit {acknowledged}: {error}"));
        assert!(
            store.revision() >= newest,
            "step {moment}: a revision is lost"
        );
        for back in 0..(KEYS as u64).min(acknowledged) {
            let n = acknowledged - back;
            let found = value(&store, &format!("key-{}", n as usize % KEYS)).await;
            let found: u64 = found.map_or(0, |found| found.parse().unwrap());
            assert!(
                found == n || found == acknowledged + 1,
                "step {moment}: {n} was acknowledged, {found} is there"
            );
        }
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_loss_of_power() {
    lose_power_at_any_moment(Duration::from_secs(300)).await;
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_loss_of_power_among_checkpoints() {
    lose_power_at_any_moment(Duration::from_millis(2)).await;
}
