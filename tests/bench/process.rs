//! What processes have used, from `/proc`.

use std::fs;

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
