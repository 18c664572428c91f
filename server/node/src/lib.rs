//! The worker of one machine: pods, containers, images, networks and volumes.
//!
//! ```text
//!            registration (Node, Lease)          streaming (logs, exec) ◄── API server
//!                                                    │
//! API server ──► agent ──► pod workers ──► status ───┘
//!                             │  ▲
//!            volume, env,     ▼  │
//!            probe, hooks   runtime ──► shim, one a pod ──► containers
//! ```

mod agent;
mod api_server;
mod clock;
mod env;
mod events;
pub mod image;
mod inotify;
mod logs;
pub mod network;
mod objects;
mod paths;
mod pod;
mod probe;
mod registration;
pub mod runtime;
pub mod shim;
mod statics;
mod status;
mod streaming;
#[cfg(test)]
mod testing;
mod volume;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use client::Shutdown;

pub use api_server::ApiServer;
pub use registration::eviction::Thresholds;

use clock::Clock;
use env::resource::Allocatable;
use pod::effects::{ImageSource, Shared};
use registration::Registration;
use registration::facts::Facts;
use registration::status::Identity;

/// The Kubernetes release whose kubelet this one is like.
const KUBELET_VERSION: &str = "v1.37.2";
/// What runs the containers.
const RUNTIME_VERSION: &str = "libcontainer://0.7.0";

/// What a node is told at its start.
#[derive(Clone, Debug)]
pub struct Config {
    /// The Node's name.
    pub name: String,
    /// Where everything lasting is.
    pub data_dir: PathBuf,
    /// Where everything is that a reboot may end.
    pub run_dir: PathBuf,
    /// The address under which the API server and the pods reach this machine.
    pub address: IpAddr,
    /// The addresses of this node's pods, such as `10.244.0.0/24`.
    pub pod_cidr: String,
    /// A folder of pod manifests to run beside those of the API server.
    pub static_pods: Option<PathBuf>,
    /// Whose certificates the API server shows when it asks for logs or runs commands.
    pub client_ca_pem: String,
    /// How many pods the node takes at most; Kubernetes' default is 110.
    pub max_pods: u32,
    /// When the node counts as short of memory, disk or processes, and takes no more pods.
    pub eviction_hard: Thresholds,
    /// Where containers find the API server.
    pub api_server: Option<ApiServer>,
}

/// Why a node can't run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The runtime can't work on this machine.
    #[error(transparent)]
    Runtime(#[from] runtime::Error),
    /// The image store can't be opened.
    #[error(transparent)]
    Image(#[from] image::Error),
    /// Logs and exec can't be served.
    #[error(transparent)]
    Streaming(#[from] streaming::Error),
    /// A folder can't be made.
    #[error("{}: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

/// Runs a node until `shutdown`. Its pods go on without it, and the next start finds them; without any, nothing of the
/// node stays on the machine but its data.
///
/// # Errors
/// What keeps the node from working on this machine. That the API server is away is no error.
pub async fn run(config: Config, client: kube::Client, shutdown: Shutdown) -> Result<(), Error> {
    let options = runtime::Options {
        run_dir: config.run_dir.clone(),
        data_dir: config.data_dir.clone(),
        pod_cidr: config.pod_cidr.clone(),
        api_service: config.api_server.as_ref().and_then(ApiServer::service),
        node_address: config.address,
        program: None,
    };
    let runtime = Arc::new(blocking(move || runtime::Local::open(options)).await?);
    let images = Arc::new(runtime.images().clone());
    let ran = run_on(config, client, runtime.clone(), images, shutdown).await;
    let closed = blocking(move || runtime.close()).await;
    ran?;
    Ok(closed?)
}

/// Runs what blocks, off the async threads.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let done = tokio::task::spawn_blocking(work).await;
    // The task is not aborted, so it has panicked if it did not end; the panic goes on here.
    done.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}

/// Runs a node on a given runtime until `shutdown`. Its pods go on without it.
async fn run_on(
    config: Config,
    client: kube::Client,
    runtime: Arc<dyn runtime::Runtime>,
    images: Arc<dyn ImageSource>,
    shutdown: Shutdown,
) -> Result<(), Error> {
    let clock = Clock::default();
    for path in [&config.data_dir, &config.run_dir] {
        std::fs::create_dir_all(path).map_err(|source| Error::Folder {
            path: path.clone(),
            source,
        })?;
    }
    let facts = Facts::read(&config.data_dir);
    let events = events::Events::new(client.clone(), &config.name);
    let directory = streaming::Directory::default();
    let server = streaming::Server::bind(
        config.address,
        &config.run_dir.join("port"),
        &config.name,
        &config.client_ca_pem,
        directory.clone(),
    )
    .await?;
    let registration = Registration {
        client: client.clone(),
        identity: Identity {
            name: config.name.clone(),
            address: config.address,
            pod_cidr: config.pod_cidr.clone(),
            max_pods: config.max_pods,
            port: server.port(),
        },
        facts: facts.clone(),
        data: config.data_dir.clone(),
        thresholds: config.eviction_hard.clone(),
        images: images.clone(),
        events: events.clone(),
        clock,
    };
    let shared = Arc::new(Shared {
        objects: objects::Objects::new(client.clone()),
        tokens: volume::token::Tokens::new(client.clone(), clock),
        paths: paths::Paths::new(&config.data_dir, &config.run_dir),
        client,
        runtime,
        images,
        events,
        clock,
        address: config.address,
        allocatable: allocatable(&facts, &config.eviction_hard),
        memory: facts.memory,
        api_server: config.api_server,
    });
    let stopped = client::stopped(&shutdown);
    let node = tokio::select! {
        () = stopped => return Ok(()),
        node = registration.register() => node,
    };
    let uid = node.metadata.uid.clone().unwrap_or_default();
    let (agent, gone) = agent::Agent::new(
        shared,
        (config.name, uid),
        config.static_pods,
        directory,
        shutdown.clone(),
    );
    let (served, (), ()) = tokio::join!(
        agent.run(gone),
        registration.keep(node, shutdown.clone()),
        server.serve(shutdown),
    );
    Ok(served?)
}

fn allocatable(facts: &Facts, thresholds: &Thresholds) -> Allocatable {
    let rest = registration::status::Allocatable::new(facts, thresholds);
    Allocatable {
        cpu: facts.cpus * 1000,
        memory: rest.memory,
        ephemeral_storage: rest.storage,
    }
}
