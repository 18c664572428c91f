//! The command line of `ctld`. Flags carry kube-apiserver's names where it has them.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args as Flags, Parser, Subcommand, ValueEnum};

/// A Kubernetes cluster in one program: API server, scheduler, controllers and workers.
#[derive(Debug, Parser)]
#[command(name = "ctld", version, max_term_width = 100)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs a cluster: API server, store, controllers, scheduler and, on this machine, a worker
    Server(Box<ServerFlags>),
    /// Runs a worker that joins a cluster on another machine
    Worker(Box<WorkerFlags>),
    /// Imports, lists and removes the images that this machine's worker runs
    #[command(subcommand)]
    Images(ImagesCommand),
    /// Ends a cluster on this machine, its containers, networks and mounts. Data is kept.
    Stop(StopFlags),
}

/// The directories, which every command agrees on.
#[derive(Clone, Debug, Flags)]
pub(crate) struct Directories {
    /// All that must survive a reboot: the store, certificates, images
    #[arg(long, value_name = "DIR", default_value = "/var/lib/ctld")]
    pub(crate) data_dir: PathBuf,
    /// All that need not: sockets, namespaces, mounts, the state of running containers
    #[arg(long, value_name = "DIR", default_value = "/run/ctld")]
    pub(crate) run_dir: PathBuf,
}

/// How to log, to standard error.
#[derive(Clone, Debug, Flags)]
pub(crate) struct Logging {
    /// The least level that is logged, or a filter such as `info,apiserver=debug`
    #[arg(long, value_name = "FILTER", default_value = "warn", env = "CTLD_LOG")]
    pub(crate) log_level: String,
    /// `text` for people, `json` for programs
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) logging_format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

/// kubeadm's default.
const SERVICES: &str = "10.96.0.0/12";

#[derive(Clone, Debug, Flags)]
#[command(args_override_self = true)]
pub(crate) struct ServerFlags {
    #[command(flatten)]
    pub(crate) directories: Directories,
    #[command(flatten)]
    pub(crate) logging: Logging,
    /// Reads flags from a YAML file, a key each; flags on the command line win
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The address to serve on
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    pub(crate) bind_address: IpAddr,
    /// The port to serve HTTPS on; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 6443)]
    pub(crate) secure_port: u16,
    /// Runs no worker on this machine
    #[arg(long)]
    pub(crate) no_worker: bool,
    /// Runs no scheduler: pods wait for one of another program
    #[arg(long)]
    pub(crate) no_scheduler: bool,
    /// Bearer tokens: a CSV file with a line `token,user,uid,"group1,group2"` each
    #[arg(long, value_name = "FILE")]
    pub(crate) token_auth_file: Option<PathBuf>,
    /// How requests are authorized: RBAC; nodes may besides do what the pods on them need
    #[arg(long, value_name = "MODE", default_value = "Node,RBAC", value_parser = ["Node,RBAC", "RBAC"])]
    pub(crate) authorization_mode: String,
    /// The range that Services get their addresses from
    #[arg(long, value_name = "CIDR", default_value = SERVICES)]
    pub(crate) service_cluster_ip_range: String,
    /// How long Events are kept
    #[arg(long, value_name = "DURATION", default_value = "1h")]
    pub(crate) event_ttl: String,
    /// How often the store forgets what was superseded an interval before; 0 for never
    #[arg(long, value_name = "DURATION", default_value = "5m")]
    pub(crate) etcd_compaction_interval: String,
    /// How long a node may be silent before it counts as gone
    #[arg(long, value_name = "DURATION", default_value = "40s")]
    pub(crate) node_monitor_grace_period: String,
    #[command(flatten)]
    pub(crate) node: NodeFlags,
}

/// The kubelet's defaults, but for those of images on a file system of their own.
const EVICTION_HARD: &str = "memory.available<100Mi,nodefs.available<10%,nodefs.inodesFree<5%";

/// The worker on this machine.
#[derive(Clone, Debug, Flags)]
pub(crate) struct NodeFlags {
    /// The name of this machine's Node [default: the host's name]
    #[arg(long, value_name = "NAME")]
    pub(crate) hostname_override: Option<String>,
    /// The address of this machine's Node [default: the one that outgoing traffic has]
    #[arg(long, value_name = "IP")]
    pub(crate) node_ip: Option<IpAddr>,
    /// The range that pods on this machine get their addresses from [default: by the run directory]
    #[arg(long, value_name = "CIDR")]
    pub(crate) pod_cidr: Option<String>,
    /// A directory of pods to run without being asked by the API server
    #[arg(long, value_name = "DIR")]
    pub(crate) pod_manifest_path: Option<PathBuf>,
    /// How many pods this machine runs at most
    #[arg(long, value_name = "N", default_value_t = 110)]
    pub(crate) max_pods: u32,
    /// When this machine counts as short of something and takes no more pods, as the kubelet has it
    #[arg(long, value_name = "SIGNAL<QUANTITY,...", default_value = EVICTION_HARD)]
    pub(crate) eviction_hard: node::Thresholds,
}

#[derive(Clone, Debug, Flags)]
#[command(args_override_self = true)]
pub(crate) struct WorkerFlags {
    #[command(flatten)]
    pub(crate) directories: Directories,
    #[command(flatten)]
    pub(crate) logging: Logging,
    /// Reads flags from a YAML file, a key each; flags on the command line win
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The cluster to join, such as https://10.0.0.1:6443
    #[arg(long, value_name = "URL")]
    pub(crate) server: String,
    /// The token of this node: its user must be system:node:NAME, in the group system:nodes
    #[arg(long, value_name = "TOKEN", env = "CTLD_TOKEN", hide_env_values = true)]
    pub(crate) token: String,
    /// The certificate authority of the cluster (PEM), the server's DATA-DIR/pki/ca.crt
    #[arg(long, value_name = "FILE")]
    pub(crate) certificate_authority: PathBuf,
    /// The range that Services get their addresses from, as the server has it
    #[arg(long, value_name = "CIDR", default_value = SERVICES)]
    pub(crate) service_cluster_ip_range: String,
    #[command(flatten)]
    pub(crate) node: NodeFlags,
}

#[derive(Clone, Debug, Flags)]
pub(crate) struct StopFlags {
    #[command(flatten)]
    pub(crate) directories: Directories,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum ImagesCommand {
    /// Imports an OCI image layout (a directory or a tar file) or a docker archive
    Import {
        /// The layout or archive
        path: PathBuf,
        /// The name to give it, instead of the one inside
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        #[command(flatten)]
        directories: Directories,
    },
    /// Lists the images that are here
    #[command(visible_alias = "ls")]
    List {
        #[command(flatten)]
        directories: Directories,
    },
    /// Removes images by name or id, and what no other image needs
    #[command(name = "rm", visible_alias = "remove")]
    Remove {
        /// Names or ids
        #[arg(required = true)]
        names: Vec<String>,
        #[command(flatten)]
        directories: Directories,
    },
}
