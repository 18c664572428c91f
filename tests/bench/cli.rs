//! What a call of `ctl` takes, beside kubectl: time of the whole process, and its memory.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tests::cluster::Cluster;
use tests::programs;

use crate::load;
use crate::report::Report;
use crate::side::Sides;

const RUNS: usize = 20;

pub(crate) fn measure(sides: &mut Sides, report: &mut Report) {
    let cluster = Cluster::without_worker();
    let config = cluster.kubeconfig();
    let kubectl = sides.peer.as_ref().map(|binaries| binaries.join("kubectl"));
    let kubectl = kubectl.filter(|path| path.exists());
    let calls: &[(&str, &[&str], &str)] = &[
        ("version --client", &["version", "--client"], "5 ms"),
        (
            "get namespaces (4)",
            &["get", "namespaces"],
            "10 ms + a round trip",
        ),
        (
            "get clusterroles -o yaml",
            &["get", "clusterroles", "-o", "yaml"],
            "–",
        ),
    ];
    for (name, arguments, budget) in calls {
        let ours = median(
            &programs::path("ctl"),
            &config,
            cluster.scratch(),
            arguments,
        );
        let peer = kubectl
            .as_ref()
            .map(|path| median(path, &config, cluster.scratch(), arguments));
        report.add(format!("CLI: {name}"), "ms", ours, peer, budget);
    }
}

/// The median time of a call in milliseconds, after one that fills the discovery cache.
fn median(program: &Path, config: &Path, home: &Path, arguments: &[&str]) -> f64 {
    let call = || {
        let begin = Instant::now();
        let status = Command::new(program)
            .args(arguments)
            .env("KUBECONFIG", config)
            .env("HOME", home)
            .stdout(Stdio::null())
            .status()
            .expect("the program can be run");
        assert!(
            status.success(),
            "{} {arguments:?}: {status}",
            program.display()
        );
        begin.elapsed()
    };
    call();
    let mut times: Vec<Duration> = (0..RUNS).map(|_| call()).collect();
    load::percentile(&mut times, 50)
}
