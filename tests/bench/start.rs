//! From exec to `/readyz`, with an empty data directory and with a used one.

use std::time::Instant;

use tests::cluster::Cluster;

use crate::peer::Peer;
use crate::report::Report;
use crate::side::Sides;

pub(crate) fn measure(sides: &mut Sides, report: &mut Report) {
    let begin = Instant::now();
    let mut cluster = Cluster::without_worker();
    let cold = begin.elapsed();
    cluster.terminate();
    let begin = Instant::now();
    cluster.boot();
    let warm = begin.elapsed();
    let peer = sides.peer.as_ref().map(|binaries| {
        let first = Peer::start(binaries, &cluster);
        let (cold, second) = (first.start, first.restart(binaries, &cluster));
        (cold.as_secs_f64() * 1e3, second.start.as_secs_f64() * 1e3)
    });
    report.add(
        "exec → ready, empty data",
        "ms",
        cold.as_secs_f64() * 1e3,
        peer.map(|(cold, _)| cold),
        "600 ms",
    );
    report.add(
        "exec → ready, warm",
        "ms",
        warm.as_secs_f64() * 1e3,
        peer.map(|(_, warm)| warm),
        "300 ms",
    );
    for program in ["ctld", "ctl"] {
        let path = tests::programs::path(program);
        let bytes = std::fs::metadata(path).expect("the program is there").len();
        let budget = if program == "ctl" { "12 MB" } else { "40 MB" };
        report.add(
            format!("binary, {program}"),
            "MB",
            bytes as f64 / 1e6,
            None,
            budget,
        );
    }
}
