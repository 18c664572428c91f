//! The two sides of a comparison: a server with its URL, its processes, and a client.

use std::path::PathBuf;

use tests::cluster::Cluster;
use tests::http::Api;

use crate::peer::Peer;
use crate::process;

/// One server to be measured.
pub(crate) struct Side {
    pub(crate) api: Api,
    pids: Vec<u32>,
}

impl Side {
    pub(crate) fn cpu_seconds(&self) -> f64 {
        self.pids.iter().map(|&pid| process::cpu_seconds(pid)).sum()
    }

    pub(crate) fn resident(&self) -> u64 {
        self.pids.iter().map(|&pid| process::resident(pid)).sum()
    }

    pub(crate) fn written(&self) -> u64 {
        self.pids.iter().map(|&pid| process::written(pid)).sum()
    }
}

/// Starts servers on demand. Only one runs at a time, so that none disturbs another.
pub(crate) struct Sides {
    /// Where the peer's binaries are.
    pub(crate) peer: Option<PathBuf>,
}

impl Sides {
    pub(crate) fn new(peer: Option<PathBuf>) -> Self {
        Self { peer }
    }

    /// Measures our API server, then the peer's, each fresh.
    pub(crate) fn each<T>(&self, mut measure: impl FnMut(&Side) -> T) -> (T, Option<T>) {
        let cluster = Cluster::without_worker();
        let ours = measure(&Side {
            api: cluster.api(),
            pids: vec![cluster.pid()],
        });
        let peer = self.peer.as_ref().map(|binaries| {
            let peer = Peer::start(binaries, &cluster);
            measure(&Side {
                api: peer.api(&cluster),
                pids: peer.pids(),
            })
        });
        (ours, peer)
    }
}
