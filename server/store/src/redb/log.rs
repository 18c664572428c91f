//! The log: where a commit is safe before the database has it.
//!
//! A transaction of the database touches some twenty pages, whether it holds one commit or a thousand. So
//! commits are appended to this file, one write and one sync for all that wait together, and a *checkpoint*
//! moves some hundred of them into the database at once. The file is then written from its start again.
//!
//! ```text
//! DIR/log   records, each at a multiple of 512 bytes
//! record    "ctldlog1" | length u32 | sum u64 | base u64 | its commits        sum and length: from the base on
//! commit    revision u64 | length u32 | what it did, as in `changes` | for each value: length u32 | value
//! ```
//!
//! `base` is the revision of the checkpoint before the record: it tells records from those of the last time
//! around. A crash can leave the last record incomplete; nobody has been told of its commits, so it is left
//! out. An incomplete record with complete ones behind it is damage.

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
/// A disk writes a sector as a whole or not at all: a record in its own sectors can't spoil another.
const SECTOR: usize = 512;
/// A longer file than this is given back after a checkpoint.
const KEPT: u64 = 16 << 20;

/// A commit as the log has it: each change, and the value it put.
pub(super) struct Logged {
    pub(super) revision: Revision,
    pub(super) changes: Vec<(Change, Option<Bytes>)>,
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
    /// The space that records are put together in.
    buffer: Vec<u8>,
}

impl Log {
    /// Opens the log of a database at `base`, making it if there is none, and reads what it has that the
    /// database does not. The inner error says how it is damaged.
    pub(super) fn open(
        path: &Path,
        base: Revision,
        faults: Option<Arc<dyn Faults>>,
    ) -> io::Result<Result<(Self, Vec<Logged>), String>> {
        let mut options = std::fs::OpenOptions::new();
        options
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        let bytes = std::fs::read(path)?;
        let (commits, position) = match read(&bytes, base) {
            Ok(read) => read,
            Err(problem) => return Ok(Err(format!("its log: {problem}"))),
        };
        let log = Self {
            file: File::read_write(path, faults)?,
            position,
            base,
            revision: commits.last().map_or(base, |commit| commit.revision),
            buffer: Vec::new(),
        };
        Ok(Ok((log, commits)))
    }

    /// The last revision that is safe here or in the database.
    pub(super) fn revision(&self) -> Revision {
        self.revision
    }

    /// How long it is since the last checkpoint, in bytes.
    pub(super) fn length(&self) -> u64 {
        self.position
    }

    /// Appends commits and returns when they are on the disk. After an error it is as before, and they may
    /// be there or not: the next record takes their place.
    pub(super) fn append<'a>(
        &mut self,
        commits: impl Iterator<Item = &'a Commit>,
    ) -> io::Result<()> {
        let mut last = self.revision;
        self.buffer.clear();
        self.buffer.resize(HEAD, 0);
        self.buffer.extend_from_slice(&self.base.to_le_bytes());
        for commit in commits {
            encode(&mut self.buffer, commit);
            last = commit.revision;
        }
        let (head, body) = self.buffer.split_at_mut(HEAD);
        head[..8].copy_from_slice(&MAGIC);
        head[8..12].copy_from_slice(&length(body.len()).to_le_bytes());
        head[12..].copy_from_slice(&sum(body).to_le_bytes());
        let padded = self.buffer.len().next_multiple_of(SECTOR);
        self.buffer.resize(padded, 0);
        self.file.write(self.position, &self.buffer)?;
        self.file.sync_data()?;
        self.position += padded as u64;
        self.revision = last;
        // What a large round has taken is given back.
        self.buffer.shrink_to(SECTOR << 8);
        Ok(())
    }

    /// Starts over: the database has everything up to `base`.
    pub(super) fn restart(&mut self, base: Revision) {
        self.base = base;
        self.revision = base;
        if self.position > KEPT
            && let Err(error) = self.file.set_len(0)
        {
            tracing::debug!(%error, "the log stays as long as it is");
        }
        self.position = 0;
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
        .expect("a round holds some thousand values of 3 MiB at most")
}

/// The commits of a log behind a database at `base`, and where the next record goes.
fn read(bytes: &[u8], base: Revision) -> Result<(Vec<Logged>, u64), String> {
    let mut commits: Vec<Logged> = Vec::new();
    let mut position = 0;
    while let Some((mut record, end)) = record(bytes, position, base) {
        position = end;
        while !record.is_empty() {
            let commit = decode(&mut record).filter(|commit| {
                let before = commits.last().map_or(base, |before| before.revision);
                commit.revision > before
            });
            commits.push(commit.ok_or("a record contradicts itself")?);
        }
    }
    let last = commits.last().map_or(base, |commit| commit.revision);
    let behind = (position..bytes.len()).step_by(SECTOR);
    let lost = behind.skip(1).find_map(|at| {
        let (mut record, _) = record(bytes, at, base)?;
        decode(&mut record).filter(|commit| commit.revision > last)
    });
    match lost {
        Some(commit) => Err(format!(
            "commits between {last} and {} can't be read",
            commit.revision
        )),
        None => Ok((commits, position as u64)),
    }
}

/// The commits of a complete record with this base, and where the next one starts.
fn record(bytes: &[u8], at: usize, base: Revision) -> Option<(&[u8], usize)> {
    let mut rest = bytes.get(at..)?;
    let magic: &[u8; 8] = take(&mut rest)?;
    let length = u32::from_le_bytes(*take(&mut rest)?) as usize;
    let expected = u64::from_le_bytes(*take(&mut rest)?);
    let mut body = rest.get(..length).filter(|_| *magic == MAGIC)?;
    if sum(body) != expected || u64::from_le_bytes(*take(&mut body)?) != base {
        return None;
    }
    Some((body, (at + HEAD + length).next_multiple_of(SECTOR)))
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

    /// A log with two records, of revisions 11 and 12, and 13, that span some sectors.
    fn written(path: &Path) -> Log {
        let (mut log, commits) = Log::open(path, 10, None).unwrap().unwrap();
        assert!(commits.is_empty());
        let value = "v".repeat(700);
        log.append([&commit(11, &value), &commit(12, "")].into_iter())
            .unwrap();
        log.append([&commit(13, &value)].into_iter()).unwrap();
        log
    }

    fn revisions(path: &Path, base: Revision) -> Result<Vec<Revision>, String> {
        let (_, commits) = Log::open(path, base, None).unwrap()?;
        Ok(commits.iter().map(|commit| commit.revision).collect())
    }

    #[test]
    fn what_was_appended_is_read_and_what_follows_is_appended_behind_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        drop(written(&path));
        let (mut log, commits) = Log::open(&path, 10, None).unwrap().unwrap();
        let [(put, value), (deleted, none)] = commits[0].changes.as_slice() else {
            panic!("two changes were made");
        };
        assert_eq!(
            (&put.key[..], value.as_ref().unwrap().len()),
            (&b"/a"[..], 700)
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
        log.restart(13);
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
        let second = good.len() - 2 * SECTOR;
        for length in second..good.len() - SECTOR {
            std::fs::write(&path, &good[..length]).unwrap();
            assert_eq!(revisions(&path, 10).unwrap(), [11, 12], "{length} bytes");
        }
        for at in [
            0,
            9,
            13,
            21,
            600,
            second,
            second + 9,
            second + 13,
            second + 600,
        ] {
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
}
