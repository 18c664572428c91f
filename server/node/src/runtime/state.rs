//! What is known of a pod's containers, and what they use.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A pod's containers, in the order in which they were started.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PodState {
    /// All containers that were started and not removed.
    pub containers: Vec<Container>,
    /// The shim is gone: nothing more will change and the exit codes of what still ran are unknown.
    pub lost: bool,
}

impl PodState {
    /// The container with this id.
    pub fn get(&self, id: &str) -> Option<&Container> {
        self.containers.iter().find(|container| container.id == id)
    }
}

/// One container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Container {
    /// 64 hexadecimal digits; `containerID` in a status is `ctld://<id>`.
    pub id: String,
    /// Its name in the pod.
    pub name: String,
    /// See [`super::ContainerSpec::attempt`].
    pub attempt: u32,
    /// The image as it was asked for.
    pub image: String,
    /// The image's id (`sha256:...` of its configuration).
    pub image_id: String,
    /// The log file.
    pub log_path: std::path::PathBuf,
    /// The signal number that a graceful stop begins with.
    pub stop_signal: i32,
    /// Who its first process was at the start.
    #[serde(default)]
    pub user: Option<User>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Where it is in its life.
    pub phase: Phase,
}

/// A process's user and groups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The user.
    pub uid: u32,
    /// The first group.
    pub gid: u32,
    /// All groups, sorted.
    pub groups: Vec<u32>,
}

/// Where a container is in its life.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Phase {
    /// Made; its program has not begun.
    Created,
    /// Its program runs.
    Running {
        /// Its first process on the host.
        pid: i32,
        /// Since when.
        started_at: Timestamp,
    },
    /// It ended.
    Exited(Exit),
}

/// How a container ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// The exit code; 128 + the signal's number when a signal ended it.
    pub code: i32,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// The kernel killed one of its processes for want of memory.
    pub oom_killed: bool,
    /// When its program began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
}

/// What a pod uses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodStats {
    /// By container.
    pub containers: Vec<ContainerStats>,
    /// The pod's own interface; `None` with the host's network.
    pub network: Option<NetworkStats>,
}

/// What a container uses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerStats {
    /// Its id.
    pub id: String,
    /// Its name in the pod.
    pub name: String,
    /// Processor time used since it began, in nanoseconds.
    pub cpu_nanoseconds: u64,
    /// Bytes of memory in use, file cache included.
    pub memory_usage: u64,
    /// Bytes of memory in use without what can be given back at once: `workingSetBytes`.
    pub memory_working_set: u64,
    /// Processes and threads.
    pub processes: u64,
}

/// What a pod's interface carried, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkStats {
    /// Received.
    pub received: u64,
    /// Sent.
    pub sent: u64,
}
