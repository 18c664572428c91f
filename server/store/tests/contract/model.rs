//! Random histories, compared with a list of maps: one map a revision.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use store::{Durability, Outcome, Store, Transaction, Write};

use crate::{Subject, bytes, when};

/// A step of a history.
#[derive(Clone, Debug)]
enum Step {
    /// Commits writes if a key is at the revision that the model knows (or, if not `honest`, at the
    /// next one, which it can't be).
    Commit {
        writes: BTreeMap<u8, Option<u8>>,
        compare: Option<u8>,
        honest: bool,
        relaxed: bool,
    },
    /// Compacts so many tenths of the way from the oldest to the newest revision.
    Compact(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let writes = prop::collection::btree_map(0..6u8, prop::option::weighted(0.7, 0..5u8), 0..4);
    let commit = (
        writes,
        prop::option::of(0..6u8),
        prop::bool::weighted(0.8),
        any::<bool>(),
    );
    prop_oneof![
        9 => commit.prop_map(|(writes, compare, honest, relaxed)| Step::Commit {
            writes,
            compare,
            honest,
            relaxed,
        }),
        1 => (0..=10u64).prop_map(Step::Compact),
    ]
}

/// Key → (value, created, modified).
type Shown = BTreeMap<String, (String, u64, u64)>;

fn key(n: u8) -> String {
    format!("k/{n}")
}

/// What the writes make of the newest map; `None` when they change nothing.
fn apply(newest: &Shown, writes: &BTreeMap<u8, Option<u8>>, revision: u64) -> Option<Shown> {
    let mut next = newest.clone();
    let mut changed = false;
    for (n, value) in writes {
        changed |= match value {
            Some(value) => {
                let created = newest.get(&key(*n)).map_or(revision, |shown| shown.1);
                next.insert(key(*n), (value.to_string(), created, revision));
                true
            }
            None => next.remove(&key(*n)).is_some(),
        };
    }
    changed.then_some(next)
}

async fn check(store: &dyn Store, history: &[Shown], compacted: u64) {
    assert_eq!(store.revision(), history.len() as u64 - 1);
    assert_eq!(store.compacted(), compacted);
    for (revision, model) in history.iter().enumerate().skip(compacted as usize) {
        let page = store.range(b"k/", None, 0, Some(revision as u64)).await;
        let text = |b: &bytes::Bytes| String::from_utf8(b.to_vec()).unwrap();
        let shown: Shown = page
            .unwrap()
            .entries
            .iter()
            .map(|e| (text(&e.key), (text(&e.value), e.created, e.modified)))
            .collect();
        assert_eq!(&shown, model, "at revision {revision}");
    }
}

async fn run(store: &dyn Store, history: &mut Vec<Shown>, compacted: &mut u64, step: Step) {
    let newest = history.last().expect("a history starts with the empty map");
    let current = history.len() as u64 - 1;
    match step {
        Step::Compact(tenths) => {
            *compacted += (current - *compacted) * tenths / 10;
            store.compact(*compacted).await.unwrap();
        }
        Step::Commit {
            writes,
            compare,
            honest,
            relaxed,
        } => {
            let modified = |n| newest.get(&key(n)).map_or(0, |shown| shown.2);
            let compare = compare.map(|n| when(&key(n), modified(n) + u64::from(!honest)));
            let fails = compare.is_some() && !honest;
            let next = apply(newest, &writes, current + 1).filter(|_| !fails);
            let transaction = Transaction {
                compares: compare.into_iter().collect(),
                writes: writes
                    .into_iter()
                    .map(|(n, value)| match value {
                        Some(value) => Write::Put(bytes(&key(n)), bytes(&value.to_string())),
                        None => Write::Delete(bytes(&key(n))),
                    })
                    .collect(),
                durability: match relaxed {
                    true => Durability::Relaxed,
                    false => Durability::Durable,
                },
            };
            let outcome = store.commit(transaction).await.unwrap();
            assert_eq!(matches!(outcome, Outcome::Conflict(_)), fails);
            history.extend(next);
        }
    }
}

pub(crate) async fn any_history_reads_as_its_model_does(store: Subject) {
    // One history after the other in one store: a case that fails is printed, not shrunk, because
    // the store can't be started again from its first step.
    let mut runner = TestRunner::deterministic();
    let mut history = vec![Shown::new()];
    let mut compacted = 0;
    for _ in 0..40 {
        let steps = prop::collection::vec(step(), 1..20)
            .new_tree(&mut runner)
            .expect("the strategy has no filter that could fail")
            .current();
        for step in steps.clone() {
            run(&**store, &mut history, &mut compacted, step).await;
        }
        println!("{steps:?}");
        check(&**store, &history, compacted).await;
    }
}
