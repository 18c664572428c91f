//! The interface that the pod agent drives: pods, their containers, exec, statistics.
//!
//! [`Runtime`] and [`Pod`] are traits, so that the agent is tested with a fake;
//! [`Local`] is what runs real containers on this machine, each pod by a shim of its own.
//!
//! The interface is *level-triggered*: [`Pod::state`] is a watch on everything that is known of the pod's
//! containers. Whoever was away (an agent that restarted) reads the present state and has missed nothing,
//! because exit codes stay in the state until the container is removed.
//!
//! ```text
//! create_pod ──► Pod ──► start_container ──► Created ─► Running ─► Exited ──► remove_container ──► remove
//!                 ▲                             (every change wakes Pod::state)
//! recover ────────┘  (after a restart of the agent, for each shim that lives)
//! ```

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;

pub(crate) mod capabilities;
pub(crate) mod cgroup;
mod container;
mod error;
mod exec;
mod local;
mod local_pod;
pub(crate) mod rootfs;
mod sandbox;
pub(crate) mod seccomp;
pub(crate) mod spec;
mod state;
mod teardown;
mod terminal;
pub(crate) mod user;

pub use container::{
    Capabilities, ContainerSpec, Mount, Propagation, Resources, Seccomp, Security,
};
pub use error::Error;
pub use exec::{ExecSession, ExecSpec};
pub use local::{Local, Options};
pub use sandbox::{Dns, HostAlias, PodSandbox};
pub use state::{Container, ContainerStats, Exit, NetworkStats, Phase, PodState, PodStats, User};
pub use teardown::teardown;

/// Makes pods on one machine.
#[async_trait]
pub trait Runtime: Send + Sync + 'static {
    /// Makes a pod's namespaces, control group and network. No container runs yet.
    ///
    /// Making a pod whose uid is already there gives the one that is there.
    async fn create_pod(&self, sandbox: PodSandbox) -> Result<Arc<dyn Pod>, Error>;

    /// The pods that are there already, whoever made them: called once after a start.
    ///
    /// A pod whose shim died is in the list as well, with [`PodState::lost`] set;
    /// all that can be done with it is to [`remove`](Pod::remove) it.
    async fn recover(&self) -> Result<Vec<Arc<dyn Pod>>, Error>;
}

/// One pod: its namespaces, its network, its containers.
#[async_trait]
pub trait Pod: Send + Sync + 'static {
    /// What the pod was made from.
    fn sandbox(&self) -> &PodSandbox;

    /// The pod's addresses; the node's own with `host_network`.
    fn addresses(&self) -> Vec<IpAddr>;

    /// Everything known of the containers, and a wake-up for every change.
    fn state(&self) -> watch::Receiver<Arc<PodState>>;

    /// Makes and starts a container; gives its id. When this returns, the container's process runs.
    ///
    /// # Errors
    /// [`Error::ImageNotFound`], [`Error::InvalidSpec`] (the spec can't work: unknown user, bad path)
    /// and [`Error::Start`] (the program can't be executed); nothing is left behind.
    async fn start_container(&self, spec: ContainerSpec) -> Result<String, Error>;

    /// Sends a signal (`libc::SIGTERM`, ...) to a container's first process. An exited container is not an error.
    async fn signal(&self, container: &str, signal: i32) -> Result<(), Error>;

    /// Runs a further command in a running container.
    async fn exec(&self, container: &str, spec: ExecSpec) -> Result<ExecSession, Error>;

    /// What the pod uses of processor, memory and network.
    async fn stats(&self) -> Result<PodStats, Error>;

    /// Removes an exited container (kills it first if it runs) with its writable layer. Its logs stay: they are the agent's.
    async fn remove_container(&self, container: &str) -> Result<(), Error>;

    /// Ends everything that is left of the pod: containers, shim, network, mounts, control groups. Idempotent.
    async fn remove(&self) -> Result<(), Error>;
}
