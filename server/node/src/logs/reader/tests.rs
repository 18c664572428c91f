//! Logs as they are asked for.

use std::fs;
use std::path::{Path, PathBuf};

use super::super::{Options, last_lines};
use super::{Reader, read};

struct Log {
    _dir: tempfile::TempDir,
    path: PathBuf,
}

fn line(second: u32, stream: &str, tag: &str, text: &str) -> String {
    format!("2026-01-02T03:04:{second:02}.000000000Z {stream} {tag} {text}\n")
}

fn numbered(from: u32, to: u32) -> String {
    (from..=to)
        .map(|n| line(n, "stdout", "F", &format!("line {n}")))
        .collect()
}

fn log(text: &str) -> Log {
    let dir = tempfile::tempdir().expect("temp dir");
    let path = dir.path().join("0.log");
    fs::write(&path, text).expect("written");
    Log { _dir: dir, path }
}

fn text(path: &Path, options: &Options) -> String {
    let mut output = Vec::new();
    read(path, options, &mut output).expect("read");
    String::from_utf8(output).expect("text")
}

fn tail(lines: usize) -> Options {
    Options {
        tail: Some(lines),
        ..Options::default()
    }
}

#[test]
fn parts_of_a_long_line_are_put_together() {
    let lines = [
        line(1, "stdout", "P", "one "),
        line(2, "stdout", "F", "two"),
        line(3, "stderr", "F", "three"),
    ];
    let log = log(&lines.concat());
    assert_eq!(text(&log.path, &Options::default()), "one two\nthree\n");
    assert_eq!(text(&log.path, &tail(2)), "one two\nthree\n");
    assert_eq!(text(&log.path, &tail(1)), "three\n");
}

#[test]
fn timestamps_stand_once_before_each_line() {
    let lines = [
        line(1, "stdout", "P", "one "),
        line(2, "stdout", "F", "two"),
    ];
    let log = log(&lines.concat());
    let options = Options {
        timestamps: true,
        ..Options::default()
    };
    let expected = "2026-01-02T03:04:01.000000000Z one two\n";
    assert_eq!(text(&log.path, &options), expected);
}

#[test]
fn the_last_lines_are_found_across_rotated_files() {
    let log = log(&numbered(7, 9));
    fs::write(log.path.with_extension("log.1"), numbered(4, 6)).expect("written");
    fs::write(log.path.with_extension("log.2"), numbered(1, 3)).expect("written");
    assert_eq!(text(&log.path, &tail(2)), "line 8\nline 9\n");
    assert_eq!(
        text(&log.path, &tail(5)),
        "line 5\nline 6\nline 7\nline 8\nline 9\n"
    );
    assert_eq!(text(&log.path, &tail(100)).lines().count(), 9);
    assert_eq!(text(&log.path, &Options::default()).lines().count(), 9);
    assert_eq!(text(&log.path, &tail(0)), "");
}

#[test]
fn the_last_lines_of_a_big_file_are_found_without_its_beginning() {
    let many: String = (0..5000)
        .map(|n| line(n % 60, "stdout", "F", &format!("{n} {}", "x".repeat(80))))
        .collect();
    let log = log(&many);
    let output = text(&log.path, &tail(700));
    assert_eq!(output.lines().count(), 700);
    assert!(output.starts_with("4300 "), "{}", &output[..10]);
}

#[test]
fn lines_before_a_time_other_streams_and_what_is_beyond_the_limit_are_left_out() {
    let lines = [
        line(1, "stdout", "F", "old"),
        line(5, "stderr", "F", "bad"),
        line(6, "stdout", "F", "good"),
    ];
    let log = log(&lines.concat());
    let since = Options {
        since: "2026-01-02T03:04:05Z".parse().ok(),
        ..Options::default()
    };
    assert_eq!(text(&log.path, &since), "bad\ngood\n");
    let limit = Options {
        limit: Some(6),
        ..Options::default()
    };
    assert_eq!(text(&log.path, &limit), "old\nba");
    let stream = Options {
        stream: Some("stderr".to_owned()),
        ..Options::default()
    };
    assert_eq!(text(&log.path, &stream), "bad\n");
}

#[test]
fn a_reader_goes_on_where_it_was_also_in_the_file_after_a_rotation() {
    let log = log(&numbered(1, 2));
    let mut reader = Reader::open(&log.path, &Options::default()).expect("open");
    let mut next = || {
        let mut output = Vec::new();
        while reader.read(&mut output).expect("read") {}
        String::from_utf8(output).expect("text")
    };
    assert_eq!(next(), "line 1\nline 2\n");
    assert_eq!(next(), "");
    let whole = line(3, "stdout", "F", "line 3");
    let (begin, end) = whole.split_at(20);
    append(&log.path, begin);
    assert_eq!(next(), "");
    append(&log.path, end);
    assert_eq!(next(), "line 3\n");
    append(&log.path, &numbered(4, 4));
    fs::rename(&log.path, log.path.with_extension("log.1")).expect("renamed");
    fs::write(&log.path, numbered(5, 5)).expect("written");
    assert_eq!(next(), "line 4\nline 5\n");
}

fn append(path: &Path, text: &str) {
    use std::io::Write;
    let mut file = fs::OpenOptions::new()
        .append(true)
        .open(path)
        .expect("open");
    file.write_all(text.as_bytes()).expect("written");
}

#[test]
fn a_log_that_is_not_there_yet_is_empty() {
    let dir = tempfile::tempdir().expect("temp dir");
    let path = dir.path().join("0.log");
    assert_eq!(text(&path, &Options::default()), "");
    assert_eq!(text(&path, &tail(3)), "");
}

#[test]
fn last_words_are_cut_to_lines_and_bytes() {
    let log = log(&numbered(1, 9));
    assert_eq!(last_lines(&log.path, 2, 100), "line 8\nline 9\n");
    assert_eq!(last_lines(&log.path, 2, 9), "8\nline 9\n");
}
