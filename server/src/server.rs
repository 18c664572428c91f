//! `ctld server`: the parts of a cluster, started in the order in which they need each other.
//!
//! ```text
//! start   certificates → store → API server → controllers, scheduler → worker
//! stop    worker, scheduler, controllers → API server → store       (containers go on running)
//! ```

use std::fs::{self, DirBuilder, OpenOptions};
use std::future::Future;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::auth::{NODES, UserInfo};
use apiserver::pki::Pki;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::args::ServerFlags;
use crate::{claim, logging, signals, worker};

/// How long the parts have to end after a stop was asked for.
const GRACE: Duration = Duration::from_secs(10);
/// The names of the API server's Service, which its certificate is valid for.
const SERVICE_NAMES: [&str; 5] = [
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "localhost",
];

/// Why a server can't start or had to end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Logging(#[from] logging::Error),
    #[error("can't make {0}: {1}")]
    Directory(PathBuf, io::Error),
    #[error(transparent)]
    Claim(#[from] claim::Error),
    #[error("can't write {0}: {1}")]
    Kubeconfig(PathBuf, io::Error),
    #[error(transparent)]
    Certificates(#[from] apiserver::pki::Error),
    #[error(transparent)]
    Store(#[from] store::redb::OpenError),
    #[error(transparent)]
    Server(#[from] apiserver::server::Error),
    #[error("invalid {0} {1:?}: a duration such as 1h or 30m is expected")]
    Duration(&'static str, String),
    #[error(transparent)]
    Worker(#[from] worker::Error),
    #[error("can't start the runtime: {0}")]
    Runtime(io::Error),
    #[error("can't wait for signals: {0}")]
    Signals(io::Error),
}

/// Runs a server until it is asked to stop.
pub(crate) fn run(flags: ServerFlags) -> Result<(), Error> {
    let begin = Instant::now();
    logging::start(&flags.logging)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Error::Runtime)?;
    let outcome = runtime.block_on(serve(flags, begin));
    // A request that hangs must not hold up the end of the process.
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
}

async fn serve(flags: ServerFlags, begin: Instant) -> Result<(), Error> {
    let data_dir = &flags.directories.data_dir;
    make_private(data_dir)?;
    let _data_dir = claim::data_dir(data_dir)?;
    let _run_dir = match flags.no_worker {
        true => None,
        false => Some(claim::run_dir(&flags.directories.run_dir, data_dir)?),
    };
    let service = worker::service_address(&flags.service_cluster_ip_range)?;
    let pki = Arc::new(Pki::open(
        &data_dir.join("pki"),
        &SERVICE_NAMES.map(str::to_owned),
        &serving_addresses(&flags, service),
    )?);
    let store = Arc::new(store::redb::Redb::open(
        &data_dir.join("store"),
        store::redb::Options::default(),
    )?);
    let config = config(&flags, Arc::clone(&pki))?;
    let server =
        apiserver::Server::start(config, Arc::clone(&store) as Arc<dyn store::Store>).await?;
    let url = format!("https://{}", reachable(server.address()));
    write_kubeconfig(
        data_dir.join("admin.kubeconfig"),
        &pki.admin_kubeconfig(&url),
    )?;

    let (stop, shutdown) = watch::channel(false);
    let mut parts = Parts::default();
    let router = server.router();
    let client = move |user: UserInfo| client::in_process(router.clone(), user);
    start_control_plane(&mut parts, &flags, &pki, client.clone(), &shutdown)?;
    if !flags.no_worker {
        let node = worker::node_config(
            &flags.directories,
            &flags.node,
            pki.ca_pem(),
            Some(api_server(server.address(), service)),
        )?;
        let user = UserInfo::component(&format!("system:node:{}", node.name), &[NODES]);
        parts.start(
            "worker",
            worker::run_node(node, client(user), shutdown.clone()),
        );
    }
    eprintln!(
        "ctld {} is ready after {} ms, serving on {url}",
        env!("CARGO_PKG_VERSION"),
        begin.elapsed().as_millis()
    );

    let ended = tokio::select! {
        outcome = signals::stop_requested() => outcome.map_err(Error::Signals),
        () = parts.failed() => Ok(()),
    };
    // Nobody listens when every part has ended already.
    let _ = stop.send(true);
    parts.ended().await;
    server.shutdown().await;
    if let Err(error) = store::Store::close(store.as_ref()).await {
        tracing::error!(%error, "the store did not close");
    }
    ended
}

fn config(flags: &ServerFlags, pki: Arc<Pki>) -> Result<apiserver::Config, Error> {
    Ok(apiserver::Config {
        bind_address: flags.bind_address,
        secure_port: flags.secure_port,
        token_auth_file: flags.token_auth_file.clone(),
        service_cluster_ip_range: flags.service_cluster_ip_range.clone(),
        event_ttl: duration("--event-ttl", &flags.event_ttl)?,
        compaction_interval: duration(
            "--etcd-compaction-interval",
            &flags.etcd_compaction_interval,
        )?,
        ..apiserver::Config::new(pki)
    })
}

/// The value of a flag that is a length of time.
fn duration(flag: &'static str, text: &str) -> Result<Duration, Error> {
    let parsed = text.parse::<jiff::SignedDuration>().ok();
    let positive = parsed.and_then(|parsed| Duration::try_from(parsed).ok());
    positive.ok_or_else(|| Error::Duration(flag, text.to_owned()))
}

fn start_control_plane(
    parts: &mut Parts,
    flags: &ServerFlags,
    pki: &Pki,
    client: impl Fn(UserInfo) -> kube::Client + Clone + Send + Sync + 'static,
    shutdown: &client::Shutdown,
) -> Result<(), Error> {
    let clients = {
        let client = client.clone();
        move |identity: &str| client(component(identity))
    };
    let grace = &flags.node_monitor_grace_period;
    let config = controllers::Config {
        node_monitor_grace: duration("--node-monitor-grace-period", grace)?,
        ..controllers::Config::new(pki.ca_pem())
    };
    parts.start(
        "controllers",
        controllers::run(clients, config, shutdown.clone()),
    );
    if !flags.no_scheduler {
        let client = client(component("system:kube-scheduler"));
        parts.start("scheduler", scheduler::run(client, shutdown.clone()));
    }
    Ok(())
}

/// The identity of a component; service accounts are in the groups that their tokens would give them.
fn component(identity: &str) -> UserInfo {
    match identity
        .strip_prefix("system:serviceaccount:")
        .and_then(|rest| rest.split_once(':'))
    {
        Some((namespace, _)) => {
            let own = format!("system:serviceaccounts:{namespace}");
            UserInfo::component(identity, &["system:serviceaccounts", &own])
        }
        None => UserInfo::component(identity, &[]),
    }
}

/// The parts that run beside the API server.
#[derive(Default)]
struct Parts {
    tasks: JoinSet<&'static str>,
    /// The names of those that have not ended.
    running: Vec<&'static str>,
}

impl Parts {
    fn start(&mut self, name: &'static str, part: impl Future<Output = ()> + Send + 'static) {
        self.running.push(name);
        self.tasks.spawn(async move {
            part.await;
            name
        });
    }

    /// Waits until a part ends although nobody asked it to.
    async fn failed(&mut self) {
        match self.tasks.join_next().await {
            Some(Ok(name)) => {
                self.running.retain(|running| *running != name);
                eprintln!("error: {name} ended; stopping the cluster");
            }
            Some(Err(panic)) => eprintln!("error: a part panicked: {panic}; stopping the cluster"),
            None => std::future::pending().await,
        }
    }

    /// Waits for all parts to end, but not for ever.
    async fn ended(mut self) {
        let all = async {
            while let Some(ended) = self.tasks.join_next().await {
                self.running
                    .retain(|running| ended.as_ref().ok() != Some(running));
            }
        };
        if tokio::time::timeout(GRACE, all).await.is_err() {
            let late = self.running.join(", ");
            tracing::warn!("did not end within {GRACE:?}: {late}");
        }
    }
}

/// Makes a directory that only its owner can enter: it holds keys.
fn make_private(directory: &Path) -> Result<(), Error> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|e| Error::Directory(directory.to_owned(), e))
}

fn write_kubeconfig(path: PathBuf, text: &str) -> Result<(), Error> {
    let new = path.with_extension("new");
    // Made with its mode, so that it is never readable by others.
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .and_then(|()| fs::rename(&new, &path))
        .map_err(|e| Error::Kubeconfig(path, e))
}

/// The addresses that the server is reached under: its own, this machine's, and that of its Service.
fn serving_addresses(flags: &ServerFlags, service: Ipv4Addr) -> Vec<IpAddr> {
    let mut addresses = vec![service.into(), Ipv4Addr::LOCALHOST.into()];
    if flags.bind_address.is_unspecified() {
        let any = SocketAddr::new(flags.bind_address, 0);
        addresses.push(reachable(any).ip());
        let own = flags.node.node_ip;
        addresses.push(own.unwrap_or_else(worker::outgoing_address));
    } else {
        addresses.push(flags.bind_address);
    }
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

/// The server as the node in this process knows it.
fn api_server(listening: SocketAddr, service: Ipv4Addr) -> node::ApiServer {
    let own = reachable(listening);
    let address = match listening.ip() {
        IpAddr::V4(address) => Some(address),
        // Such a listener takes IPv4 as well.
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Some(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => None,
    };
    node::ApiServer {
        host: own.ip().to_string(),
        port: own.port(),
        address,
        service,
    }
}

/// Where a client on this machine reaches a listener, also one that listens everywhere.
fn reachable(address: SocketAddr) -> SocketAddr {
    if !address.ip().is_unspecified() {
        return address;
    }
    let loopback: IpAddr = match address {
        SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(loopback, address.port())
}
