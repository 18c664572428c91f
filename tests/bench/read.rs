//! GET of one object by 64 readers, and LIST of 10,000 ConfigMaps and of 10,000 pods.

use serde_json::{Value, json};

use crate::load::{self, Load};
use crate::report::Report;
use crate::side::{Side, Sides};

const OBJECTS: usize = 10_000;
const LISTS: usize = 20;
const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const PODS: &str = "/api/v1/namespaces/default/pods";

struct Reads {
    get: Load,
    maps: Load,
    pods: Load,
    /// Megabytes, after all that.
    resident: f64,
}

pub(crate) fn measure(sides: &mut Sides, report: &mut Report) {
    let (ours, peer) = sides.each(|side| load::run(reads(side)));
    let of = |get: fn(&Reads) -> f64| peer.as_ref().map(get);
    let rate = of(|r| r.get.rate);
    report.add("GET, 64 readers: rate", "/s", ours.get.rate, rate, "–");
    let cpu = of(|r| r.get.cpu);
    report.add(
        "GET, 64 readers: CPU each",
        "µs",
        ours.get.cpu,
        cpu,
        "25 times less",
    );
    let time = of(|r| r.maps.p50);
    report.add(
        "LIST 10,000 ConfigMaps: time",
        "ms",
        ours.maps.p50,
        time,
        "–",
    );
    let cpu = of(|r| r.maps.cpu / 1e3);
    report.add(
        "LIST 10,000 ConfigMaps: CPU",
        "ms",
        ours.maps.cpu / 1e3,
        cpu,
        "5 times less",
    );
    let time = of(|r| r.pods.p50);
    report.add("LIST 10,000 pods: time", "ms", ours.pods.p50, time, "–");
    let cpu = of(|r| r.pods.cpu / 1e3);
    report.add(
        "LIST 10,000 pods: CPU",
        "ms",
        ours.pods.cpu / 1e3,
        cpu,
        "10 times less",
    );
    let resident = of(|r| r.resident);
    report.add("resident after it", "MB", ours.resident, resident, "–");
}

async fn reads(side: &Side) -> Reads {
    load::drive(side, OBJECTS, 64, load::creating(side)).await;
    let api = side.api.clone();
    let get = load::measure(side, "get", 20_000, 64, move |number| {
        let api = api.clone();
        async move {
            let name = number % OBJECTS;
            api.fetch(&format!("{MAPS}/load-{name:06}")).await;
        }
    });
    let get = get.await;
    let maps = list(side, "list-maps", MAPS).await;
    create_pods(side).await;
    Reads {
        get,
        maps,
        pods: list(side, "list-pods", PODS).await,
        resident: side.resident() as f64 / 1e6,
    }
}

async fn list(side: &Side, what: &str, path: &'static str) -> Load {
    let api = side.api.clone();
    load::measure(side, what, LISTS, 1, move |_| {
        let api = api.clone();
        async move {
            let bytes = api.fetch(path).await;
            assert!(bytes > OBJECTS * 1024, "the list is whole");
        }
    })
    .await
}

/// Pods that nobody schedules.
async fn create_pods(side: &Side) {
    // The peer has no controller that would make it; ours may have.
    let account =
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}});
    let accounts = "/api/v1/namespaces/default/serviceaccounts";
    let made = side.api.post(accounts, &account).await;
    assert!([201, 409].contains(&made.code), "{:#}", made.body);
    let api = side.api.clone();
    load::drive(side, OBJECTS, 64, move |number| {
        let api = api.clone();
        async move {
            api.post(PODS, &pod(number)).await.expect(201);
        }
    })
    .await;
}

fn pod(number: usize) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": format!("load-{number:06}"), "labels": {"app": "load", "tier": "web"}},
        "spec": {
            "containers": [{
                "name": "web", "image": "registry.example/web:1.0",
                "env": [{"name": "MODE", "value": "production"}],
                "ports": [{"containerPort": 8080}],
                "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
            }],
        },
    })
}
