//! What a cluster costs when nothing happens: memory, CPU and disk over 20 seconds.

use std::thread;
use std::time::Duration;

use tests::cluster::Cluster;

use crate::process;
use crate::report::Report;
use crate::side::Sides;

const SETTLE: Duration = Duration::from_secs(10);
const WINDOW: Duration = Duration::from_secs(20);

pub(crate) fn measure(sides: &mut Sides, report: &mut Report) {
    let cluster = match nix::unistd::geteuid().is_root() {
        true => Cluster::with_worker(),
        false => Cluster::without_worker(),
    };
    let pid = cluster.pid();
    pause(SETTLE);
    let (cpu, disk) = (process::cpu_seconds(pid), process::written(pid));
    pause(WINDOW);
    let busy = (process::cpu_seconds(pid) - cpu) / WINDOW.as_secs_f64() * 100.0;
    let written = (process::written(pid) - disk) as f64 / 1e3 / WINDOW.as_secs_f64();
    let memory = process::resident(pid) as f64 / 1e6;
    drop(cluster);
    let peer = sides.peer.is_some().then(|| {
        sides.each(|side| {
            pause(SETTLE);
            let (cpu, disk) = (side.cpu_seconds(), side.written());
            pause(WINDOW);
            let busy = (side.cpu_seconds() - cpu) / WINDOW.as_secs_f64() * 100.0;
            let written = (side.written() - disk) as f64 / 1e3 / WINDOW.as_secs_f64();
            (side.resident() as f64 / 1e6, busy, written)
        })
    });
    let peer = peer.and_then(|(_, peer)| peer);
    report.add(
        "idle: resident (ours with controllers, scheduler, worker)",
        "MB",
        memory,
        peer.map(|p| p.0),
        "50 MB",
    );
    report.add(
        "idle: CPU of one core",
        "%",
        busy,
        peer.map(|p| p.1),
        "0.5 %",
    );
    report.add("idle: disk writes", "KB/s", written, peer.map(|p| p.2), "0");
}

/// Lets time pass: here it is what is measured.
fn pause(time: Duration) {
    let end = std::time::Instant::now() + time;
    while let Some(left) = end.checked_duration_since(std::time::Instant::now()) {
        thread::park_timeout(left);
    }
}
