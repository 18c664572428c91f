//! From the create of a pod to Running, image present; and 100 pods at once, up and away.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::cluster::Cluster;
use tests::eventually_async;
use tests::http::Api;
use tests::image;

use crate::load;
use crate::report::Report;
use crate::side::Sides;

const PODS: &str = "/api/v1/namespaces/default/pods";
const DEADLINE: Duration = Duration::from_secs(120);

pub(crate) fn measure(_: &mut Sides, report: &mut Report) {
    if !tests::root_or_skip("bench pods") {
        return;
    }
    let cluster = Cluster::with_worker();
    image::import_web(&cluster);
    let api = cluster.api();
    load::run(async {
        ready_node(&api).await;
        let mut single = Vec::new();
        for number in 0..20 {
            let name = format!("one-{number}");
            let begin = Instant::now();
            api.post(PODS, &pod(&name)).await.expect(201);
            running(&api, &name).await;
            single.push(begin.elapsed());
        }
        report.add(
            "pod create → Running, p50",
            "ms",
            load::percentile(&mut single, 50),
            None,
            "50 ms",
        );
        report.add(
            "pod create → Running, p99",
            "ms",
            load::percentile(&mut single, 99),
            None,
            "250 ms",
        );
        api.delete(&format!("{PODS}?gracePeriodSeconds=0"))
            .await
            .expect(200);
        gone(&api).await;
        let begin = Instant::now();
        for number in 0..100 {
            api.post(PODS, &pod(&format!("many-{number}")))
                .await
                .expect(201);
        }
        for number in 0..100 {
            running(&api, &format!("many-{number}")).await;
        }
        report.add(
            "100 pods: all Running",
            "s",
            begin.elapsed().as_secs_f64(),
            None,
            "–",
        );
        let begin = Instant::now();
        api.delete(PODS).await.expect(200);
        gone(&api).await;
        report.add(
            "100 pods: all gone",
            "s",
            begin.elapsed().as_secs_f64(),
            None,
            "–",
        );
    });
}

async fn ready_node(api: &Api) {
    eventually_async("a ready node", DEADLINE, || async {
        let nodes = api.get("/api/v1/nodes").await.body;
        let conditions = nodes["items"][0]["status"]["conditions"]
            .as_array()?
            .clone();
        conditions
            .iter()
            .any(|c| c["type"] == "Ready" && c["status"] == "True")
            .then_some(())
    })
    .await;
}

async fn running(api: &Api, name: &str) {
    eventually_async(name, DEADLINE, || async {
        let pod = api.get(&format!("{PODS}/{name}")).await.body;
        (pod["status"]["phase"] == "Running").then_some(())
    })
    .await;
}

async fn gone(api: &Api) {
    eventually_async("the pods to go", DEADLINE, || async {
        let pods = api.get(PODS).await.body;
        pods["items"]
            .as_array()
            .is_some_and(Vec::is_empty)
            .then_some(())
    })
    .await;
}

fn pod(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {
            "terminationGracePeriodSeconds": 5,
            "tolerations": [{"operator": "Exists"}],
            "containers": [{"name": "web", "image": image::WEB, "imagePullPolicy": "Never"}],
        },
    })
}
