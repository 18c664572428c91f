//! From the create of a pod to Running, image present; and 100 pods at once, up and away.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::cluster::Cluster;
use tests::http::Api;
use tests::watch::Watch;
use tests::{image, pods};

use crate::load;
use crate::report::Report;
use crate::side::Sides;

const PODS: &str = pods::PODS;
const SINGLE: usize = 50;
const MANY: usize = 100;

pub(crate) fn measure(_: &mut Sides, report: &mut Report) {
    if !tests::root_or_skip("bench pods") {
        return;
    }
    let cluster = Cluster::with_worker();
    image::import_web(&cluster);
    let api = cluster.api();
    load::run(async {
        pods::ready_node(&api).await;
        let mut single = single(&api).await;
        let mut percentile = |percent| load::percentile(&mut single, percent);
        let (p50, p99) = (percentile(50), percentile(99));
        report.add("pod create → Running, p50", "ms", p50, None, "50 ms");
        report.add("pod create → Running, p99", "ms", p99, None, "250 ms");
        let (up, away) = many(&api).await;
        report.add("100 pods: all Running", "s", up.as_secs_f64(), None, "–");
        report.add("100 pods: all gone", "s", away.as_secs_f64(), None, "–");
    });
}

/// One pod after the other, each removed before the next.
async fn single(api: &Api) -> Vec<Duration> {
    let mut watch = watch(api).await;
    let mut times = Vec::new();
    for number in 0..SINGLE {
        let name = format!("one-{number}");
        let begin = Instant::now();
        api.post(PODS, &pod(&name)).await.expect(201);
        watch.until(|event| is_running(event, &name)).await;
        times.push(begin.elapsed());
        api.delete(&format!("{PODS}/{name}")).await.expect(200);
        watch.until(|event| is_gone(event, &name)).await;
    }
    times
}

/// All at once: until all run, and until all are gone.
async fn many(api: &Api) -> (Duration, Duration) {
    let mut watch = watch(api).await;
    let names: Vec<String> = (0..MANY).map(|number| format!("many-{number}")).collect();
    let begin = Instant::now();
    for name in &names {
        api.post(PODS, &pod(name)).await.expect(201);
    }
    all(&mut watch, &names, is_running).await;
    let up = begin.elapsed();
    let begin = Instant::now();
    api.delete(PODS).await.expect(200);
    all(&mut watch, &names, is_gone).await;
    (up, begin.elapsed())
}

async fn all(watch: &mut Watch, names: &[String], reached: fn(&Value, &str) -> bool) {
    let mut left: HashSet<&str> = names.iter().map(String::as_str).collect();
    while !left.is_empty() {
        let event = watch.next().await.expect("the watch goes on");
        left.retain(|name| !reached(&event, name));
    }
}

async fn watch(api: &Api) -> Watch {
    let list = api.get(PODS).await.expect(200);
    let from = list["metadata"]["resourceVersion"].as_str();
    let from = from.expect("a list has a version");
    Watch::start(api, PODS, &format!("resourceVersion={from}")).await
}

fn is_running(event: &Value, name: &str) -> bool {
    let pod = &event["object"];
    pod["metadata"]["name"] == name && pod["status"]["phase"] == "Running"
}

fn is_gone(event: &Value, name: &str) -> bool {
    event["type"] == "DELETED" && event["object"]["metadata"]["name"] == name
}

fn pod(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {
            "terminationGracePeriodSeconds": 5,
            "containers": [{"name": "web", "image": image::WEB, "imagePullPolicy": "Never"}],
        },
    })
}
