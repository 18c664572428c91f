//! The log: where a commit is safe before the database has it.
//!
//! A transaction of the database touches some twenty pages, whether it holds one commit or a thousand. So
//! commits are appended to this file, one write and one sync for all that wait together, and a *checkpoint*
//! moves some hundred of them into the database at once. The file is then written from its start again.
//!
//! ```text
//! DIR/log   records, each at a multiple of 4096 bytes
//! record    "ctldlog1" | length u32 | sum u64 | base u64 | its commits        sum and length: from the base on
//! commit    revision u64 | length u32 | what it did, as in `changes` | for each value: length u32 | value
//! ```
//!
//! `base` is the revision of the checkpoint before the record: it tells records from those of the last time
//! around. A crash can leave the last record incomplete; nobody has been told of its commits, so it is left
//! out. An incomplete record with complete ones behind it is damage, and so is one from after a checkpoint
//! that the database does not know of.

use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use redb::StorageBackend as _;

use super::file::{Faults, File};
use super::format::{Change, decode_changes, encode_changes, sum, take};
use super::stage::Commit;
use crate::Revision;

const MAGIC: [u8; 8] = *b"ctldlog1";
/// Magic, length, sum.
const HEAD: usize = 8 + 4 + 8;
/// The kernel, and many a disk, writes no less than this: a record in blocks of its own can't spoil another.
const BLOCK: usize = 4096;
/// A longer file than this is given back after a checkpoint.
const KEPT: u64 = 16 << 20;
/// And of a longer buffer than this, what is longer.
const BUFFER: usize = 128 << 10;

/// A commit as the log has it: each change, and the value it put.
pub(super) struct Logged {
    pub(super) revision: Revision,
    pub(super) changes: Vec<(Change, Option<Bytes>)>,
}

/// Why a log can't be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It can't be believed.
    #[error("{0}")]
    Damaged(String),
}

/// The file, open for writing.
#[derive(Debug)]
pub(super) struct Log {
    file: File,
    /// Where the next record goes.
    position: u64,
    /// The revision of the last checkpoint.
    base: Revision,
    /// The last revision in it, or the base.
    revision: Revision,
    /// Whether a record may stand at the position whose commits have been refused.
    spoilt: bool,
    /// The space that records are put together in.
    buffer: Vec<u8>,
}

impl Log {
    /// Makes an empty one, in place of any that is there. Its directory is not synced.
    pub(super) fn create(path: &Path) -> io::Result<()> {
        std::fs::File::create(path)?.sync_all()
    }

    /// Opens the log of a database at `base`, and reads what it has that the database does not. That is
    /// on the disk when this returns.
    pub(super) fn open(
        path: &Path,
        base: Revision,
        faults: Option<Arc<dyn Faults>>,
    ) -> Result<(Self, Vec<Logged>), Refused> {
        let bytes = std::fs::read(path)?;
        let (commits, position) = read(&bytes, base).map_err(Refused::Damaged)?;
        let file = File::read_write(path, faults)?;
        if position > 0 {
            // It may have been read from the kernel's memory alone, in which pages of a sync that failed
            // stay as if they had been written: they are only written when they are written to.
            // What pads the last record may be missing.
            file.write(0, &bytes[..position.min(bytes.len())])?;
            file.sync_data()?;
        }
        let log = Self {
            file,
            position: position as u64,
            base,
            revision: commits.last().map_or(base, |commit| commit.revision),
            spoilt: false,
            buffer: Vec::new(),
        };
        Ok((log, commits))
    }

    /// The last revision that is safe here or in the database.
    pub(super) fn revision(&self) -> Revision {
        self.revision
    }

    /// How long it is since the last checkpoint, in bytes.
    pub(super) fn length(&self) -> u64 {
        self.position
    }

    /// Appends commits and returns when they are on the disk. After an error they may be there or not, and
    /// nothing can be appended before the next [`restart`](Self::restart).
    pub(super) fn append<'a>(
        &mut self,
        commits: impl Iterator<Item = &'a Commit>,
    ) -> io::Result<()> {
        let mut last = self.revision;
        let mut record = std::mem::take(&mut self.buffer);
        record.clear();
        record.resize(HEAD, 0);
        record.extend_from_slice(&self.base.to_le_bytes());
        for commit in commits {
            encode(&mut record, commit);
            last = commit.revision;
        }
        let (head, body) = record.split_at_mut(HEAD);
        head[..8].copy_from_slice(&MAGIC);
        head[8..12].copy_from_slice(&length(body.len()).to_le_bytes());
        head[12..].copy_from_slice(&sum(body).to_le_bytes());
        record.resize(record.len().next_multiple_of(BLOCK), 0);
        self.spoilt = true;
        self.file.write(self.position, &record)?;
        self.file.sync_data()?;
        self.spoilt = false;
        self.position += record.len() as u64;
        self.revision = last;
        if record.capacity() <= BUFFER {
            self.buffer = record;
        }
        Ok(())
    }

    /// Starts over: the database has everything up to `base`, except what was refused.
    pub(super) fn restart(&mut self, base: Revision) -> io::Result<()> {
        if self.spoilt {
            // If nothing was committed since, this record would be taken for one after the checkpoint.
            self.file.write(self.position, &[0; BLOCK])?;
            self.file.sync_data()?;
            self.spoilt = false;
        }
        if self.file.len()? > KEPT {
            self.file.set_len(0)?;
        }
        self.base = base;
        self.revision = base;
        self.position = 0;
        Ok(())
    }
}

fn encode(out: &mut Vec<u8>, commit: &Commit) {
    let changes = encode_changes(&commit.changes());
    out.extend_from_slice(&commit.revision.to_le_bytes());
    out.extend_from_slice(&length(changes.len()).to_le_bytes());
    out.extend_from_slice(&changes);
    for value in commit.batch.iter().filter_map(|e| e.value.as_ref()) {
        out.extend_from_slice(&length(value.len()).to_le_bytes());
        out.extend_from_slice(value);
    }
}

fn length(bytes: usize) -> u32 {
    bytes
        .try_into()
        .expect("a round is bounded far below 4 GiB")
}

/// The commits of a log behind a database at `base`, and where the next record goes.
fn read(bytes: &[u8], base: Revision) -> Result<(Vec<Logged>, usize), String> {
    let mut commits: Vec<Logged> = Vec::new();
    let mut position = 0;
    while let Some(mut record) = record(bytes, position).filter(|record| record.base == base) {
        while !record.body.is_empty() {
            let commit = decode(&mut record.body).filter(|commit| {
                let before = commits.last().map_or(base, |before| before.revision);
                commit.revision > before
            });
            commits.push(commit.ok_or("a record contradicts itself")?);
        }
        position = record.end;
    }
    let last = commits.last().map_or(base, |commit| commit.revision);
    for at in (position..bytes.len()).step_by(BLOCK) {
        let Some(mut record) = record(bytes, at).filter(|record| record.base >= base) else {
            continue;
        };
        let from = record.base;
        if from > base {
            return Err(format!(
                "it goes on from revision {from}, and the database ends at {base}"
            ));
        }
        if let Some(commit) = decode(&mut record.body).filter(|c| c.revision > last) {
            let found = commit.revision;
            return Err(format!("what is between {last} and {found} can't be read"));
        }
    }
    Ok((commits, position))
}

/// A complete record.
struct Record<'a> {
    base: Revision,
    /// Its commits.
    body: &'a [u8],
    /// Where the next one starts.
    end: usize,
}

/// The record at a place, if a complete one is there.
fn record(bytes: &[u8], at: usize) -> Option<Record<'_>> {
    let mut rest = bytes.get(at..)?;
    if *take::<8>(&mut rest)? != MAGIC {
        return None;
    }
    let length = u32::from_le_bytes(*take(&mut rest)?) as usize;
    let expected = u64::from_le_bytes(*take(&mut rest)?);
    let mut body = rest.get(..length)?;
    if sum(body) != expected {
        return None;
    }
    Some(Record {
        base: u64::from_le_bytes(*take(&mut body)?),
        body,
        end: (at + HEAD + length).next_multiple_of(BLOCK),
    })
}

fn decode(bytes: &mut &[u8]) -> Option<Logged> {
    let revision = u64::from_le_bytes(*take(bytes)?);
    let changes = decode_changes(take_some(bytes)?)?
        .into_iter()
        .map(|change| {
            let value = match change.deleted {
                true => None,
                false => Some(Bytes::copy_from_slice(take_some(bytes)?)),
            };
            Some((change, value))
        });
    Some(Logged {
        revision,
        changes: changes.collect::<Option<_>>()?,
    })
}

/// Takes a length and as many bytes.
fn take_some<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = u32::from_le_bytes(*take(bytes)?);
    let (taken, rest) = bytes.split_at_checked(length as usize)?;
    *bytes = rest;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Event;

    fn commit(revision: Revision, value: &str) -> Commit {
        let event = |key: &'static str, value: Option<String>| Event {
            key: Bytes::from_static(key.as_bytes()),
            value: value.map(Bytes::from),
            previous: None,
            revision,
            created: revision,
        };
        let events = [event("/a", Some(value.to_owned())), event("/b", None)];
        Commit {
            revision,
            batch: events.into(),
            previous: vec![None, Some((3, 1))],
        }
    }

    /// A log with two records, of revisions 11 and 12, and 13, of two blocks each.
    fn written(path: &Path) -> Log {
        Log::create(path).unwrap();
        let (mut log, commits) = Log::open(path, 10, None).unwrap();
        assert!(commits.is_empty());
        let value = "v".repeat(6000);
        log.append([&commit(11, &value), &commit(12, "")].into_iter())
            .unwrap();
        log.append([&commit(13, &value)].into_iter()).unwrap();
        log
    }

    fn revisions(path: &Path, base: Revision) -> Result<Vec<Revision>, String> {
        let (_, commits) = Log::open(path, base, None).map_err(|e| e.to_string())?;
        Ok(commits.iter().map(|commit| commit.revision).collect())
    }

    #[test]
    fn what_was_appended_is_read_and_what_follows_is_appended_behind_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        drop(written(&path));
        let (mut log, commits) = Log::open(&path, 10, None).unwrap();
        let [(put, value), (deleted, none)] = commits[0].changes.as_slice() else {
            panic!("two changes were made");
        };
        assert_eq!(
            (&put.key[..], value.as_ref().unwrap().len()),
            (&b"/a"[..], 6000)
        );
        assert!(deleted.deleted && none.is_none());
        assert_eq!(deleted.previous, Some((3, 1)));
        log.append([&commit(14, "x")].into_iter()).unwrap();
        assert_eq!(revisions(&path, 10).unwrap(), [11, 12, 13, 14]);
    }

    #[test]
    fn records_before_the_last_checkpoint_are_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = written(&path);
        assert!(revisions(&path, 13).unwrap().is_empty());
        log.restart(13).unwrap();
        log.append([&commit(14, "x")].into_iter()).unwrap();
        // The record of 13 stands behind it still.
        assert_eq!(revisions(&path, 13).unwrap(), [14]);
    }

    #[test]
    fn a_cut_or_spoilt_last_record_is_left_out_and_an_earlier_one_is_damage() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        drop(written(&path));
        let good = std::fs::read(&path).unwrap();
        let second = 2 * BLOCK;
        for length in (second..good.len() - BLOCK).step_by(7) {
            std::fs::write(&path, &good[..length]).unwrap();
            assert_eq!(revisions(&path, 10).unwrap(), [11, 12], "{length} bytes");
        }
        let places = [0, 9, 13, 21, 5000];
        for at in places.into_iter().chain(places.map(|at| second + at)) {
            let mut spoilt = good.clone();
            spoilt[at] ^= 1;
            std::fs::write(&path, &spoilt).unwrap();
            let read = revisions(&path, 10);
            match at < second {
                true => assert!(read.unwrap_err().contains("can't be read"), "byte {at}"),
                false => assert_eq!(read.unwrap(), [11, 12], "byte {at}"),
            }
        }
    }

    #[test]
    fn a_log_of_a_newer_database_is_damage() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        drop(written(&path));
        let read = revisions(&path, 9).unwrap_err();
        assert_eq!(
            read,
            "it goes on from revision 10, and the database ends at 9"
        );
    }

    #[test]
    fn a_long_file_is_given_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = written(&path);
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(KEPT + 1).unwrap();
        log.restart(13).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 0);
    }
}
