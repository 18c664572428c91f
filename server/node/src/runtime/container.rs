//! What a container is made from.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A container to start, with everything resolved: no `$(VAR)`, no references to other objects.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerSpec {
    /// The container's name in the pod.
    pub name: String,
    /// How many containers of this name the pod had before: `restartCount`.
    pub attempt: u32,
    /// The image: a name or id that [`crate::image::Images`] knows.
    pub image: String,
    /// `command`: replaces the image's entry point (and its command) unless empty.
    pub command: Vec<String>,
    /// `args`: replaces the image's command unless empty.
    pub args: Vec<String>,
    /// The environment, laid over the image's; the last of a name wins.
    pub env: Vec<(String, String)>,
    /// `workingDir`; the image's, or `/`, otherwise. Made if it is not there.
    pub working_dir: Option<String>,
    /// Volumes and single files (/etc/hosts, /etc/resolv.conf and /etc/hostname come by themselves unless mounted here).
    pub mounts: Vec<Mount>,
    /// The control group's limits.
    pub resources: Resources,
    /// Who the process is and what it may do.
    pub security: Security,
    /// Give it a terminal.
    pub tty: bool,
    /// Keep standard input open; otherwise it is /dev/null.
    pub stdin: bool,
    /// The log file in CRI format; its folder is made. Rotated files stand beside it as `<name>.1` ... `<name>.4`.
    pub log_path: PathBuf,
    /// The signal a stop begins with, by name (`SIGTERM`); the image's otherwise. Kept for the agent, see [`super::Container`].
    pub stop_signal: Option<String>,
}

/// A host path mounted into a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Mount {
    /// Where it is on the host: a folder or a file, which must exist.
    pub source: PathBuf,
    /// Where it appears; missing folders and files are made in the writable layer.
    pub target: PathBuf,
    /// Mounted read-only.
    pub read_only: bool,
    /// Whether later mounts below it pass between host and container.
    pub propagation: Propagation,
}

/// `mountPropagation`. The runtime library knows it per container only: the strongest of all mounts counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Propagation {
    /// `None`.
    #[default]
    Private,
    /// `HostToContainer`.
    HostToContainer,
    /// `Bidirectional`; for privileged containers.
    Bidirectional,
}

/// Limits in control group terms; `None` leaves the kernel's default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// Processor weight as cgroup v1 shares: millicores × 1024 / 1000, at least 2.
    pub cpu_shares: Option<u64>,
    /// Microseconds of processor time in each period.
    pub cpu_quota: Option<i64>,
    /// The period in microseconds; 100,000 unless given.
    pub cpu_period: Option<u64>,
    /// Bytes of memory.
    pub memory_limit: Option<i64>,
    /// Number of processes and threads.
    pub pids_limit: Option<i64>,
    /// −1000 ... 1000. Lowering it below the agent's own needs CAP_SYS_RESOURCE, without which it stays.
    pub oom_score_adj: Option<i32>,
}

/// Who a container's process is and what it may do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Security {
    /// `runAsUser`; the image's user otherwise.
    pub run_as_user: Option<u32>,
    /// `runAsGroup`; the group of the user in the image's /etc/passwd otherwise, or 0.
    pub run_as_group: Option<u32>,
    /// `supplementalGroups` and `fsGroup`; the user's groups in the image's /etc/group are added.
    pub supplemental_groups: Vec<u32>,
    /// `supplementalGroupsPolicy: Strict`: they are not.
    pub strict_groups: bool,
    /// `privileged`: all capabilities, all devices, nothing masked, no seccomp.
    pub privileged: bool,
    /// `readOnlyRootFilesystem`.
    pub read_only_root: bool,
    /// `allowPrivilegeEscalation: false`.
    pub no_new_privileges: bool,
    /// `procMount: Unmasked`.
    pub unmasked_proc: bool,
    /// `capabilities`.
    pub capabilities: Capabilities,
    /// `seccompProfile`.
    pub seccomp: Seccomp,
}

/// What is added to and dropped from the default set, by Kubernetes' names (`NET_ADMIN`, `ALL`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Capabilities {
    /// Added last.
    pub add: Vec<String>,
    /// Dropped first.
    pub drop: Vec<String>,
}

/// `seccompProfile.type`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Seccomp {
    /// No filter: Kubernetes' default.
    #[default]
    Unconfined,
    /// The default profile of container runtimes, made for the container's capabilities.
    RuntimeDefault,
    /// A profile file in Docker's JSON form.
    Localhost(PathBuf),
}
