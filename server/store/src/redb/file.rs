//! The file under redb.
//!
//! redb stops working with a file whose write has failed, for reads too. So that reads can go on, the
//! file can be opened a second way, in which what redb writes stays in memory ([`File::read_only`]).

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::ops::Bound;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use redb::{BackendError, StorageBackend};

/// An operation on a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation<'a> {
    /// Reading bytes.
    Read,
    /// Writing bytes.
    Write {
        /// Where they go.
        offset: u64,
        /// The bytes.
        bytes: &'a [u8],
    },
    /// Making the file longer or shorter.
    Resize(u64),
    /// Waiting until what was written is on the disk.
    Sync,
}

/// Sees what is done to the disk, and decides what fails: for tests of what then happens.
pub trait Faults: Debug + Send + Sync {
    /// Called before each operation on a file. An error is what the operation then ends with.
    fn before(&self, file: &Path, operation: Operation<'_>) -> io::Result<()>;
}

/// The bytes that redb wrote to a file opened [`File::read_only`], in blocks.
#[derive(Debug, Default)]
struct Overlay {
    length: u64,
    blocks: BTreeMap<u64, Box<[u8]>>,
}

/// The size of an overlay's block: redb's page.
const BLOCK: u64 = 4096;

/// The file.
#[derive(Debug)]
pub(super) struct File {
    file: std::fs::File,
    path: PathBuf,
    faults: Option<Arc<dyn Faults>>,
    overlay: Option<Mutex<Overlay>>,
}

impl File {
    /// Opens the file for reading and writing.
    pub(super) fn read_write(path: &Path, faults: Option<Arc<dyn Faults>>) -> io::Result<Self> {
        let mut options = std::fs::OpenOptions::new();
        Ok(Self {
            file: options.read(true).write(true).open(path)?,
            path: path.to_owned(),
            faults,
            overlay: None,
        })
    }

    /// Opens the file for reading, with all writes kept in memory.
    pub(super) fn read_only(path: &Path, faults: Option<Arc<dyn Faults>>) -> io::Result<Self> {
        let file = std::fs::File::open(path)?;
        let overlay = Overlay {
            length: file.metadata()?.len(),
            blocks: BTreeMap::new(),
        };
        Ok(Self {
            file,
            path: path.to_owned(),
            faults,
            overlay: Some(Mutex::new(overlay)),
        })
    }

    fn before(&self, operation: Operation<'_>) -> io::Result<()> {
        match &self.faults {
            Some(faults) if self.overlay.is_none() || operation == Operation::Read => {
                faults.before(&self.path, operation)
            }
            _ => Ok(()),
        }
    }

    /// Reads from the file, with zeros past its end: an overlay can be longer than the file.
    fn read_padded(&self, mut offset: u64, mut out: &mut [u8]) -> io::Result<()> {
        while !out.is_empty() {
            match self.file.read_at(out, offset)? {
                0 => {
                    out.fill(0);
                    return Ok(());
                }
                read => {
                    out = &mut out[read..];
                    offset += read as u64;
                }
            }
        }
        Ok(())
    }

    /// Goes through a range block by block: the block's number, where the range starts in it, and which
    /// part of the range lies in it.
    fn blocks(
        offset: u64,
        length: usize,
    ) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
        let mut done = 0;
        std::iter::from_fn(move || {
            if done == length {
                return None;
            }
            let position = offset + done as u64;
            let within = (position % BLOCK) as usize;
            let count = (BLOCK as usize - within).min(length - done);
            let part = done..done + count;
            done += count;
            Some((position / BLOCK, within, part))
        })
    }
}

impl StorageBackend for File {
    fn len(&self) -> io::Result<u64> {
        match &self.overlay {
            Some(overlay) => Ok(overlay.lock().length),
            None => Ok(self.file.metadata()?.len()),
        }
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.before(Operation::Read)?;
        let Some(overlay) = &self.overlay else {
            return self.file.read_exact_at(out, offset);
        };
        self.read_padded(offset, out)?;
        let overlay = overlay.lock();
        for (block, within, part) in Self::blocks(offset, out.len()) {
            if let Some(bytes) = overlay.blocks.get(&block) {
                let length = part.len();
                out[part].copy_from_slice(&bytes[within..within + length]);
            }
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.before(Operation::Resize(len))?;
        match &self.overlay {
            Some(overlay) => {
                overlay.lock().length = len;
                Ok(())
            }
            None => self.file.set_len(len),
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        self.before(Operation::Sync)?;
        match &self.overlay {
            Some(_) => Ok(()),
            None => self.file.sync_data(),
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.before(Operation::Write {
            offset,
            bytes: data,
        })?;
        let Some(overlay) = &self.overlay else {
            return self.file.write_all_at(data, offset);
        };
        let mut overlay = overlay.lock();
        for (block, within, part) in Self::blocks(offset, data.len()) {
            if let std::collections::btree_map::Entry::Vacant(vacant) = overlay.blocks.entry(block)
            {
                let mut bytes = vec![0; BLOCK as usize].into_boxed_slice();
                self.read_padded(block * BLOCK, &mut bytes)?;
                vacant.insert(bytes);
            }
            if let Some(bytes) = overlay.blocks.get_mut(&block) {
                let length = part.len();
                bytes[within..within + length].copy_from_slice(&data[part]);
            }
        }
        Ok(())
    }

    // The directory's own lock keeps other processes out, and two views of the file must be possible in
    // this one, so redb's locks are granted without asking.
    fn try_lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn unlock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), BackendError> {
        Ok(())
    }
}
