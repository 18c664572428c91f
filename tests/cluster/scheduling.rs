//! The scheduler: pods that fit nowhere say why, and are placed when they fit.

use serde_json::{Value, json};
use tests::cluster::Cluster;
use tests::http::Api;
use tests::pods::{PODS, reached};
use tests::{PATIENCE, eventually_async};

const NODES: &str = "/api/v1/nodes";

async fn add_node(api: &Api, name: &str, labels: Value) {
    let node = json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels},
    });
    api.post(NODES, &node).await.expect(201);
    let resources = json!({"cpu": "4", "memory": "8Gi", "pods": "10"});
    let now = jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string();
    let status = json!({"status": {
        "capacity": resources, "allocatable": resources,
        "conditions": [{
            "type": "Ready", "status": "True", "reason": "KubeletReady",
            "lastHeartbeatTime": now, "lastTransitionTime": now,
        }],
    }});
    api.patch(
        &format!("{NODES}/{name}/status"),
        "strategic-merge",
        &status,
    )
    .await
    .expect(200);
    eventually_async("the not-ready taint to go", PATIENCE, || async {
        let node = api.get(&format!("{NODES}/{name}")).await.body;
        node["spec"]["taints"].is_null().then_some(())
    })
    .await;
}

fn pod(name: &str, cpu: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"containers": [{
            "name": "c", "image": "x", "resources": {"requests": {"cpu": cpu}},
        }]},
    })
}

async fn create(api: &Api, pod: &Value) {
    // The service account controller may take a moment after the start.
    eventually_async("the pod to be admitted", PATIENCE, || async {
        (api.post(PODS, pod).await.code == 201).then_some(())
    })
    .await;
}

fn unschedulable(pod: &Value) -> Option<String> {
    let conditions = pod["status"]["conditions"].as_array()?;
    let condition = conditions.iter().find(|c| c["type"] == "PodScheduled")?;
    (condition["reason"] == "Unschedulable")
        .then(|| condition["message"].as_str().map(str::to_owned))?
}

#[tokio::test]
async fn a_pod_that_fits_nowhere_says_why_and_is_placed_when_it_fits() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    create(&api, &pod("big", "3")).await;
    let waiting = reached(&api, "big", "the refusal", |pod| {
        unschedulable(pod).is_some()
    })
    .await;
    let message = unschedulable(&waiting).expect("a message");
    assert!(
        message.starts_with("no nodes available to schedule pods"),
        "{message}"
    );
    add_node(&api, "a", json!({})).await;
    let placed = reached(&api, "big", "the pod to be placed", |pod| {
        pod["spec"]["nodeName"] == "a"
    })
    .await;
    assert_eq!(
        tests::pods::condition(&placed, "PodScheduled"),
        Some("True")
    );
    create(&api, &pod("second", "3")).await;
    let waiting = reached(&api, "second", "the refusal", |pod| {
        unschedulable(pod).is_some()
    })
    .await;
    let message = unschedulable(&waiting).expect("a message");
    assert!(
        message.starts_with("0/1 nodes are available: 1 Insufficient cpu."),
        "{message}"
    );
    api.delete(&format!("{PODS}/big?gracePeriodSeconds=0"))
        .await
        .expect(200);
    reached(&api, "second", "the pod to be placed", |pod| {
        pod["spec"]["nodeName"] == "a"
    })
    .await;
}

#[tokio::test]
async fn selectors_taints_and_cordons_are_respected() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    add_node(&api, "a", json!({"disk": "ssd"})).await;
    add_node(&api, "b", json!({"disk": "hdd"})).await;
    let mut picky = pod("picky", "100m");
    picky["spec"]["nodeSelector"] = json!({"disk": "hdd"});
    create(&api, &picky).await;
    reached(&api, "picky", "the pod to be placed", |pod| {
        pod["spec"]["nodeName"] == "b"
    })
    .await;
    let taint =
        json!({"spec": {"taints": [{"key": "only", "value": "db", "effect": "NoSchedule"}]}});
    api.patch(&format!("{NODES}/a"), "merge", &taint)
        .await
        .expect(200);
    let cordon = json!({"spec": {"unschedulable": true}});
    api.patch(&format!("{NODES}/b"), "merge", &cordon)
        .await
        .expect(200);
    create(&api, &pod("stuck", "100m")).await;
    let waiting = reached(&api, "stuck", "the refusal", |pod| {
        unschedulable(pod).is_some_and(|m| m.contains("untolerated") && m.contains("unschedulable"))
    })
    .await;
    let message = unschedulable(&waiting).expect("a message");
    assert!(
        message.starts_with("0/2 nodes are available: "),
        "{message}"
    );
    let mut tolerant = pod("tolerant", "100m");
    tolerant["spec"]["tolerations"] = json!([{"key": "only", "operator": "Exists"}]);
    create(&api, &tolerant).await;
    reached(&api, "tolerant", "the pod to be placed", |pod| {
        pod["spec"]["nodeName"] == "a"
    })
    .await;
}

#[tokio::test]
async fn failed_scheduling_is_told_by_an_event() {
    let cluster = Cluster::without_worker();
    let api = cluster.api();
    add_node(&api, "a", json!({})).await;
    create(&api, &pod("big", "100")).await;
    let event = eventually_async("the event", PATIENCE, || async {
        let query = "fieldSelector=reason%3DFailedScheduling";
        let events = api
            .get(&format!("/api/v1/namespaces/default/events?{query}"))
            .await
            .body;
        events["items"].as_array()?.first().cloned()
    })
    .await;
    assert_eq!(event["type"], "Warning");
    assert_eq!(event["involvedObject"]["name"], "big");
    assert!(
        event["message"]
            .as_str()
            .expect("a message")
            .contains("Insufficient cpu")
    );
}
