//! Deployments: they come back, scale, roll out and roll back.

use serde_json::{Value, json};
use tests::cluster::Cluster;
use tests::http::Api;
use tests::{PATIENCE, eventually_async, image, pods};

const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";
const REPLICA_SETS: &str = "/apis/apps/v1/namespaces/default/replicasets";

fn web(replicas: u32) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {
                    "terminationGracePeriodSeconds": 2,
                    "containers": [{"name": "web", "image": image::WEB, "imagePullPolicy": "Never"}],
                },
            },
        },
    })
}

async fn available(api: &Api, replicas: u32) -> Value {
    let path = format!("{DEPLOYMENTS}/web");
    eventually_async("the replicas to be available", PATIENCE * 2, || async {
        let deployment = api.get(&path).await.body;
        let status = &deployment["status"];
        let done = status["availableReplicas"] == replicas
            && status["updatedReplicas"] == replicas
            && status["replicas"] == replicas
            && status["observedGeneration"] == deployment["metadata"]["generation"];
        done.then_some(deployment)
    })
    .await
}

fn ctl(cluster: &Cluster, arguments: &[&str]) -> String {
    let output = cluster.ctl(arguments).output().expect("ctl runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "ctl {arguments:?}: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

#[tokio::test]
async fn a_deleted_pod_comes_back() {
    let Some(cluster) = pods::cluster("a_deleted_pod_comes_back").await else {
        return;
    };
    let api = cluster.api();
    api.post(DEPLOYMENTS, &web(2)).await.expect(201);
    available(&api, 2).await;
    let before = api.get(pods::PODS).await.expect(200);
    let victim = before["items"][0]["metadata"]["name"]
        .as_str()
        .expect("a pod")
        .to_owned();
    api.delete(&format!("{}/{victim}", pods::PODS))
        .await
        .expect(200);
    pods::gone(&api, &victim).await;
    available(&api, 2).await;
}

#[tokio::test]
async fn a_rollout_replaces_the_pods_and_can_be_undone() {
    let Some(cluster) = pods::cluster("a_rollout_replaces_the_pods").await else {
        return;
    };
    let api = cluster.api();
    api.post(DEPLOYMENTS, &web(2)).await.expect(201);
    available(&api, 2).await;
    let change = json!({"spec": {"template": {"metadata": {"annotations": {"version": "2"}}}}});
    api.patch(&format!("{DEPLOYMENTS}/web"), "strategic-merge", &change)
        .await
        .expect(200);
    let status = ctl(
        &cluster,
        &["rollout", "status", "deployment/web", "--timeout=60s"],
    );
    assert!(
        status.ends_with("deployment \"web\" successfully rolled out\n"),
        "{status}"
    );
    let rolled = available(&api, 2).await;
    assert_eq!(
        rolled["metadata"]["annotations"]["deployment.kubernetes.io/revision"],
        "2"
    );
    let sets = api.get(REPLICA_SETS).await.expect(200);
    assert_eq!(sets["items"].as_array().map(Vec::len), Some(2));
    ctl(&cluster, &["rollout", "undo", "deployment/web"]);
    let undone = eventually_async("revision 3", PATIENCE * 2, || async {
        let deployment = api.get(&format!("{DEPLOYMENTS}/web")).await.body;
        let revision = &deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"];
        (revision == "3").then_some(deployment)
    })
    .await;
    assert!(
        undone["spec"]["template"]["metadata"]
            .get("annotations")
            .is_none()
    );
    available(&api, 2).await;
}

#[tokio::test]
async fn a_deployment_is_scaled_up_and_down() {
    let Some(cluster) = pods::cluster("a_deployment_is_scaled").await else {
        return;
    };
    let api = cluster.api();
    api.post(DEPLOYMENTS, &web(1)).await.expect(201);
    available(&api, 1).await;
    assert_eq!(
        ctl(&cluster, &["scale", "deployment/web", "--replicas=4"]),
        "deployment.apps/web scaled\n"
    );
    available(&api, 4).await;
    ctl(&cluster, &["scale", "deployment/web", "--replicas=0"]);
    available_none(&api).await;
    api.delete(&format!("{DEPLOYMENTS}/web")).await.expect(200);
    eventually_async("the replica sets to go", PATIENCE, || async {
        let sets = api.get(REPLICA_SETS).await.body;
        sets["items"]
            .as_array()
            .is_some_and(Vec::is_empty)
            .then_some(())
    })
    .await;
}

async fn available_none(api: &Api) {
    eventually_async("the pods to go", PATIENCE * 2, || async {
        let pods = api.get(pods::PODS).await.body;
        pods["items"]
            .as_array()
            .is_some_and(Vec::is_empty)
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_rollout_of_pods_that_end_at_once_does_not_take_the_place_of_those_that_run() {
    let Some(cluster) = pods::cluster("a_rollout_of_pods_that_end").await else {
        return;
    };
    let api = cluster.api();
    api.post(DEPLOYMENTS, &web(4)).await.expect(201);
    available(&api, 4).await;
    let change = json!({"spec": {"template": {"spec": {"containers": [
        {"name": "web", "command": ["/none/such"]},
    ]}}}});
    let broken = json!({"spec": {"template": {"spec": {"containers": [
        {"name": "web", "command": ["/web", "no-such-command"]},
    ]}}}});
    for patch in [change, broken] {
        let path = format!("{DEPLOYMENTS}/web");
        api.patch(&path, "strategic-merge", &patch)
            .await
            .expect(200);
        eventually_async("new pods to be backed off", PATIENCE * 2, || async {
            let deployment = api.get(&path).await.body;
            let seen =
                deployment["status"]["observedGeneration"] == deployment["metadata"]["generation"];
            let pods = api.get(pods::PODS).await.body;
            let crashed = pods["items"].as_array()?.iter().filter(|pod| {
                let status = &pod["status"]["containerStatuses"][0];
                pod["metadata"]["deletionTimestamp"].is_null()
                    && status["state"]["waiting"]["reason"] == "CrashLoopBackOff"
            });
            (seen && crashed.count() == 2).then_some(())
        })
        .await;
        // A quarter may be away, a quarter may come on top: three of four stay, two are new.
        let sets = api.get(REPLICA_SETS).await.body;
        let sets = sets["items"].as_array().expect("a list");
        let mut sizes: Vec<u64> = sets
            .iter()
            .filter_map(|set| set["spec"]["replicas"].as_u64())
            .filter(|&size| size > 0)
            .collect();
        sizes.sort_unstable();
        assert_eq!(sizes, [2, 3]);
        let deployment = api.get(&path).await.body;
        assert_eq!(deployment["status"]["availableReplicas"], 3);
    }
}
