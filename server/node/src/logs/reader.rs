//! Reading a log: what is there, then what comes.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::line::Line;
use super::{Options, files};

/// Reads backwards in steps of so many bytes when only the last lines are wanted.
const STEP: u64 = 64 * 1024;

/// Reads a log from where the options say; each call of [`Reader::read`] gives what is new.
pub(crate) struct Reader {
    newest: PathBuf,
    options: Options,
    /// Older files that are still to be read, the oldest first.
    before: VecDeque<PathBuf>,
    current: Option<Open>,
    /// Bytes given so far.
    given: u64,
    /// The last line given was a part: no time before the next of it.
    partial: bool,
}

struct Open {
    file: BufReader<File>,
    inode: u64,
    /// A line that has no end yet.
    rest: Vec<u8>,
}

impl Open {
    fn new(path: &Path) -> io::Result<Option<Self>> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(Some(Self {
            inode: file.metadata()?.ino(),
            file: BufReader::new(file),
            rest: Vec::new(),
        }))
    }
}

/// Writes everything that the options ask for of what is there now.
pub(super) fn read(newest: &Path, options: &Options, output: &mut impl Write) -> io::Result<()> {
    let mut reader = Reader::open(newest, options)?;
    while reader.read(output)? {}
    Ok(())
}

impl Reader {
    /// A reader at the first line that is wanted.
    pub(crate) fn open(newest: &Path, options: &Options) -> io::Result<Self> {
        let mut reader = Self {
            newest: newest.to_owned(),
            options: options.clone(),
            before: VecDeque::new(),
            current: None,
            given: 0,
            partial: false,
        };
        let all = files(newest);
        let Some(wanted) = options.tail else {
            reader.before = all.into();
            return Ok(reader);
        };
        reader.start_at_last(all, wanted)?;
        Ok(reader)
    }

    /// Finds where the last `wanted` lines begin, from the end of the newest file backwards.
    fn start_at_last(&mut self, mut all: Vec<PathBuf>, wanted: usize) -> io::Result<()> {
        let mut missing = wanted;
        while let Some(path) = all.pop() {
            let Some(mut open) = Open::new(&path)? else {
                continue;
            };
            let (start, found) = tail(open.file.get_mut(), missing)?;
            missing -= found;
            if missing == 0 || all.is_empty() {
                open.file.seek(SeekFrom::Start(start))?;
                if let Some(skipped) = self.current.take() {
                    drop(skipped);
                }
                self.current = Some(open);
                return Ok(());
            }
            self.before.push_front(path);
        }
        Ok(())
    }

    /// Whether the limit is reached.
    pub(crate) fn is_full(&self) -> bool {
        self.options.limit.is_some_and(|limit| self.given >= limit)
    }

    /// Writes what is there and was not given yet. Gives whether there may be more at once.
    pub(crate) fn read(&mut self, output: &mut impl Write) -> io::Result<bool> {
        if self.is_full() {
            return Ok(false);
        }
        if self.current.is_none() {
            let Some(path) = self.before.pop_front() else {
                return self.look_for_new();
            };
            self.current = Open::new(&path)?;
            return Ok(true);
        }
        self.read_current(output)?;
        if self.is_full() {
            return Ok(false);
        }
        if !self.before.is_empty() {
            self.current = None;
            return Ok(true);
        }
        self.look_for_rotation(output)
    }

    /// The log may begin only now.
    fn look_for_new(&mut self) -> io::Result<bool> {
        self.current = Open::new(&self.newest)?;
        Ok(self.current.is_some())
    }

    /// Goes on with the file that has taken the place of the one that was the newest.
    fn look_for_rotation(&mut self, output: &mut impl Write) -> io::Result<bool> {
        let inode = std::fs::metadata(&self.newest).map(|meta| meta.ino()).ok();
        let read = self.current.as_ref().map(|open| open.inode);
        if inode.is_none() || inode == read {
            return Ok(false);
        }
        // What was written between the last read and the rotation.
        self.read_current(output)?;
        self.current = Open::new(&self.newest)?;
        Ok(true)
    }

    fn read_current(&mut self, output: &mut impl Write) -> io::Result<()> {
        let Some(mut open) = self.current.take() else {
            return Ok(());
        };
        loop {
            let count = open.file.read_until(b'\n', &mut open.rest)?;
            if count == 0 || open.rest.last() != Some(&b'\n') || self.is_full() {
                break;
            }
            open.rest.pop();
            let line = std::mem::take(&mut open.rest);
            self.give(&line, output)?;
        }
        self.current = Some(open);
        Ok(())
    }

    fn give(&mut self, line: &[u8], output: &mut impl Write) -> io::Result<()> {
        let Some(line) = Line::parse(line) else {
            return Ok(());
        };
        let other = self.options.stream.as_deref().map(str::as_bytes);
        if other.is_some_and(|wanted| wanted != line.stream) {
            return Ok(());
        }
        if let Some(since) = self.options.since
            && line.timestamp().is_some_and(|time| time < since)
        {
            return Ok(());
        }
        if self.options.timestamps && !self.partial {
            self.put(line.time, output)?;
            self.put(b" ", output)?;
        }
        self.put(line.text, output)?;
        if !line.partial {
            self.put(b"\n", output)?;
        }
        self.partial = line.partial;
        Ok(())
    }

    fn put(&mut self, bytes: &[u8], output: &mut impl Write) -> io::Result<()> {
        let room = self
            .options
            .limit
            .map_or(u64::MAX, |limit| limit - self.given);
        let count = bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX));
        output.write_all(&bytes[..count])?;
        self.given += count as u64;
        Ok(())
    }
}

/// Where the last `wanted` whole lines of a file begin, and how many there are if there are fewer.
/// Parts of a long line count as one with its end.
fn tail(file: &mut File, wanted: usize) -> io::Result<(u64, usize)> {
    let length = file.metadata()?.len();
    if wanted == 0 {
        return Ok((length, 0));
    }
    let mut start = length;
    let mut block = Vec::new();
    loop {
        let step = STEP.min(start);
        if step == 0 {
            let lines = whole_lines(&block);
            return Ok((0, lines.len().min(wanted)));
        }
        start -= step;
        let mut bytes = vec![0; usize::try_from(step).unwrap_or_default()];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut bytes)?;
        bytes.extend_from_slice(&block);
        block = bytes;
        let lines = whole_lines(&block);
        // The first may be the end of a line whose beginning is before the block.
        if lines.len() > wanted + 1 {
            let first = lines[lines.len() - wanted];
            return Ok((start + first as u64, wanted));
        }
        if start == 0 {
            let first = lines.len().saturating_sub(wanted);
            let at = lines.get(first).copied().unwrap_or(block.len());
            return Ok((at as u64, lines.len().min(wanted)));
        }
    }
}

/// Where each line begins that the container wrote: a part does not begin one if a part was before it.
fn whole_lines(block: &[u8]) -> Vec<usize> {
    let mut starts = Vec::new();
    let mut at = 0;
    let mut after_part = false;
    for line in block.split_inclusive(|&byte| byte == b'\n') {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        if !after_part {
            starts.push(at);
        }
        after_part = Line::parse(text).is_some_and(|line| line.partial);
        at += line.len();
    }
    starts
}

#[cfg(test)]
mod tests;
