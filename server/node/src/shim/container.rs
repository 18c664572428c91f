//! One container in the shim: made and started through the library, ended, deleted.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::{Component, Path, PathBuf};

use jiff::Timestamp;
use libcontainer::container::builder::ContainerBuilder;
use libcontainer::syscall::syscall::SyscallType;
use nix::unistd::Pid;

use super::log::{Log, Stream};
use super::process::{InitExecutor, Program};
use super::protocol::{Setup, Start, receive_with_fds};
use super::{signal, wait};
use crate::runtime::cgroup::Trees;
use crate::runtime::rootfs::Rootfs;
use crate::runtime::spec::{self, Input};
use crate::runtime::user::{self, Identity};
use crate::runtime::{self, Error, Exit, Mount, Phase, capabilities, seccomp};

/// A container that was started here.
pub(super) struct Container {
    /// What the agent sees of it.
    pub(super) public: runtime::Container,
    /// What further commands in it may do, and where they begin.
    pub(super) program: Program,
    pub(super) identity: Identity,
    pub(super) working_dir: String,
    pub(super) cgroup: PathBuf,
    pub(super) log: Log,
    rootfs: Rootfs,
    folder: PathBuf,
    library: libcontainer::container::Container,
    /// Keeps standard input open for a container that wants it.
    _stdin: Option<OwnedFd>,
}

/// What a new container's output is read from.
pub(super) type Outputs = Vec<(Stream, OwnedFd)>;

/// The shim's ends and the container's ends of its streams.
struct Streams {
    outputs: Outputs,
    stdin_kept: Option<OwnedFd>,
    inside: Option<[OwnedFd; 3]>,
}

/// What all containers of a pod have in common.
pub(super) struct Common<'a> {
    pub(super) setup: &'a Setup,
    pub(super) folder: &'a Path,
    pub(super) trees: &'a Trees,
    pub(super) files: &'a [(&'static str, PathBuf)],
    pub(super) namespaces: &'a [(&'static str, PathBuf)],
}

impl Container {
    /// Makes and starts a container; when this returns, its program runs. Leaves nothing behind on failure.
    pub(super) fn start(common: &Common<'_>, start: Start) -> Result<(Self, Outputs), Error> {
        let folder = common.folder.join("containers").join(&start.id);
        let rootfs = Rootfs {
            mount_point: folder.join("rootfs"),
            writable: common.setup.writable.join(&start.id),
        };
        let mut start = start;
        let made = rootfs
            .mount(&start.layers)
            .and_then(|()| add_volumes(common.files, &mut start, &rootfs))
            .and_then(|()| Self::make(common, start, &folder, &rootfs));
        if made.is_err() {
            // The first error is the one to report.
            let _ = rootfs.remove();
            let _ = std::fs::remove_dir_all(&folder);
        }
        made
    }

    fn make(
        common: &Common<'_>,
        start: Start,
        folder: &Path,
        rootfs: &Rootfs,
    ) -> Result<(Self, Outputs), Error> {
        let sandbox = &common.setup.sandbox;
        let security = &start.spec.security;
        let read = |path| rootfs.read(path).unwrap_or_default();
        let (passwd, group) = (read("/etc/passwd"), read("/etc/group"));
        let identity = user::resolve(&start.config.user, security, &passwd, &group)?;
        let available = capabilities::available()?;
        let given = capabilities::choose(security, &available)?;
        let filters = if security.privileged {
            seccomp::Filters::default()
        } else {
            seccomp::compile(&security.seccomp, &capabilities::names(&given))?
        };
        let program = Program {
            arguments: spec::arguments(&start.spec, &start.config)?,
            environment: spec::environment(sandbox, &start.spec, &start.config, &identity),
            capabilities: given,
            no_new_privileges: security.no_new_privileges,
            filters,
        };
        let working_dir = spec::working_dir(&start.spec, &start.config);
        // A folder below a volume is made there by nobody; then the start fails and says so.
        let _ = rootfs.make_folder(Path::new(&working_dir));
        let cgroup = common.setup.cgroup.join(&start.id);
        let document = spec::build(&Input {
            sandbox,
            container: &start.spec,
            image: &start.config,
            identity: &identity,
            rootfs: &rootfs.mount_point,
            cgroup: &cgroup,
            cgroup_mounts: &common.trees.v1_mounts(),
            ends_groups: common.trees.ends_groups(&common.setup.cgroup),
            namespaces: common.namespaces,
            files: common.files,
            capabilities: &available,
        })?;
        let config = folder.join("config.json");
        std::fs::write(&config, document.to_string())
            .map_err(Error::io(format!("write {}", config.display())))?;
        let log = Log::open(&start.spec.log_path)
            .map_err(Error::io(format!("open {}", start.spec.log_path.display())))?;
        let created_at = Timestamp::now();
        let launched = launch(&start, &program, folder, &config)?;
        if let Some(score) = start.spec.resources.oom_score_adj {
            // Lowering it needs CAP_SYS_RESOURCE; without it the container is merely killed as early as others.
            let _ = std::fs::write(
                format!("/proc/{}/oom_score_adj", launched.pid),
                score.to_string(),
            );
        }
        let public = runtime::Container {
            id: start.id,
            name: start.spec.name,
            attempt: start.spec.attempt,
            image: start.spec.image,
            image_id: start.image_id,
            log_path: start.spec.log_path,
            stop_signal: signal::to_stop(
                start
                    .spec
                    .stop_signal
                    .as_deref()
                    .or(start.config.stop_signal.as_deref()),
            ),
            user: Some(runtime::User {
                uid: identity.uid,
                gid: identity.gid,
                groups: identity.groups.clone(),
            }),
            created_at,
            phase: Phase::Running {
                pid: launched.pid,
                started_at: Timestamp::now(),
            },
        };
        let container = Self {
            public,
            program,
            identity,
            working_dir,
            cgroup,
            log,
            rootfs: rootfs.clone(),
            folder: folder.to_owned(),
            library: launched.library,
            _stdin: launched.stdin_kept,
        };
        Ok((container, launched.outputs))
    }

    /// The first process, while it runs.
    pub(super) fn pid(&self) -> Option<i32> {
        match self.public.phase {
            Phase::Running { pid, .. } => Some(pid),
            _ => None,
        }
    }

    /// Notes that the first process ended, and ends what is left of the others. The caller then saves the state.
    pub(super) fn ended(&mut self, trees: &Trees, code: i32, signal: Option<i32>) {
        let Phase::Running { started_at, .. } = self.public.phase else {
            return;
        };
        kill_all(trees, &self.cgroup);
        self.public.phase = Phase::Exited(Exit {
            code,
            signal,
            oom_killed: trees.oom_killed(&self.cgroup),
            started_at,
            finished_at: Timestamp::now(),
        });
    }

    /// Removes the control group and the library's files, after the exit was saved.
    pub(super) fn delete(&mut self) -> Result<(), Error> {
        self.library.delete(true).map_err(|error| {
            Error::io("delete the container")(std::io::Error::other(chain(&error)))
        })
    }

    /// Removes the file system. The container must have ended.
    pub(super) fn remove(&self) -> Result<(), Error> {
        self.rootfs.remove()?;
        std::fs::remove_dir_all(&self.folder)
            .map_err(Error::io(format!("remove {}", self.folder.display())))
    }
}

/// Adds the image's volumes to the mounts, but for those where the pod mounts something itself.
///
/// Each is the image's own folder, mounted over itself: what is there already is seen without being copied, what is
/// written goes to the writable layer and goes with it, and a read-only root file system is not so here.
fn add_volumes(files: &[(&str, PathBuf)], start: &mut Start, rootfs: &Rootfs) -> Result<(), Error> {
    for volume in &start.config.volumes {
        let target = clean(volume);
        let own = start.spec.mounts.iter().any(|mount| mount.target == target);
        let pods = files.iter().any(|(path, _)| Path::new(path) == target);
        if own || pods || target == Path::new("/") {
            continue;
        }
        let source = rootfs
            .volume(&target)
            .map_err(Error::io(format!("make the image's volume {volume}")))?;
        start.spec.mounts.push(Mount {
            source,
            target,
            ..Mount::default()
        });
    }
    Ok(())
}

/// An absolute path without dots.
fn clean(path: &str) -> PathBuf {
    let mut clean = PathBuf::from("/");
    for part in Path::new(path).components() {
        match part {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => {
                clean.pop();
            }
            _ => {}
        }
    }
    clean
}

/// Kills every process of a group, until none is left that could make another.
pub(super) fn kill_all(trees: &Trees, cgroup: &Path) {
    // Each round a fork may have got away; a hundred rounds outrun anything but a fork bomb without a limit.
    for _ in 0..100 {
        let processes = trees.processes(cgroup);
        if processes.is_empty() {
            return;
        }
        for pid in processes {
            // Gone already is as good.
            let _ = nix::sys::signal::kill(Pid::from_raw(pid), nix::sys::signal::SIGKILL);
            // Ours is a zombie now or soon; a stranger's child is not waited for.
            let _ = wait::collect(Some(Pid::from_raw(pid)));
        }
        std::thread::yield_now();
    }
}

struct Launched {
    library: libcontainer::container::Container,
    pid: i32,
    outputs: Outputs,
    stdin_kept: Option<OwnedFd>,
}

/// Creates and starts through the library, and waits until the program is executed.
fn launch(
    start: &Start,
    program: &Program,
    folder: &Path,
    config: &Path,
) -> Result<Launched, Error> {
    let io = |what: &'static str| move |error: std::io::Error| Error::io(what)(error);
    let root = folder.join("runtime");
    std::fs::create_dir_all(&root).map_err(io("make the runtime's folder"))?;
    let (mut reports, reporting) = std::io::pipe().map_err(io("make a pipe"))?;
    let streams = streams(&start.spec).map_err(io("make pipes"))?;
    let failed = |error: libcontainer::error::LibcontainerError| Error::Start(chain(&error));
    let executor = InitExecutor {
        program: program.clone(),
        report: std::rc::Rc::new(reporting.into()),
    };
    // The library's own directories are by id, so a short one will do inside the container's folder.
    let mut builder = ContainerBuilder::new("c".to_owned(), SyscallType::default())
        .with_root_path(&root)
        .map_err(failed)?
        .with_executor(executor);
    let console = folder.join("console.sock");
    let mut console_listener = None;
    match streams.inside {
        Some([stdin, stdout, stderr]) => {
            builder = builder
                .with_stdin(stdin)
                .with_stdout(stdout)
                .with_stderr(stderr);
        }
        None => {
            console_listener = Some(listen(folder, &console).map_err(io("listen for a terminal"))?);
            builder = builder.with_console_socket(Some(&console));
        }
    }
    let bundle = config.parent().unwrap_or(folder);
    let mut library = builder
        .as_init(bundle)
        .with_systemd(false)
        .with_detach(true)
        .build()
        .map_err(failed)?;
    let pid = library.pid().map_or(0, |pid| pid.as_raw());
    let outputs = match console_listener {
        Some(listener) => vec![(
            Stream::Stdout,
            take_terminal(&listener).map_err(io("take the terminal"))?,
        )],
        None => streams.outputs,
    };
    let mut reason = String::new();
    let started = library.start().map_err(failed).and_then(|()| {
        reports
            .read_to_string(&mut reason)
            .map_err(io("wait for the program"))?;
        if reason.is_empty() {
            Ok(())
        } else {
            Err(Error::Start(reason))
        }
    });
    if let Err(error) = started {
        let _ = nix::sys::signal::kill(Pid::from_raw(pid), nix::sys::signal::SIGKILL);
        let _ = wait::wait(Some(Pid::from_raw(pid)));
        library.delete(true).map_err(failed)?;
        return Err(error);
    }
    Ok(Launched {
        library,
        pid,
        outputs,
        stdin_kept: streams.stdin_kept,
    })
}

fn streams(spec: &runtime::ContainerSpec) -> std::io::Result<Streams> {
    if spec.tty {
        return Ok(Streams {
            outputs: Vec::new(),
            stdin_kept: None,
            inside: None,
        });
    }
    let (stdin, stdin_kept) = if spec.stdin {
        let (reader, writer) = std::io::pipe()?;
        (reader.into(), Some(writer.into()))
    } else {
        (File::open("/dev/null")?.into(), None)
    };
    let (stdout, stdout_inside) = std::io::pipe()?;
    let (stderr, stderr_inside) = std::io::pipe()?;
    Ok(Streams {
        outputs: vec![
            (Stream::Stdout, stdout.into()),
            (Stream::Stderr, stderr.into()),
        ],
        stdin_kept,
        inside: Some([stdin, stdout_inside.into(), stderr_inside.into()]),
    })
}

/// Listens under a path that may be longer than a socket's own may be.
fn listen(folder: &Path, path: &Path) -> std::io::Result<UnixListener> {
    use std::os::fd::AsRawFd;
    let folder = File::open(folder)?;
    let name = path.file_name().unwrap_or_default();
    UnixListener::bind(
        Path::new(&format!("/proc/self/fd/{}", folder.as_fd().as_raw_fd())).join(name),
    )
}

fn take_terminal(listener: &UnixListener) -> std::io::Result<OwnedFd> {
    use std::os::fd::AsRawFd;
    let (stream, _) = listener.accept()?;
    let (_, fds) = receive_with_fds(stream.as_raw_fd(), &mut [0; 256])?;
    fds.into_iter()
        .next()
        .ok_or_else(|| std::io::Error::other("no terminal came"))
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volumes_path_is_taken_from_the_root_and_never_above_it() {
        for (path, expected) in [
            ("/data", "/data"),
            ("data/", "/data"),
            ("/a/./b//c", "/a/b/c"),
            ("/../../etc", "/etc"),
            ("/a/..", "/"),
            ("", "/"),
        ] {
            assert_eq!(clean(path), Path::new(expected), "{path}");
        }
    }
}
