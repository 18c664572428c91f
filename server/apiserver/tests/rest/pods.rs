//! Pods and their subresources, nodes, deployments and tokens.

use serde_json::{Value, json};

use crate::harness::Cluster;

const PODS: &str = "/api/v1/namespaces/default/pods";

async fn account(cluster: &Cluster) {
    let accounts = "/api/v1/namespaces/default/serviceaccounts";
    let made = cluster
        .post(accounts, r#"{"metadata":{"name":"default"}}"#)
        .await;
    assert_eq!(made.code, 201);
}

async fn pod(cluster: &Cluster, name: &str) -> Value {
    let body = json!({
        "metadata": {"name": name},
        "spec": {"containers": [{"name": "c", "image": "x"}]},
    });
    let made = cluster.post(PODS, &body.to_string()).await;
    assert_eq!(made.code, 201, "{}", made.message());
    made.json()
}

#[tokio::test]
async fn a_new_pod_has_its_account_token_and_tolerations() {
    let cluster = Cluster::start().await;
    account(&cluster).await;
    let pod = pod(&cluster, "p").await;
    let spec = &pod["spec"];
    assert_eq!(spec["serviceAccountName"], "default");
    let volume = spec["volumes"][0]["name"].as_str().unwrap();
    assert!(volume.starts_with("kube-api-access-"), "{volume}");
    assert_eq!(spec["containers"][0]["volumeMounts"][0]["name"], volume);
    assert_eq!(spec["tolerations"][0]["tolerationSeconds"], 300);
    assert_eq!(
        (spec["priority"].as_i64(), pod["status"]["phase"].as_str()),
        (Some(0), Some("Pending"))
    );
    let owned = pod["metadata"]["managedFields"].to_string();
    assert!(
        !owned.contains("f:tolerations"),
        "what plugins add belongs to nobody: {owned}"
    );
}

#[tokio::test]
async fn tolerations_that_a_plugin_added_may_be_left_out_of_a_change() {
    let cluster = Cluster::start().await;
    account(&cluster).await;
    let made = pod(&cluster, "p").await;
    let merge = [("content-type", "application/merge-patch+json")];
    let url = format!("{PODS}/p");
    let none = r#"{"spec":{"tolerations":[]}}"#;
    let patched = cluster.ask("PATCH", &url, &merge, none).await;
    assert_eq!(patched.code, 200, "{}", patched.message());
    assert_eq!(
        patched.json()["spec"]["tolerations"],
        made["spec"]["tolerations"]
    );
}

#[tokio::test]
async fn a_pod_of_a_missing_account_is_refused() {
    let cluster = Cluster::start().await;
    let body = r#"{"metadata":{"name":"p"},"spec":{"containers":[{"name":"c","image":"x"}]}}"#;
    let refused = cluster.post(PODS, body).await;
    assert_eq!(refused.code, 403);
    assert_eq!(
        refused.message(),
        "pods \"p\" is forbidden: error looking up service account default/default: serviceaccount \
         \"default\" not found"
    );
}

#[tokio::test]
async fn a_pod_is_bound_once_and_then_ends_in_its_own_time() {
    let cluster = Cluster::start().await;
    account(&cluster).await;
    pod(&cluster, "p").await;
    let binding = r#"{"metadata":{"name":"p"},"target":{"kind":"Node","name":"n1"}}"#;
    let bound = cluster.post(&format!("{PODS}/p/binding"), binding).await;
    assert_eq!(bound.code, 201, "{}", bound.message());
    let read = cluster.get(&format!("{PODS}/p")).await.json();
    assert_eq!(read["spec"]["nodeName"], "n1");
    assert_eq!(read["status"]["conditions"][0]["type"], "PodScheduled");
    let again = cluster.post(&format!("{PODS}/p/binding"), binding).await;
    assert_eq!(
        again.message(),
        "Operation cannot be fulfilled on pods/binding \"p\": pod p is already assigned to node \"n1\""
    );
    let ending = cluster.delete(&format!("{PODS}/p"), "").await.json();
    assert_eq!(ending["metadata"]["deletionGracePeriodSeconds"], 30);
    let gone = cluster
        .delete(&format!("{PODS}/p"), r#"{"gracePeriodSeconds":0}"#)
        .await;
    assert_eq!(
        (gone.code, gone.json()["kind"].as_str()),
        (200, Some("Pod"))
    );
    assert_eq!(cluster.get(&format!("{PODS}/p")).await.code, 404);
}

#[tokio::test]
async fn an_evicted_pod_that_runs_nowhere_is_gone() {
    let cluster = Cluster::start().await;
    account(&cluster).await;
    pod(&cluster, "p").await;
    let eviction = r#"{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"p"}}"#;
    let evicted = cluster.post(&format!("{PODS}/p/eviction"), eviction).await;
    assert_eq!(
        (evicted.code, evicted.json()["status"].as_str()),
        (201, Some("Success"))
    );
    assert_eq!(cluster.get(&format!("{PODS}/p")).await.code, 404);
}

#[tokio::test]
async fn the_log_of_a_pod_without_a_node_is_empty_and_an_unknown_container_is_refused() {
    let cluster = Cluster::start().await;
    account(&cluster).await;
    pod(&cluster, "p").await;
    let log = cluster.get(&format!("{PODS}/p/log")).await;
    assert_eq!((log.code, log.body.len()), (200, 0));
    let wrong = cluster.get(&format!("{PODS}/p/log?container=nope")).await;
    assert_eq!(wrong.message(), "container nope is not valid for pod p");
    let lines = cluster.get(&format!("{PODS}/p/log?tailLines=-1")).await;
    assert_eq!(lines.code, 422);
    let exec = cluster
        .get(&format!("{PODS}/p/exec?command=x&stdout=1"))
        .await;
    assert_eq!(exec.message(), "pod p does not have a host assigned");
}

#[tokio::test]
async fn a_scale_sets_the_replicas_and_raises_the_generation() {
    let cluster = Cluster::start().await;
    let deployments = "/apis/apps/v1/namespaces/default/deployments";
    let body = json!({
        "metadata": {"name": "d"},
        "spec": {
            "selector": {"matchLabels": {"a": "b"}},
            "template": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {"containers": [{"name": "c", "image": "x"}]},
            },
        },
    });
    let made = cluster.post(deployments, &body.to_string()).await;
    assert_eq!(made.code, 201, "{}", made.message());
    let url = format!("{deployments}/d/scale");
    let scaled = cluster
        .put(&url, r#"{"metadata":{"name":"d"},"spec":{"replicas":3}}"#)
        .await;
    assert_eq!(scaled.json()["spec"]["replicas"], 3);
    assert_eq!(scaled.json()["status"]["selector"], "a=b");
    let read = cluster.get(&format!("{deployments}/d")).await.json();
    assert_eq!(
        (
            read["spec"]["replicas"].as_i64(),
            read["metadata"]["generation"].as_i64()
        ),
        (Some(3), Some(2))
    );
    let negative = cluster
        .put(&url, r#"{"metadata":{"name":"d"},"spec":{"replicas":-2}}"#)
        .await;
    assert_eq!(
        negative.message(),
        "Scale.autoscaling \"d\" is invalid: spec.replicas: Invalid value: -2: must be greater than or equal to 0"
    );
}

#[tokio::test]
async fn the_status_alone_changes_through_its_subresource() {
    let cluster = Cluster::start().await;
    account(&cluster).await;
    let made = pod(&cluster, "p").await;
    let mut new = made.clone();
    new["status"]["phase"] = "Running".into();
    new["spec"]["containers"][0]["image"] = "other".into();
    let written = cluster
        .put(&format!("{PODS}/p/status"), &new.to_string())
        .await;
    assert_eq!(written.code, 200, "{}", written.message());
    let written = written.json();
    assert_eq!(written["status"]["phase"], "Running");
    assert_eq!(written["spec"], made["spec"]);
}

#[tokio::test]
async fn a_token_is_for_its_account_and_no_shorter_than_ten_minutes() {
    let cluster = Cluster::start().await;
    account(&cluster).await;
    let url = "/api/v1/namespaces/default/serviceaccounts/default/token";
    let issued = cluster
        .post(url, r#"{"spec":{"expirationSeconds":3600}}"#)
        .await;
    assert_eq!(issued.code, 201, "{}", issued.message());
    assert!(
        issued.json()["status"]["token"]
            .as_str()
            .unwrap()
            .starts_with("ey")
    );
    let short = cluster
        .post(url, r#"{"spec":{"expirationSeconds":3}}"#)
        .await;
    assert!(
        short
            .message()
            .ends_with("may not specify a duration less than 10 minutes")
    );
}

#[tokio::test]
async fn a_pod_that_gets_a_node_keeps_its_generation() {
    let cluster = Cluster::start().await;
    account(&cluster).await;
    pod(&cluster, "p").await;
    let binding = r#"{"metadata":{"name":"p"},"target":{"kind":"Node","name":"n1"}}"#;
    let bound = cluster.post(&format!("{PODS}/p/binding"), binding).await;
    assert_eq!(bound.code, 201, "{}", bound.message());
    let read = cluster.get(&format!("{PODS}/p")).await.json();
    assert_eq!(read["spec"]["nodeName"], "n1");
    assert_eq!(read["metadata"]["generation"], 1);
}

#[tokio::test]
async fn malformed_requests_for_parts_of_a_pod_are_bad_requests() {
    let cluster = Cluster::start().await;
    account(&cluster).await;
    pod(&cluster, "p").await;
    let log = cluster.get(&format!("{PODS}/p/log?sinceTime=zz")).await;
    assert_eq!(log.code, 400);
    let message = log.message();
    assert!(message.starts_with("parsing time \"zz\""), "{message}");
    let elsewhere = r#"{"metadata":{"name":"p","namespace":"other"}}"#;
    let evicted = cluster.post(&format!("{PODS}/p/eviction"), elsewhere).await;
    assert_eq!(evicted.code, 400, "{}", evicted.message());
    assert_eq!(cluster.get(&format!("{PODS}/p")).await.code, 200);
}
