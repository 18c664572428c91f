//! The key index: which versions each key has, by revision.
//!
//! Both backends keep it in memory, as etcd does; they differ in what a version points at. It says
//! `V` here: the value itself, or where the value is on disk.
//!
//! ```text
//! /registry/core/pods/default/a   3:put  7:put  9:deleted  12:put
//! /registry/core/pods/default/b   4:put
//!
//! compact(8):  a keeps 7 (it shows at revision 8), 9 and 12      b keeps 4
//! compact(9):  a keeps 12; the deletion of 9 shows as nothing, so nothing needs to be kept of it
//! ```

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;

use crate::Revision;

/// A key's state from `modified` until its next version.
#[derive(Clone, Debug)]
pub(crate) struct Version<V> {
    /// The commit that made it.
    pub(crate) modified: Revision,
    /// The commit that created the key.
    pub(crate) created: Revision,
    /// The value, `None` when the commit deleted the key.
    pub(crate) value: Option<V>,
}

/// All versions of all keys.
#[derive(Debug)]
pub(crate) struct Index<V> {
    /// Versions in order of revision, never empty.
    keys: BTreeMap<Bytes, Vec<Version<V>>>,
}

/// What a bounded step of compaction did.
#[derive(Debug)]
pub(crate) struct Step {
    /// How many versions are gone; of a key, the oldest first.
    pub(crate) removed: usize,
    /// Where to go on; `None` when all keys have been looked at.
    pub(crate) next: Option<Bytes>,
}

impl<V> Default for Index<V> {
    fn default() -> Self {
        Self {
            keys: BTreeMap::new(),
        }
    }
}

impl<V: Clone> Index<V> {
    /// Adds a key's newest version.
    pub(crate) fn add(&mut self, key: Bytes, version: Version<V>) {
        match self.keys.get_mut(&key) {
            Some(versions) => versions.push(version),
            None => {
                self.keys.insert(key, vec![version]);
            }
        }
    }

    /// The version that shows at a revision, `None` when the key doesn't exist then.
    pub(crate) fn at(&self, key: &[u8], revision: Revision) -> Option<&Version<V>> {
        shown(self.keys.get(key)?, revision)
    }

    /// The newest version, `None` when the key doesn't exist.
    pub(crate) fn current(&self, key: &[u8]) -> Option<&Version<V>> {
        self.at(key, Revision::MAX)
    }

    /// Whether a commit's version of a key is still kept.
    pub(crate) fn has(&self, key: &[u8], modified: Revision) -> bool {
        let versions = self.keys.get(key);
        versions.is_some_and(|all| all.binary_search_by_key(&modified, |v| v.modified).is_ok())
    }

    /// What shows at a revision of the keys that start with `prefix` and follow `start_after`: at most
    /// `limit` of them (0 for all), and how many more there are.
    pub(crate) fn range(
        &self,
        prefix: &[u8],
        start_after: Option<&[u8]>,
        limit: usize,
        revision: Revision,
    ) -> (Vec<(Bytes, Version<V>)>, usize) {
        let start = match start_after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let mut found = Vec::new();
        let mut remaining = 0;
        for (key, versions) in self.keys.range::<[u8], _>((start, Bound::Unbounded)) {
            if !key.starts_with(prefix) {
                break;
            }
            let Some(version) = shown(versions, revision) else {
                continue;
            };
            if limit == 0 || found.len() < limit {
                found.push((key.clone(), version.clone()));
            } else {
                remaining += 1;
            }
        }
        (found, remaining)
    }

    /// Removes what no reader at or after `revision` can see, from the key `start` on. The step ends when
    /// it has looked at as many keys and removed as many versions as the budget says.
    pub(crate) fn compact_step(&mut self, start: &[u8], budget: usize, revision: Revision) -> Step {
        let mut removed = 0;
        let mut emptied = Vec::new();
        let mut next = None;
        let mut left = budget;
        let keys = (Bound::Included(start), Bound::Unbounded);
        for (key, versions) in self.keys.range_mut::<[u8], _>(keys) {
            let Some(after) = left.checked_sub(1) else {
                next = Some(key.clone());
                break;
            };
            let superseded = superseded(versions, revision);
            let count = superseded.min(after);
            versions.drain(..count);
            removed += count;
            // A key that was written often keeps no room for that.
            if versions.capacity() > 4 * versions.len() {
                versions.shrink_to_fit();
            }
            left = after - count;
            if count < superseded {
                next = Some(key.clone());
                break;
            }
            if versions.is_empty() {
                emptied.push(key.clone());
            }
        }
        for key in emptied {
            self.keys.remove(&key);
        }
        Step { removed, next }
    }
}

/// The version that shows at a revision.
fn shown<V>(versions: &[Version<V>], revision: Revision) -> Option<&Version<V>> {
    // Most readers want the newest, so look from that end.
    let version = versions.iter().rev().find(|v| v.modified <= revision)?;
    version.value.is_some().then_some(version)
}

/// How many of the oldest versions nobody at or after `revision` can see.
fn superseded<V>(versions: &[Version<V>], revision: Revision) -> usize {
    let past = versions.partition_point(|v| v.modified <= revision);
    match past.checked_sub(1) {
        Some(last) if versions[last].value.is_some() => last,
        _ => past,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(history: &[(&'static str, Revision, Option<u32>)]) -> Index<u32> {
        let mut index = Index::default();
        for (key, modified, value) in history {
            let version = Version {
                modified: *modified,
                created: 1,
                value: *value,
            };
            index.add(Bytes::from_static(key.as_bytes()), version);
        }
        index
    }

    fn kept(index: &Index<u32>, key: &str) -> Vec<Revision> {
        let versions = index.keys.get(key.as_bytes());
        versions.map_or(Vec::new(), |all| all.iter().map(|v| v.modified).collect())
    }

    #[test]
    fn compaction_keeps_what_shows_at_its_revision() {
        let mut index = index(&[
            ("a", 3, Some(0)),
            ("b", 4, Some(0)),
            ("a", 7, Some(0)),
            ("a", 9, None),
            ("a", 12, Some(0)),
        ]);
        assert_eq!(index.compact_step(b"", 10, 8).removed, 1);
        assert_eq!(kept(&index, "a"), [7, 9, 12]);
        assert_eq!(index.at(b"a", 8).map(|v| v.modified), Some(7));
        assert_eq!(index.compact_step(b"", 10, 9).removed, 2);
        assert_eq!(kept(&index, "a"), [12]);
        assert!(index.has(b"a", 12) && !index.has(b"a", 9));
        assert!(index.at(b"a", 9).is_none());
        assert_eq!(index.current(b"a").map(|v| v.modified), Some(12));
        assert_eq!(index.current(b"b").map(|v| v.modified), Some(4));
    }

    #[test]
    fn compaction_in_small_steps_removes_the_same() {
        let history = [
            ("a", 1, Some(0)),
            ("b", 2, Some(0)),
            ("c", 3, Some(0)),
            ("a", 4, None),
            ("b", 5, Some(0)),
            ("c", 6, None),
        ];
        for budget in 2..9 {
            let mut index = index(&history);
            let mut all = 0;
            let mut start = Some(Bytes::new());
            while let Some(from) = start {
                let step = index.compact_step(&from, budget, 6);
                all += step.removed;
                start = step.next;
            }
            assert_eq!(all, 5, "with a budget of {budget}");
            assert_eq!(kept(&index, "b"), [5]);
            assert_eq!(index.keys.len(), 1);
        }
    }
}
