//! What a pod is made from.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::Resources;

/// A pod as the runtime sees it: identity, namespaces, names and limits, but no containers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PodSandbox {
    /// `metadata.uid`; for a static pod the hash that stands for it. Names everything on disk.
    pub uid: String,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.namespace`.
    pub namespace: String,
    /// The pod's own name in /etc/hosts.
    pub hostname: String,
    /// What the kernel says, which is `hostname` or begins with it; at most 64 characters. The node's
    /// own with `host_network`.
    pub kernel_hostname: String,
    /// The domain after the hostname in /etc/hosts (`spec.subdomain` resolved), if there is one.
    pub domain: Option<String>,
    /// `spec.hostNetwork`: the node's network (and hostname) instead of one of its own.
    pub host_network: bool,
    /// `spec.hostPID`.
    pub host_pid: bool,
    /// `spec.hostIPC`.
    pub host_ipc: bool,
    /// `spec.shareProcessNamespace`: one process namespace for all containers.
    pub share_process_namespace: bool,
    /// `spec.securityContext.sysctls`, e.g. `net.ipv4.ip_unprivileged_port_start` → `0`.
    pub sysctls: BTreeMap<String, String>,
    /// What becomes /etc/resolv.conf.
    pub dns: Dns,
    /// `spec.hostAliases`: further lines of /etc/hosts.
    pub host_aliases: Vec<HostAlias>,
    /// Limits of the pod as a whole, around those of the containers.
    pub resources: Resources,
}

/// What becomes a pod's /etc/resolv.conf. All empty: the node's own file is used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Dns {
    /// `nameserver` lines.
    pub servers: Vec<IpAddr>,
    /// The `search` line.
    pub searches: Vec<String>,
    /// The `options` line, e.g. `ndots:5`.
    pub options: Vec<String>,
}

/// One line of `spec.hostAliases`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostAlias {
    /// The address.
    pub ip: IpAddr,
    /// Its names.
    pub hostnames: Vec<String>,
}
