//! The two sides of a comparison: a server with its URL, its processes, and clients.

use std::path::{Path, PathBuf};

use tests::cluster::Cluster;
use tests::http::Api;

use crate::peer::Peer;
use crate::process::{self, Recorder};

/// One server to be measured.
pub(crate) struct Side {
    /// A client with one connection.
    pub(crate) api: Api,
    url: String,
    kubeconfig: PathBuf,
    pids: Vec<u32>,
    /// Where profiles go, if they are wanted.
    profiles: Option<PathBuf>,
}

impl Side {
    fn new(url: &str, kubeconfig: &Path, pids: Vec<u32>) -> Self {
        Self {
            api: Api::admin(url, kubeconfig),
            url: url.to_owned(),
            kubeconfig: kubeconfig.to_owned(),
            pids,
            profiles: None,
        }
    }

    /// Starts a profile of the server, if they are wanted.
    pub(crate) fn record(&self, what: &str) -> Option<Recorder> {
        let directory = self.profiles.as_ref()?;
        let file = directory.join(format!("{what}.data"));
        self.pids.first().map(|&pid| Recorder::start(pid, &file))
    }

    /// A client with a connection of its own: servers limit the requests of one, running watches too.
    pub(crate) fn connect(&self) -> Api {
        Api::admin(&self.url, &self.kubeconfig)
    }

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
    /// Where profiles of our server go, if they are wanted.
    pub(crate) profiles: Option<PathBuf>,
}

impl Sides {
    /// Measures our API server, then the peer's, each fresh. Ours brings its controllers along; the
    /// peer's are other programs, which do not run.
    pub(crate) fn each<T>(&self, mut measure: impl FnMut(&Side) -> T) -> (T, Option<T>) {
        let mut cluster = Cluster::start(&["--no-worker", "--no-scheduler"]);
        let pids = vec![cluster.pid()];
        let ours = measure(&Side {
            profiles: self.profiles.clone(),
            ..Side::new(&cluster.url, &cluster.kubeconfig(), pids)
        });
        // Only its certificates are needed from here on.
        cluster.terminate();
        let peer = self.peer.as_ref().map(|binaries| {
            let peer = Peer::start(binaries, &cluster);
            measure(&Side::new(&peer.url, &cluster.kubeconfig(), peer.pids()))
        });
        (ours, peer)
    }
}
