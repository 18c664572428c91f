//! What processes have used, from `/proc`.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The CPU seconds of a process and its reaped children, 0 when it is gone.
pub(crate) fn cpu_seconds(pid: u32) -> f64 {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return 0.0;
    };
    // The name may hold spaces; the fields after it are numbers (proc(5): utime is the 14th).
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<f64> = after_name
        .split_whitespace()
        .filter_map(|f| f.parse().ok())
        .collect();
    // The state letter is not a number, so utime and stime are at 10 and 11 of the rest.
    let ticks = fields.get(10).unwrap_or(&0.0) + fields.get(11).unwrap_or(&0.0);
    ticks / 100.0
}

/// The resident memory of a process in bytes.
pub(crate) fn resident(pid: u32) -> u64 {
    kib(pid, "status", "VmRSS:") * 1024
}

/// The bytes that a process has sent to the disk.
pub(crate) fn written(pid: u32) -> u64 {
    kib(pid, "io", "write_bytes:")
}

fn kib(pid: u32, file: &str, key: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    text.lines()
        .find_map(|line| line.strip_prefix(key))
        .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

/// `perf record`, sampling a process.
pub(crate) struct Recorder(Child);

impl Recorder {
    /// Samples a process into a file, until [`finish`](Self::finish).
    pub(crate) fn start(pid: u32, file: &Path) -> Self {
        let perf = Command::new("perf")
            .args(["record", "--quiet", "--freq", "1997", "--pid"])
            .arg(pid.to_string())
            .arg("--output")
            .arg(file)
            .spawn();
        Self(perf.expect("a profile needs perf (Debian package linux-perf)"))
    }

    /// Ends the profile.
    pub(crate) fn finish(mut self) {
        let pid = Pid::from_raw(self.0.id().cast_signed());
        kill(pid, Signal::SIGINT).expect("perf runs until it is told to stop");
        self.0.wait().expect("it is our child");
    }
}

/// Runs a command to its end and gives the most memory that it had resident, in bytes.
///
/// The kernel keeps that figure for all children together, so the command runs as the only child of a
/// copy of this program: see [`tell_peak_resident`].
pub(crate) fn peak_resident(command: Command) -> u64 {
    let own = std::env::current_exe().expect("a program knows its own path");
    let mut copy = Command::new(own);
    copy.arg(PEAK)
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        copy.env(name, value.unwrap_or_default());
    }
    let output = copy.output().expect("this program can be run");
    let text = String::from_utf8_lossy(&output.stderr);
    let last = text.lines().last().and_then(|line| line.parse().ok());
    last.unwrap_or_else(|| panic!("no figure in {text:?}"))
}

/// The word that makes this program a copy that measures one command.
pub(crate) const PEAK: &str = "--peak-resident";

/// The copy's part: runs the command and writes the figure to standard error.
pub(crate) fn tell_peak_resident(words: &[&str]) {
    let (program, arguments) = words.split_first().expect("a command follows");
    let status = Command::new(program)
        .args(arguments)
        .stdout(Stdio::null())
        .status();
    status.expect("the command can be run");
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("the kernel tells of children");
    eprintln!("{}", usage.max_rss() * 1024);
}
