//! A container's log in CRI form, rotated:
//!
//! ```text
//! 2026-01-02T03:04:05.123456789Z stdout F a whole line
//! 2026-01-02T03:04:05.123456789Z stderr P the first part of a long one
//! ```

use std::fs::{File, OpenOptions};
use std::io::{Result, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

/// A file is put aside when it has this many bytes.
const ROTATE_AT: u64 = 10 << 20;
/// How many files there are at most, the current one included.
const FILES: u32 = 5;
/// A line longer than this comes in parts.
const LINE_LIMIT: usize = 16 << 10;

/// Which of a container's streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Stream {
    Stdout,
    Stderr,
}

/// An open log.
pub(super) struct Log {
    path: PathBuf,
    file: File,
    size: u64,
    rotate_at: u64,
    /// What has no newline yet, by stream.
    pending: [Vec<u8>; 2],
}

impl Log {
    pub(super) fn open(path: &Path) -> Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let size = file.metadata()?.len();
        Ok(Self {
            path: path.to_owned(),
            file,
            size,
            rotate_at: ROTATE_AT,
            pending: [Vec::new(), Vec::new()],
        })
    }

    /// Takes what a stream brought: whole lines are written, the rest waits for its end.
    pub(super) fn append(&mut self, stream: Stream, bytes: &[u8]) -> Result<()> {
        let mut pending = std::mem::take(&mut self.pending[stream as usize]);
        let mut out = Vec::new();
        let now = format!("{:.9}", Timestamp::now());
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            let (line, ends) = match piece.split_last() {
                Some((b'\n', line)) => (line, true),
                _ => (piece, false),
            };
            pending.extend_from_slice(line);
            let mut rest = pending.as_slice();
            while rest.len() > LINE_LIMIT {
                let (part, remainder) = rest.split_at(LINE_LIMIT);
                entry(&mut out, &now, stream, b'P', part);
                rest = remainder;
            }
            if ends {
                entry(&mut out, &now, stream, b'F', rest);
                pending.clear();
            } else {
                let taken = pending.len() - rest.len();
                pending.drain(..taken);
            }
        }
        self.pending[stream as usize] = pending;
        self.write(&out)
    }

    /// The stream ended: what waits for a newline gets none.
    pub(super) fn finish(&mut self, stream: Stream) -> Result<()> {
        let pending = std::mem::take(&mut self.pending[stream as usize]);
        if pending.is_empty() {
            return Ok(());
        }
        let mut out = Vec::new();
        let now = format!("{:.9}", Timestamp::now());
        entry(&mut out, &now, stream, b'F', &pending);
        self.write(&out)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        if self.size > 0 && self.size + bytes.len() as u64 > self.rotate_at {
            self.rotate()?;
        }
        self.file.write_all(bytes)?;
        self.size += bytes.len() as u64;
        Ok(())
    }

    fn rotate(&mut self) -> Result<()> {
        let aside = |number: u32| {
            let mut name = self.path.clone().into_os_string();
            name.push(format!(".{number}"));
            PathBuf::from(name)
        };
        for number in (1..FILES - 1).rev() {
            match std::fs::rename(aside(number), aside(number + 1)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        std::fs::rename(&self.path, aside(1))?;
        self.file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.path)?;
        self.size = 0;
        Ok(())
    }
}

fn entry(out: &mut Vec<u8>, now: &str, stream: Stream, tag: u8, line: &[u8]) {
    out.extend_from_slice(now.as_bytes());
    out.extend_from_slice(match stream {
        Stream::Stdout => b" stdout ",
        Stream::Stderr => b" stderr ",
    });
    out.extend_from_slice(&[tag, b' ']);
    out.extend_from_slice(line);
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(folder: &Path) -> Vec<(String, String)> {
        let text = std::fs::read_to_string(folder.join("0.log")).expect("a log");
        let line = |line: &str| {
            let (time, rest) = line.split_once(' ').expect("a time");
            assert_eq!(time.len(), "2026-01-02T03:04:05.123456789Z".len());
            let (head, text) = rest.split_at("stdout F".len());
            (head.to_owned(), text[1..].to_owned())
        };
        text.lines().map(line).collect()
    }

    fn pair(head: &str, text: &str) -> (String, String) {
        (head.to_owned(), text.to_owned())
    }

    #[test]
    fn lines_are_written_whole_however_they_arrive() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let mut log = Log::open(&folder.path().join("0.log")).expect("opens");
        log.append(Stream::Stdout, b"a\nb").expect("written");
        log.append(Stream::Stderr, b"err\n").expect("written");
        log.append(Stream::Stdout, b"c\n\nlast").expect("written");
        log.finish(Stream::Stdout).expect("written");
        assert_eq!(
            written(folder.path()),
            [
                pair("stdout F", "a"),
                pair("stderr F", "err"),
                pair("stdout F", "bc"),
                pair("stdout F", ""),
                pair("stdout F", "last"),
            ]
        );
    }

    #[test]
    fn a_long_line_comes_in_parts() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let mut log = Log::open(&folder.path().join("0.log")).expect("opens");
        let long = "x".repeat(LINE_LIMIT + 5);
        log.append(Stream::Stdout, format!("{long}\n").as_bytes())
            .expect("written");
        let heads: Vec<_> = written(folder.path())
            .into_iter()
            .map(|(head, text)| (head, text.len()))
            .collect();
        assert_eq!(
            heads,
            [
                ("stdout P".to_owned(), LINE_LIMIT),
                ("stdout F".to_owned(), 5)
            ]
        );
    }

    #[test]
    fn old_files_move_on_and_fall_off_the_end() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let mut log = Log::open(&folder.path().join("0.log")).expect("opens");
        log.rotate_at = 100;
        for number in 0..20 {
            let line = format!("line {number} {}\n", "y".repeat(20));
            log.append(Stream::Stdout, line.as_bytes())
                .expect("written");
        }
        let mut names: Vec<_> = std::fs::read_dir(folder.path())
            .expect("readable")
            .map(|entry| {
                entry
                    .expect("readable")
                    .file_name()
                    .into_string()
                    .expect("text")
            })
            .collect();
        names.sort();
        assert_eq!(names, ["0.log", "0.log.1", "0.log.2", "0.log.3", "0.log.4"]);
    }
}
