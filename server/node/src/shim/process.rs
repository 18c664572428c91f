//! The last steps before a container's program: shared by its first process and by exec.

use std::ffi::CString;
use std::io::{Error, ErrorKind, Result};
use std::os::fd::{AsFd, OwnedFd};

use libcontainer::oci_spec::runtime::Spec;
use libcontainer::workload::{
    Executor, ExecutorError, ExecutorSetEnvsError, ExecutorValidationError,
};
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, signal, sigprocmask};

use crate::runtime::capabilities;
use crate::runtime::seccomp::Filters;

/// What a container's processes may do, and the program to run.
#[derive(Clone)]
pub(super) struct Program {
    pub(super) arguments: Vec<String>,
    /// `NAME=value`.
    pub(super) environment: Vec<String>,
    pub(super) capabilities: capabilities::Set,
    pub(super) no_new_privileges: bool,
    pub(super) filters: Filters,
}

impl Program {
    /// Gives up everything but what the container may have, then becomes the program. Returns only on failure.
    pub(super) fn execute(&self) -> String {
        match give_streams().and_then(|()| self.confine()) {
            Ok(()) => self.become_program(),
            Err(error) => format!("confine the process: {error}"),
        }
    }

    /// A filter needs either CAP_SYS_ADMIN or no-new-privileges, so without the latter it comes before the capabilities go.
    fn confine(&self) -> Result<()> {
        let drop_capabilities = || {
            capabilities::keep_only(&self.capabilities)
                .map_err(|error| Error::other(error.to_string()))
        };
        // Rust ignores SIGPIPE and the shim blocks what it reads from its descriptor; a program wants neither.
        // SAFETY: the default action runs no code of ours.
        unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl)? };
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
        if self.no_new_privileges {
            nix::sys::prctl::set_no_new_privs()?;
            drop_capabilities()?;
            self.filters.install()
        } else {
            self.filters.install()?;
            drop_capabilities()
        }
    }

    fn become_program(&self) -> String {
        let name = self.arguments.first().map_or("", String::as_str);
        let strings = |texts: &[String]| -> Result<Vec<CString>> {
            texts
                .iter()
                .map(|text| Ok(CString::new(text.as_str())?))
                .collect()
        };
        let (arguments, environment) = match (strings(&self.arguments), strings(&self.environment))
        {
            (Ok(arguments), Ok(environment)) => (arguments, environment),
            _ => return format!("exec: {name:?}: a NUL in an argument or the environment"),
        };
        let mut last = Error::from(ErrorKind::NotFound);
        for candidate in self.candidates(name) {
            let Ok(path) = CString::new(candidate) else {
                continue;
            };
            // Only comes back if it failed.
            let Err(errno) = nix::unistd::execve(&path, &arguments, &environment);
            // As a shell does: a file that may not be run is remembered, one that is not there is passed over.
            if errno != nix::Error::ENOENT && errno != nix::Error::ENOTDIR {
                last = errno.into();
            }
        }
        if last.kind() == ErrorKind::NotFound {
            let reason = if name.contains('/') {
                "no such file or directory"
            } else {
                "executable file not found in $PATH"
            };
            return format!("exec: {name:?}: {reason}");
        }
        let code = last.raw_os_error().unwrap_or(0);
        format!(
            "exec: {name:?}: {}",
            nix::Error::from_raw(code).desc().to_lowercase()
        )
    }

    fn candidates(&self, name: &str) -> Vec<String> {
        if name.contains('/') {
            return vec![name.to_owned()];
        }
        let path = self
            .environment
            .iter()
            .find_map(|pair| pair.strip_prefix("PATH="));
        let folders = path
            .unwrap_or_default()
            .split(':')
            .filter(|folder| !folder.is_empty());
        folders.map(|folder| format!("{folder}/{name}")).collect()
    }
}

/// Gives standard input, output and error to the user that this process is by now.
///
/// `/dev/stdout` and its like open the stream anew, by the rights of its owner, which is root if root made it. As
/// with runc the group stays, /dev/null is not ours to give, and what can't be given stays as it is.
fn give_streams() -> Result<()> {
    let null = nix::sys::stat::stat("/dev/null").map(|null| null.st_rdev);
    let user = nix::unistd::geteuid();
    let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    for stream in [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()] {
        let found = nix::sys::stat::fstat(stream)?;
        if found.st_uid == user.as_raw() || null == Ok(found.st_rdev) {
            continue;
        }
        match nix::unistd::fchown(stream, Some(user), None) {
            // Of a user that this namespace does not know, without the right to, or on what is read-only.
            Err(nix::Error::EINVAL | nix::Error::EPERM | nix::Error::EROFS) => {}
            other => other?,
        }
    }
    Ok(())
}

/// Runs a [`Program`] as a container's first process.
///
/// Its errors go into a pipe that is closed by a successful exec: its end tells the shim that the program runs.
#[derive(Clone)]
pub(super) struct InitExecutor {
    pub(super) program: Program,
    pub(super) report: std::rc::Rc<OwnedFd>,
}

impl Executor for InitExecutor {
    fn exec(&self, _: &Spec) -> std::result::Result<(), ExecutorError> {
        let failure = self.program.execute();
        report(&self.report, &failure);
        Err(ExecutorError::Other(failure))
    }

    /// The program is looked for when it is executed, by the rights it then has.
    fn validate(&self, _: &Spec) -> std::result::Result<(), ExecutorValidationError> {
        Ok(())
    }

    /// The environment is passed to execve.
    fn setup_envs(
        &self,
        _: std::collections::HashMap<String, String>,
    ) -> std::result::Result<(), ExecutorSetEnvsError> {
        Ok(())
    }
}

/// Writes into a report pipe, in a process that is about to end.
pub(super) fn report(pipe: &OwnedFd, text: &str) {
    // Whoever can't write here has no other way to say so; the shim then sees an exit without a report.
    let _ = nix::unistd::write(pipe, text.as_bytes());
}
