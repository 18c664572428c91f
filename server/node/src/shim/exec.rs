//! Running a further command in a container: our own, since the library's has holes (no system call filter, real root
//! in user namespaces).
//!
//! ```text
//! shim ── fork ──► helper: joins the control groups, then with one setns all namespaces
//!   │                │ makes the terminal inside, if one is wanted
//!   │                └─ clone(CLONE_PARENT) ──► command: session, terminal, ids, then Program::execute
//!   │◄── pid and terminal, over a socket ──┘ (helper ends)      │
//!   │◄── nothing (exec closed the pipe) or a reason ────────────┘
//! ```
//!
//! The command is the shim's child, so the shim gets its exit code. Until it is executed it can't be looked into from
//! inside the container: the library has made the shim, and so everything forked from it, not dumpable.

use std::io::{Error, Read, Result};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use nix::fcntl::{OFlag, open};
use nix::sched::{CloneFlags, setns};
use nix::sys::stat::{Mode, fstat, major, minor};
use nix::unistd::{ForkResult, Gid, Uid, fork};

use super::process::{Program, report};
use super::{protocol, wait};
use crate::runtime::cgroup::Trees;
use crate::runtime::user::Identity;

/// What an exec needs to know of its container.
pub(super) struct Target<'a> {
    /// The container's first process.
    pub(super) pid: i32,
    pub(super) trees: &'a Trees,
    pub(super) identity: &'a Identity,
    pub(super) working_dir: &'a str,
}

/// The command's streams.
pub(super) enum Streams {
    /// Standard input, output and error.
    Pipes([OwnedFd; 3]),
    /// A terminal, to be made in the container.
    Terminal,
}

/// A command that runs.
pub(super) struct Started {
    pub(super) pid: i32,
    /// The terminal's other end.
    pub(super) terminal: Option<OwnedFd>,
}

/// Runs a program in a container; the error is a text for the user.
pub(super) fn run(
    target: &Target<'_>,
    program: &Program,
    streams: &Streams,
) -> std::result::Result<Started, String> {
    let text = |error: Error| error.to_string();
    let container = pidfd(target.pid).map_err(text)?;
    let (here, there) = UnixStream::pair().map_err(text)?;
    let (mut reports, reporting) = std::io::pipe().map_err(text)?;
    let reporting = OwnedFd::from(reporting);
    // SAFETY: the shim has one thread, so the child may do whatever the parent may.
    let helper = match unsafe { fork() }.map_err(|errno| text(errno.into()))? {
        ForkResult::Parent { child } => child,
        ForkResult::Child => {
            if let Err(error) = help(target, program, streams, &container, &there, &reporting) {
                report(&reporting, &error.to_string());
            }
            // SAFETY: ends the forked process without running the shim's destructors.
            unsafe { libc::_exit(0) }
        }
    };
    drop((there, reporting));
    // The helper ends right after its message, or its failure.
    let received = protocol::receive::<i32>(&here);
    wait::wait(Some(helper)).map_err(|errno| text(errno.into()))?;
    let mut reason = String::new();
    reports.read_to_string(&mut reason).map_err(text)?;
    match received {
        Ok((pid, fds)) if reason.is_empty() => Ok(Started {
            pid,
            terminal: fds.into_iter().next(),
        }),
        Ok((pid, _)) => {
            let command = nix::unistd::Pid::from_raw(pid);
            wait::wait(Some(command)).map_err(|errno| text(errno.into()))?;
            Err(reason)
        }
        Err(_) if !reason.is_empty() => Err(reason),
        Err(error) => Err(error.to_string()),
    }
}

/// The helper's part.
fn help(
    target: &Target<'_>,
    program: &Program,
    streams: &Streams,
    container: &OwnedFd,
    shim: &UnixStream,
    reporting: &OwnedFd,
) -> Result<()> {
    target.trees.join_like(target.pid)?;
    // Network, IPC and host name are the shim's own already.
    let namespaces =
        CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWCGROUP;
    setns(container, namespaces)?;
    let terminal = match streams {
        Streams::Terminal => Some(make_terminal()?),
        Streams::Pipes(_) => None,
    };
    // SAFETY: like fork, of a process with one thread; the child is the shim's, as we are.
    let pid = unsafe {
        libc::syscall(
            libc::SYS_clone,
            libc::CLONE_PARENT | libc::SIGCHLD,
            0,
            0,
            0,
            0,
        )
    };
    match pid {
        -1 => Err(Error::last_os_error()),
        0 => {
            let failure = match enter(target, streams, terminal.as_ref()) {
                Ok(()) => program.execute(),
                Err(error) => error.to_string(),
            };
            report(reporting, &failure);
            // SAFETY: ends the forked process without running the shim's destructors.
            unsafe { libc::_exit(126) }
        }
        pid => {
            let master: Vec<RawFd> = terminal
                .iter()
                .map(|(master, _)| master.as_raw_fd())
                .collect();
            protocol::send(shim, &(pid as i32), &master)
        }
    }
}

/// The command's part before it gives up its rights.
fn enter(
    target: &Target<'_>,
    streams: &Streams,
    terminal: Option<&(OwnedFd, OwnedFd)>,
) -> Result<()> {
    nix::unistd::setsid()?;
    let sources: [RawFd; 3] = match (streams, terminal) {
        (_, Some((_, slave))) => {
            // SAFETY: the argument is a number, not a pointer: 0 does not take another session's terminal away.
            check(unsafe { libc::ioctl(slave.as_raw_fd(), libc::TIOCSCTTY, 0) })?;
            [slave.as_raw_fd(); 3]
        }
        (Streams::Pipes(pipes), None) => pipes.each_ref().map(AsRawFd::as_raw_fd),
        (Streams::Terminal, None) => return Err(Error::other("no terminal")),
    };
    for (number, source) in sources.into_iter().enumerate() {
        // SAFETY: replaces one of the first three descriptors of a process that is about to be executed.
        check(unsafe { libc::dup2(source, number as RawFd) })?;
    }
    // SAFETY: marks every further descriptor to be closed by exec; touches no memory.
    let closed = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            3,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    check(closed as i32)?;
    let changed = nix::unistd::chdir(target.working_dir);
    let groups: Vec<Gid> = target
        .identity
        .groups
        .iter()
        .copied()
        .map(Gid::from_raw)
        .collect();
    nix::unistd::setgroups(&groups)?;
    nix::sys::prctl::set_keepcaps(true)?;
    let (uid, gid) = (target.identity.uid, target.identity.gid);
    let gid = Gid::from_raw(gid);
    nix::unistd::setresgid(gid, gid, gid)?;
    let uid = Uid::from_raw(uid);
    nix::unistd::setresuid(uid, uid, uid)?;
    regain_effective()?;
    // A folder that only root may enter was entered above, one that only the user may enter is entered now.
    match changed {
        Ok(()) => Ok(()),
        Err(_) => Ok(nix::unistd::chdir(target.working_dir)?),
    }
}

/// A change of user clears the effective set and leaves the permitted one; the last steps need it again.
fn regain_effective() -> Result<()> {
    let failed = |error: caps::errors::CapsError| Error::other(error.to_string());
    let permitted = caps::read(None, caps::CapSet::Permitted).map_err(failed)?;
    caps::set(None, caps::CapSet::Effective, &permitted).map_err(failed)
}

/// Makes a terminal in the container's own devpts; gives both ends.
///
/// The container could have put something else there (CVE-2025-52565), so what was opened is checked,
/// and the other end comes from the kernel rather than from a path.
fn make_terminal() -> Result<(OwnedFd, OwnedFd)> {
    const PTMX: (u64, u64) = (5, 2);
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    let master = open("/dev/pts/ptmx", flags, Mode::empty())?;
    let device = fstat(&master)?.st_rdev;
    if (major(device), minor(device)) != PTMX {
        return Err(Error::other("/dev/pts/ptmx is not a terminal multiplexer"));
    }
    let unlocked: libc::c_int = 0;
    // SAFETY: the kernel reads one int through the pointer, which lives through the call.
    check(unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCSPTLCK, &raw const unlocked) })?;
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: the argument is a number; the result is a new descriptor or an error.
    let slave = check(unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER, flags) })?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok((master, unsafe { OwnedFd::from_raw_fd(slave) }))
}

/// A descriptor for a process, which can't come to mean another one.
pub(super) fn pidfd(pid: i32) -> Result<OwnedFd> {
    // SAFETY: takes two numbers; the result is a new descriptor or an error.
    let fd = check(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) } as i32)?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn check(result: i32) -> Result<i32> {
    if result < 0 {
        Err(Error::last_os_error())
    } else {
        Ok(result)
    }
}
