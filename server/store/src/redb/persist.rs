//! One redb transaction: commits in, compacted versions out, and the numbers.

use parking_lot::RwLock;
use redb::{Database, ReadableTable as _, ReadableTableMetadata as _, Table};

use super::format::{
    CHANGES, Change, Location, State, VALUES, decode_changes, encode_changes, encode_value,
    set_state, value_length,
};
use super::stage::Commit;
use super::view::View;
use crate::Revision;

/// What to write.
pub(super) struct Job<'a> {
    /// In order of revision.
    pub(super) commits: Vec<&'a Commit>,
    pub(super) state: State,
    pub(super) sweep: Option<Sweep<'a>>,
}

/// A step of taking out what the index has forgotten, in the order of revisions: so neighbours go
/// together, and whole pages become free.
pub(super) struct Sweep<'a> {
    /// Where to go on.
    pub(super) from: Revision,
    /// The compacted revision: younger commits are left alone.
    pub(super) to: Revision,
    /// How many commits to look at.
    pub(super) limit: usize,
    /// Has the index.
    pub(super) view: &'a RwLock<View>,
}

/// What a transaction did to the values.
#[derive(Debug, Default)]
pub(super) struct Persisted {
    /// How many bytes of values came.
    pub(super) written: u64,
    /// How many bytes of values went.
    pub(super) freed: u64,
    /// How many values that were.
    pub(super) gone: u64,
    /// How many values there are.
    pub(super) left: u64,
    /// Where the sweep is to go on, if it has not seen all.
    pub(super) next: Option<Revision>,
}

/// Writes it, and returns when it is on the disk.
pub(super) fn persist(database: &Database, job: &Job<'_>) -> Result<Persisted, redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_two_phase_commit(true);
    // Saves the allocator's state, so that opening after a crash need not walk the whole database.
    transaction.set_quick_repair(true);
    let mut persisted = Persisted::default();
    {
        let mut changes = transaction.open_table(CHANGES)?;
        let mut values = transaction.open_table(VALUES)?;
        for commit in &job.commits {
            for (index, event) in (0..).zip(commit.batch.iter()) {
                if let Some(value) = &event.value {
                    let location = (commit.revision, index);
                    let mut space = values.insert_reserve(location, value_length(value))?;
                    encode_value(value, space.as_mut());
                    persisted.written += value.len() as u64;
                }
            }
            let row = encode_changes(&commit.changes());
            changes.insert(commit.revision, row.as_slice())?;
        }
        if let Some(sweep) = &job.sweep {
            let plan = plan(sweep, &changes)?;
            for (revision, left) in &plan.rows {
                if left.is_empty() {
                    changes.remove(revision)?;
                } else {
                    changes.insert(revision, encode_changes(left).as_slice())?;
                }
            }
            for location in plan.values {
                let removed = values.remove(location)?;
                persisted.freed += removed.map_or(0, |value| value.value().len() as u64);
                persisted.gone += 1;
            }
            persisted.next = plan.next;
        }
        persisted.left = values.len()?;
    }
    set_state(&transaction, job.state)?;
    transaction.commit()?;
    Ok(persisted)
}

/// What a step of a sweep takes out.
#[derive(Default)]
struct Plan {
    /// Commits of which something goes, with what is left of them.
    rows: Vec<(Revision, Vec<Change>)>,
    values: Vec<Location>,
    next: Option<Revision>,
}

fn plan(sweep: &Sweep<'_>, changes: &Table<'_, u64, &'static [u8]>) -> Result<Plan, redb::Error> {
    let mut plan = Plan::default();
    for (seen, row) in changes.range(sweep.from..=sweep.to)?.enumerate() {
        let (revision, bytes) = row?;
        let revision = revision.value();
        if seen == sweep.limit {
            plan.next = Some(revision);
            break;
        }
        let all = decode_changes(bytes.value()).ok_or_else(|| {
            redb::Error::Corrupted(format!("the changes of revision {revision} can't be read"))
        })?;
        let before = all.len();
        let view = sweep.view.read();
        let (left, gone): (Vec<_>, Vec<_>) = all
            .into_iter()
            .partition(|change| view.index.has(&change.key, revision));
        drop(view);
        let values = gone.iter().filter(|change| !change.deleted);
        plan.values
            .extend(values.map(|change| (revision, change.index)));
        if left.len() < before {
            plan.rows.push((revision, left));
        }
    }
    Ok(plan)
}
