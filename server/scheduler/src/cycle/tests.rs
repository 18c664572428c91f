//! Cycles over small clusters, and the speed of one over a large cluster.

use k8s_openapi::api::core::v1::{Node, Pod};
use serde_json::{Value, json};

use super::*;
use crate::node::Offer;
use crate::pod::Footprint;

fn node(cluster: &mut Cluster, name: &str, extra: Value) {
    let mut node = json!({
        "metadata": {"name": name, "labels": {"zone": name}},
        "spec": {},
        "status": {"allocatable": {"cpu": "4", "memory": "8Gi", "pods": "10"}},
    });
    for (section, fields) in extra.as_object().expect("an object") {
        for (field, value) in fields.as_object().expect("an object") {
            node[section][field] = value.clone();
        }
    }
    let node: Node = serde_json::from_value(node).expect("a node");
    cluster.set_node(name, Offer::of(&node));
}

fn pod(spec: Value) -> PodInfo {
    let mut all = json!({"containers": [{"name": "c"}]});
    for (field, value) in spec.as_object().expect("an object") {
        all[field] = value.clone();
    }
    let pod = json!({"metadata": {"name": "p", "namespace": "ns", "uid": "u"}, "spec": all});
    PodInfo::of(&serde_json::from_value::<Pod>(pod).expect("a pod"))
}

fn asks(cpu: &str) -> PodInfo {
    pod(json!({"containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}]}))
}

fn choose(pod: &PodInfo, cluster: &Cluster) -> Result<String, String> {
    let chosen = Cycle::default().choose(pod, cluster).map(str::to_owned);
    chosen.map_err(|e| e.message)
}

#[test]
fn without_nodes_there_is_nothing_to_choose_from() {
    let message = choose(&asks("1"), &Cluster::default()).expect_err("no node");
    assert_eq!(message, "no nodes available to schedule pods");
}

#[test]
fn a_request_beyond_every_node_is_explained() {
    let mut cluster = Cluster::default();
    node(&mut cluster, "a", json!({}));
    assert_eq!(
        choose(&asks("5"), &cluster).expect_err("no node"),
        "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: \
         1 Preemption is not helpful for scheduling."
    );
}

#[test]
fn a_full_node_without_victims_is_explained() {
    let mut cluster = Cluster::default();
    node(&mut cluster, "a", json!({}));
    cluster.place("other", "a", asks("3").footprint);
    assert_eq!(
        choose(&asks("2"), &cluster).expect_err("no node"),
        "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: \
         1 No preemption victims found for incoming pod."
    );
}

#[test]
fn where_preemption_might_help_nothing_is_claimed() {
    let mut cluster = Cluster::default();
    node(&mut cluster, "a", json!({}));
    cluster.place("other", "a", asks("3").footprint);
    let mut important = asks("2");
    important.footprint.priority = 10;
    assert_eq!(
        choose(&important, &cluster).expect_err("no node"),
        "0/1 nodes are available: 1 Insufficient cpu."
    );
}

#[test]
fn reasons_are_counted_and_sorted() {
    let mut cluster = Cluster::default();
    let taints = json!([{"key": "k", "effect": "NoSchedule"}]);
    node(&mut cluster, "a", json!({"spec": {"taints": taints}}));
    node(&mut cluster, "b", json!({"spec": {"unschedulable": true}}));
    let small = json!({"cpu": "1", "memory": "1Gi", "pods": "0"});
    node(&mut cluster, "c", json!({"status": {"allocatable": small}}));
    node(&mut cluster, "d", json!({"status": {"allocatable": small}}));
    let message = choose(&asks("2"), &cluster).expect_err("no node");
    assert_eq!(
        message,
        "0/4 nodes are available: 1 node(s) had untolerated taint(s), \
         1 node(s) were unschedulable, 2 Insufficient cpu, 2 Too many pods. \
         preemption: 0/4 nodes are available: 4 Preemption is not helpful for scheduling."
    );
}

#[test]
fn selectors_and_required_affinity_decide() {
    let mut cluster = Cluster::default();
    node(&mut cluster, "a", json!({}));
    node(&mut cluster, "b", json!({}));
    let selected = pod(json!({"nodeSelector": {"zone": "b"}}));
    assert_eq!(choose(&selected, &cluster).as_deref(), Ok("b"));
    let term = |operator: &str, values: Value| {
        let requirement = json!({"key": "zone", "operator": operator, "values": values});
        let terms = json!({"nodeSelectorTerms": [{"matchExpressions": [requirement]}]});
        pod(json!({"affinity": {"nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": terms,
        }}}))
    };
    assert_eq!(
        choose(&term("NotIn", json!(["a"])), &cluster).as_deref(),
        Ok("b")
    );
    let message = choose(&term("In", json!(["c"])), &cluster).expect_err("no node");
    assert!(
        message.contains("2 node(s) didn't match Pod's node affinity/selector."),
        "{message}"
    );
}

#[test]
fn preferred_affinity_outweighs_room() {
    let mut cluster = Cluster::default();
    node(&mut cluster, "a", json!({}));
    node(&mut cluster, "b", json!({}));
    cluster.place("other", "b", asks("2").footprint);
    let preference =
        json!({"matchExpressions": [{"key": "zone", "operator": "In", "values": ["b"]}]});
    let preferred = pod(json!({"affinity": {"nodeAffinity": {
        "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "preference": preference}],
    }}}));
    assert_eq!(choose(&preferred, &cluster).as_deref(), Ok("b"));
    assert_eq!(choose(&asks("1"), &cluster).as_deref(), Ok("a"));
}

#[test]
fn taints_repel_what_does_not_tolerate_them() {
    let mut cluster = Cluster::default();
    let hard = json!([{"key": "k", "value": "v", "effect": "NoExecute"}]);
    node(&mut cluster, "hard", json!({"spec": {"taints": hard}}));
    let soft = json!([{"key": "k", "effect": "PreferNoSchedule"}]);
    node(&mut cluster, "soft", json!({"spec": {"taints": soft}}));
    assert_eq!(choose(&asks("1"), &cluster).as_deref(), Ok("soft"));
    let tolerant = pod(json!({"tolerations": [{"key": "k", "value": "v"}]}));
    assert_eq!(choose(&tolerant, &cluster).as_deref(), Ok("hard"));
}

#[test]
fn a_host_port_is_given_once() {
    let mut cluster = Cluster::default();
    node(&mut cluster, "a", json!({}));
    let ports = |ip: &str| {
        let port = json!({"containerPort": 80, "hostPort": 8080, "hostIP": ip});
        pod(json!({"containers": [{"name": "c", "ports": [port]}]}))
    };
    cluster.place("other", "a", ports("127.0.0.1").footprint);
    assert_eq!(choose(&ports("10.0.0.1"), &cluster).as_deref(), Ok("a"));
    let message = choose(&ports(""), &cluster).expect_err("no node");
    assert!(message.contains("1 node(s) didn't have free ports for the requested pod ports"));
}

#[test]
fn a_node_that_has_a_large_image_is_better() {
    let mut cluster = Cluster::default();
    node(&mut cluster, "a", json!({}));
    let images = json!([{"names": ["r/app:latest"], "sizeBytes": 900_000_000}]);
    node(&mut cluster, "b", json!({"status": {"images": images}}));
    let pod = pod(json!({"containers": [{"name": "c", "image": "r/app"}]}));
    assert_eq!(choose(&pod, &cluster).as_deref(), Ok("b"));
}

#[test]
fn a_large_cluster_is_sampled() {
    assert_eq!(enough(50), 50);
    assert_eq!(enough(100), 100);
    assert_eq!(enough(1000), 420);
    assert_eq!(enough(5000), 500);
    assert_eq!(enough(10_000), 500);
}

#[test]
fn equal_nodes_take_turns() {
    let mut cluster = Cluster::default();
    for index in 0..300 {
        node(&mut cluster, &format!("n{index}"), json!({}));
    }
    let mut cycle = Cycle::default();
    for index in 0..300 {
        let pod = asks("1");
        let chosen = cycle.choose(&pod, &cluster).expect("room").to_owned();
        cluster.place(
            &index.to_string(),
            &chosen,
            Footprint::clone(&pod.footprint),
        );
    }
    let most = cluster.nodes().iter().map(|node| node.pods).max();
    assert!(most <= Some(2), "{most:?}");
}

/// Prints the rate; `cargo test -p scheduler --release -- --nocapture speed`.
#[test]
fn speed_over_five_thousand_nodes() {
    let mut cluster = Cluster::default();
    for index in 0..5000 {
        node(&mut cluster, &format!("n{index}"), json!({}));
    }
    let pod = asks("100m");
    let mut cycle = Cycle::default();
    let start = std::time::Instant::now();
    let count = 2000_u32;
    for index in 0..count {
        let chosen = cycle.choose(&pod, &cluster).expect("room").to_owned();
        cluster.place(&index.to_string(), &chosen, pod.footprint.clone());
    }
    let each = start.elapsed() / count;
    eprintln!("{each:?} a pod");
    // A debug build on a busy machine; the release build takes a hundredth.
    assert!(each < std::time::Duration::from_millis(50), "{each:?}");
}
