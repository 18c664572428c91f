//! The pod in the shim: its containers and what is asked of them.

use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::container::{Common, Container, Outputs, kill_all};
use super::exec::{self, Started, Streams, Target};
use super::protocol::{STATE, Setup, Start};
use super::{namespace, note, signal};
use crate::runtime::cgroup::Trees;
use crate::runtime::{
    ContainerStats, Error, ExecSpec, NetworkStats, PodState, PodStats, Resources,
};

/// The pod that this shim owns.
pub(super) struct Pod {
    folder: PathBuf,
    setup: Setup,
    trees: Trees,
    files: Vec<(&'static str, PathBuf)>,
    /// The first process of the process namespace that all containers share, if they share one.
    init: Option<i32>,
    containers: Vec<Container>,
}

impl Pod {
    /// Makes the pod's namespaces, network, control group and files.
    pub(super) fn make(folder: PathBuf, setup: Setup) -> Result<Self, Error> {
        let trees = Trees::detect()?;
        trees.make(&setup.cgroup, &Resources::default())?;
        trees.make(&setup.cgroup, &setup.sandbox.resources)?;
        namespace::enter(&setup)?;
        let files = namespace::files(&folder, &setup)?;
        let shares = setup.sandbox.share_process_namespace && !setup.sandbox.host_pid;
        let init = shares.then(namespace::start_init).transpose()?;
        let pod = Self {
            folder,
            setup,
            trees,
            files,
            init,
            containers: Vec::new(),
        };
        pod.save()?;
        Ok(pod)
    }

    /// What the agent sees.
    pub(super) fn state(&self) -> PodState {
        PodState {
            containers: self
                .containers
                .iter()
                .map(|container| container.public.clone())
                .collect(),
            lost: false,
        }
    }

    /// Writes the state, so that exit codes outlive the shim.
    pub(super) fn save(&self) -> Result<(), Error> {
        let path = self.folder.join(STATE);
        let new = self.folder.join("state.json.new");
        let write = || {
            let mut file = std::fs::File::create(&new)?;
            file.write_all(&serde_json::to_vec(&self.state())?)?;
            std::fs::rename(&new, &path)
        };
        write().map_err(Error::io(format!("write {}", path.display())))
    }

    pub(super) fn start(&mut self, start: Start) -> Result<(String, Outputs), Error> {
        let id = start.id.clone();
        let namespaces: Vec<_> = self
            .init
            .map(|pid| ("pid", PathBuf::from(format!("/proc/{pid}/ns/pid"))))
            .into_iter()
            .collect();
        let common = Common {
            setup: &self.setup,
            folder: &self.folder,
            trees: &self.trees,
            files: &self.files,
            namespaces: &namespaces,
        };
        let (container, outputs) = Container::start(&common, start)?;
        self.containers.push(container);
        self.save()?;
        Ok((id, outputs))
    }

    pub(super) fn get(&mut self, id: &str) -> Result<&mut Container, Error> {
        self.containers
            .iter_mut()
            .find(|container| container.public.id == id)
            .ok_or_else(|| Error::NoSuchContainer(id.to_owned()))
    }

    /// Sends a signal to a container's first process; one that ended needs none.
    pub(super) fn signal(&mut self, id: &str, signal: i32) -> Result<(), Error> {
        let Some(pid) = self.get(id)?.pid() else {
            return Ok(());
        };
        if !(1..=libc::SIGRTMAX()).contains(&signal) {
            return Err(Error::InvalidSpec(format!("unknown signal {signal}")));
        }
        signal::send(Pid::from_raw(pid), signal)
            .map_err(|errno| Error::io("send a signal")(errno.into()))
    }

    /// Runs a command; `fds` are its streams, unless it wants a terminal.
    pub(super) fn exec(
        &mut self,
        id: &str,
        spec: &ExecSpec,
        fds: Vec<OwnedFd>,
    ) -> Result<Started, Error> {
        let trees = self.trees.clone();
        let container = self.get(id)?;
        let pid = container
            .pid()
            .ok_or_else(|| Error::NotRunning(id.to_owned()))?;
        let mut program = container.program.clone();
        program.arguments.clone_from(&spec.command);
        if program.arguments.is_empty() {
            return Err(Error::InvalidSpec("no command specified".to_owned()));
        }
        let streams = if spec.tty {
            if !program
                .environment
                .iter()
                .any(|pair| pair.starts_with("TERM="))
            {
                program.environment.push("TERM=xterm".to_owned());
            }
            Streams::Terminal
        } else {
            let pipes = <[OwnedFd; 3]>::try_from(fds)
                .map_err(|fds| Error::Exec(format!("{} streams came instead of 3", fds.len())))?;
            Streams::Pipes(pipes)
        };
        let target = Target {
            pid,
            trees: &trees,
            identity: &container.identity,
            working_dir: &container.working_dir,
        };
        exec::run(&target, &program, &streams).map_err(Error::Exec)
    }

    pub(super) fn stats(&self) -> PodStats {
        let of = |container: &Container| ContainerStats {
            id: container.public.id.clone(),
            name: container.public.name.clone(),
            ..self.trees.stats(&container.cgroup)
        };
        let running = self
            .containers
            .iter()
            .filter(|container| container.pid().is_some());
        PodStats {
            containers: running.map(of).collect(),
            network: self.setup.attachment.is_some().then(network_stats),
        }
    }

    /// The container whose first process this is.
    pub(super) fn by_pid(&self, pid: i32) -> Option<String> {
        let container = self
            .containers
            .iter()
            .find(|container| container.pid() == Some(pid))?;
        Some(container.public.id.clone())
    }

    /// A container's first process ended: saves that, then takes apart what it had.
    pub(super) fn ended(&mut self, id: &str, code: i32, signal: Option<i32>) -> Result<(), Error> {
        let trees = self.trees.clone();
        self.get(id)?.ended(&trees, code, signal);
        self.save()?;
        // The exit stands; what could not be taken apart now is when the pod is removed.
        if let Err(error) = self.get(id)?.delete() {
            note(&format!("container {id}: {error}"));
        }
        Ok(())
    }

    /// Forgets an ended container, with its file system.
    pub(super) fn remove(&mut self, id: &str) -> Result<(), Error> {
        self.get(id)?.remove()?;
        self.containers
            .retain(|container| container.public.id != id);
        self.save()
    }

    /// Kills what runs.
    pub(super) fn kill(&mut self) {
        kill_all(&self.trees, &self.setup.cgroup);
        if let Some(init) = self.init.take() {
            // Its end ends every process of its namespace.
            let _ = nix::sys::signal::kill(Pid::from_raw(init), Signal::SIGKILL);
        }
    }

    /// The ids of all containers.
    pub(super) fn ids(&self) -> Vec<String> {
        self.containers
            .iter()
            .map(|container| container.public.id.clone())
            .collect()
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }
}

/// What the pod's interface carried; `/proc/self/net` shows the namespace this process is in.
fn network_stats() -> NetworkStats {
    let text = std::fs::read_to_string("/proc/self/net/dev").unwrap_or_default();
    parse_network_stats(&text)
}

fn parse_network_stats(text: &str) -> NetworkStats {
    let line = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("eth0:"));
    let numbers: Vec<u64> = line
        .unwrap_or_default()
        .split_ascii_whitespace()
        .filter_map(|number| number.parse().ok())
        .collect();
    NetworkStats {
        received: numbers.first().copied().unwrap_or(0),
        sent: numbers.get(8).copied().unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_the_first_and_the_ninth_number() {
        let text = "Inter-|   Receive\n    lo: 1 2 3 4 5 6 7 8 9 10\n  eth0: 100 2 0 0 0 0 0 0 200 3 0 0 0 0 0 0\n";
        let stats = parse_network_stats(text);
        assert_eq!((stats.received, stats.sent), (100, 200));
    }
}
