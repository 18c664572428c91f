//! The directory, the tables, and how their values are encoded. All numbers are little-endian.
//!
//! ```text
//! value    sum u64 | the value
//! changes  sum u64 | one of these for each key of the commit:
//!              index u32 | deleted u8 | created u64 | previous revision u64 | previous index u32
//!              | key length u32 | key
//! ```
//!
//! `sum` covers what follows it. `index` says where in `values` the value is. The previous revision is
//! the one that put the value before the change, 0 when there was none.

use std::fs;
use std::io::{ErrorKind, Seek as _, Write as _};
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use redb::{Database, DatabaseError, ReadableDatabase as _, ReadableTable as _, TableDefinition};

use super::file::{Faults, File};
use super::log::{Log, Logged};
use super::stage::Commit;
use super::view::View;
use super::{OpenError, Options};
use crate::index::Version;
use crate::{Event, Revision};

/// What `DIR/format` says, and what the `state` table says.
const FORMAT: &str = "ctld-store 2";
/// The same without a log.
const FORMAT_BEFORE: &str = "ctld-store 1";
const FORMAT_NUMBER: u64 = 1;

/// How long another process may take to let go of the lock.
const LOCK_PATIENCE: Duration = Duration::from_millis(500);

/// One row: format, revision, reserved, compacted.
const STATE: TableDefinition<'_, (), (u64, u64, u64, u64)> = TableDefinition::new("state");
/// Revision → what the commit did.
pub(super) const CHANGES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("changes");
/// Revision, index → value.
pub(super) const VALUES: TableDefinition<'_, (u64, u32), &[u8]> = TableDefinition::new("values");

/// Where a value is: the revision that put it, and its index in that commit.
pub(super) type Location = (Revision, u32);

/// What is on disk, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    /// The last commit on disk.
    pub(super) revision: Revision,
    /// Where revisions go on after a crash: none after it has been given out.
    pub(super) reserved: Revision,
    /// The oldest revision that can be read.
    pub(super) compacted: Revision,
}

/// What a commit did to one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) index: u32,
    pub(super) deleted: bool,
    pub(super) created: Revision,
    pub(super) previous: Option<Location>,
    pub(super) key: Bytes,
}

/// How the database is opened, again and again if need be.
#[derive(Clone, Debug)]
pub(super) struct Source {
    path: PathBuf,
    cache: usize,
    faults: Option<Arc<dyn Faults>>,
    /// `DIR/format`, open: that holds its lock.
    _lock: Arc<fs::File>,
}

/// A store that has been opened.
pub(super) struct Opened {
    pub(super) database: Database,
    pub(super) log: Log,
    pub(super) view: View,
    pub(super) source: Source,
    pub(super) state: State,
}

impl Source {
    /// Opens the database for reading and writing.
    pub(super) fn open(&self) -> Result<Database, DatabaseError> {
        self.build(File::read_write(&self.path, self.faults.clone())?)
    }

    /// Opens the database with what redb writes kept in memory.
    pub(super) fn open_read_only(&self) -> Result<Database, DatabaseError> {
        self.build(File::read_only(&self.path, self.faults.clone())?)
    }

    fn build(&self, file: File) -> Result<Database, DatabaseError> {
        let mut builder = Database::builder();
        builder.set_cache_size(self.cache);
        builder.create_with_backend(file)
    }
}

/// Opens the store in a directory.
pub(super) fn open(dir: &Path, options: &Options) -> Result<Opened, OpenError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| OpenError::File { path, source }
    };
    fs::create_dir_all(dir).map_err(at(dir))?;
    let marker = dir.join("format");
    let path = dir.join("store.redb");
    let damaged = |problem: &str| OpenError::Damaged {
        path: path.clone(),
        dir: dir.to_owned(),
        problem: problem.to_owned(),
    };
    let mut known = fs::OpenOptions::new();
    known.read(true).write(true).create(true).truncate(false);
    let mut lock = known.open(&marker).map_err(at(&marker))?;
    match lock_marker(&lock) {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => return Err(OpenError::InUse { path: marker }),
        Err(fs::TryLockError::Error(error)) => return Err(at(&marker)(error)),
    }
    let found = fs::read_to_string(&marker).map_err(at(&marker))?;
    let exists = match fs::metadata(&path) {
        Ok(metadata) if metadata.len() == 0 => return Err(damaged("it is empty")),
        Ok(_) => true,
        Err(error) if error.kind() == ErrorKind::NotFound => false,
        Err(error) => return Err(at(&path)(error)),
    };
    match (found.trim_end(), exists) {
        // The marker is written last: without it, making the store was not finished.
        ("", _) => {
            create(dir, &path, options).map_err(|error| damaged(&error.to_string()))?;
            mark(&mut lock).map_err(at(&marker))?;
            sync_directory(dir).map_err(at(dir))?;
        }
        (FORMAT, true) => {}
        (FORMAT_BEFORE, true) => {
            lock.rewind().map_err(at(&marker))?;
            mark(&mut lock).map_err(at(&marker))?;
        }
        (FORMAT | FORMAT_BEFORE, false) => return Err(damaged("it is missing")),
        (other, _) => {
            return Err(OpenError::Format {
                dir: dir.to_owned(),
                found: other.to_owned(),
                known: FORMAT.to_owned(),
            });
        }
    }
    let source = Source {
        path: path.clone(),
        cache: options.cache,
        faults: options.faults.clone(),
        _lock: Arc::new(lock),
    };
    // redb reports most damage as an error, and some by a panic (see `Database::open`).
    let opened = std::panic::catch_unwind(AssertUnwindSafe(|| {
        // Read first without writing to it: a damaged file stays as it is.
        let (state, mut view) = load(&source.open_read_only()?)?;
        let log = dir.join("log");
        let (log, commits) = Log::open(&log, state.revision, options.faults.clone())?
            .map_err(redb::Error::Corrupted)?;
        let database = source.open()?;
        recover(&database, &mut view, commits)?;
        Ok::<_, redb::Error>((database, log, state, view))
    }));
    let (database, log, state, view) = match opened {
        Ok(Ok(opened)) => opened,
        // redb tells of a file that is too short, or of another kind, as of an error of the disk.
        Ok(Err(redb::Error::Io(error)))
            if !matches!(
                error.kind(),
                ErrorKind::UnexpectedEof | ErrorKind::InvalidData
            ) =>
        {
            return Err(at(&path)(error));
        }
        Ok(Err(error)) => return Err(damaged(&error.to_string())),
        Err(_) => return Err(damaged("its pages contradict each other")),
    };
    Ok(Opened {
        database,
        log,
        view,
        source,
        state,
    })
}

/// Says which format the directory has.
fn mark(marker: &mut fs::File) -> std::io::Result<()> {
    marker.write_all(FORMAT.as_bytes())?;
    marker.sync_all()
}

/// Locks the marker. A lock that its owner has let go can live on for a moment in a process that the
/// owner was just starting: until that one executes its program, it shares the owner's files.
fn lock_marker(marker: &fs::File) -> Result<(), fs::TryLockError> {
    let deadline = Instant::now() + LOCK_PATIENCE;
    loop {
        match marker.try_lock() {
            Err(fs::TryLockError::WouldBlock) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(5));
            }
            settled => return settled,
        }
    }
}

/// Makes an empty database.
fn create(dir: &Path, path: &Path, options: &Options) -> Result<(), redb::Error> {
    let file = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)?;
    drop(file);
    let file = File::read_write(path, options.faults.clone())?;
    let database = Database::builder().create_with_backend(file)?;
    let transaction = database.begin_write()?;
    transaction.open_table(CHANGES)?;
    transaction.open_table(VALUES)?;
    set_state(&transaction, State::default())?;
    transaction.commit()?;
    database.close()?;
    Ok(sync_directory(dir)?)
}

fn sync_directory(dir: &Path) -> std::io::Result<()> {
    fs::File::open(dir)?.sync_all()
}

/// Writes the numbers.
pub(super) fn set_state(
    transaction: &redb::WriteTransaction,
    state: State,
) -> Result<(), redb::Error> {
    let row = (
        FORMAT_NUMBER,
        state.revision,
        state.reserved,
        state.compacted,
    );
    transaction.open_table(STATE)?.insert((), row)?;
    Ok(())
}

/// Reads the numbers, and rebuilds the index.
fn load(database: &Database) -> Result<(State, View), redb::Error> {
    let corrupted = |problem: String| redb::Error::Corrupted(problem);
    let transaction = database.begin_read()?;
    let row = transaction.open_table(STATE)?.get(())?;
    let row = row.ok_or_else(|| corrupted("it has no state".to_owned()))?;
    let (format, revision, reserved, compacted) = row.value();
    if format != FORMAT_NUMBER {
        return Err(corrupted(format!("it has the format {format}")));
    }
    let mut view = View {
        revision: reserved.max(revision),
        compacted,
        ..View::default()
    };
    for row in transaction.open_table(CHANGES)?.iter()? {
        let (revision, changes) = row?;
        let modified = revision.value();
        let decoded = decode_changes(changes.value()).ok_or_else(|| {
            corrupted(format!("the changes of revision {modified} can't be read"))
        })?;
        for change in decoded {
            let version = Version {
                modified,
                created: change.created,
                value: (!change.deleted).then_some(change.index),
            };
            view.index.add(change.key, version);
        }
    }
    let state = State {
        revision,
        reserved: view.revision,
        compacted,
    };
    Ok((state, view))
}

/// Shows the commits that the log has and the database does not.
fn recover(database: &Database, view: &mut View, commits: Vec<Logged>) -> Result<(), redb::Error> {
    let values = database.begin_read()?.open_table(VALUES)?;
    for Logged { revision, changes } in commits {
        let mut events = Vec::with_capacity(changes.len());
        let mut previous = Vec::with_capacity(changes.len());
        for (change, value) in changes {
            let before = match change.previous {
                Some(location) => match view.unwritten(location) {
                    Some(value) => Some(value),
                    // It may have been compacted since.
                    None => values.get(location)?.and_then(|b| decode_value(b.value())),
                },
                None => None,
            };
            events.push(Event {
                key: change.key,
                value,
                previous: before,
                revision,
                created: change.created,
            });
            previous.push(change.previous);
        }
        view.publish(&Arc::new(Commit {
            revision,
            batch: events.into(),
            previous,
        }));
    }
    Ok(())
}

/// A sum that tells damaged bytes from good ones; it withstands no attacker.
pub(super) fn sum(bytes: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |sum: u64, word: u64| (sum ^ word).wrapping_mul(FACTOR).rotate_left(29);
    let (words, rest) = bytes.as_chunks::<8>();
    let mut sum = bytes.len() as u64;
    for word in words {
        sum = mix(sum, u64::from_le_bytes(*word));
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let sum = mix(sum, u64::from_le_bytes(last));
    sum ^ (sum >> 32)
}

/// What follows the sum, if the sum is right.
fn checked(bytes: &[u8]) -> Option<&[u8]> {
    let (expected, rest) = bytes.split_first_chunk::<8>()?;
    (u64::from_le_bytes(*expected) == sum(rest)).then_some(rest)
}

/// How long an encoded value is.
pub(super) fn value_length(value: &[u8]) -> usize {
    8 + value.len()
}

/// Encodes a value into a space of [`value_length`].
pub(super) fn encode_value(value: &[u8], out: &mut [u8]) {
    out[..8].copy_from_slice(&sum(value).to_le_bytes());
    out[8..].copy_from_slice(value);
}

/// Decodes a value, `None` when it is damaged.
pub(super) fn decode_value(bytes: &[u8]) -> Option<Bytes> {
    checked(bytes).map(Bytes::copy_from_slice)
}

/// Encodes what a commit did.
pub(super) fn encode_changes(changes: &[Change]) -> Vec<u8> {
    let mut out = vec![0; 8];
    for change in changes {
        let (revision, index) = change.previous.unwrap_or_default();
        out.extend_from_slice(&change.index.to_le_bytes());
        out.push(change.deleted.into());
        out.extend_from_slice(&change.created.to_le_bytes());
        out.extend_from_slice(&revision.to_le_bytes());
        out.extend_from_slice(&index.to_le_bytes());
        // A key is a path of some hundred bytes at most.
        out.extend_from_slice(&(change.key.len() as u32).to_le_bytes());
        out.extend_from_slice(&change.key);
    }
    let sum = sum(&out[8..]);
    out[..8].copy_from_slice(&sum.to_le_bytes());
    out
}

/// Decodes what a commit did, `None` when it is damaged.
pub(super) fn decode_changes(bytes: &[u8]) -> Option<Vec<Change>> {
    let mut rest = checked(bytes)?;
    let mut changes = Vec::new();
    while !rest.is_empty() {
        let index = u32::from_le_bytes(*take(&mut rest)?);
        let [deleted] = *take::<1>(&mut rest)?;
        let created = u64::from_le_bytes(*take(&mut rest)?);
        let revision = u64::from_le_bytes(*take(&mut rest)?);
        let previous = u32::from_le_bytes(*take(&mut rest)?);
        let length = u32::from_le_bytes(*take(&mut rest)?);
        let (key, after) = rest.split_at_checked(length as usize)?;
        rest = after;
        changes.push(Change {
            index,
            deleted: deleted != 0,
            created,
            previous: (revision != 0).then_some((revision, previous)),
            key: Bytes::copy_from_slice(key),
        });
    }
    Some(changes)
}

/// Takes so many bytes off the front.
pub(super) fn take<'a, const N: usize>(bytes: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (taken, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_and_values_decode_to_what_was_encoded_and_show_any_flipped_bit() {
        let change = |key: &'static str, previous: Option<Location>| Change {
            index: 3,
            deleted: previous.is_some(),
            created: 7,
            previous,
            key: Bytes::from_static(key.as_bytes()),
        };
        let changes = [change("a", None), change("/registry/b", Some((6, 1)))];
        let mut encoded = encode_changes(&changes);
        assert_eq!(decode_changes(&encoded).unwrap(), changes);
        let mut value = vec![0; value_length(b"some value")];
        encode_value(b"some value", &mut value);
        assert_eq!(decode_value(&value).unwrap(), "some value");
        for bit in 0..encoded.len() * 8 {
            encoded[bit / 8] ^= 1 << (bit % 8);
            assert!(decode_changes(&encoded).is_none(), "bit {bit}");
            encoded[bit / 8] ^= 1 << (bit % 8);
        }
        for bit in 0..value.len() * 8 {
            value[bit / 8] ^= 1 << (bit % 8);
            assert!(decode_value(&value).is_none(), "bit {bit}");
            value[bit / 8] ^= 1 << (bit % 8);
        }
        assert!(decode_value(b"short").is_none());
    }
}
