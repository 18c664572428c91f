//! What the black-box tests share: the programs, a cluster to drive, an HTTP client, conditions.

pub mod cluster;
pub mod http;
pub mod image;
pub mod pods;
pub mod programs;
pub mod watch;

use std::fs::OpenOptions;
use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

/// How long a test waits for what should happen soon, on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until `probe` gives a value, looking again whenever a little time has passed.
///
/// Panics after `deadline`, with what was being waited for.
pub fn eventually<T>(what: &str, deadline: Duration, mut probe: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + deadline;
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(
            Instant::now() < end,
            "waited {deadline:?} in vain for {what}"
        );
        thread::park_timeout(Duration::from_millis(20));
    }
}

/// [`eventually`] for probes that wait themselves.
pub async fn eventually_async<T, F>(
    what: &str,
    deadline: Duration,
    mut probe: impl FnMut() -> F,
) -> T
where
    F: Future<Output = Option<T>>,
{
    let mut interval = tokio::time::interval(Duration::from_millis(20));
    let end = Instant::now() + deadline;
    loop {
        interval.tick().await;
        if let Some(value) = probe().await {
            return value;
        }
        assert!(
            Instant::now() < end,
            "waited {deadline:?} in vain for {what}"
        );
    }
}

/// Whether a test that needs root can run; if not, it is counted as skipped.
pub fn root_or_skip(test: &str) -> bool {
    if nix::unistd::geteuid().is_root() {
        return true;
    }
    skip(test, "needs root");
    false
}

/// Counts a test as skipped, with the reason.
pub fn skip(test: &str, reason: &str) {
    eprintln!("skipped: {test}: {reason}");
    if let Some(path) = std::env::var_os("CTL_TESTS_SKIPPED") {
        let file = OpenOptions::new().append(true).create(true).open(path);
        let written = file.and_then(|mut file| writeln!(file, "{test}: {reason}"));
        written.expect("the list of skipped tests can be written");
    }
}
