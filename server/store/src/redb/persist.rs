//! One redb transaction: commits in, compacted versions out, and the numbers.

use std::collections::BTreeMap;

use bytes::Bytes;
use redb::{Database, ReadableTable as _};

use super::format::{
    CHANGES, State, VALUES, decode_changes, encode_changes, encode_value, set_state, value_length,
};
use super::stage::Commit;
use crate::Revision;
use crate::index::Version;

/// A version that compaction has taken out of the index, with its key.
pub(super) type Removed = (Bytes, Version<u32>);

/// What to write.
pub(super) struct Job<'a> {
    /// In order of revision.
    pub(super) commits: Vec<&'a Commit>,
    /// They may be among the commits.
    pub(super) removed: &'a [Removed],
    pub(super) state: State,
}

/// Writes it, and returns when it is on the disk.
pub(super) fn persist(database: &Database, job: &Job<'_>) -> Result<(), redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_two_phase_commit(true);
    // Saves the allocator's state, so that opening after a crash need not walk the whole database.
    transaction.set_quick_repair(true);
    {
        let mut changes = transaction.open_table(CHANGES)?;
        let mut values = transaction.open_table(VALUES)?;
        for commit in &job.commits {
            for (index, event) in (0..).zip(commit.batch.iter()) {
                if let Some(value) = &event.value {
                    let location = (commit.revision, index);
                    let mut space = values.insert_reserve(location, value_length(value))?;
                    encode_value(value, space.as_mut());
                }
            }
            let row = encode_changes(&commit.changes());
            changes.insert(commit.revision, row.as_slice())?;
        }
        let mut by_commit: BTreeMap<Revision, Vec<&Bytes>> = BTreeMap::new();
        for (key, version) in job.removed {
            if let Some(index) = version.value {
                values.remove((version.modified, index))?;
            }
            by_commit.entry(version.modified).or_default().push(key);
        }
        for (revision, keys) in by_commit {
            forget(&mut changes, revision, &keys)?;
        }
    }
    set_state(&transaction, job.state)?;
    transaction.commit()?;
    Ok(())
}

/// Takes keys out of what a commit did, and the commit out when nothing is left of it.
fn forget(
    changes: &mut redb::Table<'_, u64, &'static [u8]>,
    revision: Revision,
    keys: &[&Bytes],
) -> Result<(), redb::Error> {
    let Some(row) = changes.get(revision)? else {
        return Ok(());
    };
    let mut left = decode_changes(row.value()).ok_or_else(|| {
        redb::Error::Corrupted(format!("the changes of revision {revision} can't be read"))
    })?;
    drop(row);
    left.retain(|change| !keys.contains(&&change.key));
    if left.is_empty() {
        changes.remove(revision)?;
    } else {
        changes.insert(revision, encode_changes(&left).as_slice())?;
    }
    Ok(())
}
