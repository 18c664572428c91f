//! Waiting for children. Unlike nix's own call this one knows every signal: it has no name for real-time ones, and
//! takes a process that one of them ended for an error after the kernel has already forgotten it.

use nix::errno::Errno;
use nix::unistd::Pid;

/// A child that ended and was collected.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) pid: i32,
    /// The exit code; 128 + the signal's number when a signal ended it.
    pub(super) code: i32,
    pub(super) signal: Option<i32>,
}

/// Waits for one child, or any.
///
/// # Errors
/// `ECHILD`: there is none. `EINTR`: a signal came first.
pub(super) fn wait(pid: Option<Pid>) -> nix::Result<Ended> {
    loop {
        if let Some(ended) = call(pid, 0)? {
            return Ok(ended);
        }
    }
}

/// Collects one child, or any, that has ended already.
///
/// # Errors
/// `ECHILD`: there is none.
pub(super) fn collect(pid: Option<Pid>) -> nix::Result<Option<Ended>> {
    call(pid, libc::WNOHANG)
}

fn call(pid: Option<Pid>, flags: libc::c_int) -> nix::Result<Option<Ended>> {
    let mut status = 0;
    // SAFETY: the kernel writes one int through the pointer, which lives through the call.
    let found = unsafe { libc::waitpid(pid.map_or(-1, Pid::as_raw), &raw mut status, flags) };
    match Errno::result(found)? {
        0 => Ok(None),
        pid => Ok(ended(pid, status)),
    }
}

/// What a status says; nothing of a process that goes on.
fn ended(pid: i32, status: libc::c_int) -> Option<Ended> {
    let signal = libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status));
    let code = match signal {
        Some(signal) => 128 + signal,
        None if libc::WIFEXITED(status) => libc::WEXITSTATUS(status),
        None => return None,
    };
    Some(Ended { pid, code, signal })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::zombie_processes, reason = "it is waited for by its number")]
    fn a_real_time_signal_ends_a_process_like_any_other() {
        let mut command = std::process::Command::new("sh");
        let child = command
            .args(["-c", "kill -37 $$; sleep 1000"])
            .spawn()
            .expect("sh runs");
        let pid = child.id() as i32;
        let expected = Ended {
            pid,
            code: 165,
            signal: Some(37),
        };
        assert_eq!(wait(Some(Pid::from_raw(pid))), Ok(expected));
        assert_eq!(collect(Some(Pid::from_raw(pid))), Err(Errno::ECHILD));
    }
}
