//! GET of one object by 64 readers, and LIST of 10,000 ConfigMaps.

use crate::load::{self, Load};
use crate::report::Report;
use crate::side::{Side, Sides};

const OBJECTS: usize = 10_000;

struct Reads {
    get: Load,
    list: Load,
    resident: f64,
}

pub(crate) fn measure(sides: &mut Sides, report: &mut Report) {
    let (ours, peer) = sides.each(|side| load::run(reads(side)));
    let of = |get: fn(&Reads) -> f64| peer.as_ref().map(get);
    report.add(
        "GET, 64 readers: rate",
        "/s",
        ours.get.rate,
        of(|r| r.get.rate),
        "–",
    );
    report.add(
        "GET, 64 readers: CPU each",
        "µs",
        ours.get.cpu,
        of(|r| r.get.cpu),
        "peer ÷ 25",
    );
    report.add(
        "LIST 10,000 ConfigMaps: time",
        "ms",
        ours.list.p50,
        of(|r| r.list.p50),
        "–",
    );
    let list = (ours.list.cpu / 1e3, of(|r| r.list.cpu / 1e3));
    report.add(
        "LIST 10,000 ConfigMaps: CPU",
        "ms",
        list.0,
        list.1,
        "peer ÷ 5",
    );
    report.add(
        "resident after it",
        "MB",
        ours.resident,
        of(|r| r.resident),
        "–",
    );
}

async fn reads(side: &Side) -> Reads {
    load::create(side, OBJECTS, 64).await;
    let api = side.api.clone();
    let get = load::drive(side, 20_000, 64, move |number| {
        let api = api.clone();
        async move {
            let name = number % OBJECTS;
            let path = format!("/api/v1/namespaces/default/configmaps/load-{name:06}");
            api.fetch(&path).await;
        }
    });
    let get = get.await;
    let api = side.api.clone();
    let list = load::drive(side, 20, 1, move |_| {
        let api = api.clone();
        async move {
            let bytes = api.fetch("/api/v1/namespaces/default/configmaps").await;
            assert!(bytes > OBJECTS * 1024, "the list is whole");
        }
    });
    Reads {
        get,
        list: list.await,
        resident: side.resident() as f64 / 1e6,
    }
}
