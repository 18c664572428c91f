//! The pods' network: a bridge per cluster, a veth pair and an address per pod, everything through netlink.
//!
//! ```text
//!  pod                      node
//!  eth0 10.244.0.7/24 ───── veth… ─┐
//!  eth0 10.244.0.8/24 ───── veth… ─┴─ ctl-<hash> 10.244.0.1/24 ── forwarding ── eth0 ── (masqueraded)
//! ```
//!
//! Names carry a hash of the cluster's run directory, so several clusters on one machine keep apart and each can
//! be removed as a whole. Pods reach each other over the bridge, the node reaches them because the bridge has an
//! address of their network, and what leaves for elsewhere is masqueraded by a table of this cluster's own. The same
//! table leads the first address of the Services' range to the API server.
//! Addresses are files below `<run_dir>/network/addresses`, so a restarted agent gives none away twice.

mod address;
mod message;
mod nat;
mod nft;
mod route;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use address::{Addresses, Cidr};
pub use nat::ApiService;
pub(crate) use route::Route;

/// What can go wrong with the network.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel refused a request.
    #[error("{what}: {source}")]
    Netlink {
        /// What was asked for.
        what: String,
        /// Why it was refused.
        source: std::io::Error,
    },
    /// Not a range of IPv4 addresses, or one too small for pods.
    #[error("invalid pod address range {0:?}")]
    Cidr(String),
    /// Every address of the range is in use.
    #[error("no free address in {0}")]
    Exhausted(String),
}

impl Error {
    /// For `map_err`: names what was asked for.
    fn netlink(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Netlink { what, source }
    }
}

/// A cluster's network on this node.
#[derive(Debug)]
pub struct Network {
    name: String,
    cidr: Cidr,
    addresses: Addresses,
}

/// What the shim needs to connect a pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attachment {
    /// The bridge's index.
    pub(crate) bridge: u32,
    /// The node's end of the pair; the pod's is `eth0`.
    pub(crate) link: String,
    pub(crate) address: Ipv4Addr,
    pub(crate) prefix: u8,
    pub(crate) gateway: Ipv4Addr,
}

impl Network {
    /// Makes the bridge, forwarding, masquerading and the way to the API server, or takes over what is there from before.
    pub fn open(run_dir: &Path, cidr: &str, api: Option<&ApiService>) -> Result<Self, Error> {
        let name = bridge_name(run_dir);
        let cidr: Cidr = cidr.parse()?;
        let mut route = Route::open()?;
        if route::index(&name).is_none() {
            route.make_bridge(&name, hardware_address(&name))?;
        }
        let index = route::require(&name)?;
        route.add_address(index, cidr.gateway(), cidr.prefix())?;
        route.set_up(index)?;
        let forward = "/proc/sys/net/ipv4/ip_forward";
        std::fs::write(forward, "1").map_err(Error::netlink(format!("write {forward}")))?;
        nat::install(&name, &cidr, api)?;
        let addresses = Addresses::open(run_dir.join("network/addresses"), cidr)?;
        Ok(Self {
            name,
            cidr,
            addresses,
        })
    }

    /// Gives a pod its address (the one it has, if it has one) and says how to connect it.
    pub(crate) fn allocate(&self, uid: &str) -> Result<Attachment, Error> {
        let address = self.addresses.allocate(uid)?;
        let link = format!("veth{}", hash(&format!("{}/{uid}", self.name), 10));
        // A link of that name can only be left from a shim that died half-way.
        Route::open()?.delete(&link)?;
        Ok(Attachment {
            bridge: route::require(&self.name)?,
            link,
            address,
            prefix: self.cidr.prefix(),
            gateway: self.cidr.gateway(),
        })
    }

    /// Takes a pod's link away and its address back; neither needs to be there.
    pub(crate) fn release(&self, uid: &str, attachment: &Attachment) -> Result<(), Error> {
        Route::open()?.delete(&attachment.link)?;
        self.addresses.release(uid, attachment.address)
    }
}

impl Attachment {
    /// Connects the pod whose network namespace this process is in; `host` was opened before it entered.
    pub(crate) fn attach(&self, host: &mut Route) -> Result<(), Error> {
        host.make_pair(&self.link, self.bridge, "eth0", std::process::id())?;
        let mut pod = Route::open()?;
        let index = route::require("eth0")?;
        pod.add_address(index, self.address, self.prefix)?;
        pod.set_up(index)?;
        pod.add_default_route(index, self.gateway)
    }
}

/// Brings up the loopback interface of the namespace this process is in.
pub(crate) fn loopback_up() -> Result<(), Error> {
    let index = route::require("lo")?;
    Route::open()?.set_up(index)
}

/// Removes a cluster's bridge, links, table and addresses. Idempotent; needs no range, so it works without a configuration.
pub fn teardown(run_dir: &Path) -> Result<(), Error> {
    let name = bridge_name(run_dir);
    if route::index(&name).is_some() {
        let mut route = Route::open()?;
        let ports = PathBuf::from(format!("/sys/class/net/{name}/brif"));
        for port in std::fs::read_dir(&ports).into_iter().flatten().flatten() {
            route.delete(&port.file_name().to_string_lossy())?;
        }
        route.delete(&name)?;
    }
    nat::remove(&name)?;
    match std::fs::remove_dir_all(run_dir.join("network")) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::netlink("remove the address files")(error))
        }
        _ => Ok(()),
    }
}

/// The name of a cluster's bridge and table: `ctl-` and 8 digits, within the 15 characters of an interface name.
pub fn bridge_name(run_dir: &Path) -> String {
    let path = std::path::absolute(run_dir).unwrap_or_else(|_| run_dir.to_owned());
    format!("ctl-{}", hash(&path.to_string_lossy(), 8))
}

/// The first digits of a hash.
pub(crate) fn hash(text: &str, digits: usize) -> String {
    let mut hex: String = Sha256::digest(text)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    hex.truncate(digits);
    hex
}

/// A fixed, locally administered address: otherwise a bridge's changes with its ports, and neighbours lose it.
fn hardware_address(name: &str) -> [u8; 6] {
    let hash = Sha256::digest(name);
    [0x02, hash[0], hash[1], hash[2], hash[3], hash[4]]
}
