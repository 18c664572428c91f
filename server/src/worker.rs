//! `ctld worker`: the pods of this machine, for a cluster on another one.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Instant;

use tokio::sync::watch;

use crate::args::{Directories, NodeFlags, WorkerFlags};
use crate::{logging, signals};

/// Why a worker can't start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(
        "a worker needs root: it makes namespaces, mounts and cgroups (without one: --no-worker)"
    )]
    Root,
    #[error(transparent)]
    Logging(#[from] logging::Error),
    #[error("can't read the certificate authority {0}: {1}")]
    Authority(PathBuf, io::Error),
    #[error("can't tell this machine's name: {0}; give it with --hostname-override")]
    Hostname(nix::Error),
    #[error(transparent)]
    Client(#[from] client::Error),
    #[error("can't make {0} absolute: {1}")]
    Path(PathBuf, io::Error),
    #[error("can't start the runtime: {0}")]
    Runtime(io::Error),
    #[error("can't wait for signals: {0}")]
    Signals(io::Error),
}

/// Runs a worker until it is asked to stop. Its containers go on running.
pub(crate) fn run(flags: WorkerFlags) -> Result<(), Error> {
    let begin = Instant::now();
    logging::start(&flags.logging)?;
    let path = &flags.certificate_authority;
    let ca = fs::read_to_string(path).map_err(|e| Error::Authority(path.clone(), e))?;
    let config = node_config(
        &flags.directories,
        &flags.node,
        &ca,
        socket_address(&flags.server),
    )?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Error::Runtime)?;
    runtime.block_on(async {
        let client = client::remote(&flags.server, Some(ca.as_bytes()), &flags.token)?;
        let (stop, shutdown) = watch::channel(false);
        let name = config.name.clone();
        let mut node = tokio::spawn(run_node(config, client, shutdown));
        eprintln!(
            "ctld {} is ready after {} ms, node {name} of {}",
            env!("CARGO_PKG_VERSION"),
            begin.elapsed().as_millis(),
            flags.server
        );
        tokio::select! {
            outcome = signals::stop_requested() => outcome.map_err(Error::Signals)?,
            _ = &mut node => return Ok(()),
        }
        // A worker that has ended needs no telling.
        let _ = stop.send(true);
        if let Err(panic) = node.await {
            eprintln!("error: the worker panicked: {panic}");
        }
        Ok(())
    })
}

/// Runs the node's part and says why it ended, if it did not end well.
pub(crate) async fn run_node(
    config: node::Config,
    client: kube::Client,
    shutdown: client::Shutdown,
) {
    if let Err(error) = node::run(config, client, shutdown).await {
        tracing::error!(%error, "the worker failed");
        eprintln!("error: worker: {error}");
    }
}

/// What the flags say about this machine's node.
pub(crate) fn node_config(
    directories: &Directories,
    flags: &NodeFlags,
    client_ca_pem: &str,
    api_server: Option<SocketAddr>,
) -> Result<node::Config, Error> {
    if !nix::unistd::geteuid().is_root() {
        return Err(Error::Root);
    }
    let name = match &flags.hostname_override {
        Some(name) => name.clone(),
        None => hostname()?,
    };
    let run_dir = absolute(&directories.run_dir)?;
    Ok(node::Config {
        name,
        address: flags.node_ip.unwrap_or_else(outgoing_address),
        pod_cidr: flags.pod_cidr.clone().unwrap_or_else(|| pod_cidr(&run_dir)),
        data_dir: absolute(&directories.data_dir)?,
        run_dir,
        static_pods: flags.pod_manifest_path.clone(),
        client_ca_pem: client_ca_pem.to_owned(),
        max_pods: flags.max_pods,
        eviction_hard: flags.eviction_hard.clone(),
        api_server,
    })
}

fn absolute(path: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(path).map_err(|e| Error::Path(path.to_owned(), e))
}

/// The host's name in the form that names of objects have.
fn hostname() -> Result<String, Error> {
    let name = nix::unistd::gethostname().map_err(Error::Hostname)?;
    Ok(name.to_string_lossy().trim().to_lowercase())
}

/// The address that traffic to elsewhere leaves from. Nothing is sent: a UDP connect only looks up
/// the route to an address reserved for documentation (RFC 5737).
fn outgoing_address() -> IpAddr {
    let route = || {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9))?;
        socket.local_addr()
    };
    route().map_or(Ipv4Addr::LOCALHOST.into(), |address: SocketAddr| {
        address.ip()
    })
}

/// Where containers find the server that a URL names.
fn socket_address(url: &str) -> Option<SocketAddr> {
    let authority = url.strip_prefix("https://")?.split('/').next()?;
    let with_port = match authority.rsplit_once(':') {
        Some((_, port)) if port.parse::<u16>().is_ok() => authority.to_owned(),
        _ => format!("{authority}:443"),
    };
    with_port.to_socket_addrs().ok()?.next()
}

/// A /24 of 10.128.0.0/10 that depends on the run directory, so that clusters of one machine differ.
fn pod_cidr(run_dir: &Path) -> String {
    // FNV-1a: the same in every version, unlike the standard library's hashes.
    let mut hash: u32 = 0x811c_9dc5;
    for byte in run_dir.as_os_str().as_encoded_bytes() {
        hash = (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    }
    let [_, _, second, third] = (hash ^ (hash >> 16)).to_be_bytes();
    format!("10.{}.{third}.0/24", 128 + second % 64)
}
