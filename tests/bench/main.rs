//! Measures the programs, beside the real kube-apiserver and etcd when their binaries are there.
//!
//! ```text
//! cargo run --release --package tests --bin bench -- [--peer DIR] [--json FILE] [--profile DIR] [SECTION...]
//! ```
//!
//! The peer's directory holds `etcd`, `kube-apiserver` and `kubectl`. With `--profile`, creates and reads
//! are sampled by `perf`, a file each; programs built with `--profile profiling` have the names. The sections are in the list below; without
//! one, all are measured. CPU is that of the server's processes, for each operation; the generator
//! runs on the same cores, so rates are lower bounds.

mod cli;
mod idle;
mod load;
mod peer;
mod pods;
mod process;
mod read;
mod report;
mod side;
mod start;
mod watch;
mod write;

use std::io::{Write, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

use report::Report;
use side::Sides;

/// Measures one thing on each side and adds its rows.
type Measure = fn(&mut Sides, &mut Report);

/// What can be measured, in the order of the table: a line a section.
const SECTIONS: &[(&str, Measure)] = &[
    ("start", start::measure),
    ("idle", idle::measure),
    ("write", write::measure),
    ("read", read::measure),
    ("watch", watch::measure),
    ("pods", pods::measure),
    ("cli", cli::measure),
];

struct Options {
    peer: Option<PathBuf>,
    json: Option<PathBuf>,
    profiles: Option<PathBuf>,
    sections: Vec<String>,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [process::PEAK, command @ ..] = words
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        process::tell_peak_resident(command);
        return ExitCode::SUCCESS;
    }
    let options = match options(words) {
        Ok(options) => options,
        Err(problem) => {
            eprintln!("bench: {problem}");
            return ExitCode::from(2);
        }
    };
    if let Some(folder) = &options.profiles
        && let Err(error) = std::fs::create_dir_all(folder)
    {
        eprintln!("bench: {}: {error}", folder.display());
        return ExitCode::FAILURE;
    }
    let mut sides = Sides {
        peer: options.peer,
        profiles: options.profiles,
    };
    let mut report = Report::default();
    for (name, measure) in SECTIONS {
        if options.sections.is_empty() || options.sections.iter().any(|s| s == name) {
            eprintln!("measuring {name} ...");
            measure(&mut sides, &mut report);
        }
    }
    if let Err(error) = writeln!(stdout(), "{}", report.table()) {
        eprintln!("bench: can't write the table: {error}");
    }
    if let Some(path) = options.json
        && let Err(error) = std::fs::write(&path, report.json())
    {
        eprintln!("bench: {}: {error}", path.display());
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn options(words: Vec<String>) -> Result<Options, String> {
    let mut options = Options {
        peer: None,
        json: None,
        profiles: None,
        sections: Vec::new(),
    };
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let mut file = || {
            words
                .next()
                .map(PathBuf::from)
                .ok_or(format!("{word} needs a path"))
        };
        match word.as_str() {
            "--peer" => options.peer = Some(file()?),
            "--profile" => options.profiles = Some(file()?),
            "--json" => options.json = Some(file()?),
            section if SECTIONS.iter().any(|(name, _)| *name == section) => {
                options.sections.push(section.to_owned());
            }
            other => return Err(format!("unknown section or option {other:?}")),
        }
    }
    Ok(options)
}
