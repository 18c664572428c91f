//! Container logs: files in the runtime's format (CRI), read as `kubectl logs` asks for them.
//!
//! ```text
//! 2026-01-02T03:04:05.678901234Z stdout F a whole line
//! 2026-01-02T03:04:05.678901234Z stderr P the first part of a long
//! ```
//! The newest lines are in `N.log`, older ones in `N.log.1` ... `N.log.4`, the oldest last.

use std::fs;
use std::path::{Path, PathBuf};

mod line;
pub(crate) mod options;
pub(crate) mod reader;

pub(crate) use options::Options;

/// How many rotated files there may be beside the newest.
const ROTATED: u32 = 4;

/// All files of one log, the oldest first, the newest last whether it is there or not.
fn files(newest: &Path) -> Vec<PathBuf> {
    let older = (1..=ROTATED).rev().map(|number| rotated(newest, number));
    let mut files: Vec<PathBuf> = older.filter(|path| path.exists()).collect();
    files.push(newest.to_owned());
    files
}

fn rotated(newest: &Path, number: u32) -> PathBuf {
    let mut name = newest.as_os_str().to_owned();
    name.push(format!(".{number}"));
    PathBuf::from(name)
}

/// Removes all files of one log.
pub(crate) fn remove(newest: &Path) {
    for file in files(newest) {
        // What is not there need not be removed; the pod's folder of logs goes in the end anyway.
        let _ = fs::remove_file(file);
    }
}

/// The text of the last `lines` lines, and of that no more than the last `limit` bytes.
pub(crate) fn last_lines(newest: &Path, lines: usize, limit: usize) -> String {
    let options = Options {
        tail: Some(lines),
        ..Options::default()
    };
    let mut text = Vec::new();
    if let Err(error) = reader::read(newest, &options, &mut text) {
        return format!("Error on reading termination message from logs: {error}");
    }
    let start = text.len().saturating_sub(limit);
    String::from_utf8_lossy(&text[start..]).into_owned()
}
