//! `ctld worker`: the pods of this machine, for a cluster on another one.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Instant;

use tokio::sync::watch;

use crate::args::{Directories, NodeFlags, WorkerFlags};
use crate::{claim, logging, signals};

/// Why a worker can't start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(
        "a worker needs root: it makes namespaces, mounts and cgroups (without one: --no-worker)"
    )]
    Root,
    #[error(transparent)]
    Logging(#[from] logging::Error),
    #[error(transparent)]
    Claim(#[from] claim::Error),
    #[error("can't read the certificate authority {0}: {1}")]
    Authority(PathBuf, io::Error),
    #[error("can't tell this machine's name: {0}; give it with --hostname-override")]
    Hostname(nix::Error),
    #[error(transparent)]
    Client(#[from] client::Error),
    #[error("can't make {0} absolute: {1}")]
    Path(PathBuf, io::Error),
    #[error(
        "invalid --service-cluster-ip-range {0:?}: an IPv4 range such as 10.96.0.0/12 is expected"
    )]
    ServiceRange(String),
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
        api_server(&flags.server, &flags.service_cluster_ip_range)?,
    )?;
    let directories = &flags.directories;
    let _run_dir = claim::run_dir(&directories.run_dir, &directories.data_dir)?;
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
    api_server: Option<node::ApiServer>,
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
pub(crate) fn outgoing_address() -> IpAddr {
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
fn api_server(url: &str, service_range: &str) -> Result<Option<node::ApiServer>, Error> {
    let service = service_address(service_range)?;
    let authority = url.strip_prefix("https://").unwrap_or_default();
    let authority = authority.split('/').next().unwrap_or_default();
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()),
        _ => (authority, Some(443)),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let Some(port) = port.filter(|_| !host.is_empty()) else {
        return Ok(None);
    };
    let found = (host, port).to_socket_addrs();
    let address = found.into_iter().flatten().find_map(|found| match found {
        SocketAddr::V4(found) => Some(*found.ip()),
        SocketAddr::V6(_) => None,
    });
    if address.is_none() {
        tracing::warn!(host, "no IPv4 address: pods can't reach the API server");
    }
    Ok(Some(node::ApiServer {
        host: host.to_owned(),
        port,
        address,
        service,
    }))
}

/// The address of the Service `kubernetes`: the first of the range that Services get theirs from.
pub(crate) fn service_address(range: &str) -> Result<Ipv4Addr, Error> {
    let mut ranges = range.split(',');
    let first = ranges.find_map(|range| range.trim().parse::<node::network::Cidr>().ok());
    match first {
        Some(range) => Ok(range.gateway()),
        None => Err(Error::ServiceRange(range.to_owned())),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_url_tells_host_port_and_address() {
        let told = |url| {
            let server = api_server(url, "10.96.0.0/12").expect("a range")?;
            Some((server.host, server.port, server.address))
        };
        let loopback = Some(Ipv4Addr::LOCALHOST);
        let named = |host: &str, port, address| Some((host.to_owned(), port, address));
        assert_eq!(
            told("https://127.0.0.1:6443/x"),
            named("127.0.0.1", 6443, loopback)
        );
        assert_eq!(told("https://127.0.0.1"), named("127.0.0.1", 443, loopback));
        assert_eq!(told("https://[::1]:7"), named("::1", 7, None));
        assert_eq!(told("https://[::1]"), named("::1", 443, None));
        assert_eq!(told("nonsense"), None);
    }

    #[test]
    fn the_first_address_of_the_range_is_the_api_servers() {
        for range in ["10.96.0.0/12", "fd00::/108,10.96.0.0/16"] {
            let address = service_address(range).expect("a range");
            assert_eq!(address, Ipv4Addr::new(10, 96, 0, 1));
        }
        assert!(service_address("10.96.0.0").is_err());
    }
}
