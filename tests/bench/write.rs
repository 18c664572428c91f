//! Durable creates of 1 KiB ConfigMaps, with one writer and with 64.

use crate::load;
use crate::report::Report;
use crate::side::Sides;

pub(crate) fn measure(sides: &mut Sides, report: &mut Report) {
    for (workers, count) in [(1, 2_000), (64, 40_000)] {
        let what = format!("create-{workers}");
        let (ours, peer) = sides.each(|side| {
            let creating = load::creating(side);
            load::run(load::measure(side, &what, count, workers, creating))
        });
        let name = |what: &str| format!("create ConfigMap 1 KiB, {workers} writers: {what}");
        let of = |get: fn(&load::Load) -> f64| peer.as_ref().map(get);
        report.add(
            name("rate"),
            "/s",
            ours.rate,
            of(|l| l.rate),
            if workers == 64 { "8 times more" } else { "–" },
        );
        report.add(
            name("CPU each"),
            "µs",
            ours.cpu,
            of(|l| l.cpu),
            if workers == 64 {
                "10 times less"
            } else {
                "–"
            },
        );
        report.add(name("p50"), "ms", ours.p50, of(|l| l.p50), "–");
        report.add(name("p99"), "ms", ours.p99, of(|l| l.p99), "–");
    }
}
