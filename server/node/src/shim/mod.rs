//! The process that owns a pod: this program, executed again as `ctld shim`, with one thread.
//!
//! One shim per pod makes the pod's namespaces (by being in them), its network and its containers, holds their output,
//! writes their logs, collects their exit codes and runs further commands in them. It outlives the agent, which finds
//! it again through the socket in the pod's folder:
//!
//! ```text
//! <run_dir>/pods/<uid>/
//!   setup.json   what the shim was started with          shim.sock    how to talk to it
//!   state.json   the containers, written at every change  shim.pid     its process
//!   shim.log     what went wrong                          etc/ shm/    mounted into the containers
//!   containers/<id>/   specification, root file system's mount point, the library's state
//! <data_dir>/containers/<id>/   the writable layer
//! ```
//!
//! It has one thread because the library changes the working directory and other state of the whole process, and
//! because only a process with one thread may do arbitrary things after a fork.

mod container;
mod exec;
mod log;
mod namespace;
mod pod;
mod process;
pub(crate) mod protocol;
mod server;
mod signal;
mod wait;

use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::unistd::{ForkResult, fork};

use crate::runtime::Error;

/// What the shim writes to standard output when the pod is ready; anything else is the reason why it is not.
pub(crate) const READY: &str = "ready\n";

/// `ctld shim --state DIR`: must be called before any thread exists.
///
/// The calling process ends at once; a child of it goes on as the shim. Whoever started it reads standard output
/// up to its end: [`READY`] or a reason.
pub fn main(arguments: impl Iterator<Item = String>) -> ExitCode {
    let arguments: Vec<String> = arguments.collect();
    let [flag, folder] = arguments.as_slice() else {
        return usage();
    };
    if flag != "--state" {
        return usage();
    }
    // SAFETY: called before any thread was made, as documented.
    match unsafe { fork() } {
        Ok(ForkResult::Parent { .. }) => ExitCode::SUCCESS,
        Ok(ForkResult::Child) => shim(Path::new(folder)),
        Err(errno) => say(&format!("fork: {errno}")),
    }
}

fn usage() -> ExitCode {
    say("usage: shim --state DIR")
}

/// Tells whoever started the shim why it failed.
fn say(reason: &str) -> ExitCode {
    // If even that fails, the exit code has to do.
    let _ = std::io::stdout().write_all(reason.as_bytes());
    ExitCode::FAILURE
}

fn shim(folder: &Path) -> ExitCode {
    let mut server = match begin(folder) {
        Ok(server) => server,
        Err(error) => return say(&error.to_string()),
    };
    if let Err(error) = quiet(folder) {
        return say(&format!("open the shim's log: {error}"));
    }
    match server.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            note(&format!("the shim ends: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn begin(folder: &Path) -> Result<server::Server, Error> {
    let folder = std::path::absolute(folder).map_err(Error::io("find the pod's folder"))?;
    let text = |what: &str| format!("{what} in {}", folder.display());
    nix::unistd::setsid().map_err(|errno| Error::io("make a session")(errno.into()))?;
    nix::sys::prctl::set_child_subreaper(true)
        .map_err(|errno| Error::io("become a subreaper")(errno.into()))?;
    std::env::set_current_dir("/").map_err(Error::io("change to /"))?;
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
    let mut blocked = SigSet::empty();
    blocked.add(Signal::SIGCHLD);
    // The agent's terminal is not ours: only End, or a kill, ends a shim.
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        blocked.add(signal);
    }
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&blocked), None)
        .map_err(|errno| Error::io("block signals")(errno.into()))?;
    let pid = std::process::id().to_string();
    std::fs::write(folder.join("shim.pid"), pid).map_err(Error::io(text("write shim.pid")))?;
    let setup =
        std::fs::read(folder.join(protocol::SETUP)).map_err(Error::io(text("read setup")))?;
    let setup = serde_json::from_slice(&setup)
        .map_err(|error| Error::io(text("read setup"))(error.into()))?;
    let pod = pod::Pod::make(folder.clone(), setup)?;
    server::Server::new(&folder, pod)
}

/// Turns standard output (which tells the agent that the pod is ready, by being closed) and error over to the log.
fn quiet(folder: &Path) -> std::io::Result<()> {
    std::io::stdout().write_all(READY.as_bytes())?;
    std::io::stdout().flush()?;
    let log = File::options()
        .create(true)
        .append(true)
        .open(folder.join("shim.log"))?;
    for target in [libc::STDOUT_FILENO, libc::STDERR_FILENO] {
        // SAFETY: both descriptors are open; the standard streams are not owned by any object.
        if unsafe { libc::dup2(log.as_raw_fd(), target) } < 0 {
            return Err(std::io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Writes a line to the shim's log, which is its standard error.
fn note(text: &str) {
    // A full disk must not end the pod.
    let _ = writeln!(std::io::stderr(), "{:.3} {text}", jiff::Timestamp::now());
}

/// The folder of a pod.
pub(crate) fn pod_folder(run_dir: &Path, uid: &str) -> PathBuf {
    run_dir.join("pods").join(uid)
}
