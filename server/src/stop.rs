//! `ctld stop`: ends what `ctld server` or `ctld worker` runs on this machine, and what it left running.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::args::StopFlags;
use crate::claim;

const PATIENCE: Duration = Duration::from_secs(20);

/// Why a cluster could not be ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("can't end process {0}: {1}")]
    Signal(Pid, Errno),
    #[error("process {0} did not end within {PATIENCE:?}")]
    StillThere(Pid),
    #[error("can't look for processes: {0}")]
    Processes(io::Error),
    #[error(transparent)]
    Claim(#[from] claim::Error),
    #[error(transparent)]
    Teardown(#[from] node::runtime::Error),
}

/// Ends the server, then its pods, and takes down what they lived in.
pub(crate) fn run(flags: &StopFlags) -> Result<(), Error> {
    let directories = &flags.directories;
    claim::belongs_to(&directories.run_dir, &directories.data_dir)?;
    for pid in servers(&directories.data_dir, &directories.run_dir).map_err(Error::Processes)? {
        end(pid)?;
    }
    if nix::unistd::geteuid().is_root() {
        node::runtime::teardown(&directories.run_dir)?;
        claim::release(&directories.run_dir)?;
    }
    Ok(())
}

/// The processes that have this data directory or run directory locked: their own pid is in the file.
fn servers(data_dir: &Path, run_dir: &Path) -> io::Result<Vec<Pid>> {
    let mut found = Vec::new();
    for directory in [data_dir, run_dir] {
        let path = directory.join("pid");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        if let Some(pid) = text.trim().parse().ok().filter(|&pid| is_ctld(pid)) {
            found.push(Pid::from_raw(pid));
        }
    }
    found.dedup();
    Ok(found)
}

/// Guards against a number that has been given to another program since.
fn is_ctld(pid: i32) -> bool {
    let program = fs::read_link(PathBuf::from(format!("/proc/{pid}/exe")));
    let own = std::env::current_exe();
    // A program that was built anew while it ran is shown with " (deleted)" after its name.
    let name = |path: PathBuf| {
        path.file_name()
            .map(|n| n.to_string_lossy().replace(" (deleted)", ""))
    };
    program.ok().and_then(name) == own.ok().and_then(name)
}

fn end(pid: Pid) -> Result<(), Error> {
    match kill(pid, Signal::SIGTERM) {
        Ok(()) => {}
        Err(Errno::ESRCH) => return Ok(()),
        Err(errno) => return Err(Error::Signal(pid, errno)),
    }
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        if !is_running(pid) {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(10));
    }
    Err(Error::StillThere(pid))
}

/// A process that nobody has waited for yet has ended as well.
fn is_running(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit(')')
        .next()
        .and_then(|rest| rest.trim_start().chars().next());
    !matches!(state, None | Some('Z' | 'X'))
}
